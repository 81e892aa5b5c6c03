"""Ingest of a folder tree: hands folders to workers as they are found, large files to threads, and gives up on a cycle.

The walk is breadth-first and nothing is held for a folder that is done, so memory follows the width of the tree, not its size.
"""

import asyncio
import os
import stat
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from blake3 import blake3

from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import check_path
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.ingest_folder import (
    PROBLEMS_SHOWN_MAX,
    FolderResult,
    FolderSlice,
    FolderTask,
    ingest_folders,
)
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.path_patterns import TreeFilter
from holdfast_daemon.pipeline.read_file import unreadable
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.log_pb2 import AddReference, AddTree

if TYPE_CHECKING:
    from holdfast_daemon.pipeline.ingest import Ingest

FILES_PER_STEP = 2000
"""About 50 ms of a worker's time for small files: long against the cost of a call, short against a user's patience."""
FOLDERS_PER_STEP_MAX = 64


async def ingest_tree(ingest: "Ingest", job: Job, seq: int, record: AddTree, steps: asyncio.Semaphore) -> None:
    """Reads everything that is wanted below a folder into entries below a prefix.

    Raises:
        HoldfastError: the first problem with any file; all others were read all the same.
    """
    tree = _Tree(ingest, job, seq, record.local_path, record.prefix, steps)
    tree.wanted = TreeFilter(tuple(record.include), tuple(record.exclude), record.ignore_symlinks)
    await tree.run()


async def ingest_reference(
    ingest: "Ingest", job: Job, seq: int, reference: AddReference, steps: asyncio.Semaphore
) -> None:
    """Adds a reference; one to a local file or folder is hashed first.

    Raises:
        HoldfastError: INVALID_PATH, FILE_MISSING and the like, TOO_LARGE: more files than `objects_max`.
    """
    if not reference.local_path:
        await _store_reference(ingest, job, seq, reference, reference.digest, reference.size)
        return
    try:
        found = await ingest.workers.in_thread(os.stat, reference.local_path)
    except OSError as error:
        raise unreadable(error, os.fsdecode(reference.local_path)) from error
    if stat.S_ISDIR(found.st_mode):
        tree = _Tree(ingest, job, seq, reference.local_path, reference.path, steps)
        tree.reference = reference
        await tree.run()
    elif not reference.checksum:
        await _store_reference(ingest, job, seq, reference, blake3(reference.uri.encode()).hexdigest(), found.st_size)
    else:
        await ingest.large.ingest(job, seq, reference.local_path, reference.path, reference.uri)


async def _store_reference(
    ingest: "Ingest", job: Job, seq: int, reference: AddReference, digest: str, size: int
) -> None:
    try:
        check_path(reference.path)
    except ManifestPathError as error:
        raise HoldfastError(Reason.INVALID_PATH, str(error), path=ascii(reference.path)) from error
    columns = EntryColumns()
    columns.add_reference(reference.path, reference.uri, digest, size, reference.extra_json)
    brought = IngestYield(segments=[columns.to_segment().SerializeToString()], entries=1, bytes_total=size)
    await ingest.store(job, seq, brought)


