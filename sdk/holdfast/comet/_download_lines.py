"""Tells on standard error how far a long download is, a line each 15 seconds, as Comet's client does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from holdfast.progress import RateMeter, human_bytes
from holdfastpb.daemon.v1.fetch_pb2 import DownloadResponse

INTERVAL_S = 15.0
"""As Comet's; a short download says nothing."""


class DownloadLines:
    """Given each message of a download's stream, it prints what is due."""

    def __init__(self, name: str, *, enabled: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begins with nothing told.

        Args:
            name: of the version, for the lines.
            enabled: False: nothing is printed.
            monotonic: clock.
        """
        self._name = name
        self._enabled = enabled
        self._monotonic = monotonic
        self._meter = RateMeter(monotonic=monotonic)
        self._due_at_s = monotonic() + INTERVAL_S

    def __call__(self, response: DownloadResponse) -> None:
        """Takes a message."""
        # What was right in place already was not brought, and says nothing of the time that the rest takes.
        self._meter.add(response.bytes_done - response.bytes_kept)
        if not self._enabled or response.done or self._monotonic() < self._due_at_s or sys.stderr is None:
            return
        self._due_at_s = self._monotonic() + INTERVAL_S
        print(self._line(response), file=sys.stderr, flush=True)

    def _line(self, response: DownloadResponse) -> str:
        files_left = response.entries_total - response.entries_done
        bytes_left = max(response.bytes_total - response.bytes_done, 0)
        parts = [
            f"{files_left:,} of {response.entries_total:,} files remain",
            f"{human_bytes(bytes_left)} of {human_bytes(response.bytes_total)}",
            f"{human_bytes(self._meter.bytes_per_s())}/s",
        ]
        eta_s = self._meter.eta_s(bytes_left)
        return f"{self._name}: " + ", ".join(parts if eta_s is None else [*parts, f"{eta_s:.0f} s left"])
