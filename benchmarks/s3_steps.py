"""Packs in an S3 store: large files beside the same server's raw PUT and GET, many small files beside the directory store."""

import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import baselines, data_sets
from benchmarks.data_sets import DATA_SETS, MIB, DataSet
from benchmarks.host import BenchmarkError, running_host
from benchmarks.results import Baseline, Row, Target, Unit
from benchmarks.servers import BUCKET, RunningRegistry, running_registry, s3_server, s3_settings
from holdfast_registry.blobstore.s3_signing import S3Credentials, UrlSigner

RAW = Path(__file__).with_name("raw_s3.py")
OBJECT_BYTES = 64 * MIB
ADDRESSES_LIVE_S = 3600
SHARE_OF_RAW_MIN = 0.7
LARGE_TARGET = Target(1 / SHARE_OF_RAW_MIN, True)
SMALL_TARGET = Target(1.3, True)

Say = Callable[[str], None]


PARTS = ("big", "small", "tiny")
"""What can be measured."""


def measure_s3(folder: Path, parts: Sequence[str], big_bytes: int, repeat: int, say: Say) -> list[Row]:
    """Measures some of `PARTS`, with one S3 server below `folder`; `big_bytes` is the size of `big` here.

    Raises:
        BenchmarkError: a download is not byte for byte what was logged.
    """
    folder.mkdir()
    with s3_server(folder / "s3") as server:
        rows: list[Row] = []
        if "big" in parts:
            big = replace(DATA_SETS["big"], file_bytes=big_bytes)
            rows += _Large(big, folder / "large", server, repeat, say).run()
        for name in (name for name in ("small", "tiny") if name in parts):
            rows.append(_small_row(DATA_SETS[name], folder / name, server, repeat, say))
    return rows


class _Large:
    """One file of many packs."""

    def __init__(self, data_set: DataSet, folder: Path, server: Any, repeat: int, say: Say) -> None:
        self._set = data_set
        self._folder = folder
        self._server = server
        self._repeat = repeat
        self._say = say
        self._samples: dict[str, list[float]] = defaultdict(list)

    def run(self) -> list[Row]:
        self._folder.mkdir()
        source = self._folder / "source"
        data_sets.make(self._set, source)
        file = source / self._set.path(0)
        with running_registry(self._folder / "registry", s3_settings(self._server)) as registry:
            for turn in range(self._repeat):
                # Each log finds a registry that knows nothing of the set, and each raw PUT makes new objects.
                self._raw("put", file, f"raw-{turn}")
                self._log(registry, source, turn)
            for turn in range(self._repeat):
                self._raw("get", self._folder / f"got-{turn}", f"raw-{self._repeat - 1}")
                self._download(registry, file, turn)
        return self._rows()

    def _log(self, registry: RunningRegistry, source: Path, turn: int) -> None:
        with running_host(self._folder / f"writer-{turn}", registry.daemon_settings | _own_entity(turn)) as host:
            host.warm_up()
            baselines.quiet_disk()
            answer = host.call("log", folder=str(source), name=self._set.name, little=str(host.little))
        self._samples["upload"].append(answer["done_s"])
        self._say(f"s3: {self._set.name}: upload: {answer['done_s']:.2f} s")

    def _download(self, registry: RunningRegistry, file: Path, turn: int) -> None:
        target = self._folder / f"downloaded-{turn}"
        with running_host(
            self._folder / f"reader-{turn}", registry.daemon_settings | _own_entity(self._repeat - 1)
        ) as host:
            host.warm_up()
            baselines.quiet_disk()
            answer = host.call("download", folder=str(target), name=self._set.name)
        self._samples["download"].append(answer["done_s"])
        self._say(f"s3: {self._set.name}: download: {answer['done_s']:.2f} s")
        if turn == 0 and data_sets.tree_digest(target) != data_sets.tree_digest(file.parent):
            raise BenchmarkError(f"{target} is not what was logged")
        shutil.rmtree(target)

    def _raw(self, do: str, file: Path, prefix: str) -> None:
        signer = _signer(self._server)
        size_bytes = self._set.size_bytes
        count = -(-size_bytes // OBJECT_BYTES)
        urls = [signer.sign(do.upper(), f"{prefix}/{number}", {}, ADDRESSES_LIVE_S) for number in range(count)]
        task = {"do": do, "file": str(file), "size_bytes": size_bytes, "object_bytes": OBJECT_BYTES, "urls": urls}
        baselines.quiet_disk()
        command = [sys.executable, "-P", str(RAW)]
        done = subprocess.run(command, input=json.dumps(task), text=True, stdout=subprocess.PIPE, check=True)
        took_s = json.loads(done.stdout)["took_s"]
        self._samples[do].append(took_s)
        self._say(f"s3: {self._set.name}: raw {do}: {took_s:.2f} s")
        if do == "get":
            file.unlink()

    def _rows(self) -> list[Row]:
        put, get = (Baseline(f"raw {do.upper()}, 8 connections", self._samples[do]) for do in ("put", "get"))
        return [
            Row("s3 big", "upload", Unit.SECONDS, self._samples["upload"], put, LARGE_TARGET),
            Row("s3 big", "download", Unit.SECONDS, self._samples["download"], get, LARGE_TARGET),
        ]


def _small_row(data_set: DataSet, folder: Path, server: Any, repeat: int, say: Say) -> Row:
    """First logs into both stores, by turns; both through a registry on TCP."""
    folder.mkdir()
    data_sets.make(data_set, folder / "source")
    samples: dict[str, list[float]] = defaultdict(list)
    for turn in range(repeat):
        for store, settings in (("directory", {}), ("s3", s3_settings(server))):
            place = folder / f"{store}-{turn}"
            with (
                running_registry(place / "registry", settings) as registry,
                running_host(place / "host", registry.daemon_settings) as host,
            ):
                host.warm_up()
                baselines.quiet_disk()
                answer = host.call("log", folder=str(folder / "source"), name=data_set.name, little=str(host.little))
            samples[store].append(answer["done_s"])
            say(f"s3: {data_set.name}: first log, {store}: {answer['done_s']:.2f} s")
    baseline = Baseline("directory store", samples["directory"])
    return Row(f"s3 {data_set.name}", "first log", Unit.SECONDS, samples["s3"], baseline, SMALL_TARGET)


def _own_entity(turn: int) -> dict[str, str]:
    """Chunks are looked for in their entity: another one has none of them."""
    return {"HOLDFAST_ENTITY": f"turn-{turn}"}


def _signer(server: Any) -> UrlSigner:
    environ = server.environ
    credentials = S3Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
    return UrlSigner(f"{server.endpoint}/{BUCKET}", environ["AWS_REGION"], credentials, time.time())
