"""Ingest: turns a job's records into entries and spooled chunks, with workers for small files and threads for large ones.

Records of one job are read concurrently (their order matters only when the manifest is assembled); each job has a bounded number of
steps under way, so jobs share the workers fairly.  One step: load what is known of the files → borrow a spool pack → worker → journal
what it brought (entries, pack index, file states: one transaction) → take over.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import groupby
from typing import TypeVar

from holdfast_contract.os_layer import FsyncError
from holdfast_contract.reasons import Reason
from holdfast_daemon.bundles.ingest_bundle import ingest_bundle
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.entry_extras import check_set_extra
from holdfast_daemon.pipeline.entry_sources import EntrySources
from holdfast_daemon.pipeline.ingest_entries import IngestEntries
from holdfast_daemon.pipeline.ingest_files import FileItem, FileResult, FileTask, ingest_files, single_file_key
from holdfast_daemon.pipeline.ingest_tree import ingest_reference, ingest_tree
from holdfast_daemon.pipeline.job import Job, PendingRecord
from holdfast_daemon.pipeline.large_file import LargeFiles
from holdfast_daemon.pipeline.read_file import SHORTAGES
from holdfast_daemon.registry_client import RegistryClient, next_try, retry_delay_s
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import WorkerDiedError, Workers
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.log_pb2 import AddEntry, AddFile, Record
from holdfastpb.registry.v1.version_pb2 import ListManifestSegmentsRequest

FILES_PER_STEP = 512
SPACE_RETRY_S = 2.0
BASE_RETRY_DELAY_MAX_S = 30.0
_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, *SHORTAGES)
"""Nothing of a step that meets one of these counts, and what was acknowledged may not fail by it: the step is done again."""

T = TypeVar("T")
_File = tuple[int, AddFile]


class Ingest:
    """Reads records.  One for the whole daemon."""

    def __init__(self, journal: Journal, spool: Spool, workers: Workers, registry: RegistryClient) -> None:
        self.journal = journal
        self.registry = registry
        self.spool = spool
        self.workers = workers
        self.large = LargeFiles(self)
        self.entries: IngestEntries
        self.bytes_read = 0
        self.bytes_known = 0
        """Bytes read since the start, for rates."""

    def connect(self, entries: IngestEntries) -> None:
        """Completes the wiring: taking entries over from drafts needs the jobs, which need this."""
        self.entries = entries

    async def ingest_records(self, job: Job, records: list[PendingRecord]) -> None:
        """Reads the given records; returns when each is done or has failed."""
        steps = job.steps
        parsed = [(pending.seq, Record.FromString(pending.payload)) for pending in records]
        async with asyncio.TaskGroup() as group:
            for run in _runs_of_files(parsed):
                group.create_task(self._ingest_files(job, run, steps))
            for taken in _groups_of_entries(parsed):
                group.create_task(self.entries.ingest(job, taken))
            for seq, record in parsed:
                if record.WhichOneof("what") not in ("add_file", "add_entry"):
                    group.create_task(self.settle(job, seq, self._ingest_other(job, seq, record, steps)))

    async def settle(self, job: Job, seq: int, work: Awaitable[None]) -> None:
        """Waits for one record's work and notes how it ended."""
        error: HoldfastError | None = None
        try:
            await work
        except HoldfastError as problem:
            error = problem
        except WorkerDiedError as problem:
            error = HoldfastError(Reason.INTERNAL, str(problem))
        await self._mark(job, seq, error)

    async def fail(self, job: Job, seq: int, error: HoldfastError) -> None:
        """Notes that a record cannot be done."""
        await self._mark(job, seq, error)

    async def _mark(self, job: Job, seq: int, error: HoldfastError | None) -> None:
        if error is not None:
            job.failed_records[seq] = error
        await self.journal.mark_ingested(job.job_id, seq, error.to_detail().SerializeToString() if error else None)
        job.mark_ingested(seq)

    async def _ingest_other(self, job: Job, seq: int, record: Record, steps: asyncio.Semaphore) -> None:
        kind = record.WhichOneof("what")
        if kind == "add_tree":
            await ingest_tree(self, job, seq, record.add_tree, steps)
        elif kind == "add_reference":
            await ingest_reference(self, job, seq, record.add_reference, steps)
        elif kind == "add_base":
            await self._ingest_base(job, seq, record.add_base.version_id)
        elif kind == "add_bundle":
            await ingest_bundle(self, job, seq, record.add_bundle, steps)
        elif kind == "retract":
            await self._retract(job, seq, record.retract.seq)
        elif kind == "set_extra":
            check_set_extra(record.set_extra)
        elif kind not in ("remove", "add_bytes") and record.ByteSize():
            # Those two have nothing to read: assemble applies a removal; inline bytes came with the record. Empty: taken back.
            raise HoldfastError(
                Reason.INVALID_ARGUMENT, "a record of a kind that this daemon does not know; upgrade it"
            )

    async def _ingest_files(self, job: Job, files: list[_File], steps: asyncio.Semaphore) -> None:
        """Reads files named one by one: small ones in one worker call, large ones in blocks."""
        keys = [single_file_key(f.local_path) for _, f in files]
        states = await self.journal.load_folder_states(keys)
        items = [FileItem(seq, f.local_path, f.path, states.get(k)) for (seq, f), k in zip(files, keys, strict=True)]

        async def step() -> FileResult:
            async with steps, self.spool.borrow(job.entity, held=job.is_held, priority=job.priority) as pack:
                task = FileTask(items, self.spool.target(pack), job.distrusted)
                result = await self.workers.in_process(ingest_files, task)
                await self.store(job, result.done[0] if result.done else 0, result.brought, result.done)
                return result

        result = await self.with_space(job, step)
        for seq in result.done:
            job.mark_ingested(seq)
        for seq, detail in result.failed:
            await self._mark(job, seq, HoldfastError.from_detail(ErrorDetail.FromString(detail)))
        by_seq = dict(files)
        async with asyncio.TaskGroup() as group:
            for seq in result.large:
                found = by_seq[seq]
                group.create_task(self.settle(job, seq, self.large.ingest(job, seq, found.local_path, found.path)))

    async def _ingest_base(self, job: Job, seq: int, version_id: str) -> None:
        """Takes over the entries of a committed version, not its bytes; waits while the registry is away."""
        token = ""
        while True:
            request = ListManifestSegmentsRequest(version_id=version_id, page_token=token)
            page = await self.patiently(
                job, partial(self.registry.call, self.registry.versions.ListManifestSegments, request)
            )
            entries = sum(len(ManifestSegment.FromString(s).sizes) for s in page.segments)
            await self.store(job, seq, IngestYield(segments=list(page.segments), entries=entries))
            token = page.next_page_token
            if not token:
                return

    async def patiently(self, job: Job, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call to the registry while that is away; the job says so."""
        attempt = 0
        while True:
            await job.until_running()
            try:
                result = await call()
            except HoldfastError as error:
                if not error.may_pass:
                    raise
                attempt += 1
                delay_s = retry_delay_s(attempt, BASE_RETRY_DELAY_MAX_S)
                job.wait_for_outside(next_try(error, delay_s))
                await self.registry.pause(delay_s)
            else:
                job.wait_for_outside("")
                return result

    async def _retract(self, job: Job, seq: int, target: int) -> None:
        """Takes back a record that has failed; its entries, if it left any, go with it."""
        if not 0 < target < seq:
            raise HoldfastError(
                Reason.INVALID_ARGUMENT, f"record {seq} takes back record {target}, which is not before it"
            )
        while not job.is_settled(target):
            await job.wait_changed()
        if target not in job.failed_records:
            text = (
                f"record {target} has not failed (or was taken back before); use Remove for entries that are not wanted"
            )
            raise HoldfastError(Reason.INVALID_ARGUMENT, text)
        await self.journal.retract(job.job_id, target, seq)
        job.failed_records.pop(target, None)
        EntrySources.retract(job, target)

    async def store(self, job: Job, seq: int, brought: IngestYield, done: list[int] | None = None) -> None:
        """Makes durable what a step has brought, takes over its frames and counts it."""
        if brought.segments or brought.fragments or brought.states or done:
            await self.journal.store_yield(job.job_id, seq, brought, job.entity, done or ())
        self.spool.adopt(brought.fragments, job.entity, job.job_id)
        self.count(job, brought)

    def count(self, job: Job, brought: IngestYield) -> None:
        """Adds to the progress of a job."""
        self.bytes_read += brought.bytes_read
        self.bytes_known += brought.bytes_known
        job.entries_read += brought.entries
        job.bytes_total += brought.bytes_total
        job.bytes_read += brought.bytes_total
        job.bytes_deduplicated += brought.bytes_known
        job.changed()

    async def with_space(self, job: Job, step: Callable[[], Awaitable[T]]) -> T:
        """Does a step again and again while the disk is full or the machine short of something; the job says so."""
        while True:
            try:
                result = await step()
            except FsyncError:
                raise
            except OSError as error:
                if error.errno not in _MAY_PASS:
                    raise
                job.wait_for_outside(f"the disk of {self.spool.folder}: {error.strerror}; tried again soon")
                await asyncio.sleep(SPACE_RETRY_S)
            else:
                job.wait_for_outside("")
                return result


def _groups_of_entries(records: list[tuple[int, Record]]) -> list[list[tuple[int, AddEntry]]]:
    """AddEntry records by what they take from."""
    groups: dict[tuple[str, str], list[tuple[int, AddEntry]]] = {}
    for seq, record in records:
        if record.WhichOneof("what") == "add_entry":
            taken = record.add_entry
            groups.setdefault((taken.version_id, taken.session_id), []).append((seq, taken))
    return list(groups.values())


def _runs_of_files(records: list[tuple[int, Record]]) -> list[list[_File]]:
    """AddFile records that follow each other with the same `overwrite`, in runs for one worker call."""

    def kind(item: tuple[int, tuple[int, Record]]) -> tuple[int, bool]:
        position, (seq, record) = item
        return seq - position, record.add_file.overwrite

    files = [(seq, record) for seq, record in records if record.WhichOneof("what") == "add_file"]
    runs: list[list[_File]] = []
    for _, group in groupby(enumerate(files), key=kind):
        run = [(seq, record.add_file) for _, (seq, record) in group]
        runs.extend(run[i : i + FILES_PER_STEP] for i in range(0, len(run), FILES_PER_STEP))
    return runs
