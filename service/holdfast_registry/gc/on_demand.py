"""Cycles of garbage collection that somebody asks for while the registry runs.

A cycle is a task of its own: it goes on when its caller goes, and ends with the process, which leaves what any crash leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from holdfast_contract.os_layer import FsyncError
from holdfast_registry.database.gc_cycles import CycleRecord
from holdfast_registry.domain.gc import GcWish
from holdfast_registry.gc.collector import GarbageCollector, Progress
from holdfast_registry.gc.report import GcReport

logger = logging.getLogger(__name__)

TELL_INTERVAL_S = 0.5
"""Between two looks at how far a cycle is."""


@dataclass(frozen=True, slots=True)
class GcStep:
    """How far a cycle is."""

    phase: str
    report: GcReport
    ended: bool


class GcOnDemand:
    """Begins cycles and watches them."""

    def __init__(self, collector: GarbageCollector, wish: GcWish, die: Callable[[OSError], NoReturn]) -> None:
        self._collector = collector
        self._wish = wish
        self._die = die
        self._running: set[asyncio.Task[GcReport]] = set()

    async def run(self, *, dry_run: bool, now: bool) -> AsyncIterator[GcStep]:
        """Runs a cycle and yields how far it is, the last time when it has ended.

        Args:
            dry_run: count only.
            now: without grace and pauses.

        Raises:
            RegistryError: UNAVAILABLE: another replica is at it.
        """
        wish = replace(self._wish, grace_ms=0, pause_s=0) if now else self._wish
        counted = Progress(None, phase="count")
        task = asyncio.create_task(self._collector.preview(wish, counted) if dry_run else self._collector.collect(wish))
        self._running.add(task)
        task.add_done_callback(self._ended)
        told = ""
        while not task.done():
            progress = counted if dry_run else self._collector.progress
            if progress is not None and (said := progress.phase + progress.report.to_json()) != told:
                told = said
                yield GcStep(progress.phase, progress.report, ended=False)
            await asyncio.wait([task], timeout=TELL_INTERVAL_S)
        report = task.result()
        yield GcStep("incomplete" if report.problem else "done", report, ended=True)

    async def last(self, count: int) -> list[CycleRecord]:
        """Returns the latest cycles of all replicas, the newest first."""
        return await self._collector.last(count)

    def _ended(self, task: asyncio.Task[GcReport]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, FsyncError):
            self._die(error)
        if error is not None:
            logger.error("garbage collection failed error=%s", error, exc_info=error)

    async def aclose(self) -> None:
        """Ends what runs."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
