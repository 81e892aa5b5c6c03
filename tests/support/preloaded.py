"""Processes of the registry and the daemon that need not import everything again: forks of a server that has.

They are processes like any other (arguments, environment, folder, umask, descriptors, process group, exit code); only the imports
are inherited, which are most of what a start costs.  With `SCALE=full`, and with an environment that imports depend on, they are
started as a user's are.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from support.figures import FULL
from support.preload_server import REPORT

_PROGRAM = Path(__file__).with_name("preload_server.py")
PRELOADS = {
    "holdfast_registry": [
        "holdfast_registry.commands",
        "holdfast_registry.server",
        "holdfast_registry.database.postgresql",
        "asyncpg",
        "holdfast_registry.blobstore.s3",
        "grpc_reflection.v1alpha.reflection",
        "alembic.command",
        "alembic.script",
    ],
    "holdfast_daemon": ["holdfast_daemon.server", "argparse"],
}
"""What each package's start needs, with PostgreSQL and S3 or without, and nothing that would start a thread."""
_READ_AT_IMPORT = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GRPC_", "OTEL_", "SSL_", "OPENSSL_")
"""Beginnings of the names of variables that Python or a library looks at once, when it starts."""
_ROOM_FOR_ARGUMENTS = "-" * 4096


class Process(Protocol):
    """What tests use of `subprocess.Popen`."""

    args: Any
    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class ForkedProcess:
    """A fork of a preloaded server, which tells by a pipe how it ended; thread-safe."""

    def __init__(self, args: list[str], report: int) -> None:
        self.args = args
        self.returncode: int | None = None
        self._report = report
        self._lock = threading.Lock()
        self.pid = self._read()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._report)  # bound early: the interpreter's end takes modules away first

    def poll(self) -> int | None:
        """The exit code (negative: the signal), None while it lives."""
        with self._lock:
            if self.returncode is None and self._is_told(0):
                self.returncode = os.waitstatus_to_exitcode(self._read())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: it lives for longer.
        """
        if self.returncode is None and not self._is_told(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None, "what is told once stays readable"
        return code

    def send_signal(self, sig: int) -> None:
        """Sends it, unless the process has ended."""
        if self.poll() is None:
            try:
                os.kill(self.pid, sig)
            except ProcessLookupError:
                return  # it ends, and the news is on the way

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _is_told(self, timeout: float | None) -> bool:
        waiting = select.poll()
        waiting.register(self._report, select.POLLIN)
        return bool(waiting.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def _read(self) -> int:
        told = os.read(self._report, REPORT.size)
        if len(told) != REPORT.size:
            raise ChildProcessError(f"the preloaded server of {self.args} has ended")
        return int(REPORT.unpack(told)[0])


class _PreloadedServer:
    """One helper process of this process and its connection."""

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        self.owner = os.getpid()
        self.read_at_import = _read_at_import(environ)
        self._module = module
        self._lock = threading.Lock()
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, "-P", str(_PROGRAM), str(other.fileno()), ",".join(PRELOADS[module])]
            self._helper = subprocess.Popen(
                [*command, _ROOM_FOR_ARGUMENTS],
                env=dict(environ),
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                cwd="/",
            )

    def close(self) -> None:
        """Ends the helper of this process; what it has forked goes on."""
        if self.owner == os.getpid():
            self._control.shutdown(socket.SHUT_RDWR)  # forks of this process may still hold it
            self._control.close()
            self._helper.wait()

    def start(
        self, arguments: list[str], environ: Mapping[str, str], descriptors: Mapping[int, int], *, new_session: bool
    ) -> ForkedProcess:
        """Returns when it may be signalled; `descriptors` maps its numbers to ours."""
        wish = {
            "module": self._module,
            "arguments": arguments,
            "environ": dict(environ),
            "descriptors": list(descriptors),
            "new_session": new_session,
            "umask": _umask(),
            "cwd": os.getcwd(),
        }
        read_end, write_end = os.pipe()
        try:
            with self._lock:
                passed = [write_end, *descriptors.values()]
                socket.send_fds(self._control, [json.dumps(wish).encode()], passed)
        finally:
            os.close(write_end)
        return ForkedProcess(_command(self._module, arguments), read_end)


_servers: dict[str, _PreloadedServer] = {}
_servers_lock = threading.Lock()


def start(
    module: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    stdin: int | None = None,
    stdout: int = 1,
    stderr: int = 2,
    pass_fds: Sequence[int] = (),
    new_session: bool = False,
) -> Process:
    """Starts `python -m module`; descriptors are ours, the environment is all that it gets.

    Args:
        stdin: nothing by default.
    """
    server = _server(module, environ)
    with open(os.devnull, "rb") as nothing:
        given = {0: nothing.fileno() if stdin is None else stdin, 1: stdout, 2: stderr}
        if server is not None:
            passed = given | {number: number for number in pass_fds}
            return server.start(list(arguments), environ, passed, new_session=new_session)
        return subprocess.Popen(
            _command(module, arguments),
            env=dict(environ),
            stdin=given[0],
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=new_session,
        )


def run(
    module: str, arguments: Sequence[str], environ: Mapping[str, str], timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` to its end.

    Raises:
        subprocess.TimeoutExpired: it was killed because it took longer.
    """
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        process = start(module, arguments, environ, stdout=stdout.fileno(), stderr=stderr.fileno())
        try:
            code = process.wait(timeout_s)
        except BaseException:  # whatever ends the wait, the process must not be left
            process.kill()
            process.wait()
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(process.args, code, stdout.read(), stderr.read())


def _server(module: str, environ: Mapping[str, str]) -> _PreloadedServer | None:
    """The preloaded server whose forks are what a start with this environment would be."""
    if FULL or sys.platform != "linux":
        return None
    with _servers_lock:
        server = _servers.get(module)
        if server is None or server.owner != os.getpid():
            server = _servers[module] = _PreloadedServer(module, environ)
            atexit.register(server.close)
    return server if server.read_at_import == _read_at_import(environ) else None


def _read_at_import(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_READ_AT_IMPORT)}


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]


def _umask() -> int:
    """Read without setting it: other threads make files meanwhile."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    raise AssertionError("Linux tells the umask")
