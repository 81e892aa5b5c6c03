"""Which drafts take entries over from which, so that each is committed after what it takes from, and nobody waits for ever.

A source is in the journal before the first entry is taken from it.  How a draft ends is written to all its takers in the transaction
that ends it, so after a crash each taker still finds a version, a problem, or a draft that is on its way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import EntrySourceRow
from holdfast_daemon.pipeline.job import EntrySource, Job, job_from_row
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.log_pb2 import WaitArtifactResponse


class EntrySources:
    """The sources of all jobs."""

    def __init__(self, journal: Journal, jobs: Mapping[str, Job]) -> None:
        """Takes the daemon's jobs by their ids; the mapping lives on."""
        self._journal = journal
        self._jobs = jobs

    async def load(self, job: Job) -> None:
        """Takes up what the journal knows of one job; all other jobs are in memory."""
        for row in await self._journal.load_entry_sources(job.job_id):
            problem = HoldfastError.from_detail(ErrorDetail.FromString(row.problem)) if row.problem else None
            source = job.sources.setdefault(
                row.source_id, EntrySource(row.source_id, row.is_draft, row.entity, row.version_id, problem)
            )
            source.seqs.add(row.seq)
            if row.source_id in self._jobs:
                self._jobs[row.source_id].takers.add(job)

    async def add_version(self, job: Job, seqs: Sequence[int], version_id: str, entity: str) -> None:
        """Notes that records take from a committed version."""
        await self._add(job, seqs, EntrySource(version_id, False, entity, version_id))

    async def add_draft(self, job: Job, seqs: Sequence[int], source: Job) -> None:
        """Notes that records take from a draft (or from a job that is not committed, or was just now).

        Raises:
            HoldfastError: INVALID_ARGUMENT: that one takes from this one; the draft's own error when it has failed.
        """
        if self.depends_on(source, job):
            text = (
                f"{job.opened.artifact_name} cannot take entries over from {source.opened.artifact_name}, which takes entries "
                "over from it: neither could be committed first; add the file itself to one of them"
            )
            raise HoldfastError(Reason.INVALID_ARGUMENT, text)
        source.takers.add(job)
        await self._add(job, seqs, EntrySource(source.job_id, True))
        for waiting in self._reached(job):
            waiting.changed()  # its turn may come before this job's now

    async def _add(self, job: Job, seqs: Sequence[int], source: EntrySource) -> None:
        known = job.sources.setdefault(source.source_id, source)
        known.seqs.update(seqs)
        self._look_at(known)
        await self._journal.add_entry_sources(job.job_id, [_row(known, seq) for seq in seqs])
        # The draft may have ended while that was written, in a transaction that did not see it yet.
        if self._look_at(known):
            await self._journal.add_entry_sources(job.job_id, [_row(known, seq) for seq in seqs])

    def _look_at(self, source: EntrySource) -> bool:
        """Notes how a draft has ended; returns whether that is news."""
        draft = self._jobs.get(source.source_id)
        if not source.is_draft or source.version_id or source.problem is not None or draft is None:
            return False
        if draft.result is None:
            return False
        _resolve(source, draft.job_id, draft.result, draft.opened.artifact_name)
        return True

    @staticmethod
    def retract(job: Job, seq: int) -> None:
        """Forgets what a record took from; the journal has forgotten it."""
        for source in list(job.sources.values()):
            source.seqs.discard(seq)
            if not source.seqs:
                del job.sources[source.source_id]

    def ended(self, job: Job, result: WaitArtifactResponse) -> None:
        """Tells those who take from a job how it has ended."""
        for taker in job.takers:
            source = taker.sources.get(job.job_id)
            if source is not None:
                _resolve(source, job.job_id, result, job.opened.artifact_name)
            taker.changed()
        job.takers.clear()

    async def until_committed(self, job: Job) -> None:
        """Waits until everything that a job takes from is committed.

        Raises:
            HoldfastError: one of them has failed, was cancelled or given up; or INVALID_ARGUMENT: the chunks are another entity's.
        """
        while (source := _first_open(job.sources.values())) is not None:
            draft = self._jobs.get(source.source_id)
            if draft is None:
                await self._resolve_forgotten(job, source)
                continue
            step = "to be committed" if draft.finalize is not None else "to be logged"
            if draft.finalize is not None and draft.is_held:
                step = "to be sent by `holdfast sync`"
            job.wait_for_outside(f"{draft.opened.artifact_name}, which entries are taken over from, {step}")
            await job.wait_changed()
        job.wait_for_outside("")
        for source in job.sources.values():
            _check(job, source)

    async def _resolve_forgotten(self, job: Job, source: EntrySource) -> None:
        """A draft that is not in memory has ended, or is gone altogether."""
        row = await self._journal.load_job(source.source_id)
        result = job_from_row(row).result if row is not None else None
        if result is None:
            text = f"the daemon does not know the draft {source.source_id} any more"
            source.problem = HoldfastError(Reason.NOT_FOUND, text)
        else:
            _resolve(source, source.source_id, result, source.source_id)

    def depends_on(self, job: Job, other: Job) -> bool:
        """Whether a job is, or waits for the commit of, another, over any number of steps."""
        return job is other or any(reached is other for reached in self._reached(job))

    def _reached(self, job: Job) -> Iterator[Job]:
        """All drafts that a job waits for."""
        seen: set[str] = set()
        waiting = [job]
        while waiting:
            for source in waiting.pop().sources.values():
                draft = self._jobs.get(source.source_id)
                if source.version_id or draft is None or source.source_id in seen:
                    continue
                seen.add(source.source_id)
                waiting.append(draft)
                yield draft


def as_source(job: Job, result: WaitArtifactResponse) -> EntrySourceRow:
    """What the takers of a job are to know of its end."""
    source = EntrySource(job.job_id, True)
    _resolve(source, job.job_id, result, job.opened.artifact_name)
    return _row(source, 0)


def draft_versions(job: Job) -> dict[str, str]:
    """Session → version of the drafts that a job takes from, all of them committed."""
    return {source.source_id: source.version_id for source in job.sources.values() if source.is_draft}


def _row(source: EntrySource, seq: int) -> EntrySourceRow:
    problem = source.problem.to_detail().SerializeToString() if source.problem is not None else None
    return EntrySourceRow(seq, source.source_id, source.is_draft, source.entity, source.version_id, problem)


def _resolve(source: EntrySource, job_id: str, result: WaitArtifactResponse, name: str) -> None:
    version = result.version
    if version.version_id:
        source.entity, source.version_id = version.entity, version.version_id
        return
    error = HoldfastError.from_detail(result.error) if result.HasField("error") else None
    reason = error.reason if error is not None else Reason.INVALID_ARGUMENT
    why = error.message if error is not None else "it has no version of its own"
    text = f"entries are taken over from the draft {name} ({job_id}), which was not committed: {why}"
    source.problem = HoldfastError(reason, text)


def _first_open(sources: Iterable[EntrySource]) -> EntrySource | None:
    """The first that is not committed.

    Raises:
        HoldfastError: one never will be.
    """
    found = None
    for source in sources:
        if source.problem is not None:
            raise source.problem
        if not source.version_id and found is None:
            found = source
    return found


def _check(job: Job, source: EntrySource) -> None:
    if source.entity != job.entity:
        raise HoldfastError(
            Reason.INVALID_ARGUMENT,
            f"{job.opened.artifact_name} goes to {job.entity}, and takes entries over from version {source.version_id} of "
            f"{source.entity}; chunks are not shared between entities: download that version and add its files",
        )
