"""A host as a user has it: two folders, the SDK in this process, and the daemon that the SDK starts by itself."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from holdfast._process import reset_process
from holdfast_contract.places import Places, find_places

SOURCE_ROOTS = [str(Path(__file__).parents[2] / name) for name in ("protos", "sdk", "daemon", "service", "tests")]


class SdkHost:
    """One data folder with its daemon; `entered` makes it the host of this process's SDK."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        # Sockets need a short path, which pytest's folders are not.
        self._runtime = tempfile.mkdtemp(prefix="hf-")
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        self.environ |= {
            "HOLDFAST_DATA_DIR": str(folder / "data"),
            "HOLDFAST_RUNTIME_DIR": self._runtime,
            "HOLDFAST_CONFIG": str(folder / "holdfast.toml"),
            "HOLDFAST_PROGRESS": "false",
            "PYTHONPATH": os.pathsep.join(SOURCE_ROOTS),
            **(settings or {}),
        }

    @property
    def places(self) -> Places:
        return find_places(self.environ)

    def use(self) -> None:
        """Makes this the host of the SDK in this process from now on."""
        for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
            del os.environ[name]
        os.environ.update({name: value for name, value in self.environ.items() if name.startswith("HOLDFAST_")})
        reset_process()

    @contextlib.contextmanager
    def entered(self) -> Iterator["SdkHost"]:
        """Uses the host, and leaves nothing running behind."""
        before = dict(os.environ)
        self.use()
        try:
            yield self
        finally:
            self.close()
            os.environ.clear()
            os.environ.update(before)
            reset_process()

    # --- the daemon ---------------------------------------------------------------------------------------------------

    @property
    def daemon_pid(self) -> int:
        return int(self.places.daemon_lock.read_text())

    def daemon(self) -> psutil.Process | None:
        """The running daemon, if there is one."""
        with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(self.daemon_pid)
            if process.status() != psutil.STATUS_ZOMBIE and "holdfast_daemon" in " ".join(process.cmdline()):
                return process
        return None

    def stop_daemon(self) -> None:
        """Asks the daemon to end, and returns when it has."""
        daemon = self.daemon()
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            self.wait_for_daemon_end()

    def kill_daemon(self) -> None:
        """Kills the daemon and its workers without a word; an embedded registry stays."""
        daemon = self.daemon()
        if daemon is not None:
            workers = [child for child in daemon.children(recursive=True) if "holdfast_registry" not in child.cmdline()]
            for process in (daemon, *workers):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.wait_for_daemon_end()

    def wait_for_daemon_end(self) -> None:
        """Returns when nobody holds the daemon's lock."""
        with self.places.daemon_lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)

    def embedded_registry(self) -> psutil.Process | None:
        """The process of the embedded registry."""
        wanted = f"--data-dir={self.places.registry_dir}"
        for process in psutil.process_iter(["cmdline"]):
            if wanted in (process.info["cmdline"] or []):
                return process
        return None

    def close(self) -> None:
        """Ends daemon and registry."""
        self.stop_daemon()
        registry = self.embedded_registry()
        if registry is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                registry.kill()
                registry.wait(10)
        shutil.rmtree(self._runtime, ignore_errors=True)

    # --- other processes of the same host -----------------------------------------------------------------------------

    def run(self, code: str, *arguments: object, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs Python code in a process of its own."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=self.folder
        )

    def registry_command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs the registry's own program on the embedded registry's folder."""
        command = [sys.executable, "-m", "holdfast_registry", *map(str, arguments)]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
