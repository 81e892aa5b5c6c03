"""A registry of one's own: a real process on TCP with a token, or on a Unix socket without."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.sdk_host import SOURCE_ROOTS

READY_BYTES = 6


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OwnRegistry:
    """`start` and `stop` as often as wished; address, folder and token stay."""

    def __init__(self, folder: Path, *, tcp: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = folder / "registry"
        self.log = folder / "registry.log"
        self.token_file = folder / "token"
        self.tcp = tcp
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        self._environ["PYTHONPATH"] = os.pathsep.join(SOURCE_ROOTS)
        self.port = free_port() if tcp else 0
        self.socket = folder / "r.sock"
        if tcp:
            done = self.command("init", f"--data-dir={self.data_dir}")
            assert done.returncode == 0, done.stderr
            self.token_file.write_text(done.stdout)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}" if self.tcp else f"unix:{self.socket}"

    def daemon_settings(self, address: str | None = None) -> dict[str, str]:
        """Environment of a daemon that uses this registry (by way of `address`, if given)."""
        settings = {"HOLDFAST_DAEMON_REGISTRY": address or self.address, "HOLDFAST_DAEMON_RETRY_DELAY_MAX_S": "1"}
        if self.tcp:
            settings["HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE"] = str(self.token_file)
        return settings

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the registry's program to its end."""
        command = [sys.executable, "-m", "holdfast_registry", *arguments]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=60, check=False)

    def start(self, *more: str) -> None:
        """Starts it and returns when it listens."""
        where = f"--listen=127.0.0.1:{self.port}" if self.tcp else f"--socket={self.socket}"
        read_end, write_end = os.pipe()
        arguments: Sequence[str] = ("serve", f"--data-dir={self.data_dir}", where, f"--ready-fd={write_end}", *more)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "holdfast_registry", *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
            )
        os.close(write_end)
        try:
            assert os.read(read_end, READY_BYTES), f"it did not start: {self.log.read_text()[-2000:]}"
        finally:
            os.close(read_end)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None
