"""Incremental artifacts: what they add, replace and remove comes on top of the latest version; nothing of anyone's is lost."""

import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from support.figures import figure
from support.own_registry import OwnRegistry
from support.sdk_host import SdkHost
from support.trees import random_bytes

WRITER = Path(__file__).with_name("incremental_writer.py")
PROJECT = "incremental"
WRITERS = 8
END_S = 100.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry")) as own:
        own.start()
        yield own


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    with SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings()).entered() as host:
        yield host


@pytest.fixture
def name() -> str:
    return f"i-{uuid.uuid4().hex[:10]}"


def incremental(name: str, **files: str) -> holdfast.Artifact:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        artifact = holdfast.Artifact(name, "dataset", incremental=True)
    for path, text in files.items():
        with artifact.new_file(path) as file:
            file.write(text)
    return artifact


def log(artifact: holdfast.Artifact) -> holdfast.Artifact:
    with holdfast.init(project=PROJECT, reinit="create_new") as run:
        return run.log_artifact(artifact).wait(timeout=END_S)


def contents(artifact: holdfast.Artifact, folder: Path) -> dict[str, str]:
    root = Path(artifact.download(str(folder)))
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_entries_are_added_replaced_and_removed_over_the_latest_version(
    host: SdkHost, name: str, tmp_path: Path
) -> None:
    first = log(incremental(name, kept="1", replaced="old", removed="x"))
    change = incremental(name, replaced="new", added="2")
    change.remove("removed")
    second = log(change)
    assert (first.version, second.version) == ("v0", "v1")
    assert contents(second, tmp_path) == {"kept": "1", "replaced": "new", "added": "2"}


def test_what_changes_nothing_makes_no_new_version(host: SdkHost, name: str) -> None:
    first = log(incremental(name, a="1", b="2"))
    again = log(incremental(name, a="1"))
    assert (again.id, again.is_new_version) == (first.id, False)


def test_nothing_of_the_base_is_sent(host: SdkHost, name: str, tmp_path: Path) -> None:
    size = 3_000_000
    (tmp_path / "large").write_bytes(random_bytes(size))
    whole = holdfast.Artifact(name, "dataset")
    whole.add_file(str(tmp_path / "large"))
    log(whole)
    (tmp_path / "large").unlink()
    sent: list[int] = []
    with holdfast.init(project=PROJECT, reinit="create_new") as run:
        changed = run.log_artifact(incremental(name, small="s"))
        changed.wait(timeout=END_S, progress=lambda progress: sent.append(progress.bytes_sent))
    assert 0 < sent[-1] < size // 10
    assert sorted(changed.manifest.entries) == ["large", "small"]


@pytest.mark.timeout(300)
def test_eight_writers_on_two_hosts_lose_nothing(
    registry: OwnRegistry, host: SdkHost, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    versions = figure(2, 10)
    other = SdkHost(tmp_path_factory.mktemp("other"), registry.daemon_settings())
    try:
        writers = [
            subprocess.Popen(
                [sys.executable, str(WRITER), name, str(number), str(versions)],
                env=(host, other)[number % 2].environ,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(WRITERS)
        ]
        for writer in writers:
            _, said = writer.communicate(timeout=END_S * 2)
            assert writer.returncode == 0, said
    finally:
        other.close()
    latest = holdfast.Api().artifact(f"{PROJECT}/{name}:latest")
    assert latest.version == f"v{WRITERS * versions - 1}"
    assert set(latest.manifest.entries) == {f"{w}/{n}" for w in range(WRITERS) for n in range(versions)}