class _Tree:
    """One walk."""

    reference: AddReference | None = None
    """Set when the files are only referenced."""
    wanted: TreeFilter | None = None
    """Which of the files; None: all of them."""

    def __init__(
        self, ingest: "Ingest", job: Job, seq: int, root: bytes, prefix: str, steps: asyncio.Semaphore
    ) -> None:
        self._ingest = ingest
        self._job = job
        self._seq = seq
        self._root = root
        self._prefix = prefix
        self._steps = steps
        self._queue: deque[FolderSlice] = deque([FolderSlice("")])
        self._under_way: set[asyncio.Task[None]] = set()
        self._problem: HoldfastError | None = None
        self._problems = 0
        self._problem_paths: list[str] = []
        self._files = 0
        self._folders_done = 0

    async def run(self) -> None:
        try:
            while self._queue or self._under_way:
                # A few steps are enough to keep the workers busy; the rest of the queue waits, so that its groups grow.
                while self._queue and len(self._under_way) < 2 * self._ingest.workers.processes:
                    self._start(self._step(self._next_group()))
                done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
                self._under_way -= done
                for task in done:
                    task.result()
        finally:
            for task in self._under_way:
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way)
        self._raise_problem()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._under_way.add(asyncio.create_task(work))

    def _next_group(self) -> list[FolderSlice]:
        """So many folders that they hold about FILES_PER_STEP files, going by those seen so far."""
        mean = max(1, self._files // max(1, self._folders_done))
        count = min(FOLDERS_PER_STEP_MAX, max(1, FILES_PER_STEP // mean), len(self._queue)) if self._folders_done else 1
        # Leave something for the other worker while the queue is short.
        count = max(1, min(count, len(self._queue) // self._ingest.workers.processes or 1))
        return [self._queue.popleft() for _ in range(count)]

    async def _step(self, group: list[FolderSlice]) -> None:
        keys = [(self._folder_of(s), s.after_name) for s in group]
        states = await self._ingest.journal.load_folder_states(keys)
        large = await self._ingest.journal.load_large_file_states([folder for folder, _ in keys])
        slices = [replace(s, state=states.get(k), large_states=large[k[0]]) for s, k in zip(group, keys, strict=True)]
        result = await self._ingest.with_space(self._job, lambda: self._work(slices))
        self._note(result, len(group))

    async def _work(self, slices: list[FolderSlice]) -> FolderResult:
        async with self._steps:
            if self.reference is not None:
                uri, unread = self.reference.uri.rstrip("/"), not self.reference.checksum
                task = FolderTask(self._root, self._prefix, slices, None, uri, unread)
                result = await self._ingest.workers.in_process(ingest_folders, task)
                self._check_count(result)
                await self._ingest.store(self._job, self._seq, result.brought)
                return result
            async with self._ingest.spool.borrow(
                self._job.entity, held=self._job.is_held, priority=self._job.priority
            ) as pack:
                target = self._ingest.spool.target(pack)
                task = FolderTask(
                    self._root, self._prefix, slices, target, distrusted=self._job.distrusted, wanted=self.wanted
                )
                result = await self._ingest.workers.in_process(ingest_folders, task)
                await self._ingest.store(self._job, self._seq, result.brought)
                return result

    def _check_count(self, result: FolderResult) -> None:
        assert self.reference is not None, "only references have a limit"
        limit = self.reference.objects_max
        if limit and self._files + result.brought.entries + len(result.large_files) > limit:
            raise HoldfastError(
                Reason.TOO_LARGE,
                f"Exceeded {limit} objects tracked, pass max_objects to add_reference ({self.reference.uri})",
            )

    def _note(self, result: FolderResult, folders: int) -> None:
        self._queue.extend(result.folders)
        self._files += result.brought.entries + len(result.large_files)
        self._folders_done += folders
        self._problems += result.problems
        self._problem_paths += result.problem_paths
        if result.problem is not None and self._problem is None:
            self._problem = HoldfastError.from_detail(ErrorDetail.FromString(result.problem))
        for relative, _ in result.large_files:
            self._start(self._large(relative))

    async def _large(self, relative: str) -> None:
        local_path = os.path.join(self._root, os.fsencode(relative))
        path = f"{self._prefix}/{relative}" if self._prefix else relative
        uri = f"{self.reference.uri.rstrip('/')}/{quote(relative)}" if self.reference is not None else ""
        try:
            await self._ingest.large.ingest(self._job, self._seq, local_path, path, uri)
        except HoldfastError as error:
            self._problems += 1
            self._problem_paths.append(error.metadata.get("path", os.fsdecode(local_path)))
            self._problem = self._problem or error

    def _folder_of(self, piece: FolderSlice) -> bytes:
        return os.path.join(self._root, os.fsencode(piece.relative)) if piece.relative else self._root

    def _raise_problem(self) -> None:
        if self._problem is None:
            return
        if self._problems > 1:
            first = self._problem.metadata.get("path")
            others = [path for path in self._problem_paths if path != first][:PROBLEMS_SHOWN_MAX]
            count = self._problems - 1
            more = f" ({count} more {'file has' if count == 1 else 'files have'} problems: {', '.join(others)}"
            more += ", …)" if count > len(others) else ")"
            raise HoldfastError(self._problem.reason, self._problem.message + more, **self._problem.metadata)
        raise self._problem
