"""Commit: assembles the manifest, sees the job's packs off, and asks the registry for a version until it has one.

The answer is one of four: a version; "bring the manifest" (we expected a no-op and somebody was faster); chunks that are missing (a
garbage collection, a restored backup, a hint of ours that was wrong), after which the files that hold them are read again; or an error.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_DEADLINE_S, COMMIT_ROUNDS_MAX, DIGEST_BYTES
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.assemble import Assembled, AssembleOutcome, AssembleTask, assemble
from holdfast_daemon.pipeline.entry_sources import draft_versions
from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.turns import Turns
from holdfast_daemon.registry_client import RegistryClient, next_try, retry_delay_s
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_COMMIT, JOB_STATE_UPLOAD, WaitArtifactResponse
from holdfastpb.registry.v1.version_pb2 import CommitVersionRequest, CommitVersionResponse

T = TypeVar("T")

KNOWN_CHUNKS_PER_JOB_MAX = 500_000
"""Hints kept for one version: 160 GB of large files."""


class Committer:
    """Brings jobs whose records are all read to their end."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        workers: Workers,
        ingest: Ingest,
        registry: RegistryClient,
        leases: Leases,
        turns: Turns,
        retry_delay_max_s: float,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._workers = workers
        self._ingest = ingest
        self._registry = registry
        self._leases = leases
        self._turns = turns
        self._retry_delay_max_s = retry_delay_max_s

    async def commit(self, job: Job) -> tuple[WaitArtifactResponse, list[bytes]] | frozenset[bytes]:
        """Does one round.

        Returns:
            The result and chunks worth remembering; or the chunks that the registry misses, which must be read again.

        Raises:
            HoldfastError: the job has failed for good.
        """
        job.set_state(JOB_STATE_UPLOAD)
        for _ in range(COMMIT_ROUNDS_MAX):
            await self._with_patience(job, lambda: self._leases.ensure(job))
            begin_id = job.row.begin_request_id
            assembled = await self._assemble(job)
            was_sent = job.commit_sent  # before a crash, perhaps: then the answer is there already, and needs no packs
            if assembled.root_digest and not was_sent:
                await self._see_packs_off(job)
            await self._turns.wait(job)
            if job.row.begin_request_id != begin_id:
                continue  # the lease ended: what is sent under an id must follow from that id's begin, or a repeat would differ
            job.set_state(JOB_STATE_COMMIT)
            response = await self._ask(job, assembled)
            if response is None:
                continue
            if response.HasField("version"):
                if not response.created:
                    job.bytes_deduplicated = job.bytes_total
                return self._result(response, assembled)
            job.commit_sent = False
            if response.manifest_needed:
                await self._leases.abort(job)
                await self._leases.forget(job)
            elif not was_sent:
                return _split(response.missing_digests)
        raise HoldfastError(Reason.INTERNAL, f"the registry did not accept the version in {COMMIT_ROUNDS_MAX} rounds")

    async def _ask(self, job: Job, assembled: Assembled) -> CommitVersionResponse | None:
        """Sends the commit until it is answered; None when there is nothing to commit to any more, and the job begins anew."""
        job.commit_sent = True
        try:
            return await self._with_patience(job, partial(self._call, job, assembled))
        except HoldfastError as error:
            if error.reason not in (Reason.LEASE_EXPIRED, Reason.VERSION_NOT_PENDING):
                raise
            await self._leases.forget(job)
            return None

    async def list_draft(self, job: Job) -> Assembled:
        """Entries of a draft, as they would be committed now."""
        task = AssembleTask(self._journal.path, job.job_id, "", {}, None)
        return _unwrap(await self._workers.in_process(assemble, task))

    async def _assemble(self, job: Job) -> Assembled:
        async def step() -> Assembled:
            async with self._spool.borrow(job.entity, held=job.is_held) as pack:
                target = self._spool.target(pack)
                task = AssembleTask(self._journal.path, job.job_id, job.latest_digest, draft_versions(job), target)
                assembled = _unwrap(await self._workers.in_process(assemble, task))
                await self._ingest.store(job, 0, IngestYield(fragments=assembled.fragments))
                return assembled

        failpoint("commit.before_assemble")
        return await self._ingest.with_space(job, step)

    async def _see_packs_off(self, job: Job) -> None:
        """Waits until every pack of the job is in the registry.

        Raises:
            HoldfastError: the uploader has given the job up.
        """
        while 0 not in job.failed_records and (packs := self._spool.packs_of(job.job_id)):
            for pack in packs:
                self._spool.want(pack)
            await job.wait_changed()
        if 0 in job.failed_records:
            raise job.failed_records[0]

    async def _call(self, job: Job, assembled: Assembled) -> CommitVersionResponse:
        finalize = job.finalize
        assert finalize is not None, "only finalized jobs are committed"
        request = CommitVersionRequest(
            request_id=job.row.commit_request_id,
            version_id=job.version_id,
            lease_id=job.lease_id,
            artifact_digest=assembled.digest,
            manifest_root=assembled.root_digest,
            description=finalize.description,
            has_description=finalize.has_description,
            metadata_json=finalize.metadata_json,
            aliases=finalize.aliases,
            tags=finalize.tags,
            run=finalize.run if finalize.HasField("run") else None,
            has_history_step=finalize.has_history_step,
            history_step=finalize.history_step,
            use_after_commit=finalize.use_after_commit,
        )
        failpoint("commit.before_call")
        response: CommitVersionResponse = await self._registry.call(
            self._registry.versions.CommitVersion, request, deadline_s=COMMIT_DEADLINE_S
        )
        failpoint("commit.after_call")
        return response

    async def _with_patience(self, job: Job, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call while the registry is away."""
        attempt = 0
        while True:
            try:
                result = await step()
            except HoldfastError as error:
                if not error.may_pass:
                    raise
                attempt += 1
                delay_s = retry_delay_s(attempt, self._retry_delay_max_s)
                job.wait_for_outside(next_try(error, delay_s))
                await self._registry.pause(delay_s)
            else:
                job.wait_for_outside("")
                return result

    def _result(
        self, response: CommitVersionResponse, assembled: Assembled
    ) -> tuple[WaitArtifactResponse, list[bytes]]:
        result = WaitArtifactResponse(version=response.version, created=response.created, warnings=assembled.warnings)
        chunks = assembled.large_chunks[: KNOWN_CHUNKS_PER_JOB_MAX * DIGEST_BYTES] if response.created else b""
        return result, [chunks[i : i + DIGEST_BYTES] for i in range(0, len(chunks), DIGEST_BYTES)]


def _unwrap(outcome: AssembleOutcome) -> Assembled:
    if outcome.assembled is None:
        raise HoldfastError.from_detail(ErrorDetail.FromString(outcome.problem or b""))
    return outcome.assembled


def _split(digests: bytes) -> frozenset[bytes]:
    return frozenset(digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES))
