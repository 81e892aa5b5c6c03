"""A registry of one's own: a real process on TCP with a token, or on a Unix socket without."""

import shutil
import socket
import subprocess
import tempfile
import weakref
from pathlib import Path

from support import preloaded
from support.processes import Server, clean_environment


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OwnRegistry(Server):
    """`start` and `terminate` or `kill` as often as wished; address, folder and token stay."""

    def __init__(self, folder: Path, *, tcp: bool = True, settings: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = folder / "registry"
        self.token_file = folder / "token"
        self.tcp = tcp
        if tcp:
            self.address = f"127.0.0.1:{free_port()}"
            where = f"--listen={self.address}"
        else:
            runtime_dir = tempfile.mkdtemp(prefix="hf-")  # a socket's path has room for few letters
            weakref.finalize(self, shutil.rmtree, runtime_dir, ignore_errors=True)
            socket_path = Path(runtime_dir) / "r.sock"
            self.address = f"unix:{socket_path}"
            where = f"--socket={socket_path}"
        arguments = [f"--data-dir={self.data_dir}", where]
        super().__init__("holdfast_registry", arguments, clean_environment(settings), folder / "registry.log")
        if tcp:
            done = self.command("init", f"--data-dir={self.data_dir}")
            assert done.returncode == 0, done.stderr
            self.token_file.write_text(done.stdout)

    def __enter__(self) -> "OwnRegistry":
        """Leaves nothing running behind; `start` is the test's."""
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def daemon_settings(self, address: str | None = None) -> dict[str, str]:
        """Environment of a daemon that uses this registry (by way of `address`, if given)."""
        settings = {"HOLDFAST_DAEMON_REGISTRY": address or self.address, "HOLDFAST_DAEMON_RETRY_DELAY_MAX_S": "0.5"}
        if self.tcp:
            settings["HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE"] = str(self.token_file)
        return settings

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the registry's program to its end."""
        return preloaded.run("holdfast_registry", arguments, self.environ)

    def fsck(self) -> subprocess.CompletedProcess[str]:
        """Checks the store of the registry, which must not run, to the last byte."""
        return self.command("fsck", f"--data-dir={self.data_dir}", "--deep")
