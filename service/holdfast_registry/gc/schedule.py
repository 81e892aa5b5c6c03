"""When garbage is collected: at an interval, counted from the last cycle of whichever process, and on demand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from holdfast_contract.os_layer import FsyncError
from holdfast_registry.clock import Clock
from holdfast_registry.domain.gc import GcWish
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.gc.collector import CollectorBusyError, GarbageCollector
from holdfast_registry.settings import RegistrySettings

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 30.0
"""Between two looks at when the last cycle began, and whether whoever ran it is still there."""


def wish_of(settings: RegistrySettings) -> GcWish:
    """Returns how cycles are to go."""
    return GcWish(
        grace_ms=round(settings.gc_grace_s * 1000),
        undelete_ms=round(settings.undelete_window_s * 1000),
        removal_delay_ms=round(settings.gc_removal_delay_s * 1000),
        orphan_ms=round(settings.gc_orphan_s * 1000),
        pause_s=settings.gc_pause_s,
    )


class GcSchedule:
    """Collects again and again."""

    def __init__(
        self, collector: GarbageCollector, wish: GcWish, clock: Clock, die: Callable[[OSError], NoReturn]
    ) -> None:
        self._collector = collector
        self._wish = wish
        self._clock = clock
        self._die = die

    async def run(self, interval_s: float) -> None:
        """Collects whenever a cycle is due, until it is cancelled; a failure is logged and tried again.

        Args:
            interval_s: between the beginnings of two cycles; 0: never.
        """
        while interval_s:
            await asyncio.sleep(min(interval_s, LOOK_INTERVAL_S))
            try:
                if await self._is_due(interval_s):
                    await self._collector.collect(self._wish)
            except FsyncError as error:
                self._die(error)
            except CollectorBusyError:
                logger.debug("another registry collects garbage")
            except (RegistryError, DatabaseError, OSError) as error:
                logger.error("garbage collection failed error=%s", error, exc_info=error)

    async def _is_due(self, interval_s: float) -> bool:
        last = await self._collector.last(1)
        if last and last[0].ended_at_ms is None:
            return True  # whoever runs it holds it, or has died in it
        since_ms = self._clock.now_ms() - last[0].started_at_ms if last else None
        # A clock that was set back makes the last cycle lie ahead: one too many harms nobody.
        return since_ms is None or not 0 <= since_ms < interval_s * 1000
