"""One daemon for a data folder: its lock, its socket, its token, and when it ends.

Order at the start: lock (a second daemon exits with code 75) → token → journal, spool → socket → READY.  Order at the end: no
new calls → calls under way end → jobs stop where they are (the journal knows) → journal closed → socket removed → "ended" noted → lock.
A crash anywhere leaves a lock that the system frees, a socket that nobody listens on, and a journal that is replayed; and no note, so
whoever starts the next daemon counts this one as failed.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.places import Places

EXIT_CODE_ANOTHER_RUNS = 75
IDLE_POLL_S = 1.0


class AnotherDaemonRunsError(RuntimeError):
    """The data folder has a daemon already; connect to that one."""


def prepare_folders(places: Places) -> None:
    """Makes the folders of a daemon, private to its user.

    Raises:
        PermissionError: one of them is not ours alone; the message says what to do.
    """
    for folder in (places.data_dir, places.runtime_dir, places.spool, places.cache, places.daemon_log.parent):
        os_layer.make_private_folder(folder)


def lock(places: Places) -> int:
    """Takes the daemon's lock; it is held as long as the descriptor is open.

    Raises:
        AnotherDaemonRunsError: it is taken.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(places.daemon_lock, flags, os_layer.FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AnotherDaemonRunsError(f"{places.data_dir} has a running daemon already") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def make_token(path: Path) -> str:
    """The daemon's token: the one on the disk, or a new one (so that clients survive a restart of the daemon)."""
    with contextlib.suppress(FileNotFoundError):
        token = path.read_text(encoding="ascii").strip()
        os.chmod(path, os_layer.FILE_MODE)
        if token:
            return token
    token = secrets.token_hex(32)
    os_layer.write_durably(path, token.encode())
    return token


def remove_stale_socket(path: Path) -> None:
    """Removes what a killed daemon left; only called under the lock."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def note_end(path: Path) -> None:
    """Tells whoever starts the next daemon that this one did not die; only called under the lock.

    Not flushed, and left out when it cannot be written (the runtime folder goes when a user logs out): then this start is counted
    as that of a daemon that died, of which it takes several in a minute to matter.
    """
    with contextlib.suppress(OSError):
        path.touch(os_layer.FILE_MODE)


def say_ready(descriptor: int | None) -> None:
    """Tells whoever started us that we listen."""
    if descriptor is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, b"READY\n")
        os.close(descriptor)


class Ending:
    """Knows when the daemon is to end: asked to, signalled, or idle for long enough."""

    def __init__(self, idle_exit_s: float, is_busy: Callable[[], bool]) -> None:
        self._idle_exit_s = idle_exit_s
        self._is_busy = is_busy
        self._asked = asyncio.Event()
        self.reason = ""

    def ask(self, reason: str = "asked to") -> None:
        """Ends the daemon soon."""
        self.reason = self.reason or reason
        self._asked.set()

    def listen_for_signals(self) -> None:
        """SIGTERM and SIGINT end the daemon as `ask` does."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask, signal.Signals(number).name)

    async def wait(self) -> None:
        """Returns when it is time."""
        quiet_since = time.monotonic()
        while not self._asked.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), IDLE_POLL_S)
            if self._is_busy():
                quiet_since = time.monotonic()
            elif self._idle_exit_s and time.monotonic() - quiet_since > self._idle_exit_s:
                self.ask(f"idle for {self._idle_exit_s:.0f} s")
