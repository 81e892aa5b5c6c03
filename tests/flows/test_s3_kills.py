"""A large artifact goes to an S3 server while daemon, registry and server are killed on the way: committed once, and whole."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3

import holdfast
from holdfast_contract.limits import GIB, MIB
from support.figures import FULL, figure
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, download, fresh_name
from support.sdk_host import SdkHost
from support.seaweedfs import SeaweedFS
from support.tcp_proxy import Fault, TcpProxy

BUCKET = "flows-s3-kills"
SIZE_BYTES = figure(32 * MIB, 3 * GIB)
KILLS = {"daemon": figure(2, 20), "registry": figure(1, 20), "store": figure(1, 5)}
SENT_SHARE_MAX = 1.3
BLOCK_BYTES = 8 * MIB
SLOW = Fault(delay_s=0.001 if FULL else 0.008)
"""For each 64 KiB: what has to go is not gone before a registry has started again."""
STALL_S = 120

pytestmark = pytest.mark.timeout(figure(120, 3600))


class Place:
    """All three processes, and the wire between daemon and store, where bytes are counted."""

    def __init__(self, folder: Path) -> None:
        self.store = SeaweedFS(folder / "s3")
        self.wire = TcpProxy(f"127.0.0.1:{self.store.port}")
        settings = {
            **self.store.environ,
            "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/packs",
            "HOLDFAST_REGISTRY_STORE_PUBLIC_ENDPOINT_URL": f"http://{self.wire.address}",
        }
        self._store_runs = ExitStack()
        self._store_runs.enter_context(self.store.running())
        self.store.make_bucket(BUCKET)
        self.registry = OwnRegistry(folder / "registry", settings=settings)
        self.registry.start()
        self.host = SdkHost(folder / "host", self.registry.daemon_settings())

    def kill(self, what: str) -> None:
        """kill -9, and a new start."""
        if what == "daemon":
            self.host.kill_daemon()
            # Not by the SDK, which takes so many ends for a daemon that cannot stay.
            started = self.host.run(
                "import sys; from holdfast.cli.main import main; sys.argv[1:] = ['daemon', 'start']; main()"
            )
            assert started.returncode == 0, started.stderr
        elif what == "registry":
            self.registry.kill()
            self.registry.start()
        else:
            self._store_runs.close()
            self._store_runs.enter_context(self.store.running())

    def close(self) -> None:
        self.registry.kill()
        self._store_runs.close()
        self.wire.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("place"))
    with place.host.entered():
        yield place
    place.close()


def write_random(path: Path, size_bytes: int) -> bytes:
    """Returns the file's digest."""
    digest = blake3()
    with path.open("wb") as file:
        for _ in range(0, size_bytes, BLOCK_BYTES):
            block = os.urandom(BLOCK_BYTES)
            digest.update(block)
            file.write(block)
    return digest.digest()


def digest_of_file(path: Path) -> bytes:
    return blake3(max_threads=1).update_mmap(path).digest()


def wait_for(logged: holdfast.Artifact) -> None:
    """Waits for the version, also while daemons end faster than the SDK starts them."""
    deadline = time.monotonic() + figure(100, 3000)
    while True:
        try:
            logged.wait(deadline - time.monotonic())
        except holdfast.DaemonStartError:
            threading.Event().wait(0.2)
        else:
            return


def until_sent(place: Place, sent_bytes: int) -> None:
    until(lambda: place.wire.sent_bytes >= sent_bytes)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STALL_S
    while not holds():
        assert time.monotonic() < deadline, "nothing moves any more"
        threading.Event().wait(0.01)


def kill_on_the_way(place: Place, is_over: Callable[[], bool]) -> list[str]:
    """Kills in turn, each when some more bytes have gone since the last; returns what was killed while they went."""
    order = [what for what, times in KILLS.items() for _ in range(times)]
    random = Random(4)
    random.shuffle(order)
    done: list[str] = []
    for what in order:
        # Together they are fewer than have to go in any case.
        wanted = place.wire.sent_bytes + random.uniform(0.5, 1.4) * SIZE_BYTES / (len(order) + 1)
        deadline = time.monotonic() + STALL_S
        while place.wire.sent_bytes < wanted and not is_over():
            assert time.monotonic() < deadline, f"nothing moves any more after {done}"
            threading.Event().wait(0.01)
        if is_over():
            break
        place.kill(what)
        done.append(what)
    return done


def test_pack_that_is_in_the_store_does_not_go_again_when_the_registry_dies_before_it_seals(
    place: Place, tmp_path: Path
) -> None:
    digest = write_random(tmp_path / "file", 2 * BLOCK_BYTES)
    place.registry.start("seal.before_commit=kill@1")
    before = place.wire.sent_bytes
    with holdfast.init(project=PROJECT) as run:
        artifact = holdfast.Artifact(fresh_name(), "dataset")
        artifact.add_file(str(tmp_path / "file"))
        logged = run.log_artifact(artifact)
        place.registry.wait()
        place.registry.start()
        logged.wait(60)
    assert 2 * BLOCK_BYTES <= place.wire.sent_bytes - before < 2.5 * BLOCK_BYTES
    assert digest_of_file(download(logged, tmp_path / "out", skip_cache=True) / "file") == digest


