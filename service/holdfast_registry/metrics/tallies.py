"""What the registry counts while it works: plain numbers, raised where things happen and read by the metrics."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from holdfast_contract.tallies import Histogram


@dataclass(slots=True)
class MethodTally:
    """Calls of one method."""

    in_flight: int = 0
    durations_s: Histogram = field(default_factory=Histogram)
    """Of calls that have ended, however they did."""
    refusals: Counter[str] = field(default_factory=Counter)
    """By reason; CANCELLED: the caller has gone."""


class CallTallies:
    """Calls of all methods."""

    def __init__(self) -> None:
        self.methods: dict[str, MethodTally] = {}

    def of(self, method: str) -> MethodTally:
        """Returns the counts of one method, by its full name."""
        found = self.methods.get(method)
        if found is None:
            found = self.methods[method] = MethodTally()
        return found


@dataclass(slots=True)
class StoreTally:
    """Requests to the store of packs; only one on a network has any."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By operation and outcome: "ok", the server's code, or the name of what went wrong on the way."""
    retries: Counter[str] = field(default_factory=Counter)
    """Of each operation: tries after the first."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def note(self, operation: str, outcome: str) -> None:
        """Counts a request; for any thread."""
        with self._lock:
            self.requests[operation, outcome] += 1

    def note_retry(self, operation: str) -> None:
        """Counts a try after the first; for any thread."""
        with self._lock:
            self.retries[operation] += 1


@dataclass(slots=True)
class MaintenanceTally:
    """Rounds of the task beside the calls."""

    rounds: int = 0
    failures: int = 0
    leases_expired: int = 0
    versions_expired: int = 0
    ended_at_s: float | None = None
    """When the last round without a failure ended, on the monotonic clock."""
