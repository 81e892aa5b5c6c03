"""Versions named by their digest: known ones need no registry, uses are never lost and never waited for, changes count at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, fresh_name, log_folder
from support.sdk_host import SdkHost
from support.status import fetched_by
from support.trees import read_tree, write_tree

COUNT = 5


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path / "registry") as own:
        own.start()
        yield own


@pytest.fixture
def host(registry: OwnRegistry, tmp_path: Path) -> Iterator[SdkHost]:
    with SdkHost(tmp_path / "host", registry.daemon_settings()).entered() as host:
        yield host


def log_some(folder: Path) -> dict[str, dict[str, bytes]]:
    """Logs artifacts; returns what each pinned name holds."""
    pins = {}
    for number in range(COUNT):
        tree = {"own": b"%d" % number, "deep/er": b"the same"}
        artifact = log_folder(write_tree(folder / str(number), tree), fresh_name())
        pins[f"{PROJECT}/{artifact.source_name.split(':')[0]}:{artifact.digest}"] = tree
    return pins


def use_all(pins: dict[str, dict[str, bytes]], root: Path, run: holdfast.Run) -> None:
    for number, (pin, tree) in enumerate(pins.items()):
        artifact = run.use_artifact(pin)
        artifact.download(str(root / str(number)))
        assert read_tree(root / str(number)) == tree


def users_of(pin: str) -> list[str]:
    return [run.id for run in holdfast.Api().artifact(pin).used_by()]


def test_known_pins_are_used_and_downloaded_while_the_registry_is_away(
    host: SdkHost, registry: OwnRegistry, tmp_path: Path
) -> None:
    pins = log_some(tmp_path / "in")
    with holdfast.init(project=PROJECT) as first:
        use_all(pins, tmp_path / "out", first)
    registry.terminate()
    second = holdfast.init(project=PROJECT)
    assert fetched_by(lambda: use_all(pins, tmp_path / "out", second)) == 0
    host.stop_daemon()  # what it knows outlives it
    use_all(pins, tmp_path / "out", second)
    registry.start()
    for pin in pins:
        assert set(users_of(pin)) == {first.id, second.id}
    second.finish()


def test_uses_survive_the_daemon_that_took_them(host: SdkHost, registry: OwnRegistry, tmp_path: Path) -> None:
    pins = log_some(tmp_path / "in")
    with holdfast.init(project=PROJECT) as known:
        use_all(pins, tmp_path / "out", known)
    registry.kill()
    run = holdfast.init(project=PROJECT)
    for pin in pins:
        run.use_artifact(pin)
    host.kill_daemon()
    registry.start()
    assert [run.id in users_of(pin) for pin in pins] == [True] * COUNT
    run.finish()


def test_who_reads_lineage_sees_what_was_just_used(host: SdkHost, tmp_path: Path) -> None:
    pins = log_some(tmp_path / "in")
    for _ in range(5):
        with holdfast.init(project=PROJECT) as run:
            for pin in pins:
                run.use_artifact(pin)
                assert run.id in users_of(pin)
        [used] = [one for one in holdfast.Api().artifact(pin).used_by() if one.id == run.id]
        assert used.state == "finished"


def test_a_version_that_is_deleted_here_is_gone_at_once(host: SdkHost, tmp_path: Path) -> None:
    [pin, *_] = log_some(tmp_path / "in")
    artifact = holdfast.Api().artifact(pin)
    artifact.download(str(tmp_path / "out"))
    version_id = artifact.id
    artifact.delete(delete_aliases=True)
    with pytest.raises(errors.CommError):
        holdfast.Api().artifact(pin)
    host.stop_daemon()
    with pytest.raises(errors.CommError):
        holdfast.Api().artifact(pin)
    assert version_id


def test_aliases_of_a_pinned_version_are_as_this_host_has_changed_them(host: SdkHost, tmp_path: Path) -> None:
    [pin, *_] = log_some(tmp_path / "in")
    assert holdfast.Api().artifact(pin).aliases == ["latest"]
    artifact = holdfast.Api().artifact(pin)
    artifact.aliases.append("kept")
    artifact.save()
    assert sorted(holdfast.Api().artifact(pin).aliases) == ["kept", "latest"]
    name = pin.split("/")[1].split(":")[0]
    log_folder(write_tree(tmp_path / "next", {"other": b"content"}), name)
    assert holdfast.Api().artifact(pin).aliases == ["kept"]


def test_a_digest_that_nothing_has_is_not_found(host: SdkHost, tmp_path: Path) -> None:
    [pin, *_] = log_some(tmp_path / "in")
    with pytest.raises(errors.CommError):
        holdfast.Api().artifact(pin[:-64] + "0" * 64)
