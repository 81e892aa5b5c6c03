"""Tells on standard error how far a long command is."""

from __future__ import annotations

from typing import TextIO

from holdfast_contract.limits import MIB
from holdfast_registry.clock import Clock

TELL_INTERVAL_S = 2.0


class Progress:
    """One line at the beginning and the end of each piece of work, and every two seconds in between."""

    def __init__(self, out: TextIO, clock: Clock) -> None:
        self._out = out
        self._clock = clock
        self._told_at_s = clock.monotonic_s()

    def say(self, line: str) -> None:
        """Writes a line."""
        self._told_at_s = self._clock.monotonic_s()
        self._out.write(f"{line}\n")
        self._out.flush()

    def tell(self, line: str) -> None:
        """Writes a line, if the last one was a while ago."""
        if self._clock.monotonic_s() - self._told_at_s >= TELL_INTERVAL_S:
            self.say(line)


def mebibytes(size_bytes: int) -> str:
    """Returns a size for people."""
    return f"{size_bytes / MIB:.1f} MiB"
