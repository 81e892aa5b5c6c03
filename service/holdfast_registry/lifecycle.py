"""The process around the service: its lock on the data folder, its calls in flight, its log, its end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from holdfast_contract.log_lines import formatter
from holdfast_contract.os_layer import EXIT_CODE_FSYNC, FILE_MODE
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.errors import EXIT_CODE_LOCKED, RegistryError, StartError

logger = logging.getLogger(__name__)

LOCK_NAME = "registry.lock"
MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "fuse.sshfs"}
)


class DataFolderLock:
    """Held by the one process that may use a data folder; the system frees it when the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        """Takes the lock.

        Raises:
            StartError: another registry holds it.
        """
        path = data_dir / LOCK_NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StartError(
                f"Another registry uses {data_dir}; stop it first, or give this one another --data-dir.",
                EXIT_CODE_LOCKED,
            ) from error

    def release(self) -> None:
        """Lets others have the folder."""
        os.close(self._descriptor)


def check_local(folder: Path, mounts: Path = MOUNTS) -> None:
    """Refuses a folder on a network file system, where SQLite's shared memory does not work.

    Raises:
        StartError: names the file system.
    """
    if not mounts.exists():
        return  # not Linux
    best, kind = "", ""
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        _, point, found = line.split(" ")[:3]
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and folder.is_relative_to(point):
            best, kind = point, found
    if kind in NETWORK_FILE_SYSTEMS:
        raise StartError(
            f"{folder} is on a network file system ({kind} at {best}), which the database cannot live on; "
            "give a folder on a local disk with --data-dir."
        )


class CallGate:
    """Counts the calls in flight, and closes before the end."""

    def __init__(self, clock: Clock) -> None:
        """Opens."""
        self._clock = clock
        self._in_flight = 0
        self._draining = False
        self._last_call_s = clock.monotonic_s()
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def pass_through(self) -> Iterator[None]:
        """Surrounds one call.

        Raises:
            RegistryError: DRAINING.
        """
        if self._draining:
            raise RegistryError(Reason.DRAINING, "The registry is stopping; connect again in a moment.")
        self._in_flight += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            self._last_call_s = self._clock.monotonic_s()
            if not self._in_flight:
                self._empty.set()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call ended; 0 while one runs."""
        return 0.0 if self._in_flight else self._clock.monotonic_s() - self._last_call_s

    def close(self) -> None:
        """Refuses new calls from now on."""
        self._draining = True

    async def until_empty(self, seconds: float) -> bool:
        """Waits for the calls in flight; returns whether all have ended."""
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except TimeoutError:
            return False
        return True


def die_of_fsync(error: OSError) -> NoReturn:
    """Ends the process: what it could not make durable must not be acknowledged, and a second try could only pretend."""
    logger.critical("data could not be made durable, stopping error=%s", error)
    logging.shutdown()
    os._exit(EXIT_CODE_FSYNC)


def start_log(level: str, log_format: str) -> None:
    """Sends one line for each event to stderr.

    Raises:
        StartError: there is no such level or format.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise StartError(f"log_level = {level!r} is none of debug, info, warning, error.")
    handler = logging.StreamHandler(sys.stderr)
    try:
        handler.setFormatter(formatter(log_format))
    except ValueError as error:
        raise StartError(f"{error}.") from error
    root = logging.getLogger("holdfast_registry")
    root.handlers[:] = [handler]
    root.setLevel(number)
    root.propagate = False
