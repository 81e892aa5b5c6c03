"""Servers of other projects as child processes on the loopback interface: started, waited for, ended by pid."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_TIMEOUT_S = 60.0
POLL_S = 0.05
"""Between two questions to a server that has no way to tell that it is ready."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def answers(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class BackgroundServer:
    """One process that serves until `stop`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environ: Mapping[str, str] | None = None,
        *,
        user: int | None = None,
        end_by: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._user = user
        self._end_by = end_by
        self._environ = None if environ is None else dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, is_ready: Callable[[], bool]) -> None:
        """Starts it, and returns when it takes requests."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_ready():
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, self._log.read_text(errors="replace")[-3000:]
            time.sleep(POLL_S)

    @property
    def pid(self) -> int:
        """Of the process, which runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Ends it at once: what it holds is thrown away in any case."""
        if self._process is not None:
            self._process.send_signal(self._end_by)
            self._process.wait()
            self._process = None
