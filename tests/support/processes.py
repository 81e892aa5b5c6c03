"""Daemons and registries as real processes: started with failpoints, waited for, killed and always reaped by pid.

A daemon here is the leader of a process group, so that "the machine stops" is one SIGKILL for it and its workers.  It is given a
registry of its own by socket, or (without one) starts an embedded registry, which the host finds and ends as well.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from holdfast_contract.places import Places, find_places
from support import preloaded

SOURCE_ROOTS = [str(Path(__file__).parents[2] / name) for name in ("protos", "sdk", "daemon", "service", "tests")]
READY = b"READY\n"
END_TIMEOUT_S = 30.0
POLL_S = 0.005
"""Between two looks at processes that are not our children, which tell nobody when they end."""


class DidNotStartError(AssertionError):
    """The process ended before it said READY."""


def clean_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of Holdfast, plus what a test wants."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environ["HOLDFAST_CONFIG"] = os.devnull
    environ["PYTHONPATH"] = os.pathsep.join(SOURCE_ROOTS)
    return environ | dict(settings or {})


class Server:
    """One server process at a time; its log collects what all of them said."""

    def __init__(self, module: str, arguments: list[str], environ: Mapping[str, str], log: Path) -> None:
        self._module = module
        self._arguments = ["serve", *arguments]
        self.environ = dict(environ)
        self.log = log
        self.process: preloaded.Process | None = None

    def start(self, failpoints: str = "", **settings: str) -> None:
        """Starts it and returns when it takes calls.

        Raises:
            DidNotStartError: it ended before; `wait` has its exit code.
        """
        self.kill()
        environ = {**self.environ, **settings, "HOLDFAST_FAILPOINTS": failpoints}
        read_end, write_end = os.pipe()
        with self.log.open("ab") as log:
            self.process = preloaded.start(
                self._module,
                [*self._arguments, f"--ready-fd={write_end}"],
                environ,
                stdout=log.fileno(),
                stderr=log.fileno(),
                pass_fds=[write_end],
                new_session=True,
            )
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            if pipe.read(len(READY)) != READY:
                raise DidNotStartError(self.log_tail())

    @property
    def is_running(self) -> bool:
        """Whether the process that was started last lives."""
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Waits for the end; returns the exit code (negative: the signal)."""
        assert self.process is not None, "start it first"
        return self.process.wait(timeout_s)

    def terminate(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None, "start it first"
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL for the process and its workers, all at once; returns when nothing is left of them."""
        if self.process is None:
            return
        group = [p for p in psutil.process_iter() if _group_of(p.pid) == self.process.pid]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(END_TIMEOUT_S)
        _wait_for_death(group)
        self.process = None

    def log_tail(self) -> str:
        """The end of its log, for messages."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "no log"


class OneRegistry(Server):
    """A registry of its own on a Unix socket."""

    def __init__(self, folder: Path, runtime_dir: Path) -> None:
        self.data_dir = folder / "registry"
        self.socket = runtime_dir / "r.sock"
        arguments = [f"--data-dir={self.data_dir}", f"--socket={self.socket}"]
        super().__init__("holdfast_registry", arguments, clean_environment(), folder / "registry.log")


class Host:
    """A data folder and a runtime folder with their daemon, and the registry that it uses.

    Attributes:
        daemon: the daemon's process.
        registry: its own registry, unless it is the embedded one.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, own_registry: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Sockets need a short path, which pytest's folders are not.
        self._runtime = Path(tempfile.mkdtemp(prefix="hf-"))
        environ = clean_environment(
            {
                "HOLDFAST_DATA_DIR": str(folder / "data"),
                "HOLDFAST_RUNTIME_DIR": str(self._runtime),
                "HOLDFAST_DAEMON_RETRY_DELAY_MAX_S": "0.2",
                **(settings or {}),
            }
        )
        self.registry = OneRegistry(folder, self._runtime) if own_registry else None
        if self.registry is not None:
            environ["HOLDFAST_DAEMON_REGISTRY"] = f"unix:{self.registry.socket}"
        self.places: Places = find_places(environ)
        self.daemon = Server("holdfast_daemon", [], environ, folder / "daemon.log")

    def start(self, failpoints: str = "", **settings: str) -> None:
        """Starts the registry (if it does not run) and the daemon, with the daemon's failpoints.

        Raises:
            DidNotStartError: the daemon died before it was ready.
        """
        if self.registry is not None and not self.registry.is_running:
            self.registry.start()
        self.daemon.start(failpoints, **settings)

    def restart(self, failpoints: str = "", **settings: str) -> None:
        """Kills the daemon, if it runs, and starts the next one."""
        self.kill()
        self.start(failpoints, **settings)

    def kill(self) -> None:
        """SIGKILL for the daemon and its workers; the registry goes on."""
        self.daemon.kill()

    def terminate(self) -> int:
        """SIGTERM for the daemon; returns its exit code."""
        return self.daemon.terminate()

    def embedded_registry(self) -> psutil.Process | None:
        """The process of the embedded registry, if one runs."""
        wanted = f"--data-dir={self.places.registry_dir}"
        for process in psutil.process_iter(["cmdline"]):
            if wanted in (process.info["cmdline"] or []):
                return process
        return None

    def fsck(self) -> str:
        """Runs the registry's deep check; returns what it found wrong, empty when clean."""
        data_dir = self.registry.data_dir if self.registry is not None else self.places.registry_dir
        done = preloaded.run("holdfast_registry", ["fsck", f"--data-dir={data_dir}", "--deep"], clean_environment())
        return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout}{done.stderr}"

    def close(self) -> None:
        """Leaves no process and no socket behind."""
        self.kill()
        if self.registry is not None:
            self.registry.kill()
        elif (embedded := self.embedded_registry()) is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                embedded.kill()
                embedded.wait(END_TIMEOUT_S)
        shutil.rmtree(self._runtime, ignore_errors=True)


@contextlib.contextmanager
def running_host(
    folder: Path, settings: Mapping[str, str] | None = None, *, own_registry: bool = True
) -> Iterator[Host]:
    """A host that is not started yet, and that leaves nothing behind."""
    host = Host(folder, settings, own_registry=own_registry)
    try:
        yield host
    finally:
        host.close()


def wait_until(reached: Callable[[], bool]) -> None:
    """Returns when something is so that tells nobody."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while not reached():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(POLL_S)


def _wait_for_death(processes: list[psutil.Process]) -> None:
    """Orphans are collected by whoever adopts them, at its leisure: a zombie is dead enough, it holds no file and no lock."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while alive := [p for p in processes if _lives(p)]:
        assert time.monotonic() < deadline, f"these survive SIGKILL: {alive}"
        time.sleep(POLL_S)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1
