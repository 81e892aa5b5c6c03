"""Time and randomness, the only places they come from; tests put their own in."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, for records and leases; may jump."""

    def monotonic_s(self) -> float:
        """Seconds that never go back, for durations."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class IdSource(Protocol):
    """Makes identifiers that are never made twice."""

    def new_id(self) -> str:
        """32 hex characters."""


class RandomIds:
    """128 random bits each."""

    def new_id(self) -> str:
        """32 hex characters."""
        return os.urandom(16).hex()
