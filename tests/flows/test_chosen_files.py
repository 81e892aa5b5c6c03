"""Folders added by patterns, and file references downloaded into folders that are not empty."""

import os
from pathlib import Path

import pytest

import holdfast
from support.sdk_calls import download, fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def paths(artifact: holdfast.Artifact) -> set[str]:
    return set(artifact.manifest.entries)


def logged_paths(folder: Path, name: str, **how: object) -> set[str]:
    artifact = new_artifact(name)
    artifact.add_dir(str(folder), "in", **how)  # type: ignore[arg-type]
    return {path.removeprefix("in/") for path in paths(log(artifact))}


def test_the_same_folder_is_logged_with_other_patterns_each_time(tmp_path: Path) -> None:
    files = {
        f"{folder}f{at}.{end}": b"%d" % at for folder in ("", "d/", "d/e/") for at in range(5) for end in ("a", "b")
    }
    source = write_tree(tmp_path / "in", files)
    for file in source.rglob("*.*"):
        os.utime(file, (1, 1))
    name = fresh_name()
    ending_in_a = {path for path in files if path.endswith(".a")}
    assert logged_paths(source, name, include=["*.a"]) == ending_in_a
    assert logged_paths(source, name) == set(files)
    assert logged_paths(source, name, exclude=["d/e/", "*.a"]) == {
        path for path in files if not path.startswith("d/e/") and path.endswith(".b")
    }
    (source / "f0.a").write_bytes(b"changed")
    artifact = new_artifact(name)
    artifact.add_dir(str(source), include="*.a")
    logged = log(artifact)
    assert paths(logged) == ending_in_a
    expected = {path: files[path] for path in ending_in_a} | {"f0.a": b"changed"}
    assert read_tree(download(logged, tmp_path / "out")) == expected


def test_ignore_files_leave_out_what_they_name_and_themselves(tmp_path: Path) -> None:
    source = write_tree(
        tmp_path / "in",
        {
            ".artifactignore": b"*.tmp\nbuild/\n!kept.tmp\n",
            "a": b"a",
            "b.tmp": b"b",
            "kept.tmp": b"k",
            "build/c": b"c",
            "sub/.artifactignore": b"!b.tmp\n/only-here\n",
            "sub/b.tmp": b"b",
            "sub/only-here": b"x",
            "sub/deeper/only-here": b"y",
        },
    )
    expected = {"a", "kept.tmp", "sub/b.tmp", "sub/deeper/only-here"}
    assert logged_paths(source, fresh_name()) == expected
    assert logged_paths(source, fresh_name(), exclude="kept.*") == expected - {"kept.tmp"}
    assert logged_paths(source, fresh_name(), include="*.tmp") == {"kept.tmp", "sub/b.tmp"}


def test_links_can_be_left_out(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"file": b"f", "folder/inner": b"i"})
    (source / "to file").symlink_to("file")
    (source / "to folder").symlink_to("folder")
    (source / "broken").symlink_to("nowhere")
    (source / "cycle").symlink_to(".")
    assert logged_paths(source, fresh_name(), follow_symlinks=False) == {"file", "folder/inner"}
    assert logged_paths(source, fresh_name(), exclude=["broken", "cycle"]) == {
        "file",
        "folder/inner",
        "to file",
        "to folder/inner",
    }


def test_patterns_that_leave_nothing_make_an_empty_version(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"a": b"a", "d/b": b"b"})
    assert logged_paths(source, fresh_name(), exclude="*") == set()


def test_a_folder_with_several_bad_files_names_them(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"a": b"a"})
    for at in range(9):
        (source / f"broken{at}").symlink_to("nowhere")
    artifact = new_artifact()
    with pytest.raises(holdfast.errors.FileMissingError) as caught:
        artifact.add_dir(str(source))
    message = str(caught.value)
    assert "8 more files have problems" in message
    assert message.count("/broken") == 6


@pytest.mark.parametrize("checksum", [True, False])
def test_file_references_keep_or_refuse_what_is_there(tmp_path: Path, checksum: bool) -> None:
    source = write_tree(tmp_path / "in", {"a": b"a", "b": b"b"})
    artifact = new_artifact()
    artifact.add_reference(f"file://{source}", checksum=checksum)
    logged = log(artifact)
    out = write_tree(tmp_path / "out", {"a": b"mine"})
    with pytest.raises(ValueError, match="1 file is"):
        logged.download(str(out), overwrite=False)
    assert read_tree(out) == {"a": b"mine"}
    logged.download(str(out), overwrite="keep")
    assert read_tree(out) == {"a": b"mine", "b": b"b"}
    logged.download(str(out))
    assert read_tree(out) == {"a": b"a", "b": b"b"}
