"""Servers that benchmarks need beside Holdfast: an S3 server, PostgreSQL, and registries on TCP that use them.

The S3 server and PostgreSQL are started as the tests start them, by `tests/support`.
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.host import STOP_TIMEOUT_S, BenchmarkError, own_environment

TESTS = Path(__file__).parents[1] / "tests"
BUCKET = "benchmarks"


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """A registry on TCP."""

    address: str
    token_file: Path
    process: "subprocess.Popen[bytes]"

    @property
    def daemon_settings(self) -> dict[str, str]:
        """Environment of a daemon that uses it."""
        return {
            "HOLDFAST_DAEMON_REGISTRY": self.address,
            "HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(self.token_file),
        }

    def memory_bytes(self) -> int:
        """Resident now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def cpu_s(self) -> float:
        """Processor time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Any]:
    """SeaweedFS with an empty bucket; see `tests/support/seaweedfs.py`."""
    with _tests_importable():
        from support.seaweedfs import SeaweedFS  # type: ignore[import-not-found]
    with SeaweedFS.started(folder) as server:
        server.make_bucket(BUCKET)
        yield server


def s3_settings(server: Any) -> dict[str, str]:
    """Settings of a registry whose packs are in the bucket."""
    return {
        **server.environ,
        "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/packs",
        "HOLDFAST_REGISTRY_STORE_ENDPOINT_URL": server.endpoint,
    }


@contextlib.contextmanager
def postgres(**settings: str) -> Iterator[Any]:
    """A PostgreSQL that writes nothing through to the disk, with settings of the server's; see `tests/support/postgres.py`."""
    with _tests_importable():
        from support.postgres import Postgres  # type: ignore[import-not-found]
    with Postgres.started(**settings) as server:
        yield server


@contextlib.contextmanager
def _tests_importable() -> Iterator[None]:
    sys.path.insert(0, str(TESTS))
    try:
        yield
    finally:
        sys.path.remove(str(TESTS))


@contextlib.contextmanager
def running_registry(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    token: bytes | None = None,
    data_dir: Path | None = None,
) -> Iterator[RunningRegistry]:
    """A registry on TCP with its data below `folder`.

    Args:
        folder: must not exist.
        settings: environment beyond the defaults.
        token: of the first replica, for further ones over the same database.
        data_dir: of a registry that was stopped; default: a new one.
    """
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environ = {**own_environment(), **(settings or {})}
    command, data = [sys.executable, "-P", "-m", "holdfast_registry"], f"--data-dir={data_dir or folder / 'data'}"
    if token is None:
        token = subprocess.run([*command, "init", data], env=environ, check=True, stdout=subprocess.PIPE).stdout
    token_file = folder / "token"
    token_file.write_bytes(token)
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([*command, "serve", data, f"--listen={address}"], env=environ, stderr=log)
    try:
        _wait_for(address, process)
        yield RunningRegistry(address, token_file, process)
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    host, _, port = address.rpartition(":")
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
    raise BenchmarkError("the registry does not start")
