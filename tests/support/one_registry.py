"""A registry in this process, whose clock the test turns."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import holdfast_registry.server
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.settings import RegistrySettings

MAINTENANCE_S = 0.005
"""Leases are looked at all the time, so that a jump is noticed at every step of a writer."""


class FakeClock:
    """The machine's clock, as it is and set forward or back as the test likes."""

    def __init__(self) -> None:
        self._offset_s = 0.0

    def advance(self, seconds: float) -> None:
        """Jumps, back when negative."""
        self._offset_s += seconds

    def now_ms(self) -> int:
        return int((time.time() + self._offset_s) * 1000)

    def monotonic_s(self) -> float:
        return time.monotonic()


class MachineClock(SystemClock):
    """A machine's clock that is set wrong, for a registry to take as it takes the real one."""

    def __init__(self, offset_s: float) -> None:
        self._offset_s = offset_s

    def advance(self, seconds: float) -> None:
        """Jumps, back when negative."""
        self._offset_s += seconds

    def now_ms(self) -> int:
        return super().now_ms() + int(1000 * self._offset_s)


@asynccontextmanager
async def registry_in_process(
    folder: Path,
    socket: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    settings: RegistrySettings | None = None,
) -> AsyncIterator[str]:
    """Serves on a socket; yields the address.  Without settings of the caller's its maintenance never rests."""
    settings = settings or RegistrySettings(maintenance_interval_s=MAINTENANCE_S)
    ended = asyncio.Event()

    async def until_told(*_: object) -> None:
        await ended.wait()

    # Signals belong to the tests' process.
    monkeypatch.setattr(holdfast_registry.server, "_until_told", until_told)
    read_end, write_end = os.pipe()
    serving = asyncio.create_task(
        holdfast_registry.server.serve(settings, folder, socket, ready_fd=write_end, clock=clock)
    )
    said = asyncio.create_task(asyncio.to_thread(os.read, read_end, 6))
    await asyncio.wait((serving, said), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield f"unix:{socket}"
    finally:
        ended.set()
        await serving
        os.close(read_end)
