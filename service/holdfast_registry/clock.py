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


class ServerClock:
    """The time of a server that several machines ask, told on between its answers by this machine's steady clock.

    What date this machine believes it is does not matter, nor that it changes.
    """

    def __init__(self, steady: Clock, told_ms: int, asked_s: float, answered_s: float) -> None:
        """Starts with a first answer; see `learn`.

        Args:
            steady: whose seconds count; its date does not.
            told_ms: what the server said.
            asked_s: by the steady clock, before.
            answered_s: and after.
        """
        self._steady = steady
        self._at_zero_ms = self._zero_of(told_ms, asked_s, answered_s)

    @staticmethod
    def _zero_of(told_ms: int, asked_s: float, answered_s: float) -> float:
        """Returns the server's time when the steady clock stood at zero."""
        return told_ms - 1000 * (asked_s + answered_s) / 2

    def learn(self, told_ms: int, asked_s: float, answered_s: float) -> None:
        """Takes what the server said; what is known stays when it is as good, as far as the time of the answer lets one know."""
        new_ms, doubt_ms = self._zero_of(told_ms, asked_s, answered_s), 500 * (answered_s - asked_s) + 1
        if abs(new_ms - self._at_zero_ms) > doubt_ms:
            self._at_zero_ms = new_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970, by the server's clock."""
        return int(self._at_zero_ms + 1000 * self._steady.monotonic_s())

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return self._steady.monotonic_s()


class IdSource(Protocol):
    """Makes identifiers that are never made twice."""

    def new_id(self) -> str:
        """32 hex characters."""


class RandomIds:
    """128 random bits each."""

    def new_id(self) -> str:
        """32 hex characters."""
        return os.urandom(16).hex()
