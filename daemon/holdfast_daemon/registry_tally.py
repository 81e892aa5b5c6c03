"""What the daemon counts of its calls to the registry; raised on the event loop, read by metrics and `daemon status`."""

import time
from collections import Counter, deque

from holdfast_contract.tallies import Histogram

RECENT_S = 60.0
RECENT_CALLS_MAX = 4096
"""More in a minute leave out the oldest: the percentiles of so many are as good."""
P50, P99 = 0.5, 0.99


class RegistryTally:
    """Calls, their durations, failures, and pauses before another try."""

    def __init__(self) -> None:
        self.durations_s = Histogram()
        """Of calls that were answered."""
        self.failures: Counter[str] = Counter()
        """By reason."""
        self.retries = 0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT_CALLS_MAX)

    def answered(self, seconds: float) -> None:
        """Counts a call that came to its end."""
        self.durations_s.add(seconds)
        self._recent.append((time.monotonic(), seconds))

    def latency_s(self) -> tuple[float, float]:
        """Median and 99th percentile of the calls answered within the last minute; zeros when there were none."""
        since = time.monotonic() - RECENT_S
        seconds = sorted(took for at, took in self._recent if at >= since)
        if not seconds:
            return 0.0, 0.0
        last = len(seconds) - 1
        return seconds[round(P50 * last)], seconds[round(P99 * last)]
