"""What was measured of calls: how many, how long; as a table for people and as JSON for machines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = ("what", "count", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms", "failed")


@dataclass(frozen=True, slots=True)
class Summary:
    """The calls of one kind."""

    what: str
    count: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    failed: int

    def cells(self) -> tuple[str, ...]:
        """Returns the row of the table."""
        times = (self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms)
        return (
            self.what,
            str(self.count),
            f"{self.per_s:.1f}",
            *(f"{time_ms:.1f}" for time_ms in times),
            str(self.failed),
        )


class Timings:
    """Durations by kind of call; those of calls that failed are not among them."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._failed: dict[str, int] = defaultdict(int)

    def begin_anew(self) -> None:
        """Forgets what was noted, which was preparation."""
        self._seconds.clear()
        self._failed.clear()

    def add(self, what: str, seconds: float) -> None:
        """Notes a call that was answered."""
        self._seconds[what].append(seconds)

    def add_failure(self, what: str) -> None:
        """Notes a call that was refused, or not answered."""
        self._failed[what] += 1

    @property
    def failed(self) -> int:
        """Calls that failed, of all kinds."""
        return sum(self._failed.values())

    def summaries(self, over_s: float) -> list[Summary]:
        """Returns a summary of each kind, by name.

        Args:
            over_s: how long it was measured, in seconds.
        """
        kinds = sorted({*self._seconds, *self._failed})
        return [self._summary(what, over_s) for what in kinds]

    def _summary(self, what: str, over_s: float) -> Summary:
        times_ms = sorted(second * 1000 for second in self._seconds[what])
        p50_ms, p95_ms, p99_ms, max_ms = (percentile(times_ms, share) for share in (0.5, 0.95, 0.99, 1.0))
        count = len(times_ms)
        return Summary(what, count, count / over_s, p50_ms, p95_ms, p99_ms, max_ms, self._failed[what])


def percentile(ordered: Sequence[float], share: float) -> float:
    """Returns the smallest value that at least this share of the ascending values does not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered), max(1, math.ceil(len(ordered) * share))) - 1]


def table(summaries: Sequence[Summary]) -> str:
    """Returns the summaries as lines with columns."""
    lines = [HEADER, *(summary.cells() for summary in summaries)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)
