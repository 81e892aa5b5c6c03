"""Real registry processes for tests: started, waited for, killed by their pid."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support import preloaded
from support.processes import clean_environment

READY = b"READY\n"


def command_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of Holdfast, plus what a test wants."""
    return clean_environment(extra)


def run_registry(
    *arguments: str, timeout_s: float = 60, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one command of the registry to its end."""
    return preloaded.run("holdfast_registry", arguments, command_environment(environment), timeout_s)


class RegistryProcess:
    """One `serve`; a context manager that leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        database_url: str | None = None,
    ) -> None:
        self.folder = folder
        self.database_url = database_url
        self.data_dir = folder / "data"
        self.socket = folder / "run" / "r.sock"
        self.log = folder / "registry.log"
        self._arguments = arguments or ("--socket", str(self.socket))
        self.set_environment(environment or {})
        self.process: preloaded.Process | None = None

    @property
    def target(self) -> str:
        """Where clients connect."""
        return f"unix:{self.socket}"

    def set_environment(self, extra: Mapping[str, str]) -> None:
        """Of the next start."""
        database = {} if self.database_url is None else {"HOLDFAST_REGISTRY_DATABASE_URL": self.database_url}
        self._environment = command_environment(database | dict(extra))

    def start(self) -> RegistryProcess:
        """Starts it and waits until it takes calls."""
        reader, writer = os.pipe()
        command = ["serve", "--data-dir", str(self.data_dir), *self._arguments, "--ready-fd", str(writer)]
        with self.log.open("ab") as log:
            self.process = preloaded.start(
                "holdfast_registry", command, self._environment, stderr=log.fileno(), pass_fds=[writer]
            )
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read(len(READY))
        assert said == READY, self.log.read_text()
        return self

    def wait(self, timeout_s: float = 30) -> int:
        """Waits for its end; returns the exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and no trace of the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> RegistryProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
