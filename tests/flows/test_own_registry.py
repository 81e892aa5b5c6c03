"""A registry of one's own on TCP with a token: packs go and come through it; wrong tokens and plaintext are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from holdfast_contract.limits import MIB
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, download, fetched, log_folder
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

TREE = {"small": b"s", "large": random_bytes(3 * MIB), **{f"many/{n}": random_bytes(700, n) for n in range(200)}}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    own = OwnRegistry(tmp_path_factory.mktemp("registry"))
    own.start()
    yield own
    own.terminate()


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    with SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings()).entered() as host:
        yield host


def test_packs_go_and_come_through_the_registry(host: SdkHost, registry: OwnRegistry, tmp_path: Path) -> None:
    artifact = log_folder(write_tree(tmp_path / "in", TREE))
    assert read_tree(download(artifact, tmp_path / "out")) == TREE
    assert read_tree(download(artifact, tmp_path / "direct", skip_cache=True)) == TREE
    entry = fetched(artifact).get_entry("large").download(str(tmp_path / "one"))
    assert Path(entry).read_bytes() == TREE["large"]
    assert host.embedded_registry() is None
    assert not list(host.places.data_dir.rglob("*.pack")) or not host.places.registry_dir.exists()


def test_two_hosts_share_one_registry(
    host: SdkHost, registry: OwnRegistry, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mine = log_folder(write_tree(tmp_path / "in", TREE), "shared")
    sent = _bytes_sent(host)
    with SdkHost(tmp_path_factory.mktemp("other"), registry.daemon_settings()).entered() as other:
        assert other.daemon() is None
        theirs = log_folder(tmp_path / "in", "shared")
        assert (theirs.version, theirs.is_new_version, theirs.id) == (mine.version, False, mine.id)
        assert _bytes_sent(other) == 0
        assert other.daemon() != host.daemon()
        changed = log_folder(write_tree(tmp_path / "in", {"small": b"other"}), "shared")
        assert changed.version == "v1"
        assert _bytes_sent(other) < 100_000
    host.use()
    assert sent == 0
    assert holdfast.Api().artifact(f"{PROJECT}/shared:latest").version == "v1"
    assert read_tree(download(changed, tmp_path / "out")) == {**TREE, "small": b"other"}


def _bytes_sent(host: SdkHost) -> int:
    """Of all jobs of the daemon that this process's SDK speaks to, those of the collection `shared`."""
    from holdfast._process import this_process
    from holdfastpb.daemon.v1 import control_pb2

    jobs = this_process().daemon.unary(
        "/holdfast.daemon.v1.ControlService/ListJobs",
        control_pb2.ListJobsRequest(page_size=1000),
        control_pb2.ListJobsResponse,
    )
    return sum(job.progress.bytes_sent for job in jobs.jobs if job.progress.artifact_name == "shared")


def test_a_wrong_token_is_told_by_wait_and_by_reading(registry: OwnRegistry, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("hf_reg_" + "0" * 64)
    settings = registry.daemon_settings() | {"HOLDFAST_DAEMON_REGISTRY_TOKEN_FILE": str(wrong)}
    with SdkHost(tmp_path / "host", settings).entered():
        with pytest.raises(errors.CommError, match="token"):
            holdfast.Api().artifact(f"{PROJECT}/shared")
        seen: list[str] = []
        artifact = holdfast.Artifact("refused", "dataset")
        with artifact.new_file("file") as file:
            file.write("x")
        with holdfast.init(project=PROJECT) as run:
            run.log_artifact(artifact)
        with pytest.raises((errors.AuthenticationError, holdfast.WaitTimeoutError)) as told:
            artifact.wait(5, progress=lambda progress: seen.append(progress.waiting_for))
        assert "token" in " ".join([*seen, str(told.value)])


def test_plaintext_off_loopback_is_refused(tmp_path: Path) -> None:
    own = OwnRegistry(tmp_path)
    refused = own.command("serve", f"--data-dir={own.data_dir}", "--listen=0.0.0.0:1")
    assert refused.returncode != 0
    assert "--insecure" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.splitlines()) <= 2


def test_a_registry_without_a_token_does_not_serve_on_tcp(tmp_path: Path) -> None:
    own = OwnRegistry(tmp_path)
    refused = own.command("serve", f"--data-dir={tmp_path / 'empty'}", f"--listen={own.address}")
    assert refused.returncode != 0
    assert "holdfast registry init" in refused.stderr
