"""Packs in a SeaweedFS of several processes: each of them is killed while artifacts are logged and downloaded; nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

import holdfast
from holdfast_contract.limits import KIB
from support.figures import figure
from support.own_registry import OwnRegistry
from support.postgres import Postgres
from support.processes import wait_until
from support.s3_requests import Answer
from support.sdk_calls import download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.seaweed_cluster import SeaweedCluster

BUCKET = "flows-s3-cluster"
FILE_BYTES = figure(300, 6000) * KIB
ARTIFACTS = figure(2, 8)
"""That are logged before a process is killed, while it is away, and when it is back."""
STALL_S = 120
"""The longest time without a version that was seen is a fifth of it."""


class Place:
    """The store with its processes, a registry and a host."""

    def __init__(self, folder: Path, cluster: SeaweedCluster) -> None:
        self.cluster = cluster
        cluster.make_bucket(BUCKET)
        settings = {**cluster.environ, "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/packs"}
        self.registry = OwnRegistry(folder / "registry", settings=settings)
        self.registry.start()
        self.host = SdkHost(folder / "host", self.registry.daemon_settings())

    def stored(self) -> dict[str, bytes]:
        """Every object below the registry's prefix."""
        listed = self._get("", {"list-type": "2", "prefix": "packs/"})
        keys = [node.text or "" for node in ElementTree.fromstring(listed).iter() if node.tag.endswith("}Key")]
        return {key: self._get(key) for key in keys}

    def _get(self, key: str, query: Mapping[str, str] | None = None) -> bytes:
        """Asks until it comes: that a volume server is back may not have come to a gateway yet."""
        answers: list[Answer] = []

        def has_come() -> bool:
            answers.append(self.cluster.send("GET", BUCKET, key, query or {}, b"", {}))
            return answers[-1].status == 200

        wait_until(has_come)
        return answers[-1].body


class Traffic:
    """Logs artifact after artifact, and downloads each from the store as soon as it is committed, until told to end.

    Attributes:
        acknowledged: content by the version's name.
        longest_s: between two versions, since somebody set it to 0.
    """

    def __init__(self, folder: Path) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.longest_s = 0.0
        self._folder = folder
        self._ended = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """It runs beside the block; what went wrong in it is raised by `more` or at the end."""
        with ThreadPoolExecutor(1) as pool:
            self._over: Future[None] = pool.submit(self._run)
            try:
                yield
            finally:
                self._ended.set()
            self._over.result()

    def more(self, count: int) -> None:
        """Returns when so many more versions are acknowledged."""
        wanted = len(self.acknowledged) + count
        deadline = time.monotonic() + STALL_S
        while len(self.acknowledged) < wanted:
            if self._over.done():
                self._over.result()
            assert time.monotonic() < deadline, "nothing is committed any more"
            self._ended.wait(0.02)

    def _run(self) -> None:
        while not self._ended.is_set():
            begun_s = time.monotonic()
            content = os.urandom(FILE_BYTES)
            artifact = new_artifact(fresh_name())
            with artifact.new_file("file", mode="wb") as file:
                file.write(content)
            logged = log(artifact)
            root = download(logged, self._folder / str(len(self.acknowledged)), skip_cache=True)
            assert (root / "file").read_bytes() == content
            self.acknowledged[logged.qualified_name] = content
            self.longest_s = max(self.longest_s, time.monotonic() - begun_s)


def fail_in_turn(place: Place, traffic: Traffic, parts: Sequence[str]) -> None:
    """Kills one process after the other while traffic goes on, which it does without it, and starts it again."""
    for part in parts:
        chosen = place.cluster.leader() if part == "leader" else part
        traffic.more(ARTIFACTS)
        traffic.longest_s = 0.0
        place.cluster.kill(chosen)
        traffic.more(ARTIFACTS)
        print(f"without {part} ({chosen}): at most {traffic.longest_s:.1f} s from one version to the next")
        place.cluster.start(chosen)
        traffic.more(ARTIFACTS)


def check_everything(place: Place, traffic: Traffic, folder: Path) -> None:
    """All that was acknowledged is there for another host, on two volume servers each, and the registry finds no fault."""
    with SdkHost(folder / "other", place.registry.daemon_settings()).entered():
        for number, (name, content) in enumerate(traffic.acknowledged.items()):
            root = download(holdfast.Api().artifact(name), folder / "out" / str(number), skip_cache=True)
            assert (root / "file").read_bytes() == content
    assert place.registry.terminate() == 0
    stored = place.stored()
    for part in place.cluster.volume_servers():
        place.cluster.kill(part)
        assert place.stored() == stored, f"a copy of something is on {part} alone"
        place.cluster.start(part)
    sound = place.registry.fsck()
    assert (sound.returncode, sound.stderr) == (0, "")


@contextmanager
def running_place(folder: Path, postgres: Postgres, masters: int) -> Iterator[Place]:
    with SeaweedCluster.started(folder / "cluster", postgres, masters=masters) as cluster:
        place = Place(folder, cluster)
        try:
            with place.host.entered():
                yield place
        finally:
            place.registry.kill()


def test_a_killed_volume_server_and_a_killed_gateway_lose_nothing_and_stop_nobody(
    postgres: Postgres, tmp_path: Path
) -> None:
    with running_place(tmp_path, postgres, masters=1) as place:
        traffic = Traffic(tmp_path)
        with traffic.going_on():
            traffic.more(1)
            fail_in_turn(place, traffic, [place.cluster.fullest_volume_server(), "gateway-0"])
        check_everything(place, traffic, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_killed_process_of_the_store_loses_nothing_and_stops_nobody(postgres: Postgres, tmp_path: Path) -> None:
    with running_place(tmp_path, postgres, masters=3) as place:
        traffic = Traffic(tmp_path)
        with traffic.going_on():
            traffic.more(1)
            volume = place.cluster.fullest_volume_server()
            fail_in_turn(place, traffic, [volume, "gateway-0", "filer-0", "leader"])
        check_everything(place, traffic, tmp_path)


@pytest.mark.long
def test_what_was_on_a_lost_disk_has_two_copies_again_after_the_repair(postgres: Postgres, tmp_path: Path) -> None:
    with running_place(tmp_path, postgres, masters=1) as place:
        traffic = Traffic(tmp_path)
        with traffic.going_on():
            traffic.more(ARTIFACTS)
            volume = place.cluster.fullest_volume_server()
            traffic.longest_s = 0.0
            place.cluster.lose_disk(volume)
            traffic.more(ARTIFACTS)
            place.cluster.start(volume)
            traffic.more(ARTIFACTS)
            place.cluster.make_missing_copies()
            traffic.more(ARTIFACTS)
            print(f"without the disk of {volume}: at most {traffic.longest_s:.1f} s from one version to the next")
        check_everything(place, traffic, tmp_path)
