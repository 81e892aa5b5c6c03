"""Getting versions back: all, a part, one entry; comparing a folder with a version; a store that is damaged."""

import json
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from support.sdk_calls import download, fetched, log_folder
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

TREE = {
    "top": b"top",
    "part/one": random_bytes(100),
    "part/two": random_bytes(300_000),
    "part-2/three": b"3",
    "other/four": b"4",
}


@pytest.fixture(scope="module")
def artifact(host: SdkHost, tmp_path_factory: pytest.TempPathFactory) -> holdfast.Artifact:
    return fetched(log_folder(write_tree(tmp_path_factory.mktemp("in"), TREE)))


def test_a_prefix_is_any_beginning_of_a_path(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    artifact.download(str(tmp_path / "folder"), path_prefix="part/")
    assert read_tree(tmp_path / "folder") == {name: TREE[name] for name in ("part/one", "part/two")}
    artifact.download(str(tmp_path / "text"), path_prefix="part")
    assert read_tree(tmp_path / "text") == {name: data for name, data in TREE.items() if name.startswith("part")}
    artifact.download(str(tmp_path / "none"), path_prefix="absent")
    assert read_tree(tmp_path / "none") == {}


def test_one_entry_can_be_downloaded(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    path = artifact.get_entry("part/two").download(str(tmp_path))
    assert path == str(tmp_path / "part/two")
    assert read_tree(tmp_path) == {"part/two": TREE["part/two"]}
    with pytest.raises(KeyError):
        artifact.get_entry("absent")


def test_the_default_folder_is_named_after_the_version(
    artifact: holdfast.Artifact, tmp_path: Path, host: SdkHost
) -> None:
    code = "import sys, holdfast; print(holdfast.Api().artifact(sys.argv[1]).download())"
    done = host.run(code, artifact.qualified_name)
    assert done.stdout.strip() == str(host.folder / "artifacts" / artifact.name), done.stderr
    assert read_tree(host.folder / "artifacts" / artifact.name) == TREE


def test_a_download_repairs_and_keeps_what_is_not_its_own(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    write_tree(tmp_path, {"top": b"changed", "mine": b"stays"})
    artifact.download(str(tmp_path))
    assert read_tree(tmp_path) == {**TREE, "mine": b"stays"}
    (tmp_path / "part/one").unlink()
    artifact.download(str(tmp_path))
    assert read_tree(tmp_path) == {**TREE, "mine": b"stays"}


def test_a_checkout_holds_the_version_and_nothing_else(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    write_tree(tmp_path, {"top": b"changed", "mine": b"goes", "deep/er/mine": b"goes", "part/mine": b"goes"})
    artifact.checkout(str(tmp_path))
    assert read_tree(tmp_path) == TREE


def test_verify_finds_what_is_changed_missing_or_too_many(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    artifact.download(str(tmp_path))
    artifact.verify(str(tmp_path))
    write_tree(tmp_path, {"extra": b"e"})
    with pytest.raises(ValueError, match="extra"):
        artifact.verify(str(tmp_path))
    (tmp_path / "extra").unlink()
    write_tree(tmp_path, {"part/one": bytes(100)})
    with pytest.raises(ValueError, match="part/one"):
        artifact.verify(str(tmp_path))
    (tmp_path / "part/one").unlink()
    with pytest.raises(FileNotFoundError, match="part/one"):
        artifact.verify(str(tmp_path))


def test_file_needs_a_version_of_one_file(artifact: holdfast.Artifact, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than one file"):
        artifact.file(str(tmp_path / "out"))
    single = log_folder(write_tree(tmp_path / "in", {"only/one": b"1"}))
    assert Path(single.file(str(tmp_path / "out"))).read_bytes() == b"1"


def test_files_are_listed_with_their_sizes(artifact: holdfast.Artifact) -> None:
    assert {file.name: file.size for file in artifact.files()} == {name: len(data) for name, data in TREE.items()}


def test_a_damaged_store_gives_a_clear_error_and_fsck_names_the_version(tmp_path: Path) -> None:
    with SdkHost(tmp_path / "host").entered() as host:
        healthy = log_folder(write_tree(tmp_path / "healthy", {"fine": random_bytes(5000, 1)}))
        hurt = log_folder(write_tree(tmp_path / "hurt", {"wound": random_bytes(200_000, 2)}))
        name = hurt.qualified_name
        _flip_a_bit(host.places.registry_dir, random_bytes(200_000, 2)[1000:1100])
        with pytest.raises(errors.DamagedError, match="wound"):
            download(hurt, tmp_path / "out")
        assert read_tree(tmp_path / "out") == {}
        assert read_tree(download(healthy, tmp_path / "fine")) == {"fine": random_bytes(5000, 1)}
        host.stop()
        checked = host.registry_command("fsck", f"--data-dir={host.places.registry_dir}", "--deep", "--json")
        assert checked.returncode == 1, checked
        assert name in checked.stdout
        assert healthy.qualified_name not in checked.stdout
        assert json.loads(checked.stdout)


def _flip_a_bit(registry_dir: Path, near: bytes) -> None:
    """Damages the one pack that holds these bytes."""
    [pack] = [path for path in registry_dir.rglob("*.pack") if near in path.read_bytes()]
    data = bytearray(pack.read_bytes())
    data[data.index(near)] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
