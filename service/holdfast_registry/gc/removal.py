"""Removal of objects: packs that were doomed long enough ago, and packs that the database does not know.

Ids of packs are never given twice, so a removal that comes late, or twice, can only hit what is dead for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast_contract.failpoints import failpoint
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.database.gc_cycles import Cycle
from holdfast_registry.database.gc_sweep import PACKS_AT_ONCE, GcSweepRepository
from holdfast_registry.domain.gc import LISTINGS_MIN, GcWish
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.report import GcReport


class Remover:
    """Removes objects from the store."""

    def __init__(self, sweeps: GcSweepRepository, store: BlobStore, threads: FileThreads) -> None:
        self._sweeps = sweeps
        self._store = store
        self._threads = threads

    async def remove_doomed(self, cycle: Cycle, wish: GcWish, report: GcReport) -> None:
        """Removes what was doomed long enough ago, and what never served.

        Raises:
            CycleLostError: another collector has taken over.
        """
        while packs := await self._sweeps.removable(cycle, wish.removal_delay_ms):
            for pack in packs:
                await self._threads.run(self._store.discard, pack.pack_id)
            failpoint("gc.after_discard")
            await self._sweeps.removed(cycle, [pack.row for pack in packs])
            served = [pack.size_bytes for pack in packs if pack.size_bytes]
            report.packs_removed += len(served)
            report.bytes_removed += sum(served)

    async def remove_orphans(self, cycle: Cycle, wish: GcWish, report: GcReport) -> None:
        """Counts the packs that no row names, and removes those that have been so for long, in at least two cycles.

        Raises:
            CycleLostError: another collector has taken over.
        """
        names = await self._threads.run(self._store.list_names)
        stored = sorted(names.packs | names.incoming)
        orphans: list[bytes] = []
        for some in _groups(stored):
            orphans += await self._sweeps.rowless(some)
        await self._sweeps.note_orphans(cycle, orphans)
        report.orphans_seen = len(orphans)
        while due := await self._sweeps.due_orphans(cycle, wish.orphan_ms, LISTINGS_MIN):
            for pack_id in due:
                await self._threads.run(self._store.discard, pack_id)
            await self._sweeps.forget_orphans(cycle, due)
            report.orphans_removed += len(due)


def _groups(pack_ids: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [pack_ids[first : first + PACKS_AT_ONCE] for first in range(0, len(pack_ids), PACKS_AT_ONCE)]
