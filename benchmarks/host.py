"""One Holdfast of its own: a fresh data folder, its daemon and embedded registry, and programs that use it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.data_sets import DataSet, make

CALLER = Path(__file__).with_name("caller.py")
STOP_TIMEOUT_S = 30.0
"""The daemon promises to drain within 10 s; thrice that on a loaded machine."""

DAEMON_LOG = "daemon.log"
LOG_LINES_SHOWN = 40
"""A traceback of the daemon, with its causes."""

_WARM_UP_SETS = (
    DataSet("warm-up-large", files=2, file_bytes=48 << 20, folders=0),
    DataSet("warm-up-small", files=2_000, file_bytes=1024, folders=20),
)
_LITTLE = DataSet("little", files=1, file_bytes=1024, folders=0)


class BenchmarkError(Exception):
    """Holdfast did something wrong, so that its speed means nothing; the message says what."""


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Peaks of resident memory, as the kernel has counted them for each process.

    Pages that processes share are in the figure of each, so sums are upper bounds.
    """

    daemon_bytes: int
    workers_bytes: int
    registry_bytes: int

    def at_least(self, other: "PeakMemory") -> "PeakMemory":
        return PeakMemory(
            max(self.daemon_bytes, other.daemon_bytes),
            max(self.workers_bytes, other.workers_bytes),
            max(self.registry_bytes, other.registry_bytes),
        )


class Host:
    """A running daemon; made by `running_host`."""

    def __init__(self, folder: Path, environ: dict[str, str], daemon: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.environ = environ
        self.daemon = daemon

    @property
    def little(self) -> Path:
        """A folder with one small file, made by `warm_up`: for programs that only want to be connected."""
        return self.folder / "little"

    def call(self, do: str, *, program: Path = CALLER, **task: str) -> dict[str, Any]:
        """Runs one task of a user's program (`caller.py`) and returns what it printed.

        Raises:
            BenchmarkError: it failed; its messages are on standard error.
        """
        command = [sys.executable, "-P", str(program), json.dumps({"do": do, **task})]
        finished = subprocess.run(command, check=False, stdout=subprocess.PIPE, env=self.environ)
        if finished.returncode:
            raise BenchmarkError(f"the program that should {do} failed; the daemon's log ends with\n{self.log_end()}")
        answer: dict[str, Any] = json.loads(finished.stdout)
        return answer

    def log_end(self) -> str:
        """The last lines of the daemon's log, which goes with the folder."""
        lines = (self.folder / DAEMON_LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def peak_memory(self) -> PeakMemory:
        """Peaks so far, of the processes that live."""
        daemon = psutil.Process(self.daemon.pid)
        registry_bytes = workers_bytes = 0
        for child in daemon.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "holdfast_registry" in child.cmdline():
                    registry_bytes += _peak_bytes(child.pid)
                else:
                    workers_bytes += _peak_bytes(child.pid)
        return PeakMemory(_peak_bytes(daemon.pid), workers_bytes, registry_bytes)

    def warm_up(self) -> None:
        """Lets every part do its work once, with a little data of its own."""
        source = self.folder / "warm-up"
        make(_LITTLE, self.little)
        for data_set in _WARM_UP_SETS:
            make(data_set, source / data_set.name)
        self.call("warm_up", folder=str(source), target=str(self.folder / "warm-up-downloaded"))


@contextlib.contextmanager
def running_host(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Host]:
    """Starts a daemon with its data below `folder`, which must not exist, and removes the data in the end."""
    folder.mkdir()
    # Sockets have short paths, which the data folder's may not be.
    runtime = Path(tempfile.mkdtemp(prefix="hfb-"))
    environ = {
        **own_environment(),
        "HOLDFAST_DATA_DIR": str(folder / "data"),
        "HOLDFAST_RUNTIME_DIR": str(runtime),
        # What objects download goes with the folder, and not to where the benchmarks are started.
        "HOLDFAST_ARTIFACT_DIR": str(folder / "artifacts"),
        **(settings or {}),
    }
    daemon = _start_daemon(environ, folder / DAEMON_LOG)
    try:
        yield Host(folder, environ, daemon)
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        shutil.rmtree(folder / "data", ignore_errors=True)
        shutil.rmtree(runtime, ignore_errors=True)


def own_environment() -> dict[str, str]:
    """The environment without settings of the user's own Holdfast, and with Python's cache of compiled modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept["HOLDFAST_CONFIG"] = os.devnull
    return kept


def _start_daemon(environ: dict[str, str], log_path: Path) -> "subprocess.Popen[bytes]":
    read_end, write_end = os.pipe()
    command = [sys.executable, "-P", "-m", "holdfast_daemon", "serve", "--ready-fd", str(write_end)]
    with log_path.open("wb") as log:
        daemon = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write_end]
        )
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        if pipe.readline() != b"READY\n":
            daemon.wait()
            raise BenchmarkError(f"the daemon does not start: {log_path.read_text(errors='replace')}")
    return daemon


def _peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return psutil.Process(pid).memory_info().rss  # where there is no /proc, the figure of this moment
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)
