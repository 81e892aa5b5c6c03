"""Puts a version's files below a folder: manifest page → what is not right in place → packs → files, all of it at once.

The loop handles segments of up to 4,096 entries and columns of chunks, never one file; workers compare and write.  Only so many
segments, tasks and large files are under way at a time, so memory does not grow with the version, and the next download's tasks
come between this one's.
"""

import asyncio
import os
import secrets
import time
from array import array
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import BoundedTasks, outcome, run_to_end, stop
from holdfast_daemon.pipeline.bring_packs import USE_ATTEMPTS, PackSource, Reader
from holdfast_daemon.pipeline.check_files import check_files
from holdfast_daemon.pipeline.fetch_tasks import (
    CheckTask,
    Leftovers,
    PlaceTask,
    Target,
    chunk_columns,
    is_large,
    split_rows,
)
from holdfast_daemon.pipeline.manifest_pages import ManifestPages, Segment
from holdfast_daemon.pipeline.pack_chunks import PackUnusableError
from holdfast_daemon.pipeline.path_patterns import EntryFilter
from holdfast_daemon.pipeline.place_files import place_files
from holdfast_daemon.pipeline.place_large import LargeFiles, place_large
from holdfast_daemon.pipeline.place_references import local_path_of, place_reference, stands_in_place
from holdfast_daemon.pipeline.seeds import Seeds
from holdfast_daemon.pipeline.target_tree import partial_mark, write_error
from holdfast_daemon.pipeline.tree_walk import ExtraFiles, make_root
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.fetch_pb2 import OverwritePolicy

PROGRESS_S = 0.25
"""Twice as often as promised."""
CHECK_BYTES_MAX = 512 * MIB
"""Of one comparison: 0.2 s of hashing when nothing is known of the files."""
WARNINGS_MAX = 20
UNRESOLVED_BYTES_MAX = 2 * MIB
"""Half a message; whoever has more references reads the manifest."""
KEPT_BYTES_MAX = 1 * MIB
"""Of the paths of kept files: beside the other list."""
OTHERS_SHOWN_MAX = 5
FOLDERS_CLEANED_MAX = 100_000
"""Folders remembered as cleared of leftovers, about 10 MiB; clearing one twice does no harm."""


class PlacedFiles(Protocol):
    """What is known of files that were compared before: encoded FolderStates under keys."""

    async def load(self, folder: bytes) -> bytes | None:
        """Returns what was stored under the key."""

    async def store(self, folder: bytes, blob: bytes) -> None:
        """Replaces it."""


@dataclass(frozen=True, slots=True)
class DownloadOrder:
    """What a caller wants."""

    version_id: str
    root: bytes
    path_prefix: str = ""
    paths: frozenset[str] = frozenset()
    exact: bool = False
    allow_missing_references: bool = False
    skip_cache: bool = False
    chosen: EntryFilter = field(default_factory=EntryFilter)
    overwrite: OverwritePolicy = OverwritePolicy.OVERWRITE_POLICY_REPLACE
    name_kept: bool = False

    @property
    def keeps_others(self) -> bool:
        """Whether files that are there with other content stay as they are."""
        return self.overwrite == OverwritePolicy.OVERWRITE_POLICY_KEEP

    @property
    def names_kept(self) -> bool:
        """Whether those are compared, and named."""
        return self.name_kept and self.keeps_others


@dataclass(slots=True)
class DownloadProgress:
    """How far a download is."""

    entries_total: int = 0
    entries_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    bytes_kept: int = 0
    done: bool = False
    warnings: list[str] = field(default_factory=list)
    unresolved_references: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    kept_total: int = 0


