"""Counting what happens, for metrics: plain numbers that cost well under a microsecond to raise, read by whoever shows them.

Raised from one thread, or from several where a lost count now and then is no harm; no lock is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

LATENCY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""From a look-up that is answered from memory to the longest deadline of a call."""


class Histogram:
    """How often a value lay below each of some bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS_S) -> None:
        """Starts at nothing.

        Args:
            bounds: upper ones, rising; what is above them all is counted, too.
        """
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """Values so far."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Returns (bound, values up to it) for each bound, `+Inf` last, as Prometheus wants them."""
        shown, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            shown.append((bound, float(so_far)))
        return shown
