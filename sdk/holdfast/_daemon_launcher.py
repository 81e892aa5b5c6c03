"""Finds the daemon of this user and data folder, or starts it: one winner among any number of starters.

  1. the runtime folder is ours alone (checked before anything in it is trusted)
  2. a socket in it that accepts a connection is the daemon's
  3. else, under the start lock of the runtime folder: look again, then start `python -m holdfast_daemon serve`, detached, and
     wait until it says READY through a pipe
A crash between any two steps leaves a daemon that runs or none; the locks go with the processes that hold them.  The daemon
has a lock of its own: one that finds it taken exits with code 75, and the one that runs is waited for.

Starts are counted, so that a daemon that dies at once is not started for ever.  One that was asked to end, or was idle, has not
died: it leaves a note under its lock, and the next starter takes the note and that daemon's start away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from holdfast.errors import DaemonStartError, UnavailableError
from holdfast_contract import os_layer
from holdfast_contract.limits import SOCKET_PATH_BYTES_MAX
from holdfast_contract.places import Places

EXIT_CODE_ANOTHER_RUNS = 75
"""The daemon's way to say that another one has the lock (EX_TEMPFAIL)."""

STARTS_MAX = 3
"""Of daemons that did not end in order."""
STARTS_WINDOW_S = 60.0
"""A daemon that dies at once would otherwise be started for ever, by every worker of the machine."""

DRAIN_TIMEOUT_S = 15.0
"""How long a daemon may hold its lock without listening: it drains for 10 s at most."""

POLL_S = 0.02
"""Between two looks at a lock or socket of another process, which tells nobody when it is free: 50 a second cost nothing."""

LOG_LINES_SHOWN = 8
"""Of the daemon's log in an error: enough for the last lines of a traceback."""

READY = b"READY\n"

Sleep = Callable[[float], None]
Clock = Callable[[], float]


class _Detached(subprocess.Popen[bytes]):
    """A process that rightly outlives the one that started it."""

    def __del__(self) -> None:
        """Does not warn that the process still runs."""


