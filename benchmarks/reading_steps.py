"""What reading costs: downloads of what is there already, and parts of files, in seconds and in bytes that travel."""

import contextlib
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import data_sets
from benchmarks.data_sets import DATA_SETS, GIB, MIB, DataSet
from benchmarks.host import STOP_TIMEOUT_S, BenchmarkError, Host, own_environment, running_host
from benchmarks.results import Baseline, Row, Target, Unit

READER = Path(__file__).with_name("reader.py")
PINNED_ARTIFACTS = 300
RANDOM_READS = 20
PARQUET_ROWS = 1 << 18
"""2 MiB for each of 50 columns."""

WARM_TARGET = Target(0.5)
PINNED_TARGET = Target(3.0)
RANDOM_TARGET = Target(3 * MIB)
PARQUET_SHARE_MAX = 1.5

_STREAM = DataSet("stream", files=1, file_bytes=GIB, folders=0)


def measure_reading(folder: Path, repeat: int, say: Callable[[str], None]) -> list[Row]:
    """Everything, below `folder`: first in place, then from a registry on TCP, where each byte is transferred.

    Raises:
        BenchmarkError: something could not be read.
    """
    folder.mkdir()
    with running_host(folder / "embedded") as host:
        host.warm_up()
        rows = [*_warm_rows(host, folder, repeat, say), _pinned_row(host, folder, repeat, say)]
        rows.append(_stream_row(host, folder, repeat, say))
    with running_registry(folder / "registry") as settings:
        with running_host(folder / "writer", settings) as writer:
            say("reading: logging 4 GiB and a parquet file to a registry on TCP")
            writer.warm_up()
            column_bytes = _log_remote(writer, folder)
        for by in ("entry.open", "fsspec"):
            with running_host(folder / f"reader-{by}", settings) as host:
                rows += _random_rows(host, by, say)
        with running_host(folder / "reader-parquet", settings) as host:
            rows += _parquet_rows(host, column_bytes, say)
    return rows


def _warm_rows(host: Host, folder: Path, repeat: int, say: Callable[[str], None]) -> list[Row]:
    data_set = DATA_SETS["small"]
    say(f"reading: warm download of {data_set.describe()}")
    data_sets.make(data_set, folder / "small")
    _log(host, folder / "small", "small")
    answer = _read(host, "warm_download", name="small", target=str(folder / "small-out"), repeat=str(repeat))
    stat = Baseline("stat of each", answer["stat_s"])
    return [
        Row("warm", "use_artifact().download(), 20,000 files", Unit.SECONDS, answer["samples_s"], stat, WARM_TARGET)
    ]


def _pinned_row(host: Host, folder: Path, repeat: int, say: Callable[[str], None]) -> Row:
    say(f"reading: {PINNED_ARTIFACTS} small artifacts by digest")
    target, count = str(folder / "pinned-out"), str(PINNED_ARTIFACTS)
    answer = _read(host, "pinned_downloads", count=count, target=target, repeat=str(repeat))
    title = f"use_artifact().download(), {PINNED_ARTIFACTS} artifacts by digest"
    return Row("warm", title, Unit.SECONDS, answer["samples_s"], target=PINNED_TARGET)


def _stream_row(host: Host, folder: Path, repeat: int, say: Callable[[str], None]) -> Row:
    say("reading: 1 GiB one piece after another")
    source = folder / "stream"
    data_sets.make(_STREAM, source)
    _log(host, source, "stream")
    path = _STREAM.path(0)
    answer = _read(host, "sequential_read", name="stream", path=path, local=str(source / path), repeat=str(repeat))
    local = Baseline("local file", answer["local_s"])
    return Row("read", "entry.open(), 1 GiB in order", Unit.SECONDS, answer["samples_s"], local)


def _log_remote(writer: Host, folder: Path) -> int:
    """Logs the large file and the wide one; returns the bytes of the two columns that will be read."""
    data_sets.make(DATA_SETS["big"], folder / "big")
    _log(writer, folder / "big", "big")
    (folder / "wide").mkdir()
    answer = _read(writer, "make_parquet", file=str(folder / "wide/wide.parquet"), rows=str(PARQUET_ROWS))
    _log(writer, folder / "wide", "wide")
    return int(answer["column_bytes"])


def _random_rows(host: Host, by: str, say: Callable[[str], None]) -> list[Row]:
    say(f"reading: 1 MiB at random places of 4 GiB by {by}")
    big = DATA_SETS["big"]
    task = {"by": by, "name": "big", "path": big.path(0), "size": str(big.size_bytes), "count": str(RANDOM_READS)}
    answer = _read(host, "random_reads", **task)
    fetched, samples = answer["fetched_bytes"], answer["samples_s"]
    what = f"1 MiB of 4 GiB, {by}"
    return [
        Row(what, "first read: bytes fetched", Unit.BYTES, fetched[:1], target=RANDOM_TARGET),
        Row(what, "later reads: most bytes fetched", Unit.BYTES, [max(fetched[1:])], target=RANDOM_TARGET),
        Row(what, "later reads", Unit.SECONDS, [statistics.median(samples[1:])]),
    ]


def _parquet_rows(host: Host, column_bytes: int, say: Callable[[str], None]) -> list[Row]:
    say("reading: two of fifty columns")
    answer = _read(host, "parquet", name="wide")
    target = Target(PARQUET_SHARE_MAX * column_bytes)
    what = "parquet, 2 of 50 columns"
    return [
        Row(what, "bytes of the two columns", Unit.BYTES, [column_bytes]),
        Row(what, "bytes fetched", Unit.BYTES, [answer["fetched_bytes"]], target=target),
        Row(what, "pandas.read_parquet", Unit.SECONDS, [answer["took_s"]]),
    ]


def _log(host: Host, source: Path, name: str) -> None:
    host.call("log", folder=str(source), name=name, little=str(host.little))


def _read(host: Host, do: str, **task: str) -> dict[str, Any]:
    return host.call(do, program=READER, **task)


@contextlib.contextmanager
def running_registry(folder: Path) -> Iterator[dict[str, str]]:
    """A registry on TCP with its data below `folder`; gives the settings of daemons that use it."""
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command, data = [sys.executable, "-P", "-m", "holdfast_registry"], f"--data-dir={folder / 'data'}"
    token = subprocess.run([*command, "init", data], env=own_environment(), check=True, stdout=subprocess.PIPE).stdout
    (folder / "token").write_bytes(token)
    registry = subprocess.Popen(
        [*command, "serve", data, f"--listen={address}"], env=own_environment(), stderr=subprocess.DEVNULL
    )
    try:
        if registry.poll() is not None:
            raise BenchmarkError("the registry does not start")
        yield {"HOLDFAST_DAEMON_REGISTRY": address, "HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(folder / "token")}
    finally:
        registry.terminate()
        registry.wait(STOP_TIMEOUT_S)
