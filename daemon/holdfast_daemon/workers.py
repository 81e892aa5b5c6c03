"""Hands per-file work to worker processes and threads, so that the event loop never blocks.

Processes serve what is many small Python steps (walking, reading and hashing small files, assembling manifests); threads
serve what is few long calls into compiled code (large files, seals).  A worker that dies takes only its task with it: the pool is
made anew and the task repeated, so tasks must be safe to repeat.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS_MAX = 3
"""A task that killed its worker three times in a row is the cause, not the victim."""
PARENT_POLL_S = 1.0
_PR_SET_PDEATHSIG = 1


class WorkerDiedError(RuntimeError):
    """Worker processes died again and again under one task (out of memory is the usual reason)."""


class Workers:
    """The daemon's hands.  `close()` ends all of them."""

    def __init__(self, processes: int | None = None, threads: int | None = None) -> None:
        self.processes = processes or max(2, os.cpu_count() or 2)
        self._pool: ProcessPoolExecutor | None = None
        self._threads = ThreadPoolExecutor(threads or self.processes + 4, "holdfast-io")
        self._hashers = ThreadPoolExecutor(self.processes, "holdfast-hash")

    @property
    def hashers(self) -> ThreadPoolExecutor:
        """Threads that only hash; separate, so that whoever waits for a hash never waits for itself."""
        return self._hashers

    def warm(self) -> None:
        """Starts the worker processes ahead of the first task."""
        pool = self._process_pool()
        for _ in range(self.processes):
            pool.submit(_nothing)

    async def in_process(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a module-level function in a worker process.

        Raises:
            WorkerDiedError: the worker died under it three times.
        """
        for _ in range(ATTEMPTS_MAX):
            pool = self._process_pool()
            try:
                future = pool.submit(function, *args, **kwargs)
            except (BrokenProcessPool, OSError):  # OSError: its queues are being closed, since a worker has just died
                self._give_up(pool)
                continue
            try:
                return await asyncio.wrap_future(future)
            except BrokenProcessPool:
                self._give_up(pool)
        raise WorkerDiedError(f"worker processes died {ATTEMPTS_MAX} times in {function.__name__}; is memory short?")

    def _give_up(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
            pool.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a function that blocks (but releases the GIL) in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def pids(self) -> list[int]:
        """Worker processes alive now."""
        processes = getattr(self._pool, "_processes", None) or {}
        return list(processes)

    def close(self) -> None:
        """Ends threads and processes; running tasks are abandoned (all of them are safe to repeat)."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._hashers.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            processes = list((getattr(self._pool, "_processes", None) or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()

    def _process_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.processes, context, _start_worker, (os.getpid(),))
        return self._pool


def _nothing() -> None:
    time.sleep(0)


def _start_worker(daemon_pid: int) -> None:
    """Ties a worker's life to the daemon's: SIGKILL of the daemon must not leave workers behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_end_with_parent, args=(daemon_pid,), daemon=True).start()
    if os.getppid() != daemon_pid:
        os._exit(0)


def _end_with_parent(daemon_pid: int) -> None:
    while os.getppid() == daemon_pid:
        time.sleep(PARENT_POLL_S)
    os._exit(0)
