"""References to files and folders of this machine."""

import os
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import ReferenceChangedError, ReferenceMissingError
from holdfast_contract.digest import digest_of
from support.sdk_calls import download, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


ODD = {
    "with space": b"1",
    "per%41cent": b"2",
    "a#b": b"3",
    "plus+é": b"4",
    "sub/x": b"5",
    "sub/large#1": random_bytes(2 << 20),
}


def test_a_file_is_read_but_not_stored(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"data.bin": random_bytes(300_000)})
    artifact = new_artifact()
    (entry,) = artifact.add_reference(f"file://{source}/data.bin")
    assert (entry.path, entry.size, entry.ref) == ("data.bin", 300_000, f"file://{source}/data.bin")
    assert entry.digest == digest_of((source / "data.bin").read_bytes()).hex()
    assert read_tree(download(log(artifact), tmp_path / "out")) == read_tree(source)


def test_names_mean_themselves(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", ODD)
    artifact = new_artifact()
    entries = artifact.add_reference(f"file://{source}")
    assert sorted(entry.path for entry in entries) == sorted(ODD)
    assert read_tree(download(log(artifact), tmp_path / "out")) == ODD
    for number, name in enumerate(ODD):
        for form in (f"file://{source}/{name}", (source / name).as_uri()):
            one = new_artifact()
            one.add_reference(form, "one")
            assert read_tree(download(log(one), tmp_path / str(number))) == {"one": ODD[name]}


def test_without_checksum_nothing_is_read(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", ODD)
    artifact = new_artifact()
    artifact.add_reference(f"file://{source}", "in", checksum=False)
    log(artifact)
    for path, entry in artifact.manifest.entries.items():
        assert entry.digest == digest_of(entry.ref_target().encode()).hex()
        assert entry.size == len(ODD[path.removeprefix("in/")])
    write_tree(source, {"with space": b"changed"})
    assert read_tree(download(artifact, tmp_path / "out"))["in/with space"] == b"changed"
    (single,) = new_artifact().add_reference(f"file://{source}/a#b", checksum=False)
    assert single.digest == digest_of(f"file://{source}/a%23b".encode()).hex()


def test_more_files_than_allowed_are_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"a": b"1", "large": random_bytes(2 << 20), "sub/c": b"3"})
    for limit in (1, 2):
        with pytest.raises(ValueError, match=f"Exceeded {limit} objects tracked, pass max_objects"):
            new_artifact().add_reference(f"file://{source}", max_objects=limit)
        with pytest.raises(ValueError, match=f"Exceeded {limit} objects tracked, pass max_objects"):
            holdfast.LocalFileHandler().store_path(None, f"file://{source}", max_objects=limit)
    assert len(new_artifact().add_reference(f"file://{source}", max_objects=3)) == 3


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'Path "file:///absent/x" must be a valid file or directory path'):
        new_artifact().add_reference("file:///absent/x")
    with pytest.raises(ValueError, match=r"References must be URIs\. To reference a local file, use file://"):
        new_artifact().add_reference(str(tmp_path))


def test_a_file_that_changed_or_went_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"x": b"old"})
    artifact = new_artifact()
    (entry,) = artifact.add_reference(f"file://{source}/x")
    log(artifact)
    handler = holdfast.LocalFileHandler()
    assert handler.load_path(entry, local=True) == str(source / "x")
    assert handler.load_path(entry) == f"file://{source}/x"
    (source / "x").write_bytes(b"new")
    with pytest.raises(ReferenceChangedError):
        artifact.download(str(tmp_path / "out"))
    with pytest.raises(ReferenceChangedError, match="Local file reference: Digest mismatch for path"):
        handler.load_path(entry, local=True)
    os.unlink(source / "x")
    with pytest.raises(ReferenceMissingError):
        artifact.download(str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match="Local file reference: Failed to find file at path"):
        handler.load_path(entry, local=True)


def test_the_handler_by_itself_finds_what_the_daemon_finds(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", ODD)
    for checksum in (True, False):
        artifact = new_artifact()
        entries = artifact.add_reference(f"file://{source}", "n", checksum=checksum)
        found = holdfast.LocalFileHandler().store_path(artifact, f"file://{source}", "n", checksum=checksum)
        assert sorted((e.path, e.digest, e.ref, e.size) for e in found) == sorted(
            (e.path, e.digest, e.ref, e.size) for e in entries
        )
