"""Garbage collection on a registry that does not run, with a clock of the test's."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from holdfast_registry.domain.gc import GcWish
from holdfast_registry.gc.report import GcReport
from holdfast_registry.server import stopped_registry
from holdfast_registry.settings import RegistrySettings

AT_ONCE = GcWish(grace_ms=0, undelete_ms=0, removal_delay_ms=0, orphan_ms=0, pause_s=0)
"""Whatever may go goes."""


class MovedClock:
    """The system's clock, set forward by as much as a test wants."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic_s(self) -> float:
        return time.monotonic()


async def collect(
    data_dir: Path,
    wish: GcWish = AT_ONCE,
    clock: MovedClock | None = None,
    settings: RegistrySettings | None = None,
    **changes: object,
) -> GcReport:
    """Runs one cycle."""
    async with stopped_registry(settings or RegistrySettings(), data_dir, clock) as collector:
        return await collector.collect(replace(wish, **changes))


async def preview(data_dir: Path, wish: GcWish = AT_ONCE) -> GcReport:
    """Runs a dry one."""
    async with stopped_registry(RegistrySettings(), data_dir) as collector:
        return await collector.preview(wish)


def stored_bytes(data_dir: Path) -> int:
    """What all packs take."""
    return sum(path.stat().st_size for path in (data_dir / "packs").rglob("*.pack"))
