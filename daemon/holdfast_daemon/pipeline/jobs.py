"""All jobs of the daemon: takes them up (new, resumed, or after a start), drives each to its end, and lets go of old ones.

One task a job: read what comes → when finalized and all is read, commit (in turn) → end.  A job that fails says why and
stops nobody else.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from holdfast_contract import call_context
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_ROUNDS_MAX
from holdfast_contract.os_layer import FsyncError
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError, end_after_fsync_error, first_of
from holdfast_daemon.journal.journal import Journal, read_runs_and_records
from holdfast_daemon.journal.rows import JobRow
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.entry_sources import EntrySources, as_source
from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.job import Job, PendingRecord, job_from_row, state_name
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.turns import Turns
from holdfast_daemon.spool.spool import Spool, SpoolPack
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.log_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_COMMITTED,
    JOB_STATE_FAILED,
    Finalize,
    Record,
    WaitArtifactResponse,
)
from holdfastpb.registry.v1.run_pb2 import Run

ENDED_JOBS_KEPT = 1000
"""Ended jobs held in memory, so that a late wait() finds its answer without the journal."""
HOUSEKEEPING_S = 60.0
LEASE_LOOK_S = 5.0
"""Between looks for leases that are to be renewed: those of parts may last a minute only, if somebody sets them so."""

_log = logging.getLogger(__name__)


def now_ms() -> int:
    """The time as it is shown to people; nothing is decided by it but how long ended jobs stay listed."""
    return time.time_ns() // 1_000_000


class Jobs:
    """Registry of jobs in memory and their driver."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        ingest: Ingest,
        *,
        draft_ttl_s: float,
        finished_ttl_s: float,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.by_id: dict[str, Job] = {}
        self._journal = journal
        self._spool = spool
        self.ingest = ingest
        self._draft_ttl_s = draft_ttl_s
        self._finished_ttl_s = finished_ttl_s
        self._clock_ms = clock_ms
        self.sources = EntrySources(journal, self.by_id)
        self.turns = Turns(self.sources.depends_on)
        self.ended: Counter[str] = Counter()
        """Jobs that have ended since the start, by the name of their state."""
        self._finalizes = asyncio.Lock()
        """Held while what is said of finalized jobs is changed, in the journal and then here."""
        self.committer: Committer
        self.leases: Leases
        spool.only_set_aside = self.only_set_aside
        self.on_set_aside: Callable[[], None] = lambda: None
        """Called when jobs were paused or have ended: transfers that nobody waits for are stopped.  The wiring sets it."""
        self.on_priority: Callable[[], None] = lambda: None
        """Called when the priority of jobs has changed.  The wiring sets it."""

    def connect(self, committer: Committer, leases: Leases) -> None:
        """Completes the wiring: committer and leases need the jobs, too."""
        self.committer, self.leases = committer, leases

    @property
    def is_busy(self) -> bool:
        """Whether the daemon must stay: a job is on its way, or somebody fills a draft (an abandoned one waits on the disk)."""
        return any(
            job.streams > 0
            or (not job.is_paused and not job.is_ingested)
            or (job.finalize is not None and not job.is_resting and not job.is_paused)
            for job in self.active
        )

    def dropped_in_s(self, job: Job) -> float | None:
        """Seconds until a draft that nobody fills any more is dropped; None of any other job."""
        if job.finalize is not None or job.streams > 0 or job.has_ended:
            return None
        return max(0.0, self._draft_ttl_s - (time.monotonic() - job.idle_since_s))

    @property
    def active(self) -> list[Job]:
        """Jobs that have not ended."""
        return [job for job in self.by_id.values() if not job.has_ended]

    async def find(self, job_id: str) -> Job:
        """A job in memory or from the journal.

        Raises:
            HoldfastError: NOT_FOUND.
        """
        if job_id in self.by_id:
            return self.by_id[job_id]
        row = await self._journal.load_job(job_id)
        if row is None:
            raise HoldfastError(Reason.NOT_FOUND, f"the daemon knows no job {job_id}", job=job_id)
        if job_id not in self.by_id:  # somebody may have been faster
            job = self.by_id[job_id] = job_from_row(row)
            if not job.has_ended:
                # The stream that opened it was cut off between the journal and here; nothing was added to it yet.
                self.start(job)
        return self.by_id[job_id]

    def start(self, job: Job) -> None:
        """Takes a job up."""
        self.by_id[job.job_id] = job
        job.task = asyncio.create_task(self._drive(job), name=f"job-{job.job_id}")

    def take_place(self, job: Job) -> None:
        """Gives a finalized job its place in the order of commits; a held one takes it when it is let go, and holds up nobody."""
        self._spool.note_held(job.job_id)
        if not job.is_set_aside:
            self.turns.join(job)
        for taker in job.takers:
            taker.changed()  # it says what it waits for

    async def release(self, job_ids: Sequence[str]) -> list[str]:
        """Lets held jobs go (without ids: all), and those that wait for the registry try at once.

        Returns:
            Finalized jobs, of those asked for, that are on their way now.

        Raises:
            HoldfastError: NOT_FOUND: there is no such job.
        """
        asked = await self._find_all(job_ids)
        async with self._finalizes:
            held = [job for job in asked if job.finalize is not None and job.is_held and not job.has_ended]
            held.sort(key=lambda job: job.row.finalize_order or 0)
            released = [(job, _without_hold(job)) for job in held]
            await self._journal.release_jobs([(job.job_id, finalize.SerializeToString()) for job, finalize in released])
            for job, finalize in released:
                if not job.has_ended:  # cancelled meanwhile
                    job.finalize, job.row.finalize = finalize, finalize.SerializeToString()
                    self.take_place(job)
        for job in held:  # when all have their places
            job.changed()
        self.leases.hurry()
        return [job.job_id for job in asked if job.finalize is not None and not job.has_ended]

    async def end_run(self, run: Run) -> bool:
        """Lets the jobs of a run that are not committed carry the run as it ended; on stable storage when this returns.

        Returns:
            Whether all its jobs are committed, so that nothing will carry its end.
        """
        async with self._finalizes:
            jobs = [job for job in self.active if job.finalize is not None and _is_of_run(job.finalize, run)]
            ended = [(job, _with_run(job, run)) for job in jobs]
            await self._journal.replace_finalizes([(job.job_id, told.SerializeToString()) for job, told in ended])
            for job, told in ended:
                job.finalize, job.row.finalize = told, told.SerializeToString()
        if jobs:
            return False
        rows = await self._journal.list_ended_jobs(ENDED_JOBS_KEPT)
        committed = (row.finalize for row in rows if row.state == JOB_STATE_COMMITTED and row.finalize is not None)
        return any(_is_of_run(Finalize.FromString(finalize), run) for finalize in committed)

    async def pause(self, job_ids: Sequence[str]) -> list[str]:
        """Lets jobs rest (without ids: all), over restarts of the daemon; steps that are under way end.

        Returns:
            Jobs, of those asked for, that are paused now.

        Raises:
            HoldfastError: NOT_FOUND: there is no such job.
        """
        paused = await self._set_paused(job_ids, True)
        for job in paused:
            self.turns.leave(job)  # the others of its collection go on without it
            self._spool.note_held(job.job_id)
            job.changed()
        await self._spool.note_room()
        self.on_set_aside()
        return [job.job_id for job in paused]

    async def resume_paused(self, job_ids: Sequence[str]) -> list[str]:
        """Ends the pause of jobs (without ids: of all).

        Returns:
            Jobs, of those asked for, that were paused and go on.

        Raises:
            HoldfastError: NOT_FOUND: there is no such job.
        """
        was_paused = {job.job_id for job in self.active if job.is_paused}
        resumed = [job for job in await self._set_paused(job_ids, False) if job.job_id in was_paused]
        for job in resumed:
            self._spool.note_held(job.job_id)
            if job.finalize is not None:
                self.take_place(job)
        for job in resumed:  # when all have their places
            job.changed()
        return [job.job_id for job in resumed]

    async def _set_paused(self, job_ids: Sequence[str], paused: bool) -> list[Job]:
        asked = await self._find_all(job_ids)
        async with self._finalizes:
            jobs = [job for job in asked if not job.has_ended]
            await self._journal.set_paused([job.job_id for job in jobs], paused)
            for job in jobs:
                job.row.paused = paused
        return [job for job in jobs if not job.has_ended]

    async def set_priority(self, job_ids: Sequence[str], priority: int) -> list[str]:
        """Changes the share of uploads of jobs, whatever their Finalize says.

        Returns:
            Jobs, of those asked for, that have not ended.

        Raises:
            HoldfastError: NOT_FOUND: there is no such job.
        """
        jobs = [job for job in await self._find_all(job_ids) if not job.has_ended]
        await self._journal.set_priority([job.job_id for job in jobs], priority)
        for job in jobs:
            job.row.priority = priority
            job.changed()
        self.on_priority()
        return [job.job_id for job in jobs]

    async def cancel_all(self, job_ids: Sequence[str]) -> list[str]:
        """Stops jobs (without ids: all); returns those that will not be committed.

        Raises:
            HoldfastError: NOT_FOUND: there is no such job.
        """
        return [job.job_id for job in await self._find_all(job_ids) if await self.cancel(job)]

    async def _find_all(self, job_ids: Sequence[str]) -> list[Job]:
        return [await self.find(job_id) for job_id in job_ids] if job_ids else self.active

    def only_set_aside(self, job_ids: set[str]) -> bool:
        """Whether those of the jobs that have not ended are all held or paused, and there is one."""
        active = [job for job in map(self.by_id.get, job_ids) if job is not None and not job.has_ended]
        return bool(active) and all(job.is_set_aside for job in active)

    def read(self, job: Job, records: list[PendingRecord]) -> None:
        """Starts reading records of a job."""
        if not records:
            return
        task = asyncio.create_task(self.ingest.ingest_records(job, records))
        job.reading.add(task)
        task.add_done_callback(lambda _: job.changed())

    async def resume(self, lost: set[tuple[str, int]]) -> None:
        """Takes up the jobs of the journal after a start; `lost` are records whose spooled bytes did not survive."""
        jobs = [job_from_row(row) for row in await self._journal.load_active_jobs()]
        # All are known before one is read: records may speak of other drafts.
        self.by_id.update((job.job_id, job) for job in jobs)
        for job in jobs:
            await self.sources.load(job)
        self._spool.note_held()
        for job in jobs:
            pending = await self._load_unread(job, {seq for job_id, seq in lost if job_id == job.job_id})
            if job.finalize is not None:
                self.take_place(job)
            self.start(job)
            self.read(job, pending)

    async def _load_unread(self, job: Job, lost: set[int]) -> list[PendingRecord]:
        """Takes stock of a job's records; returns those that are to be read (again)."""
        pending = []
        unread = await self._find_unread(job, lost)
        for record in await self._journal.load_records(job.job_id):
            parsed = Record.FromString(record.payload)
            job.must_flush |= is_volatile(parsed)
            if record.ingested and record.seq not in unread:
                if record.error is not None:
                    job.failed_records[record.seq] = HoldfastError.from_detail(ErrorDetail.FromString(record.error))
                job.mark_ingested(record.seq)
                continue
            await self._journal.reset_record(job.job_id, record.seq)
            if parsed.WhichOneof("what") == "add_bytes":
                job.failed_records[record.seq] = _bytes_lost(record.payload)
                job.mark_ingested(record.seq)
                continue
            pending.append(PendingRecord(record.seq, record.payload))
        return pending

    async def _find_unread(self, job: Job, lost: set[int]) -> set[int]:
        """Records to be read again when the frames of some are lost: files that were read in one step share a run of entries."""
        if not lost:
            return lost
        runs, payloads = await asyncio.to_thread(read_runs_and_records, self._journal.path, job.job_id)
        paths = {path for seq, run in runs if seq in lost for path in ManifestSegment.FromString(run).paths}
        records = [(seq, Record.FromString(payload)) for seq, payload in payloads]
        return lost | {seq for seq, record in records if record.add_file.path in paths}

    async def cancel(self, job: Job) -> bool:
        """Stops a job; False when it has been committed."""
        if job.has_ended:
            return job.row.state == JOB_STATE_CANCELLED
        why = "given up before it was logged" if job.finalize is None else "cancelled by its user"
        error = HoldfastError(Reason.CANCELLED, f"{job.opened.artifact_name}: {why}")
        await self._stop_reading(job)
        if job.task is not None and job.task is not asyncio.current_task():
            job.task.cancel()
            await asyncio.wait([job.task])
        if not job.has_ended:
            await self.leases.abort(job, withdrawn=True)
            await self._end(job, JOB_STATE_CANCELLED, WaitArtifactResponse(error=error.to_detail()))
        return job.row.state == JOB_STATE_CANCELLED

    def lost_pack(self, pack: SpoolPack) -> None:
        """A pack turned out to be damaged: its jobs read their files again."""
        digests = bytes(pack.index.digests)
        damaged = frozenset(digests[i : i + 32] for i in range(0, len(digests), 32))
        for job_id in pack.jobs:
            if job_id in self.by_id:
                self.by_id[job_id].distrusted |= damaged

    async def close(self) -> None:
        """Stops driving; what is journalled goes on with the next start."""
        tasks = [t for job in self.by_id.values() for t in (job.task, *job.reading) if t is not None and not t.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def housekeeping(self) -> None:
        """Renews leases and lets go of drafts without a caller and of jobs that ended long ago, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_leases())
            group.create_task(self._let_go())

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_LOOK_S)
            await self.leases.renew_due(self.active)

    async def _let_go(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            for job in self.active:
                if self.dropped_in_s(job) == 0:
                    await self.cancel(job)
                    await self._journal.drop_job(job.job_id)
            await self._journal.drop_ended_jobs(self._clock_ms() - int(self._finished_ttl_s * 1000))
            self._forget_old()

    def _forget_old(self) -> None:
        ended = [job for job in self.by_id.values() if job.has_ended]
        for job in ended[: max(0, len(ended) - ENDED_JOBS_KEPT)]:
            del self.by_id[job.job_id]

    async def _drive(self, job: Job) -> None:
        """From the first record to the end; every way out is an end that the journal knows."""
        try:
            result, known = await self._carry_out(job)
            await self._end(job, JOB_STATE_COMMITTED, result, known)
        except asyncio.CancelledError:
            raise
        except Exception as group:  # noqa: BLE001  a defect must end this job with a word, and no other job
            error = first_of(group)
            if isinstance(error, FsyncError):
                end_after_fsync_error(error)
            if isinstance(error, HoldfastError):
                return await self._fail(job, error)
            _log.exception("job %s", job.job_id)
            text = f"{job.opened.artifact_name}: the daemon has a defect ({error!r}); its log has the details"
            await self._fail(job, HoldfastError(Reason.INTERNAL, text))

    async def _carry_out(self, job: Job) -> tuple[WaitArtifactResponse, list[bytes]]:
        call_context.current.set(job.call_context)
        while job.finalize is None:
            await job.wait_changed()
        call_context.current.set(job.call_context)  # with its trace, which Finalize brings
        span = self.ingest.registry.tracing.span
        for _ in range(COMMIT_ROUNDS_MAX):
            with span("job ingest", job=job.job_id):
                await self._until_read(job)
            if job.is_held:
                await self._until_released(job)
                await self._until_read(job)
            await self.sources.until_committed(job)
            with span("job commit", job=job.job_id):
                outcome = await self.committer.commit(job)
            if isinstance(outcome, tuple):
                return outcome
            _log.warning("job %s: the registry misses %d chunks; their files are read again", job.job_id, len(outcome))
            await self.read_again(job, outcome)
        raise HoldfastError(Reason.BLOBS_MISSING, "the registry keeps missing chunks that were sent; run its fsck")

    async def _until_read(self, job: Job) -> None:
        """Waits until the job is finalized and all its records are read.

        Raises:
            HoldfastError: that of the first record that cannot be done.
        """
        while job.finalize is None or not job.is_ingested or job.reading:
            for task in [t for t in job.reading if t.done()]:
                job.reading.discard(task)
                task.result()
            if job.finalize is None or not job.is_ingested or job.reading:
                await job.wait_changed()
        if job.failed_records:
            raise job.failed_records[min(job.failed_records)]

    async def _until_released(self, job: Job) -> None:
        """Rests until a Sync; all bytes are on stable storage first, so that the files may go meanwhile."""

        async def flush() -> None:
            await self._spool.flush_job(job.job_id)
            await self._spool.seal_full(job.job_id)

        await self.ingest.with_space(job, flush)
        failpoint("sync.resting")
        job.is_resting = True
        job.changed()
        while job.is_held or job.exports:
            await job.wait_changed()
        job.is_resting = False
        job.changed()

    async def read_again(self, job: Job, missing: frozenset[bytes]) -> None:
        """Reads the files of a job again for chunks that nobody has.

        Raises:
            HoldfastError: BLOBS_MISSING: it has none that can be read again.
        """
        job.distrusted |= missing
        await self._journal.forget_known_chunks(list(missing))
        records = await self._journal.load_records(job.job_id)
        job.restart_ingest()
        pending = []
        for record in records:
            kind = Record.FromString(record.payload).WhichOneof("what")
            if kind in ("add_file", "add_tree", "add_bundle"):
                await self._journal.reset_record(job.job_id, record.seq)
                pending.append(PendingRecord(record.seq, record.payload))
            else:
                job.mark_ingested(record.seq)
        if not pending:
            raise HoldfastError(
                Reason.BLOBS_MISSING,
                f"{job.opened.artifact_name}: the registry has lost chunks that can't be read again",
            )
        self.read(job, pending)

    async def _fail(self, job: Job, error: HoldfastError) -> None:
        _log.warning("job %s failed: %s", job.job_id, error.message)
        await self._stop_reading(job)
        await self.leases.abort(job)
        await self._end(job, JOB_STATE_FAILED, WaitArtifactResponse(error=error.to_detail()))

    async def _stop_reading(self, job: Job) -> None:
        for task in job.reading:
            task.cancel()
        if job.reading:
            await asyncio.wait(job.reading)
        job.reading.clear()

    async def _end(self, job: Job, state: int, result: WaitArtifactResponse, known: list[bytes] | None = None) -> None:
        row: JobRow = job.row
        result.progress.CopyFrom(job.progress())
        result.progress.state = state  # type: ignore[assignment]
        source = as_source(job, result)
        await self._journal.end_job(
            job.job_id, state, result.SerializeToString(), self._clock_ms(), known or (), source
        )
        row.ended_at_ms = self._clock_ms()
        job.result = result
        self.ended[state_name(state)] += 1
        job.waiting_for, job.distrusted = "", frozenset()
        job.listings.clear()
        self.sources.ended(job, result)
        self.turns.leave(job)
        job.set_state(state)
        self._spool.note_held(job.job_id)
        for pack in self._spool.packs_of(job.job_id):
            self._spool.want(pack)  # sent if another job needs it, else removed
        self.on_set_aside()


def _without_hold(job: Job) -> Finalize:
    released = Finalize()
    assert job.finalize is not None, "only finalized jobs are held"
    released.CopyFrom(job.finalize)
    released.hold = False
    return released


def _is_of_run(finalize: Finalize, run: Run) -> bool:
    logged_by = finalize.run
    return (logged_by.entity, logged_by.project, logged_by.run_id) == (run.entity, run.project, run.run_id)


def _with_run(job: Job, run: Run) -> Finalize:
    told = Finalize()
    assert job.finalize is not None, "only finalized jobs belong to a run"
    told.CopyFrom(job.finalize)
    told.run.CopyFrom(run)
    return told


def is_volatile(record: Record) -> bool:
    """Whether the bytes of a record may not be read from their source again."""
    kind = record.WhichOneof("what")
    return kind in ("add_bytes", "add_bundle") or (kind in ("add_file", "add_tree") and getattr(record, kind).mutable)


def _bytes_lost(payload: bytes) -> HoldfastError:
    path = Record.FromString(payload).add_bytes.path
    return HoldfastError(
        Reason.FILE_MISSING, f"{path}: its bytes were lost when the machine stopped; add it again.", path=path
    )
