"""Compares a folder with a version: every file is read, nothing is written."""

import asyncio
import os
import time
from array import array
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import BoundedTasks, outcome, run_to_end, stop
from holdfast_daemon.pipeline.check_files import check_files
from holdfast_daemon.pipeline.fetch import CHECK_BYTES_MAX, PROGRESS_S
from holdfast_daemon.pipeline.fetch_tasks import CheckTask, Target, split_rows
from holdfast_daemon.pipeline.manifest_pages import ManifestPages, Segment
from holdfast_daemon.pipeline.tree_walk import ExtraFiles
from holdfast_daemon.workers import Workers

LISTED_MAX = 1000
"""Paths of each kind that are named."""


@dataclass(slots=True)
class VerifyProgress:
    """How far a verification is and what it found."""

    entries_total: int = 0
    entries_done: int = 0
    references_skipped: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    done: bool = False


class Verify:
    """Runs verifications; any number at the same time."""

    def __init__(self, manifests: ManifestPages, workers: Workers, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._manifests = manifests
        self._workers = workers
        self._clock_ns = clock_ns

    async def verify(self, version_id: str, root: bytes) -> AsyncGenerator[VerifyProgress, None]:
        """Yields progress until all is compared; ending the iteration early stops it.

        Raises:
            HoldfastError: NOT_FOUND (version), FILE_MISSING (folder), or the registry's error.
        """
        progress = VerifyProgress()
        task = asyncio.create_task(self._run(version_id, root, progress))
        try:
            while not (await asyncio.wait({task}, timeout=PROGRESS_S))[0]:
                yield replace(progress, missing=[], damaged=[], extra=[])
            await outcome(task)
        finally:
            await stop(task)
        for paths in (progress.missing, progress.damaged, progress.extra):
            paths.sort()
            del paths[LISTED_MAX:]
        yield replace(progress, done=True)

    async def _run(self, version_id: str, root: bytes, progress: VerifyProgress) -> None:
        version = await self._manifests.get_version(version_id)
        progress.entries_total = version.entry_count
        target = Target(await self._workers.in_thread(os.path.realpath, root), "")
        extra = ExtraFiles(target.root, delete=False)
        try:
            async with BoundedTasks(self._workers.processes + 1) as tasks:
                async for segment in self._manifests.segments(version_id):
                    await self._take_extra(extra, segment.entries.paths, progress)
                    for rows in split_rows(segment.entries, _files(segment, progress), CHECK_BYTES_MAX):
                        await tasks.start(self._check, target, segment, rows, progress)
                await self._take_extra(extra, None, progress)
        except OSError as error:
            text = f"{os.fsdecode(root)} cannot be read ({error.strerror}); name the folder of a download"
            raise HoldfastError(Reason.FILE_MISSING, text, path=os.fsdecode(root)) from error
        finally:
            await run_to_end(self._workers.in_thread(extra.close))

    async def _take_extra(self, extra: ExtraFiles, paths: list[str] | None, progress: VerifyProgress) -> None:
        found = await run_to_end(self._workers.in_thread(extra.take, paths))
        progress.extra.extend(found[: LISTED_MAX - len(progress.extra)])

    async def _check(self, target: Target, segment: Segment, rows: "array[int]", progress: VerifyProgress) -> None:
        task = CheckTask(target, segment.encoded, rows, None, self._clock_ns())
        result = await self._workers.in_process(check_files, task)
        paths = segment.entries.paths
        progress.missing.extend(paths[row] for row in result.missing[:LISTED_MAX])
        progress.damaged.extend(paths[row] for row in result.damaged[:LISTED_MAX])
        progress.entries_done += len(rows)


def _files(segment: Segment, progress: VerifyProgress) -> list[int]:
    """Rows whose bytes are ours to compare; counts the others."""
    references = segment.entries.references
    rows = [row for row in range(len(segment.entries)) if row not in references]
    skipped = len(segment.entries) - len(rows)
    progress.references_skipped += skipped
    progress.entries_done += skipped
    return rows
