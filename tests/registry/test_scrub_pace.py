"""The scrub reads no faster than it may."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_registry.scrub.pace import Pace


class StandingClock:
    """Moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_ms(self) -> int:
        return round(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


async def test_bytes_are_waited_for_and_idle_time_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StandingClock()

    async def sleep(seconds: float) -> None:
        clock.s += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    pace = Pace(1000, clock)
    for _ in range(10):
        await pace.spend(500)
    assert clock.s == pytest.approx(105)
    clock.s += 3600
    await pace.spend(2000)
    assert clock.s == pytest.approx(105 + 3600 + 2)
    clock.s += 1  # the reading itself took a second of the next two
    await pace.spend(1000)
    assert clock.s == pytest.approx(105 + 3600 + 2 + 1 + 1)
