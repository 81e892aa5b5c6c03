"""One cycle of garbage collection, from its beginning to its end.

Order: begin (what earlier cycles wait for is settled) · epochs of store and database compared, and raised · deleted versions purged ·
for each entity: mark, sweep, packs without rows doomed, half-dead packs compacted · leases noted that this cycle waits for · objects
of doomed packs and orphans removed · epochs raised again.  Every step can be repeated; a crash after any of them leaves work
for the next cycle, and nothing that is needed has gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast_contract.errors import ContractError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.os_layer import FsyncError
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.database.gc_cycles import Cycle, CycleLostError, CycleRecord, GcCycleRepository
from holdfast_registry.database.gc_sweep import PACKS_AT_ONCE, GcSweepRepository
from holdfast_registry.domain.gc import GcWish
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.compaction import Compactor
from holdfast_registry.gc.mark import Marker
from holdfast_registry.gc.removal import Remover
from holdfast_registry.gc.report import GcReport
from holdfast_registry.gc.restore_epoch import RestoreEpoch
from holdfast_registry.gc.sweep import PackUse, Sweeper

logger = logging.getLogger(__name__)

TELL_INTERVAL_S = 2.0
"""Between two notes of how far a cycle is."""


class CollectorBusyError(RegistryError):
    """Another registry on the same database collects garbage."""

    def __init__(self) -> None:
        """Says so."""
        super().__init__(Reason.UNAVAILABLE, "Another replica collects garbage just now; see `gc status`.")


@dataclass(slots=True)
class Progress:
    """A cycle of this process while it runs."""

    cycle: Cycle | None
    """None: a dry run."""
    phase: str = "begin"
    report: GcReport = field(default_factory=GcReport)
    told_at_s: float = 0.0


class GarbageCollector:
    """Runs cycles, one at a time."""

    def __init__(
        self,
        cycles: GcCycleRepository,
        sweeps: GcSweepRepository,
        marker: Marker,
        compactor: Compactor,
        remover: Remover,
        epochs: RestoreEpoch,
        threads: FileThreads,
        clock: Clock,
    ) -> None:
        self._cycles = cycles
        self._sweeps = sweeps
        self._marker = marker
        self._sweeper = Sweeper(sweeps, threads)
        self._compactor = compactor
        self._remover = remover
        self._epochs = epochs
        self._clock = clock
        self._lock = asyncio.Lock()
        self.progress: Progress | None = None
        """Of the cycle that runs here."""

    async def collect(self, wish: GcWish) -> GcReport:
        """Runs one cycle; its report says in `problem` what could not be done.

        Raises:
            CollectorBusyError: another collector is at it.
        """
        async with self._lock:
            cycle = await self._cycles.begin()
            if cycle is None:
                raise CollectorBusyError
            progress = self.progress = Progress(cycle)
            try:
                async with self._cycles.held(cycle):
                    phase = await self._run(cycle, wish, progress)
                    await self._cycles.tell(cycle, phase, progress.report.to_json(), ended=True)
            except CycleLostError:
                progress.report.problem = "another collector has taken over, because this one had stopped for a while"
            finally:
                self.progress = None
            logger.info("garbage collected cycle=%s %s", cycle.row, progress.report.to_json())
            return progress.report

    async def preview(self, wish: GcWish, progress: Progress | None = None) -> GcReport:
        """Counts what the next cycles would free, and changes nothing.

        Args:
            wish: how the cycles would go.
            progress: where to count, for somebody who watches.
        """
        progress = progress or Progress(None)
        age_ms = await self._cycles.age_ms()
        for entity_id, name in await self._cycles.entities():
            progress.phase = f"mark {name}"
            roots = await self._cycles.roots_after_purge(entity_id, age_ms, wish.undelete_ms)
            await self._collect_entity(None, entity_id, name, roots, wish, progress)
        return progress.report

    async def last(self, count: int) -> list[CycleRecord]:
        """Returns the latest cycles of all collectors, the newest first."""
        return await self._cycles.last(count)

    async def _run(self, cycle: Cycle, wish: GcWish, progress: Progress) -> str:
        try:
            if not await self._epochs.agree():
                progress.report.problem = (
                    "The store and the database are not of one time: one of them was put back from a backup. "
                    "Run `holdfast registry fsck`; nothing is removed before."
                )
                return "refused"
            await self._epochs.rise(cycle)
            await self._collect(cycle, wish, progress)
            await self._epochs.rise(cycle)
        except FsyncError:
            raise
        except (RegistryError, ContractError, DatabaseError, OSError) as error:
            logger.error("garbage collection failed cycle=%s error=%s", cycle.row, error, exc_info=error)
            progress.report.problem = str(error)
            return "failed"
        return "done" if not progress.report.problem else "incomplete"

    async def _collect(self, cycle: Cycle, wish: GcWish, progress: Progress) -> None:
        report = progress.report
        progress.phase = "purge"
        report.versions_restorable = await self._cycles.notice_deleted(cycle)
        while purged := await self._cycles.purge(cycle, wish.undelete_ms):
            report.versions_purged += purged
            report.versions_restorable -= purged
        for entity_id, name in await self._cycles.entities():
            progress.phase = f"mark {name}"
            await self._collect_entity(cycle, entity_id, name, await self._cycles.roots(entity_id), wish, progress)
        await self._cycles.settle(cycle)
        progress.phase = "remove"
        await self._remover.remove_doomed(cycle, wish, report)
        await self._remover.remove_orphans(cycle, wish, report)

    async def _collect_entity(
        self,
        cycle: Cycle | None,
        entity_id: int,
        name: str,
        roots: Sequence[bytes],
        wish: GcWish,
        progress: Progress,
    ) -> None:
        report = progress.report

        async def told(manifests: int = 0) -> None:
            report.manifests_marked += manifests
            await self._tell(progress)

        try:
            marks = await self._marker.mark(entity_id, roots, told)
        except (RegistryError, ContractError) as error:
            logger.error("manifests cannot be marked entity=%s message=%s", name, error.message)
            report.problem = f"{name}: {error.message}"
            return
        failpoint("gc.after_mark")
        progress.phase = f"sweep {name}"
        use = PackUse.of(await self._sweeps.live_packs(entity_id))
        sealed_before_ms = self._clock.now_ms() - wish.grace_ms
        await self._sweeper.sweep(cycle, entity_id, marks, use, sealed_before_ms, wish, report, told)
        if cycle is None:
            return
        unused = use.unused()
        for first in range(0, len(unused), PACKS_AT_ONCE):
            report.packs_doomed += await self._sweeps.doom(cycle, unused[first : first + PACKS_AT_ONCE])
        if wish.compacts:
            progress.phase = f"compact {name}"
            await self._compactor.compact(cycle, entity_id, use, report, told)

    async def _tell(self, progress: Progress) -> None:
        now_s = self._clock.monotonic_s()
        if progress.cycle is not None and now_s - progress.told_at_s >= TELL_INTERVAL_S:
            progress.told_at_s = now_s
            await self._cycles.tell(progress.cycle, progress.phase, progress.report.to_json())
