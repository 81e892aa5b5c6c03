"""How much memory processes take at their worst, looked at from outside again and again."""

import contextlib
import threading
from collections.abc import Callable, Iterable

import psutil

SAMPLE_S = 0.02


class MemoryProbe:
    """Watches processes between `with` and its end; `peak_bytes` is the largest sum of what they held at one time."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        self._processes = processes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-probe")
        self.peak_bytes = 0

    def __enter__(self) -> "MemoryProbe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(held_bytes, self._processes())))


def held_bytes(process: psutil.Process) -> int:
    """What a process holds of its own: pages that it shares with its workers or maps from files are not counted twice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().uss)
    return 0