class Fetch:
    """Runs downloads; any number at the same time."""

    def __init__(
        self,
        manifests: ManifestPages,
        packs: PackSource,
        workers: Workers,
        placed: PlacedFiles,
        seeds: Seeds,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.manifests = manifests
        self.packs = packs
        self.workers = workers
        self.placed = placed
        self.seeds = seeds
        self.clock_ns = clock_ns
        self.live_tokens: Counter[str] = Counter()

    async def download(self, order: DownloadOrder) -> AsyncGenerator[DownloadProgress, None]:
        """Yields progress until all is in place; ending the iteration early stops the download.

        Raises:
            HoldfastError: see FetchService.Download; files written before stay.
        """
        running = _Download(self, order)
        task = asyncio.create_task(running.run())
        try:
            while not (await asyncio.wait({task}, timeout=PROGRESS_S))[0]:
                yield replace(running.progress)
            await outcome(task)
        except HoldfastError as error:
            if error.reason is Reason.STORE_DAMAGED:
                await self.manifests.ask_for_version(order.version_id)  # was deleted meanwhile, perhaps: says so
            raise
        finally:
            await stop(task)
        yield replace(running.progress, done=True)


class _Download:
    """One download."""

    def __init__(self, fetch: Fetch, order: DownloadOrder) -> None:
        self._fetch = fetch
        self._workers = fetch.workers
        self._packs = fetch.packs
        self._order = order
        self.progress = DownloadProgress()
        self._reader = Reader("", order.skip_cache)
        self._target = Target(b"", secrets.token_hex(6))
        self._started_ns = fetch.clock_ns()
        self._is_fresh = False
        self._cleaned: set[str] = set()
        self._found: set[str] = set()
        self._skipped_references = 0
        self._unresolved_bytes = 0
        self._kept_bytes = 0
        self._tasks = asyncio.Semaphore(fetch.workers.processes + 1)
        self._large = asyncio.Semaphore(fetch.workers.processes)

    async def run(self) -> None:
        """Does all of it."""
        order = self._order
        version = await self._fetch.manifests.get_version(order.version_id)
        self._reader.entity = version.entity
        if not (order.path_prefix or order.paths) and order.chosen.is_open:
            self.progress.entries_total, self.progress.bytes_total = version.entry_count, version.size_bytes
        self._fetch.live_tokens[self._target.token] += 1
        try:
            await self._make_root()
            if order.overwrite == OverwritePolicy.OVERWRITE_POLICY_FAIL and not self._is_fresh:
                await self._refuse_to_overwrite()
            await self._place_all()
            if order.exact:
                await self._delete_extra()
        except BaseException:  # whatever ends it, whoever repeats it is the first again
            self._packs.give_up(self._reader)
            raise
        finally:
            del self._fetch.live_tokens[self._target.token]
        self._tell_of_references()
        self.progress.kept.sort()

    async def _make_root(self) -> None:
        try:
            root, self._is_fresh = await self._workers.in_thread(make_root, self._order.root)
        except OSError as error:
            raise write_error(error, os.fsdecode(self._order.root)) from error
        self._target = replace(self._target, root=root)

    async def _place_all(self) -> None:
        order = self._order
        async with BoundedTasks(self._workers.processes + 1) as tasks:
            async for segment in self._segments():
                rows = self._selected(segment)
                self._count(segment, rows)
                if rows:
                    await tasks.start(self._bring_segment, segment, rows)
        absent = sorted(order.paths - self._found)
        if absent:
            text = f"version {order.version_id} has no entry {absent[0]!r}"
            raise HoldfastError(Reason.NOT_FOUND, text, path=absent[0])

    def _segments(self) -> AsyncIterator[Segment]:
        order = self._order
        prefix = common_prefix(order.paths) if order.paths else order.path_prefix
        return self._fetch.manifests.segments(order.version_id, prefix)

    def _selected(self, segment: Segment) -> Sequence[int]:
        order, paths = self._order, segment.entries.paths
        rows: Sequence[int] = range(len(paths))
        if order.paths:
            rows = [row for row in rows if paths[row] in order.paths]
            self._found.update(paths[row] for row in rows)
        if order.path_prefix:
            rows = [row for row in rows if paths[row].startswith(order.path_prefix)]
        if not order.chosen.is_open:
            rows = [row for row in rows if order.chosen.admits(paths[row])]
        return rows

    def _count(self, segment: Segment, rows: Sequence[int]) -> None:
        order = self._order
        if order.paths or order.path_prefix or not order.chosen.is_open:
            self.progress.entries_total += len(rows)
            self.progress.bytes_total += sum(segment.entries.sizes[row] for row in rows)

    async def _refuse_to_overwrite(self) -> None:
        """Compares everything before anything is written.

        Raises:
            HoldfastError: ALREADY_EXISTS: files are there with other content.
        """
        others: list[str] = []
        async with BoundedTasks(self._workers.processes + 1) as tasks:
            async for segment in self._segments():
                rows = self._selected(segment)
                if rows:
                    await tasks.start(self._find_others, segment, rows, others)
        if not others:
            return
        others.sort()
        shown = ", ".join(others[:OTHERS_SHOWN_MAX]) + (", …" if len(others) > OTHERS_SHOWN_MAX else "")
        many = f"{len(others)} files are" if len(others) > 1 else "1 file is"
        root = os.fsdecode(self._target.root)
        text = f"{many} in {root} already with other content: {shown}; nothing was written"
        raise HoldfastError(Reason.ALREADY_EXISTS, text, path=others[0])

    async def _find_others(self, segment: Segment, selected: Sequence[int], others: list[str]) -> None:
        entries = segment.entries
        rows = [row for row in selected if row not in entries.references]
        for part in split_rows(entries, rows, CHECK_BYTES_MAX):
            task = CheckTask(self._target, segment.encoded, part, None, self._fetch.clock_ns())
            async with self._tasks:
                result = await self._workers.in_process(check_files, task)
            others.extend(entries.paths[row] for row in result.damaged)
        for row in selected:
            uri, digest = entries.references.get(row, ("", ""))
            if local_path_of(uri) is not None:
                path = entries.paths[row]
                if await self._stands_in_place(path, uri, digest):
                    others.append(path)

    async def _stands_in_place(self, path: str, uri: str, digest: str) -> bool:
        return await self._workers.in_thread(stands_in_place, self._target, path, uri, digest)

    async def _bring_segment(self, segment: Segment, selected: Sequence[int]) -> None:
        entries = segment.entries
        references = [row for row in selected if row in entries.references] if entries.references else []
        rows = [row for row in selected if row not in entries.references] if references else selected
        needed: list[int] = []
        for part in [rows] if self._is_fresh else split_rows(entries, rows, CHECK_BYTES_MAX):
            needed.extend(part if self._is_fresh else await self._not_in_place(segment, array("I", part)))
        small = [row for row in needed if not is_large(entries, row)]
        async with asyncio.TaskGroup() as group:
            for task_rows in split_rows(entries, small):
                group.create_task(self._place_small(segment, task_rows))
            for row in needed:
                if is_large(entries, row):
                    group.create_task(self._place_large(segment, row))
            for row in references:
                group.create_task(self._place_reference(segment, row))

    async def _not_in_place(self, segment: Segment, rows: "array[int]") -> Sequence[int]:
        # NUL cannot be in a path: such a key never meets that of a folder that was logged.
        key = self._target.root + b"\0" + segment.entries.paths[rows[0]].encode()
        known = await self._fetch.placed.load(key)
        leftovers = self._leftovers(segment, rows)
        now_ns = self._fetch.clock_ns()
        keep = self._order.keeps_others
        names = self._order.names_kept
        task = CheckTask(self._target, segment.encoded, rows, known, now_ns, leftovers, keep, names)
        async with self._tasks:
            result = await self._workers.in_process(check_files, task)
        for row in result.others:
            self._name_kept(segment.entries.paths[row])
        if result.state is not None:
            await self._fetch.placed.store(key, result.state)
        self.progress.entries_done += len(rows) - len(result.missing) - len(result.damaged)
        self.progress.bytes_done += result.bytes_right
        self.progress.bytes_kept += result.bytes_right
        return sorted([*result.missing, *result.damaged])

    def _leftovers(self, segment: Segment, rows: "array[int]") -> Leftovers:
        entries, paths = segment.entries, segment.entries.paths
        folders = {paths[row].rpartition("/")[0] for row in rows} - self._cleaned
        if len(self._cleaned) + len(folders) > FOLDERS_CLEANED_MAX:
            self._cleaned.clear()
        self._cleaned |= folders
        # What is left of files that this download wants is of use to it.
        wanted = {partial_mark(paths[row], entries.digest_at(row)) for row in rows if is_large(entries, row)}
        return Leftovers(tuple(folders), self._started_ns, frozenset(wanted.union(self._fetch.live_tokens)))

    async def _place_small(self, segment: Segment, rows: "array[int]") -> None:
        async with self._tasks:
            for attempt in range(1, USE_ATTEMPTS + 1):
                if await self._try_small(segment, rows, attempt):
                    return

    async def _try_small(self, segment: Segment, rows: "array[int]", attempt: int) -> bool:
        grants, located = await self._packs.locate(self._reader, *chunk_columns(segment.entries, rows))
        brought = await self._packs.bring(self._reader, grants, located)
        try:
            task = PlaceTask(self._target, segment.encoded, rows, brought.files, located)
            result = await self._workers.in_process(place_files, task)
        finally:
            await self._packs.release(brought)
        failure = result.failure
        if failure is None:
            self.progress.entries_done += result.files
            self.progress.bytes_done += result.bytes_written
            return True
        if failure.detail:
            raise HoldfastError.from_detail(ErrorDetail.FromString(failure.detail))
        unusable = PackUnusableError(failure.pack, failure.pack_problem, missing=failure.pack_is_missing)
        await self._packs.recover(unusable, brought.files[failure.pack], failure.path, attempt)
        return False

    async def _place_large(self, segment: Segment, row: int) -> None:
        async with self._large:
            await place_large(self._large_files(), segment, row)
            self.progress.entries_done += 1

    def _large_files(self) -> LargeFiles:
        return LargeFiles(
            self._packs,
            self._workers,
            self._fetch.seeds,
            self._reader,
            self._target,
            self._fetch.live_tokens,
            self._add_bytes,
            self._order.skip_cache,
        )

    def _add_bytes(self, count: int) -> None:
        self.progress.bytes_done += count

    async def _place_reference(self, segment: Segment, row: int) -> None:
        path = segment.entries.paths[row]
        uri, digest = segment.entries.references[row]
        if local_path_of(uri) is None:
            self._leave_to_caller(path)
        else:
            async with self._large:
                await self._copy_reference(path, uri, digest, segment.entries.sizes[row])
        self.progress.entries_done += 1

    async def _copy_reference(self, path: str, uri: str, digest: str, size: int) -> None:
        try:
            keep = self._order.keeps_others
            if self._order.names_kept and await self._stands_in_place(path, uri, digest):
                self._name_kept(path)
            place = partial(place_reference, self._target, path, uri, digest, keep_others=keep)
            _, was_right = await self._workers.in_thread(place)
        except HoldfastError as error:
            if error.reason is not Reason.REFERENCE_MISSING or not self._order.allow_missing_references:
                raise
            self._skipped_references += 1
            if len(self.progress.warnings) < WARNINGS_MAX - 1:
                self.progress.warnings.append(error.message)
            return
        self.progress.bytes_done += size
        self.progress.bytes_kept += size if was_right else 0

    def _leave_to_caller(self, path: str) -> None:
        self._unresolved_bytes += len(path.encode()) + 4
        if self._unresolved_bytes <= UNRESOLVED_BYTES_MAX:
            self.progress.unresolved_references.append(path)

    def _name_kept(self, path: str) -> None:
        self.progress.kept_total += 1
        self._kept_bytes += len(path.encode()) + 4
        if self._kept_bytes <= KEPT_BYTES_MAX:
            self.progress.kept.append(path)

    def _tell_of_references(self) -> None:
        if self._skipped_references >= WARNINGS_MAX:
            self.progress.warnings.append(f"{self._skipped_references} missing references were skipped in all")

    async def _delete_extra(self) -> None:
        extra = ExtraFiles(self._target.root, delete=True)
        try:
            async for segment in self._fetch.manifests.segments(self._order.version_id):
                await run_to_end(self._workers.in_thread(extra.take, segment.entries.paths))
            await run_to_end(self._workers.in_thread(extra.take, None))
        except OSError as error:
            raise write_error(error, os.fsdecode(self._target.root)) from error
        finally:
            await run_to_end(self._workers.in_thread(extra.close))


def common_prefix(paths: Collection[str]) -> str:
    """What all paths begin with, character by character: what first and last in order have in common."""
    first, last = min(paths), max(paths)
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]
