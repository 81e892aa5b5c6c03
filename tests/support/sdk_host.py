"""A host as a user has it: two folders, the SDK in this process, and the daemon that the SDK starts by itself."""

import contextlib
import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from holdfast import _process
from holdfast_contract.places import Places, find_places
from support import preloaded
from support.processes import END_TIMEOUT_S, POLL_S, clean_environment

SESSION_THREAD = "holdfast-log-session"
SESSIONS_END_S = 3.0


class SdkHost:
    """One data folder with its daemon; `entered` makes it the host of this process's SDK."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Sockets need a short path, which pytest's folders are not.
        self._runtime = tempfile.mkdtemp(prefix="hf-")
        self.folder = folder
        self.environ = clean_environment(
            {
                "HOLDFAST_DATA_DIR": str(folder / "data"),
                "HOLDFAST_RUNTIME_DIR": self._runtime,
                "HOLDFAST_PROGRESS": "false",
                **(settings or {}),
            }
        )

    @property
    def places(self) -> Places:
        return find_places(self.environ)

    def use(self) -> None:
        """Makes this the host of the SDK in this process from now on."""
        for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
            del os.environ[name]
        os.environ.update(self.environ)
        _new_process_context()

    @contextlib.contextmanager
    def entered(self) -> Iterator["SdkHost"]:
        """Uses the host, and leaves nothing running behind."""
        before = dict(os.environ)
        self.use()
        try:
            yield self
        finally:
            _end_drafts()
            self.close()
            os.environ.clear()
            os.environ.update(before)
            _new_process_context()

    # --- the daemon ---------------------------------------------------------------------------------------------------

    def daemon(self) -> psutil.Process | None:
        """The running daemon, if there is one."""
        with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int(self.places.daemon_lock.read_text()))
            if process.status() != psutil.STATUS_ZOMBIE and "holdfast_daemon" in process.cmdline():
                return process
        return None

    def stop_daemon(self) -> None:
        """Asks the daemon to end, and returns when it has."""
        daemon = self.daemon()
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            self.wait_for_daemon_end(daemon)

    def kill_daemon(self) -> None:
        """Kills the daemon and its workers without a word; an embedded registry stays."""
        daemon = self.daemon()
        if daemon is not None:
            # It leads a process group, which its workers belong to.
            os.killpg(daemon.pid, signal.SIGKILL)
            self.wait_for_daemon_end(daemon)

    @staticmethod
    def wait_for_daemon_end(daemon: psutil.Process) -> None:
        """Returns when a daemon holds nothing any more; its parent may collect it when it likes."""
        deadline = time.monotonic() + END_TIMEOUT_S
        with contextlib.suppress(psutil.NoSuchProcess):
            while daemon.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, f"{daemon} does not end"
                time.sleep(POLL_S)

    def embedded_registry(self) -> psutil.Process | None:
        """The process of the embedded registry."""
        wanted = f"--data-dir={self.places.registry_dir}"
        for process in psutil.process_iter(["cmdline"]):
            if wanted in (process.info["cmdline"] or []):
                return process
        return None

    def close(self) -> None:
        """Ends daemon and registry for good."""
        self.stop()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def stop(self) -> None:
        """Ends daemon and registry; the next call of an SDK starts them again."""
        with self.no_daemon_starts():
            self.stop_daemon()
            registry = self.embedded_registry()
            if registry is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    registry.kill()
                    registry.wait(END_TIMEOUT_S)

    @contextlib.contextmanager
    def no_daemon_starts(self) -> Iterator[None]:
        """Keeps the SDKs of this host, which may have drafts that want one, from starting a daemon meanwhile."""
        with self.places.daemon_socket.with_suffix(".start").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # --- other processes of the same host -----------------------------------------------------------------------------

    def run(self, code: str, *arguments: object, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs Python code in a process of its own."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=self.folder
        )

    def registry_command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs the registry's own program."""
        return preloaded.run("holdfast_registry", [str(argument) for argument in arguments], self.environ)


_used_contexts: list[_process.ProcessContext] = []
"""Kept, since each knows the daemons that it has started and collects them."""


def _new_process_context() -> None:
    """As `reset_process`, but without waiting for a draft's thread that may be about to start a daemon."""
    _used_contexts.append(_process._context)
    _process._context = _process.ProcessContext()


def _end_drafts() -> None:
    """Lets go of drafts that nobody will log, and waits for the threads that tell the daemon so."""
    gc.collect()
    deadline = time.monotonic() + SESSIONS_END_S
    for thread in threading.enumerate():
        if thread.name == SESSION_THREAD:
            thread.join(max(0.0, deadline - time.monotonic()))