class DaemonLauncher:
    """Answers one question: where does a daemon listen; starts one when nowhere."""

    def __init__(
        self,
        places: Places,
        *,
        start_timeout_s: float,
        command: Sequence[str] | None = None,
        environ: Mapping[str, str] = os.environ,
        monotonic: Clock = time.monotonic,
        wall_clock: Clock = time.time,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Makes a launcher for one data folder; nothing happens yet.

        Args:
            places: where daemon and SDK meet.
            start_timeout_s: how long a daemon may take to say READY.
            command: what starts the daemon; `--ready-fd N` is appended.  Default: this interpreter.
            environ: the daemon's environment.
            monotonic: for deadlines.
            wall_clock: for the times of starts, which all processes of the user share in a file.
            sleep: between two looks at what other processes do.
        """
        self.places = places
        self._start_timeout_s = start_timeout_s
        # -P: a file of the user's folder must not stand in for a module of ours.
        self._command = list(command or [sys.executable, "-P", "-m", "holdfast_daemon", "serve"])
        self._environ = environ
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._sleep = sleep
        # Kept so that those which end are reaped.
        self._started: list[_Detached] = []

    def ensure_listening(self) -> None:
        """Returns when some daemon accepts connections.

        Raises:
            PermissionError: the runtime folder is not ours alone.
            DaemonStartError: it does not start; the message has the log's path and its last lines.
        """
        if self.is_listening():
            return
        deadline = self._monotonic() + self._start_timeout_s + DRAIN_TIMEOUT_S
        with self._start_lock(deadline) as lock_file:
            while not self.is_listening():
                if self._monotonic() > deadline:
                    raise self._start_error("Another one has its lock and does not listen.")
                if self._daemon_lock_is_taken():
                    self._sleep(POLL_S)  # one is starting, or draining
                    continue
                self._check_start_rate(lock_file)
                self._start()

    def forget_starts(self) -> None:
        """Lets the next start happen at once: the user has stopped the daemon, or wants it started, so it is no crash loop.

        Raises:
            PermissionError: the runtime folder is not ours alone.
            DaemonStartError: another process has been starting it for too long.
        """
        with self._start_lock(self._monotonic() + self._start_timeout_s) as lock_file:
            lock_file.truncate(0)

    def is_listening(self) -> bool:
        """Whether a daemon accepts connections; never starts one.

        Raises:
            PermissionError: the runtime folder is not ours alone.
        """
        try:
            os_layer.check_private_folder(self.places.runtime_dir)
        except FileNotFoundError:
            return False
        path = os.fsencode(self.places.daemon_socket)
        if len(path) > SOCKET_PATH_BYTES_MAX:
            raise DaemonStartError(
                f"The socket's path {self.places.daemon_socket} is longer than {SOCKET_PATH_BYTES_MAX} bytes;"
                " set HOLDFAST_RUNTIME_DIR to a shorter folder."
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def read_token(self) -> str:
        """Returns the daemon's token.

        Raises:
            PermissionError: the file is not ours alone.
            UnavailableError: it is not there.
        """
        path = self.places.daemon_token
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise UnavailableError(f"{path} is not there, so the daemon cannot be spoken to; restart it.") from error
        with open(descriptor, encoding="ascii") as file:
            found = os.fstat(descriptor)
            if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PermissionError(f"{path} is not yours alone; Holdfast will not use it")
            return file.read().strip()

    @contextlib.contextmanager
    def _start_lock(self, deadline: float) -> Iterator[IO[str]]:
        with _folder_needed(self.places.runtime_dir, "HOLDFAST_RUNTIME_DIR"):
            os_layer.make_private_folder(self.places.runtime_dir)
        path = self.places.daemon_socket.with_suffix(".start")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, os_layer.FILE_MODE)
        with open(descriptor, "r+", encoding="ascii") as file:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self._monotonic() > deadline:
                        raise self._start_error("Another process has been starting it for too long.") from None
                    self._sleep(POLL_S)
            yield file

    def _check_start_rate(self, file: IO[str]) -> None:
        """Counts this start, in the lock's file, which all processes of the user share."""
        now = self._wall_clock()
        file.seek(0)
        recent = [at for at in _times(file.read()) if now - STARTS_WINDOW_S < at <= now]
        if self._take_note_of_end():
            del recent[-1:]  # its own: none was started after it, so if it was started long ago there are no others
        if len(recent) >= STARTS_MAX:
            raise self._start_error(
                f"It was started {len(recent)} times within a minute and does not stay; next try in"
                f" {recent[0] + STARTS_WINDOW_S - now:.0f} s, or at once with `holdfast daemon start`."
            )
        file.seek(0)
        file.truncate()
        file.write("\n".join(map(repr, [*recent, now])))
        file.flush()

    def _take_note_of_end(self) -> bool:
        """Whether the last daemon ended in order; true once for each, so that it forgives one start."""
        try:
            os.unlink(self.places.daemon_ended)
        except FileNotFoundError:
            return False
        return True

    def _daemon_lock_is_taken(self) -> bool:
        """Whether a daemon lives, listening or not; under the start lock, so that no other starter sees us look."""
        try:
            descriptor = os.open(self.places.daemon_lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _start(self) -> None:
        """Starts a daemon; returns when it is ready, or has ended because another one runs."""
        deadline = self._monotonic() + self._start_timeout_s
        read_end, write_end = os.pipe()
        try:
            process = self._spawn(write_end)
        finally:
            os.close(write_end)
        self._started = [child for child in self._started if child.poll() is None]
        self._started.append(process)
        try:
            ready = self._await_ready(read_end, deadline)
        finally:
            os.close(read_end)
        if ready:
            return
        # Its end of the pipe is closed, so it is ending.
        while (code := process.poll()) is None:
            if self._monotonic() > deadline:
                raise self._start_error("It neither became ready nor ended.")
            self._sleep(POLL_S)
        if code != EXIT_CODE_ANOTHER_RUNS:
            raise self._start_error(f"It ended with code {code} before it was ready.")

    def _spawn(self, ready_fd: int) -> _Detached:
        with _folder_needed(self.places.data_dir, "HOLDFAST_DATA_DIR"):
            os_layer.make_private_folder(self.places.data_dir)
            os_layer.make_folder(self.places.daemon_log.parent)
        with open(self.places.daemon_log, "ab", opener=_open_private) as log:
            return _Detached(
                [*self._command, "--ready-fd", str(ready_fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[ready_fd],
                # Its own session: Ctrl-C and the end of the terminal are not for it.
                start_new_session=True,
                # Its own folder: the caller's may be unmounted or removed.
                cwd=self.places.data_dir,
                env={
                    **_with_absolute_python_path(self._environ),
                    # Absolute, since a relative folder would be another one there.
                    "HOLDFAST_DATA_DIR": str(self.places.data_dir),
                    "HOLDFAST_RUNTIME_DIR": str(self.places.runtime_dir),
                },
            )

    def _await_ready(self, descriptor: int, deadline: float) -> bool:
        """Returns False when the process closes the pipe instead.

        Raises:
            DaemonStartError: neither happens in time.
        """
        received = b""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while True:
            remaining_s = deadline - self._monotonic()
            if remaining_s <= 0 or not poll.poll(remaining_s * 1000):
                raise self._start_error(f"It was not ready within {self._start_timeout_s:.0f} s.")
            data = os.read(descriptor, len(READY))
            received += data
            if READY in received:
                return True
            if not data:
                return False

    def _start_error(self, what: str) -> DaemonStartError:
        log = self.places.daemon_log
        lines = _last_lines(log, LOG_LINES_SHOWN)
        shown = "".join(f"\n  {line}" for line in lines) or "\n  (empty)"
        return DaemonStartError(f"The Holdfast daemon could not be started. {what}\nLog: {log}{shown}")


@contextlib.contextmanager
def _folder_needed(path: Path, variable: str) -> Iterator[None]:
    """Says which setting names a folder that cannot be made or written to."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # a folder that must not be trusted; its message says why
        raise DaemonStartError(
            f"{error.filename or path} cannot be made: {error.strerror}. The daemon needs {path}; make that possible, or set "
            f"{variable} to another folder."
        ) from error


def _times(text: str) -> list[float]:
    """Times in the lock's file; what else somebody wrote there counts for nothing."""
    times = []
    for line in text.split():
        with contextlib.suppress(ValueError):
            times.append(float(line))
    return times


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, os_layer.FILE_MODE)


def _with_absolute_python_path(environ: Mapping[str, str]) -> dict[str, str]:
    """The daemon runs in another folder, where relative entries would mean something else."""
    child = dict(environ)
    if python_path := child.get("PYTHONPATH"):
        child["PYTHONPATH"] = os.pathsep.join(_absolute(part) for part in python_path.split(os.pathsep) if part)
    return child


def _absolute(entry: str) -> str:
    # The interpreter made them absolute as it began; the working folder may have changed since.
    ending = os.sep + os.path.normpath(entry)
    known = (found for found in sys.path if not os.path.isabs(entry) and found.endswith(ending))
    return next(known, os.path.abspath(entry))


def _last_lines(path: Path, count: int) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
