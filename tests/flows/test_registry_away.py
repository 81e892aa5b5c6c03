"""The registry does not answer: logging goes on, `wait()` says what it waits for, and the commit follows when it is back."""

import threading
from pathlib import Path

import pytest

import holdfast
from holdfast_contract.limits import MIB
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, download, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

TREE = {"one": b"1", "large": random_bytes(2 * MIB)}
WAIT_S = 60


def log_without_registry(source: Path) -> holdfast.Artifact:
    """Returns at once though nobody answers."""
    artifact = new_artifact()
    artifact.add_dir(str(source))
    with holdfast.init(project=PROJECT) as run:
        return run.log_artifact(artifact)


def wait_until_it_says_why(artifact: holdfast.Artifact) -> str:
    """What `wait` shows while the registry is away."""
    reasons: list[str] = []

    class SeenError(Exception):
        pass

    def see(progress: holdfast.Progress) -> None:
        if progress.waiting_for:
            reasons.append(progress.waiting_for)
            raise SeenError

    with pytest.raises(SeenError):
        artifact.wait(WAIT_S, progress=see)
    return reasons[0]


def test_what_is_logged_while_the_registry_is_away_is_committed_when_it_is_back(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", TREE)
    with OwnRegistry(tmp_path / "registry") as own:
        with SdkHost(tmp_path / "host", own.daemon_settings()).entered() as host:
            commit_when_it_is_back(host, own, source)
        own.terminate()
        assert own.fsck().returncode == 0


def commit_when_it_is_back(host: SdkHost, own: OwnRegistry, source: Path) -> None:
    artifact = log_without_registry(source)
    assert own.address in wait_until_it_says_why(artifact)
    with pytest.raises(holdfast.UnavailableError):
        holdfast.Api().artifact(f"{PROJECT}/anything")
    # Neither the daemon's death nor the files' end changes anything.
    host.kill_daemon()
    (source / "one").unlink()
    waiter = threading.Thread(target=artifact.wait, args=(WAIT_S,))
    waiter.start()
    own.start()
    waiter.join(WAIT_S)
    assert artifact.version == "v0"
    assert read_tree(download(artifact, host.folder / "out")) == TREE
    own.kill()
    again = log_without_registry(source)
    own.start()
    assert again.wait(WAIT_S).state == "COMMITTED"


def test_a_killed_embedded_registry_is_started_again(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", TREE)
    with SdkHost(tmp_path / "host").entered() as host:
        first = log_without_registry(source).wait(WAIT_S)
        registry = host.embedded_registry()
        assert registry is not None
        registry.kill()
        second = log_without_registry(write_tree(source, {"one": b"2"})).wait(WAIT_S)
        assert read_tree(download(first, tmp_path / "first")) == TREE
        assert read_tree(download(second, tmp_path / "second")) == {**TREE, "one": b"2"}
