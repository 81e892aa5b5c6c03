"""The task beside the calls: ends leases and versions whose time is over, removes what was given up, forgets old answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from holdfast_contract.os_layer import FsyncError
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.database import Database
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.maintenance import MaintenanceRepository
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.lifecycle import die_of_fsync
from holdfast_registry.metrics.tallies import MaintenanceTally
from holdfast_registry.settings import RegistrySettings

logger = logging.getLogger(__name__)

DUTY = "maintenance"


class Maintenance:
    """Does it again and again."""

    def __init__(
        self,
        repository: MaintenanceRepository,
        store: BlobStore,
        threads: FileThreads,
        clock: Clock,
        die: Callable[[OSError], NoReturn],
        tally: MaintenanceTally | None = None,
        duty: Duty | None = None,
    ) -> None:
        """Puts it together.

        Args:
            repository: what is done.
            store: where packs that were given up lie.
            threads: for the store.
            clock: for what was done when.
            die: ends the process after a failed fsync.
            tally: counts.
            duty: of the registries that share a database; None: this one is alone.
        """
        self._repository = repository
        self._store = store
        self._threads = threads
        self._clock = clock
        self._die = die
        self._tally = tally or MaintenanceTally()
        self._duty = duty
        self._discarded_until_ms = 0

    async def run(self, interval_s: float) -> None:
        """Does everything now and at every interval, until it is cancelled; a failure is logged and tried again."""
        while True:
            try:
                await self.once()
                self._tally.rounds += 1
                self._tally.ended_at_s = self._clock.monotonic_s()
            except FsyncError as error:
                self._die(error)
            except (RegistryError, DatabaseError, OSError) as error:
                self._tally.failures += 1
                logger.error("maintenance failed error=%s", error, exc_info=error)
            await asyncio.sleep(interval_s)

    async def once(self) -> None:
        """Does everything that is due now, unless another registry is at it."""
        if self._duty is None:
            await self._do()
            return
        async with self._duty.held(0) as is_ours:
            if is_ours:
                await self._do()

    async def _do(self) -> None:
        now_ms = self._clock.now_ms()
        while expired := await self._repository.expire_leases():
            self._tally.leases_expired += expired
            logger.info("leases expired count=%s", expired)
        while versions := await self._repository.expire_versions():
            self._tally.versions_expired += len(versions)
            logger.info("versions expired count=%s ids=%s", len(versions), ",".join(versions))
        # Their ids are never used again, so this can only hit files that nobody will ever ask for.
        for pack_id in await self._repository.given_up_packs(self._discarded_until_ms):
            await self._threads.run(self._store.discard, pack_id)
        self._discarded_until_ms = now_ms - round(self._store.late_writes_s * 1000)
        while await self._repository.forget_requests():
            logger.debug("old answers forgotten")
        while removed := await self._repository.forget_audit():
            logger.info("old entries of the audit log removed count=%s", removed)


def compose_maintenance(
    settings: RegistrySettings,
    database: Database,
    store: BlobStore,
    threads: FileThreads,
    tally: MaintenanceTally,
    clock: Clock,
    ids: IdSource,
) -> Maintenance:
    """Puts it together."""
    duty = None
    # An embedded registry has nobody to share the work with, and writes nothing to its disk each minute.
    if settings.database_url is not None:
        duty = Duty(database, clock, DUTY, holder=ids.new_id())
    audit_kept_ms = round(settings.audit_kept_days * 86_400_000)
    repository = MaintenanceRepository(database, clock, ids, audit_kept_ms=audit_kept_ms)
    return Maintenance(repository, store, threads, clock, die_of_fsync, tally, duty)
