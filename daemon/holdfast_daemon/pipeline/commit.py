"""Commit: assembles the manifest, sees the job's packs off, and asks the registry for a version until it has one.

A part of a distributed version takes the same way, and the job that finishes that version asks for it then, until all parts are there.
The answer is one of five: a version; "bring the manifest" (we expected a no-op and somebody was faster); "the base has changed" (an
incremental job lays its entries over the next one); chunks that are missing (a garbage collection, a restored backup, a hint of ours
that was wrong), after which the files that hold them are read again; or an error.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from holdfast_contract.digest import split_digests
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_ROUNDS_MAX, DIGEST_BYTES
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.assemble import Assembled, AssembleOutcome, AssembleTask, assemble
from holdfast_daemon.pipeline.commit_calls import CommitCalls, finalize_of, may_be_no_op
from holdfast_daemon.pipeline.entry_sources import draft_versions
from holdfast_daemon.pipeline.incremental import ROUNDS_MAX as INCREMENTAL_ROUNDS_MAX
from holdfast_daemon.pipeline.incremental import IncrementalBases, Place
from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.turns import Turns
from holdfast_daemon.registry_client import RegistryClient, next_try, retry_delay_s
from holdfast_daemon.spool.pack_writer import PackTarget
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_COMMIT, JOB_STATE_UPLOAD, WaitArtifactResponse
from holdfastpb.registry.v1.version_pb2 import CommitVersionResponse

T = TypeVar("T")

Outcome = tuple[WaitArtifactResponse, list[bytes]] | frozenset[bytes]
"""The result and chunks worth remembering; or chunks that the registry misses."""

KNOWN_CHUNKS_PER_JOB_MAX = 500_000
"""Hints kept for one version: 160 GB of large files."""
PART_LOOK_S = 2.0
"""Between two questions whether all writers have brought their parts."""
WRITERS_NAMED_MAX = 5
"""In what a job says that it waits for."""


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
        self._calls = CommitCalls(registry)
        self._bases = IncrementalBases(journal, registry, retry_delay_max_s)
        self._leases = leases
        self._turns = turns
        self._retry_delay_max_s = retry_delay_max_s

    async def commit(self, job: Job) -> Outcome:
        """Does one round.

        Returns:
            The result and chunks worth remembering; or the chunks that the registry misses, which must be read again.

        Raises:
            HoldfastError: the job has failed for good.
        """
        finalize = finalize_of(job)
        job.set_state(JOB_STATE_UPLOAD)
        if finalize.distributed_finish and not job.brings_part:
            await self._turns.wait(job)
            return await self._finish(job), []
        rounds = INCREMENTAL_ROUNDS_MAX if finalize.incremental else COMMIT_ROUNDS_MAX
        with self._bases.place_of(job) as place:
            for _ in range(rounds):
                outcome = await self._round(job, place)
                if outcome is not None:
                    return outcome
        raise HoldfastError(Reason.INTERNAL, f"the registry did not accept the version in {rounds} rounds")

    async def _round(self, job: Job, place: Place) -> Outcome | None:
        """Brings what there is; None when something has changed meanwhile and another round is needed."""
        await self._with_patience(job, lambda: self._leases.ensure(job))
        await job.until_running()
        begin_id = job.row.begin_request_id
        if finalize_of(job).incremental and not await self._bases.take(job):
            await self._begin_anew(job)
            return None
        assembled = await self._assemble(job)
        was_sent = job.commit_sent  # before a crash, perhaps: then the answer is there already, and needs no packs
        if assembled.root_digest and not was_sent:
            await self._see_packs_off(job)
        await self._turns.wait(job, for_part=job.brings_part)
        if job.row.begin_request_id != begin_id:
            return None  # the lease ended: what is sent under an id must follow from that id's begin, or a repeat would differ
        job.set_state(JOB_STATE_COMMIT)
        response = await self._ask(job, assembled)
        if response is None:
            return None
        if response.HasField("version"):
            return await self._done(job, response, assembled)
        job.commit_sent = False
        if response.base_changed:
            await self._bases.take_turn(job, response, place)
        elif response.manifest_needed:
            job.manifest_wanted = True
            await self._begin_anew(job)
        elif not was_sent:
            return frozenset(split_digests(response.missing_digests))
        return None

    async def _begin_anew(self, job: Job) -> None:
        await self._leases.abort(job)
        await self._leases.forget(job)

    async def _done(self, job: Job, response: CommitVersionResponse, assembled: Assembled) -> Outcome:
        if not response.created:
            job.bytes_deduplicated = job.bytes_total
        result, chunks = self._result(response, assembled)
        if finalize_of(job).distributed_finish:
            job.lease_id = ""  # the part is brought: nothing is left to be kept alive
            await self._turns.wait(job)
            result = await self._finish(job)
        return result, chunks

    async def _finish(self, job: Job) -> WaitArtifactResponse:
        """Asks for the version of all parts until every writer has brought its own."""
        job.set_state(JOB_STATE_COMMIT)
        attempt = 0
        while True:
            await job.until_running()
            try:
                response = await self._calls.finish(job)
            except HoldfastError as error:
                if not error.may_pass:
                    raise
                delay_s = retry_delay_s(attempt, self._retry_delay_max_s)
                job.wait_for_outside(next_try(error, delay_s))
            else:
                if response.HasField("version"):
                    job.wait_for_outside("")
                    return WaitArtifactResponse(version=response.version, created=response.created)
                delay_s = retry_delay_s(attempt, PART_LOOK_S)
                job.wait_for_outside(f"the parts of {_named(response.waiting_for)}")
            attempt += 1
            await self._registry.pause(delay_s)

    async def _ask(self, job: Job, assembled: Assembled) -> CommitVersionResponse | None:
        """Sends the commit until it is answered; None when there is nothing to commit to any more, and the job begins anew."""
        job.commit_sent = True
        try:
            return await self._with_patience(job, partial(self._calls.commit, job, assembled))
        except HoldfastError as error:
            if error.reason not in (Reason.LEASE_EXPIRED, Reason.VERSION_NOT_PENDING):
                raise
            await self._leases.forget(job)
            return None

    async def list_draft(self, job: Job) -> Assembled:
        """Entries of a draft, as they would be committed now."""
        task = AssembleTask(self._journal.path, job.job_id, "", {}, None)
        return _unwrap(await self._workers.in_process(assemble, task))

    async def assemble_into(self, job: Job, target: PackTarget) -> Assembled:
        """Packs a job's manifest somewhere else, to be carried away; the job stays as it is."""
        task = AssembleTask(self._journal.path, job.job_id, "", draft_versions(job), target)
        return _unwrap(await self._workers.in_process(assemble, task))

    async def _assemble(self, job: Job) -> Assembled:
        latest_digest = job.latest_digest if may_be_no_op(job) and not job.manifest_wanted else ""

        async def step() -> Assembled:
            async with self._spool.borrow(job.entity, held=job.is_held, priority=job.priority) as pack:
                target = self._spool.target(pack)
                task = AssembleTask(self._journal.path, job.job_id, latest_digest, draft_versions(job), target)
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
            for pack in packs if not job.is_paused else ():
                self._spool.want(pack)
            await job.wait_changed()
        if 0 in job.failed_records:
            raise job.failed_records[0]

    async def _with_patience(self, job: Job, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call while the registry is away."""
        attempt = 0
        while True:
            await job.until_running()
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
        return result, split_digests(chunks)


def _named(writers: Sequence[str]) -> str:
    shown = ", ".join(writers[:WRITERS_NAMED_MAX])
    more = len(writers) - WRITERS_NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _unwrap(outcome: AssembleOutcome) -> Assembled:
    if outcome.assembled is None:
        raise HoldfastError.from_detail(ErrorDetail.FromString(outcome.problem or b""))
    return outcome.assembled
