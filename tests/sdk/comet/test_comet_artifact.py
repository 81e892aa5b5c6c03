"""Filling a Comet artifact: logical paths, conflicts, metadata, versions; nothing of it speaks to anybody."""

import io
import os
from pathlib import Path

import pytest
import semantic_version

from holdfast.comet import Artifact, ArtifactAsset
from holdfast.comet._sending import metadata_to_set
from holdfast.comet.exceptions import ArtifactAssetNotFound, ArtifactConflictingAssetLogicalPath
from holdfast_contract.limits import NAME_CHARS_MAX
from support.trees import write_tree


def paths_of(artifact: Artifact) -> list[str]:
    return [asset.logical_path for asset in artifact.assets]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "mnist", {"train/a": b"a", "b": b"bb"})


def test_an_artifact_has_the_documented_attributes() -> None:
    artifact = Artifact("name", version="1.2.3-rc.1", aliases=["a", "a"], metadata={"k": 1}, version_tags=["t"])
    assert (artifact.name, artifact.artifact_type, artifact.version_tags, artifact.aliases) == (
        "name",
        "data",
        {"t"},
        {"a"},
    )
    assert artifact.version == semantic_version.Version("1.2.3-rc.1")
    assert (artifact.metadata, artifact.assets, artifact.download_local_path) == ({"k": 1}, [], None)
    assert str(artifact) == "Artifact('name', artifact_type='data')"
    assert repr(artifact).startswith(
        "Artifact('name', artifact_type='data', version=Version('1.2.3-rc.1'), aliases={'a'}"
    )


@pytest.mark.parametrize(
    "arguments",
    [{"version": "1.2"}, {"version": "v1"}, {"metadata": ["no dict"]}, {"name": "a/b"}, {"name": ""}],
)
def test_what_breaks_the_rules_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Comet promises no more than this
        Artifact(**{"name": "name", **arguments})  # type: ignore[arg-type]


def test_too_long_a_name_is_cut_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=f"truncated to be {NAME_CHARS_MAX} characters long"):
        artifact = Artifact("x" * (NAME_CHARS_MAX + 1))
    assert artifact.name == "x" * NAME_CHARS_MAX


def test_a_file_has_its_name_or_exactly_the_logical_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    artifact = Artifact("name")
    artifact.add(str(folder / "b"))
    artifact.add(folder / "b", "other/name")
    artifact.add("~/train/a", metadata={"k": 1})
    assert paths_of(artifact) == ["b", "other/name", "a"]
    assert [asset.size for asset in artifact.assets] == [2, 2, 1]
    assert artifact.assets[2].metadata == {"k": 1}
    assert artifact.assets[2].local_path_or_data == str(folder / "train/a")


def test_a_folder_keeps_its_name_unless_another_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    artifact = Artifact("name")
    artifact.add(folder, metadata={"k": 1})
    artifact.add(folder, "given/path")
    monkeypatch.chdir(folder)
    artifact.add("train/")
    artifact.add("train", "")
    assert paths_of(artifact) == [
        "mnist/b",
        "mnist/train/a",
        "given/path/b",
        "given/path/train/a",
        "train/a",
        "a",
    ]
    assert [asset.metadata for asset in artifact.assets] == [{"k": 1}, {"k": 1}, {}, {}, {}, {}]


def test_an_object_needs_a_logical_path() -> None:
    artifact = Artifact("name")
    with pytest.raises(TypeError, match="logical_path"):
        artifact.add(io.BytesIO(b"data"))
    artifact.add(io.BytesIO(b"data"), "bytes")
    artifact.add(io.StringIO("naïve"), "text")
    assert {asset.logical_path: asset.size for asset in artifact.assets} == {"bytes": 4, "text": 6}


def test_what_is_neither_file_nor_object_is_refused() -> None:
    artifact = Artifact("name")
    with pytest.raises(TypeError):
        artifact.add(None)
    for nothing in ("/no/such/file", 7, b"bytes"):
        with pytest.raises(ValueError, match="must either be a valid file-path or an IO object"):
            artifact.add(nothing)


def test_one_logical_path_is_taken_once_whatever_overwrite_says(folder: Path) -> None:
    artifact = Artifact("name")
    artifact.add(folder / "b", "train/a")
    with pytest.raises(ArtifactConflictingAssetLogicalPath) as caught:
        artifact.add(folder, "", overwrite=True)
    assert caught.value.common_logical_path == "train/a"
    assert isinstance(caught.value.existing_asset, ArtifactAsset)
    assert str(folder / "train/a") in str(caught.value)
    assert paths_of(artifact) == ["train/a"], "all of a folder, or nothing"


def test_what_was_added_can_be_removed(folder: Path) -> None:
    artifact = Artifact("name")
    artifact.add(folder)
    artifact.add(folder / "b")
    artifact.remove("b")
    artifact.remove("mnist")
    assert artifact.assets == []
    with pytest.raises(ArtifactAssetNotFound, match="mnist"):
        artifact.remove("mnist")


def test_a_link_is_named_by_its_last_segment() -> None:
    artifact = Artifact("name")
    for uri in ("other://bucket/folder/object", "other://bucket", "anything at all"):
        artifact.add_remote(uri)
        artifact.remove(name := paths_of(artifact)[0])
        assert name == {"other://bucket/folder/object": "object"}.get(uri, "remote")
    artifact.add_remote("other://b/o", "links/one", metadata={"k": 1}, asset_type="deprecated")
    [asset] = artifact.assets
    assert (asset.remote, asset.link, asset.size, asset.metadata) == (True, "other://b/o", 0, {"k": 1})


def test_a_link_that_is_only_noted_is_not_looked_at() -> None:
    artifact = Artifact("name")
    artifact.add_remote("s3://no-such-bucket/object", sync_mode=False)
    assert (artifact.assets[0].logical_path, artifact.assets[0].metadata) == ("object", {})


def test_assets_are_equal_by_all_their_fields_and_ordered_by_path(folder: Path) -> None:
    one, other = Artifact("name"), Artifact("name")
    for artifact in (one, other):
        artifact.add(folder)
    assert one.assets == other.assets
    assert one.assets[0] < one.assets[1]
    other.remove("mnist/b")
    other.add(folder / "b", "mnist/b", metadata={"k": 1})
    assert sorted(other.assets) != one.assets
    assert [len(asset.id) for asset in one.assets] == [32, 32]


def test_metadata_of_a_whole_folder_is_said_once(folder: Path) -> None:
    artifact = Artifact("name")
    artifact.add(folder, metadata={"k": 1})
    artifact.add(folder, "mixed", metadata={"k": 1})
    artifact.add(folder / "b", "mixed/more", metadata={"k": 2})
    artifact.add(folder, "none")
    artifact.add(folder, "linked", metadata={"k": 1})
    artifact.add_remote("other://x", "linked/x")
    artifact.add(folder / "b", metadata={"k": 3})
    one = b'{"metadata": {"k": 1}}'
    assert dict(metadata_to_set(artifact._assets)) == {
        "mnist": one,
        "mixed/b": one,
        "mixed/train/a": one,
        "mixed/more": b'{"metadata": {"k": 2}}',
        "linked/b": one,
        "linked/train/a": one,
        "b": b'{"metadata": {"k": 3}}',
    }


def test_only_a_downloaded_artifact_has_a_next_version() -> None:
    with pytest.raises(ValueError, match="not downloaded"):
        Artifact("name").increment_minor_version()
