"""A registry on TCP with its packs in a real S3 server: what is logged on one host comes back on another, whatever the network does."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast_contract.limits import MIB
from support import preloaded
from support.own_registry import OwnRegistry
from support.sdk_calls import download, fetched, log_folder
from support.sdk_host import SdkHost
from support.seaweedfs import SeaweedFS
from support.tcp_proxy import Fault, TcpProxy
from support.trees import random_bytes, read_tree, write_tree

BUCKET = "flows-s3"
TREE = {"small": b"s", "large": random_bytes(9 * MIB), **{f"many/{n}": random_bytes(700, n) for n in range(200)}}


def canned(status: int, code: str) -> bytes:
    """An answer of an S3 server that refuses."""
    body = f"<Error><Code>{code}</Code></Error>".encode()
    return f"HTTP/1.1 {status} Refused\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def wire(seaweedfs: SeaweedFS) -> Iterator[TcpProxy]:
    """Between the daemons and the S3 server; the registry goes there directly."""
    seaweedfs.make_bucket(BUCKET)
    proxy = TcpProxy(f"127.0.0.1:{seaweedfs.port}")
    yield proxy
    proxy.close()


def settings_of(seaweedfs: SeaweedFS, wire: TcpProxy) -> dict[str, str]:
    return {
        **seaweedfs.environ,
        "HOLDFAST_REGISTRY_STORE_URL": f"s3://{BUCKET}/{uuid.uuid4().hex}",
        "HOLDFAST_REGISTRY_STORE_PUBLIC_ENDPOINT_URL": f"http://{wire.address}",
    }


@pytest.fixture(scope="module")
def registry(seaweedfs: SeaweedFS, wire: TcpProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    own = OwnRegistry(tmp_path_factory.mktemp("registry"), settings=settings_of(seaweedfs, wire))
    own.start()
    yield own
    own.terminate()


@pytest.fixture
def host(registry: OwnRegistry, wire: TcpProxy, tmp_path: Path) -> Iterator[SdkHost]:
    """A new one for each test: nothing is known from before."""
    with SdkHost(tmp_path / "host", registry.daemon_settings()).entered() as host:
        yield host
    wire.set_fault(Fault())


@pytest.fixture
def other_host(registry: OwnRegistry, tmp_path: Path) -> Callable[[], SdkHost]:
    return lambda: SdkHost(tmp_path / "other", registry.daemon_settings())


def objects(seaweedfs: SeaweedFS) -> int:
    return seaweedfs.request("GET", BUCKET, query={"list-type": "2", "max-keys": "1000"}).body.count(b"<Key>")


def test_what_one_host_logs_another_one_downloads(
    host: SdkHost,
    other_host: Callable[[], SdkHost],
    registry: OwnRegistry,
    seaweedfs: SeaweedFS,
    tmp_path: Path,
) -> None:
    name = log_folder(write_tree(tmp_path / "in", TREE), "shared").qualified_name
    assert objects(seaweedfs) > 0
    assert not list(registry.data_dir.rglob("*.pack"))
    with other_host().entered():
        artifact = holdfast.Api().artifact(name)
        assert read_tree(download(artifact, tmp_path / "out")) == TREE
        assert read_tree(download(artifact, tmp_path / "direct", skip_cache=True)) == TREE
        entry = fetched(artifact).get_entry("large").download(str(tmp_path / "one"))
        assert Path(entry).read_bytes() == TREE["large"]
    host.use()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after_bytes=500_000, cuts=3),
        Fault(answer=canned(503, "SlowDown"), cuts=3),
        Fault(answer=canned(500, "InternalError"), cuts=2),
        Fault(answer=canned(403, "AccessDenied"), cuts=2),
        Fault(refuse=False, delay_s=0.001, segment_bytes=1000, cut_after_bytes=200_000, half_close=True, cuts=2),
    ],
    ids=["cut", "slow-down", "internal-error", "expired", "half-closed"],
)
def test_upload_outlasts_faults(host: SdkHost, wire: TcpProxy, fault: Fault, tmp_path: Path) -> None:
    tree = {"large": random_bytes(3 * MIB, uuid.uuid4().int), "small": uuid.uuid4().bytes}
    wire.set_fault(fault)
    artifact = log_folder(write_tree(tmp_path / "in", tree), "faulty")
    wire.set_fault(Fault())
    assert read_tree(download(artifact, tmp_path / "out", skip_cache=True)) == tree


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after_bytes=500_000, of_replies=True, cuts=3),
        Fault(cut_after_bytes=700_000, of_replies=True, half_close=True, cuts=2),
        Fault(answer=canned(503, "SlowDown"), cuts=3),
        Fault(answer=canned(403, "AccessDenied"), cuts=1),
    ],
    ids=["cut", "truncated", "slow-down", "expired"],
)
def test_download_outlasts_faults(host: SdkHost, wire: TcpProxy, fault: Fault, tmp_path: Path) -> None:
    tree = {"large": random_bytes(3 * MIB, uuid.uuid4().int), "small": uuid.uuid4().bytes}
    artifact = log_folder(write_tree(tmp_path / "in", tree), "faulty")
    wire.set_fault(fault)
    assert read_tree(download(artifact, tmp_path / "out", skip_cache=True)) == tree
    assert wire.cuts_done > 0


def test_fsck_reads_the_store_and_names_what_a_lost_object_hurts(
    seaweedfs: SeaweedFS, wire: TcpProxy, tmp_path: Path
) -> None:
    settings = settings_of(seaweedfs, wire)
    prefix = settings["HOLDFAST_REGISTRY_STORE_URL"].removeprefix(f"s3://{BUCKET}/")
    with OwnRegistry(tmp_path / "registry", settings=settings) as own:
        own.start()
        with SdkHost(tmp_path / "host", own.daemon_settings()).entered():
            name = log_folder(write_tree(tmp_path / "in", TREE), "checked").qualified_name
        own.terminate()
        sound = own.fsck()
        assert (sound.returncode, sound.stderr) == (0, "")
        listed = seaweedfs.request("GET", BUCKET, query={"list-type": "2", "prefix": prefix}).body.decode()
        keys = [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]
        for key in keys:
            seaweedfs.delete(BUCKET, key)
        seaweedfs.put(BUCKET, f"{prefix}/packs/foreign", b"mine")
        found = own.command("fsck", f"--data-dir={own.data_dir}", "--json")
    report = json.loads(found.stdout)
    assert found.returncode == 1
    assert {version for finding in report["findings"] for version in finding["versions"]} == {name}
    assert report["notes"] == ["packs/foreign is not the registry's"]


def test_fsck_of_a_store_that_does_not_answer_reports_no_damage(
    seaweedfs: SeaweedFS, wire: TcpProxy, registry: OwnRegistry
) -> None:
    away = {"STORE_ENDPOINT_URL": "http://127.0.0.1:1", "STORE_ATTEMPTS_MAX": "2"}
    environ = {**registry.environ, **{f"HOLDFAST_REGISTRY_{name}": value for name, value in away.items()}}
    done = preloaded.run("holdfast_registry", ["fsck", f"--data-dir={registry.data_dir}"], environ)
    assert done.returncode == 78
    assert done.stdout == ""
    assert "cannot be used" in done.stderr
