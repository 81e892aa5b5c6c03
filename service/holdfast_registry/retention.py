"""Carries out policies of retention, one registry at a time, and says beforehand what they would do.

A policy's deletions are transactions of some versions each; after a crash the next round goes on with what is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from holdfast_contract.errors import ContractError
from holdfast_contract.os_layer import FsyncError
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.retention import PolicedCollection, RetentionRepository
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.domain.retention import Doomed, RetentionPolicy
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.freed_bytes import FreedBytes

logger = logging.getLogger(__name__)

DUTY = "retention"
LOOK_INTERVAL_S = 60.0
"""Between two looks whether another round is due."""
DELETED_AT_ONCE = 100
"""Versions of one transaction: a dozen statements each, and the policy is looked at again for them."""


@dataclass(frozen=True, slots=True)
class RetentionPreview:
    """What policies would do now."""

    doomed: Sequence[tuple[CollectionName, Doomed]]
    """By collection, oldest first."""
    kept_count: int
    freed_bytes: int


class RetentionKeeper:
    """Applies policies again and again."""

    def __init__(
        self,
        repository: RetentionRepository,
        duty: Duty,
        freed: FreedBytes,
        die: Callable[[OSError], NoReturn],
    ) -> None:
        self._repository = repository
        self._duty = duty
        self._freed = freed
        self._die = die

    async def run(self, interval_s: float) -> None:
        """Applies all policies whenever a round is due, until it is cancelled; a failure is logged and tried again.

        Args:
            interval_s: between the beginnings of two rounds, of whichever registry; 0: never.
        """
        while interval_s:
            try:
                await self.once(interval_s)
            except FsyncError as error:
                self._die(error)
            except (RegistryError, ContractError, DatabaseError, OSError) as error:
                logger.error("retention failed error=%s", error, exc_info=error)
            await asyncio.sleep(min(interval_s, LOOK_INTERVAL_S))

    async def once(self, interval_s: float = 0.0) -> int:
        """Applies all policies if a round is due; returns how many versions have gone."""
        policed = await self._repository.policed()
        if not policed:
            return 0
        async with self._duty.held(round(interval_s * 1000)) as is_ours:
            return sum([await self._apply(one) for one in policed]) if is_ours else 0

    async def _apply(self, policed: PolicedCollection) -> int:
        plan = await self._repository.plan(policed)
        doomed = [one.version.version_id for one in plan.doomed]
        gone = 0
        for first in range(0, len(doomed), DELETED_AT_ONCE):
            if not await self._duty.renew():
                logger.warning("retention goes on in another registry, since this one had stopped")
                return gone
            deleted = await self._repository.delete(plan, frozenset(doomed[first : first + DELETED_AT_ONCE]))
            gone += len(deleted)
            logger.info("versions deleted by policy collection=%s count=%s", policed.name, len(deleted))
        return gone

    async def preview(self, place: CollectionName, instead: RetentionPolicy | None) -> RetentionPreview:
        """Returns what would go now, of a collection or (with an empty name) of all of a project.

        Args:
            place: of the collection or project.
            instead: as if this were the policy of what is named.

        Raises:
            RegistryError: NOT_FOUND; KIND_MISMATCH: a portfolio or registry; STORE_DAMAGED.
        """
        doomed: list[tuple[CollectionName, Doomed]] = []
        total = 0
        for policed in await self._repository.policed_at(place, instead):
            total += await self._repository.count(policed)
            doomed += [(policed.name, one) for one in (await self._repository.plan(policed)).doomed]
        ids = {one.version.version_id for _, one in doomed}
        freed_bytes = await self._freed.bytes_of_versions(place.entity, ids)
        return RetentionPreview(doomed, max(0, total - len(doomed)), freed_bytes)
