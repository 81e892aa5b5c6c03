"""Limits of bandwidth: how well the daemon holds them, by the bytes that really cross the line to a registry on TCP."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.data_sets import DataSet, make
from benchmarks.host import BenchmarkError, own_environment, running_host
from benchmarks.results import Row, Target, Unit

LIMIT_BYTES_PER_S = 20_000_000
SECONDS = 12
WINDOW_S = 3.0
EDGE_SHARE = 0.04
"""At both ends there is begin, commit and what was read ahead: the limit is judged in between."""
HELD = Target(0.05)
BLOCK_BYTES = 65_536
START_TIMEOUT_S = 30.0

Sample = tuple[float, int]


def measure_limits(folder: Path, say: Callable[[str], None]) -> list[Row]:
    """Sends and fetches for some seconds under a limit of 20 MB/s.

    Raises:
        BenchmarkError: the registry does not start, or a program fails.
    """
    folder.mkdir()
    data = folder / "source"
    size = LIMIT_BYTES_PER_S * SECONDS
    make(DataSet("limited", files=4, file_bytes=size // 4, folders=0), data)
    with _registry(folder / "registry") as (address, token_file), _Line(address) as line:
        settings = {
            "HOLDFAST_DAEMON_REGISTRY": line.address,
            "HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(token_file),
            "HOLDFAST_DAEMON_UP": f"{LIMIT_BYTES_PER_S}",
            "HOLDFAST_DAEMON_DOWN": f"{LIMIT_BYTES_PER_S}",
        }
        with running_host(folder / "host", settings) as host:
            say("limits: up")
            make(DataSet("little", files=1, file_bytes=1024, folders=0), host.little)
            host.call("log", name="limited", folder=str(data), little=str(host.little))
            rows = _rows("up", line.take(0))
            say("limits: down")
            host.call("download", name="limited", folder=str(folder / "target"))
            rows += _rows("down", line.take(1))
    shutil.rmtree(folder)
    return rows


def _rows(way: str, samples: list[Sample]) -> list[Row]:
    """How far the rate is from the limit, as a share of it; and how far above it in any window (below: the machine was late)."""
    start, end = _time_of(samples, EDGE_SHARE), _time_of(samples, 1 - EDGE_SHARE)
    whole = abs(_rate(samples, start, end) / LIMIT_BYTES_PER_S - 1)
    steps = int((end - start - WINDOW_S) / 0.25)
    windows = [_rate(samples, start + 0.25 * n, start + 0.25 * n + WINDOW_S) for n in range(max(1, steps))]
    worst = max(0.0, max(windows) / LIMIT_BYTES_PER_S - 1)
    return [
        Row("limit", f"{way} at 20 MB/s: off by, over all", Unit.SHARE, [whole], target=HELD),
        Row("limit", f"{way} at 20 MB/s: above, in any {WINDOW_S:g} s", Unit.SHARE, [worst], target=HELD),
    ]


def _time_of(samples: list[Sample], share: float) -> float:
    """When so much of all bytes had crossed."""
    left = share * sum(size for _, size in samples)
    for at, size in samples:
        left -= size
        if left <= 0:
            return at
    return samples[-1][0]


def _rate(samples: list[Sample], start: float, end: float) -> float:
    return sum(size for at, size in samples if start <= at < end) / (end - start)


class _Line:
    """A line to the registry that notes how many bytes cross it when, each way."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._samples: tuple[list[Sample], list[Sample]] = ([], [])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def take(self, way: int) -> list[Sample]:
        """What has crossed (0: to the registry, 1: from it) since the last time either way was taken."""
        taken = list(self._samples[way])
        for samples in self._samples:
            samples.clear()
        if not taken:
            raise BenchmarkError("nothing has crossed the line")
        return taken

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                for source, target, samples in (
                    (client, server, self._samples[0]),
                    (server, client, self._samples[1]),
                ):
                    threading.Thread(target=_pass_on, args=(source, target, samples), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, samples: list[Sample]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK_BYTES):
            samples.append((time.monotonic(), len(data)))
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _registry(folder: Path) -> Iterator[tuple[str, Path]]:
    """A registry on TCP; gives its address and the file of its token."""
    folder.mkdir()
    program = [sys.executable, "-P", "-m", "holdfast_registry"]
    environ, data_dir = own_environment(), f"--data-dir={folder / 'data'}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    done = subprocess.run([*program, "init", data_dir], env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(done.stderr)
    token_file = folder / "token"
    token_file.write_text(done.stdout)
    read_end, write_end = os.pipe()
    command = [*program, "serve", data_dir, f"--listen={address}", "--ready-fd", str(write_end)]
    with (folder / "log").open("wb") as log:
        registry = subprocess.Popen(command, env=environ, stderr=log, pass_fds=[write_end])
    os.close(write_end)
    try:
        with open(read_end, "rb") as pipe:
            if pipe.readline() != b"READY\n":
                raise BenchmarkError(f"the registry does not start: {(folder / 'log').read_text()}")
        yield address, token_file
    finally:
        registry.terminate()
        registry.wait(START_TIMEOUT_S)
