"""Holds a reader to so many bytes a second."""

from __future__ import annotations

import asyncio

from holdfast_registry.clock import Clock


class Pace:
    """Makes whoever has read wait until that much may have been read."""

    def __init__(self, bytes_per_s: int, clock: Clock) -> None:
        """Begins now.

        Args:
            bytes_per_s: more than 0.
            clock: for durations.
        """
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._due_s = clock.monotonic_s()

    async def spend(self, count: int) -> None:
        """Waits for as long as reading so many bytes should have taken, from the end of the last wait."""
        # Time in which nothing was read is not made up for.
        self._due_s = max(self._due_s, self._clock.monotonic_s()) + count / self._bytes_per_s
        await asyncio.sleep(max(0.0, self._due_s - self._clock.monotonic_s()))
