"""Real registry processes for tests: started, waited for, killed by their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

READY = b"READY\n"


def command_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of Holdfast, plus what a test wants."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment["HOLDFAST_CONFIG"] = os.devnull
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return environment | dict(extra or {})


def run_registry(
    *arguments: str, timeout_s: float = 60, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one command of the registry to its end."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast_registry", *arguments],
        env=command_environment(environment),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


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
        self.process: subprocess.Popen[bytes] | None = None

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
        command = [sys.executable, "-m", "holdfast_registry", "serve", "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._arguments, "--ready-fd", str(writer)],
                pass_fds=[writer],
                env=self._environment,
                stderr=log,
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