def test_pack_that_a_killed_daemon_had_brought_does_not_go_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = write_random(tmp_path / "file", 2 * BLOCK_BYTES)
    place.host.stop_daemon()
    before = place.wire.sent_bytes
    monkeypatch.setenv("HOLDFAST_FAILPOINTS", "upload.after_transfer=kill@1")
    with holdfast.init(project=PROJECT) as run:
        artifact = holdfast.Artifact(fresh_name(), "dataset")
        artifact.add_file(str(tmp_path / "file"))
        logged = run.log_artifact(artifact)
        killed = place.host.daemon()
        monkeypatch.delenv("HOLDFAST_FAILPOINTS")
        wait_for(logged)
    assert killed != place.host.daemon()
    assert 2 * BLOCK_BYTES <= place.wire.sent_bytes - before < 2.5 * BLOCK_BYTES
    assert digest_of_file(download(logged, tmp_path / "out", skip_cache=True) / "file") == digest


def test_after_an_interruption_a_cut_costs_a_piece_of_a_pack(place: Place, tmp_path: Path) -> None:
    digest = write_random(tmp_path / "file", 4 * BLOCK_BYTES)
    place.host.stop_daemon()
    place.wire.set_fault(SLOW)
    with holdfast.init(project=PROJECT) as run:
        artifact = holdfast.Artifact(fresh_name(), "dataset")
        artifact.add_file(str(tmp_path / "file"), policy="immutable")
        logged = run.log_artifact(artifact)
        for more_bytes in (1 * MIB, 20 * MIB):
            until_sent(place, place.wire.sent_bytes + more_bytes)
            place.kill("daemon")
        killed_at_bytes = place.wire.sent_bytes
        place.wire.set_fault(Fault())
        wait_for(logged)
    assert place.wire.sent_bytes - killed_at_bytes < 3 * BLOCK_BYTES
    assert digest_of_file(download(logged, tmp_path / "out", skip_cache=True) / "file") == digest


def test_after_a_kill_a_download_fetches_only_what_is_not_there_and_the_host_keeps_it_for_others(
    place: Place, tmp_path: Path
) -> None:
    size_bytes = 3 * BLOCK_BYTES
    digest = write_random(tmp_path / "file", size_bytes)
    with holdfast.init(project=PROJECT) as run:
        artifact = holdfast.Artifact(fresh_name(), "dataset")
        artifact.add_file(str(tmp_path / "file"))
        logged = run.log_artifact(artifact)
        wait_for(logged)
    before = place.wire.reply_bytes
    place.wire.set_fault(SLOW)
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(download, logged, tmp_path / "out")
        until(lambda: place.wire.reply_bytes - before > size_bytes // 2)
        place.kill("daemon")
        place.wire.set_fault(Fault())
        with suppress(holdfast.CommError):  # the SDK may have asked the next daemon by itself
            cut.result()
    assert digest_of_file(download(logged, tmp_path / "out") / "file") == digest
    # What was on its way when the daemon died is lost.
    assert place.wire.reply_bytes - before < 1.3 * size_bytes
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]
    before = place.wire.reply_bytes
    place.kill("daemon")
    assert digest_of_file(download(logged, tmp_path / "other") / "file") == digest
    assert place.wire.reply_bytes - before < BLOCK_BYTES // 8


def test_large_artifact_is_committed_once_and_whole_whatever_is_killed_on_the_way(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    digest = write_random(source / "large", SIZE_BYTES)
    name = fresh_name()
    artifact = holdfast.Artifact(name, "dataset")
    before = place.wire.sent_bytes
    place.wire.set_fault(SLOW)
    with holdfast.init(project=PROJECT) as run:
        artifact.add_file(str(source / "large"), policy="immutable")
        logged = run.log_artifact(artifact)
        with ThreadPoolExecutor(1) as pool:
            waited = pool.submit(wait_for, logged)
            killed = kill_on_the_way(place, waited.done)
            waited.result()
    assert {what: killed.count(what) for what in KILLS} == KILLS, "all of them while bytes were on the way"
    share = (place.wire.sent_bytes - before) / SIZE_BYTES
    print(f"{SIZE_BYTES / MIB:.0f} MiB, killed {KILLS}: {share:.3f} of the bytes sent")
    place.wire.set_fault(Fault())
    [version] = holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}")
    assert (version.version, version.size) == ("v0", SIZE_BYTES)
    root = download(logged, tmp_path / "out", skip_cache=True)
    assert digest_of_file(root / "large") == digest
    assert place.registry.terminate() == 0
    sound = place.registry.fsck()
    assert (sound.returncode, sound.stderr) == (0, "")
    if FULL:
        assert share <= SENT_SHARE_MAX
