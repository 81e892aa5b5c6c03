"""The restore epoch: a word that changes with every cycle and stands in the store and in the database.

Order: announced in the database · written into the store · confirmed in the database.  A crash in between leaves a store that has
what was announced, which counts as agreement; a collector that stood still and writes its word when another has taken over has
announced it, too.  A database or a store from a backup has an older word, and nothing is collected
until fsck has run.
"""

from __future__ import annotations

from holdfast_contract.failpoints import failpoint
from holdfast_registry.blobstore.epoch import StoreEpoch
from holdfast_registry.clock import IdSource
from holdfast_registry.database.gc_cycles import Cycle, GcCycleRepository
from holdfast_registry.domain.gc import epochs_agree
from holdfast_registry.file_threads import FileThreads


class RestoreEpoch:
    """Compares and changes it."""

    def __init__(self, cycles: GcCycleRepository, epoch: StoreEpoch, threads: FileThreads, ids: IdSource) -> None:
        self._cycles = cycles
        self._epoch = epoch
        self._threads = threads
        self._ids = ids

    async def agree(self) -> bool:
        """Tells whether store and database are of one time."""
        known = await self._cycles.epochs()
        return epochs_agree(await self._threads.run(self._epoch.read), known.known, known.announced)

    async def rise(self, cycle: Cycle) -> None:
        """Makes a new word known to both: announced, written, confirmed."""
        epoch = self._ids.new_id()
        await self._cycles.announce_epoch(cycle, epoch)
        await self._threads.run(self._epoch.write, epoch)
        failpoint("gc.after_epoch")
        await self._cycles.confirm_epoch(cycle, epoch)
