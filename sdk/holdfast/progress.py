"""How far a job is: what a callback is given, and the bar on a terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

STANDSTILL_TOLD_AFTER_S = 10.0
"""A registry that restarts is back before that."""
STANDSTILL_TOLD_EACH_S = 300.0
"""Often enough to be seen in a log, seldom enough not to fill it."""

_logger = logging.getLogger("holdfast")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one artifact is."""

    artifact_name: str
    state: str
    """"draft", "ingest" (files are being read), "upload", "commit", "committed", "failed" or "cancelled"."""
    entries_read: int
    entries_total: int
    """Grows while folders are walked."""
    bytes_total: int
    """Found so far."""
    bytes_read: int
    """Read, or known to be unchanged."""
    bytes_deduplicated: int
    """Found stored already."""
    bytes_sent: int
    waiting_for: str
    """Empty, or what the job waits for: "the registry at … does not answer; next try in 8 s"."""
    is_paused: bool = False
    """Nothing is read or sent until somebody calls `holdfast jobs resume`."""
    priority: str = "normal"
    """"high", "normal" or "low": its share of what is sent."""

    @property
    def bytes_done(self) -> int:
        """What needs no more work: sent, or stored already."""
        return min(self.bytes_deduplicated + self.bytes_sent, self.bytes_total)


ProgressCallback = Callable[[Progress], None]
"""Called with each message of the daemon: every 0.5 s while something moves."""


class RateMeter:
    """Bytes per second over the last seconds, and the time that is left."""

    def __init__(self, window_s: float = 10.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Makes a meter that looks back `window_s` seconds."""
        self._window_s = window_s
        self._monotonic = monotonic
        self._samples: list[tuple[float, int]] = []

    def add(self, bytes_done: int) -> None:
        """Takes a sample."""
        now = self._monotonic()
        self._samples = [sample for sample in self._samples if sample[0] >= now - self._window_s]
        self._samples.append((now, bytes_done))

    def bytes_per_s(self) -> float:
        """Returns the rate; 0 before there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def eta_s(self, bytes_left: int) -> float | None:
        """Returns the seconds left, or None when nothing moves."""
        rate = self.bytes_per_s()
        return bytes_left / rate if rate > 0 else None


@contextmanager
def progress_view(callback: ProgressCallback | None, *, enabled: bool) -> Iterator[ProgressCallback]:
    """Gives what progress is to be told to: the user's callback, else a bar when standard error is a terminal.

    Args:
        callback: of the user.
        enabled: whether a bar is wanted.
    """
    if callback is not None:
        yield callback
    elif enabled and sys.stderr is not None and sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield Standstill()


class Standstill:
    """Says nothing while a job goes on, and in the log why one stands still: a program without a terminal must not seem to hang."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Knows of no standstill yet."""
        self._monotonic = monotonic
        self._since_s: float | None = None
        self._next_s = 0.0

    def __call__(self, progress: Progress) -> None:
        """Takes a message of the daemon."""
        now_s = self._monotonic()
        if not progress.waiting_for:
            self._since_s = None
            return
        if self._since_s is None:
            self._since_s, self._next_s = now_s, now_s + STANDSTILL_TOLD_AFTER_S
        if now_s >= self._next_s:
            self._next_s = now_s + STANDSTILL_TOLD_EACH_S
            _logger.warning(
                "Artifact %s has been waiting for %d s: %s. The job goes on by itself; `holdfast jobs` shows it.",
                progress.artifact_name,
                now_s - self._since_s,
                progress.waiting_for,
            )


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    meter = RateMeter()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, figures="")
        yield lambda progress: _show(bar, task, meter, progress)


def _show(bar: RichProgress, task: TaskID, meter: RateMeter, progress: Progress) -> None:
    meter.add(progress.bytes_done)
    bar.update(
        task,
        description=f"{progress.artifact_name}: {progress.waiting_for or progress.state}",
        total=progress.bytes_total or None,
        completed=progress.bytes_done,
        figures=figures(progress, meter),
    )


def figures(progress: Progress, meter: RateMeter) -> str:
    """Returns the numbers beside the bar."""
    parts = [
        f"{human_bytes(progress.bytes_read)} read of {human_bytes(progress.bytes_total)}",
        f"{human_bytes(progress.bytes_deduplicated)} known",
        f"{human_bytes(progress.bytes_sent)} sent",
        f"{human_bytes(meter.bytes_per_s())}/s",
    ]
    eta_s = meter.eta_s(progress.bytes_total - progress.bytes_done)
    if eta_s is not None and progress.bytes_done < progress.bytes_total:
        parts.append(f"{eta_s:.0f} s left")
    return ", ".join(parts)


def human_bytes(count: float) -> str:
    """Returns a number of bytes as people read it, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
