"""What metrics are made of, and the figures of the database, which are asked beside the scrapes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from holdfast_registry.clock import Clock
from holdfast_registry.database.database import DatabaseLoad
from holdfast_registry.database.figures import FiguresRepository, StoredFigures
from holdfast_registry.database.gc_cycles import CycleRecord
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.gc.collector import GarbageCollector
from holdfast_registry.metrics.tallies import CallTallies, MaintenanceTally, StoreTally
from holdfast_registry.pack_verifier import VerifierLoad

logger = logging.getLogger(__name__)

FIGURES_INTERVAL_S = 15.0
"""Prometheus asks each 15 s or less often."""
FIGURES_SHARE_MAX = 0.01
"""Of the time, spent on counting: a registry that takes a second to count is asked each 100 s."""


@dataclass(frozen=True, slots=True)
class SlowFigures:
    """What was true a while ago."""

    stored: StoredFigures
    last_cycle: CycleRecord | None
    last_ended_cycle: CycleRecord | None
    taken_at_s: float
    """On the monotonic clock."""
    took_s: float


class FiguresTask:
    """Asks the database for figures again and again."""

    def __init__(self, repository: FiguresRepository, collector: GarbageCollector, clock: Clock) -> None:
        self._repository = repository
        self._collector = collector
        self._clock = clock
        self.latest: SlowFigures | None = None

    async def run(self) -> None:
        """Keeps `latest` up to date until it is cancelled; a failure leaves what was true before."""
        while True:
            try:
                self.latest = await self._take()
            except (RegistryError, DatabaseError, OSError) as error:
                logger.warning("figures for metrics not taken error=%s", error)
            took_s = self.latest.took_s if self.latest else 0.0
            await asyncio.sleep(max(FIGURES_INTERVAL_S, took_s / FIGURES_SHARE_MAX))

    async def _take(self) -> SlowFigures:
        started_s = self._clock.monotonic_s()
        stored = await self._repository.stored()
        cycles = await self._collector.last(2)
        ended = [cycle for cycle in cycles if cycle.ended_at_ms is not None]
        now_s = self._clock.monotonic_s()
        return SlowFigures(stored, cycles[0] if cycles else None, ended[0] if ended else None, now_s, now_s - started_s)


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that a scrape reads, all of it in memory."""

    calls: CallTallies
    store: StoreTally
    maintenance: MaintenanceTally
    verifier: Callable[[], VerifierLoad]
    database: Callable[[], DatabaseLoad]
    figures: FiguresTask
    clock: Clock
