"""Filling a draft: new files, references, removing, overwriting, going on from a logged version."""

from pathlib import Path

import pytest

import holdfast
from holdfast_contract.digest import digest_of
from support.sdk_calls import download, fetched, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def test_new_file_is_added_when_it_is_closed(tmp_path: Path) -> None:
    artifact = new_artifact()
    with artifact.new_file("notes/text.txt", encoding="utf-8") as file:
        file.write("naïve\n")
    with artifact.new_file("raw", mode="wb") as file:
        file.write(bytes(100_000))
    with artifact.new_file("raw", mode="w") as file:
        file.write("replaced")
    with pytest.raises(ValueError, match="already exists"), artifact.new_file("raw") as file:
        file.write("refused")
    with pytest.raises(ZeroDivisionError), artifact.new_file("never") as file:
        file.write(str(1 / 0))
    expected = {"notes/text.txt": "naïve\n".encode(), "raw": b"replaced"}
    assert read_tree(download(log(artifact), tmp_path / "out")) == expected


def test_removed_entries_are_not_logged(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"keep": b"k", "drop": b"d", "folder/a": b"a", "folder/b": b"b", "fold": b"f"})
    artifact = new_artifact()
    artifact.add_dir(str(source))
    artifact.add_file(str(source / "drop"), "alone")
    artifact.remove("drop")
    artifact.remove("folder")
    artifact.remove("alone")
    with pytest.raises(FileNotFoundError):
        artifact.remove("absent")
    assert read_tree(download(log(artifact), tmp_path / "out")) == {"keep": b"k", "fold": b"f"}


def test_a_removed_path_can_be_added_again_with_other_content(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1", "two": b"2"})
    artifact = new_artifact()
    artifact.add_file(str(source / "one"), "x")
    artifact.remove("x")
    artifact.add_file(str(source / "two"), "x")
    assert read_tree(download(log(artifact), tmp_path / "out")) == {"x": b"2"}


def test_the_same_path_twice_needs_overwrite(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1", "two": b"2", "large": bytes(200_000), "larger": bytes(300_000)})
    artifact = new_artifact()
    for name, other in (("one", "two"), ("large", "larger")):
        artifact.add_file(str(source / name), name)
        artifact.add_file(str(source / name), name)
        with pytest.raises(ValueError, match="Cannot add the same path twice"):
            artifact.add_file(str(source / other), name)
        artifact.add_file(str(source / other), name, overwrite=True)
    expected = {"one": b"2", "large": bytes(300_000)}
    assert read_tree(download(log(artifact), tmp_path / "out")) == expected


def test_a_second_folder_needs_merge_for_paths_that_differ(tmp_path: Path) -> None:
    first = write_tree(tmp_path / "first", {"same": b"s", "other": b"1", "only first": b"f"})
    second = write_tree(tmp_path / "second", {"same": b"s", "other": b"2", "only second": b"s"})
    refused = new_artifact()
    refused.add_dir(str(first))
    # Which paths a folder brings is known when the entries are put together, at the latest for the commit.
    refused.add_dir(str(second))
    with pytest.raises(ValueError, match="other"):
        log(refused)
    artifact = new_artifact()
    artifact.add_dir(str(first))
    artifact.add_dir(str(second), merge=True)
    expected = {"same": b"s", "other": b"2", "only first": b"f", "only second": b"s"}
    assert read_tree(download(log(artifact), tmp_path / "out")) == expected


def test_a_file_cannot_be_the_folder_of_another(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1"})
    artifact = new_artifact()
    artifact.add_file(str(source / "one"), "x")
    artifact.add_file(str(source / "one"), "x/y")
    with pytest.raises(ValueError, match="x"):
        log(artifact)


def test_a_draft_knows_its_contents_before_it_is_logged(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1", "sub/two": bytes(100_000)})
    artifact = new_artifact()
    artifact.add_dir(str(source))
    draft = (artifact.digest, artifact.size, sorted(artifact.manifest.entries))
    assert draft[1:] == (100_001, ["one", "sub/two"])
    assert artifact.manifest.entries["sub/two"].digest == digest_of(bytes(100_000)).hex()
    log(artifact)
    assert (artifact.digest, artifact.size, sorted(artifact.manifest.entries)) == draft


def test_an_unchanged_content_makes_no_new_version(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1", "large": bytes(100_000)})
    artifact = new_artifact()
    artifact.add_dir(str(source))
    log(artifact, aliases=["first"])
    again = new_artifact(artifact.name.partition(":")[0])
    again.add_dir(str(source))
    log(again, aliases=["again"], tags=["seen twice"])
    assert again.version == "v0"
    assert again.id == artifact.id
    assert (artifact.is_new_version, again.is_new_version) == (True, False)
    assert set(fetched(again).aliases) == {"first", "again", "latest"}
    assert fetched(again).tags == ["seen twice"]


def test_a_new_draft_goes_on_from_a_version(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"keep": b"k", "drop": b"d", "change": b"old", "large": bytes(200_000)})
    artifact = new_artifact()
    artifact.description, artifact.metadata = "text", {"key": [1, 2]}
    artifact.add_dir(str(source))
    log(artifact, aliases=["best"], tags=["tag"])
    draft = fetched(artifact).new_draft()
    assert (draft.description, draft.metadata) == ("text", {"key": [1, 2]})
    draft.remove("drop")
    write_tree(source, {"change": b"new", "more": b"m"})
    draft.add_file(str(source / "change"), overwrite=True)
    draft.add_file(str(source / "more"))
    with pytest.raises(ValueError, match="twice"):
        draft.add_file(str(source / "change"), "keep")
    log(draft)
    assert draft.version == "v1"
    assert set(draft.aliases) == {"latest"}
    expected = {"keep": b"k", "change": b"new", "large": bytes(200_000), "more": b"m"}
    assert read_tree(download(draft, tmp_path / "out")) == expected
    unchanged = fetched(draft).new_draft()
    assert log(unchanged).version == "v1"


def test_a_reference_to_a_file_keeps_the_bytes_where_they_are(host: SdkHost, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1" * 70_000})
    artifact = new_artifact()
    [entry] = artifact.add_reference(f"file://{source}/one", "ref")
    log(artifact)
    entry = fetched(artifact).get_entry("ref")
    assert (entry.ref, entry.digest, entry.size) == (f"file://{source}/one", digest_of(b"1" * 70_000).hex(), 70_000)
    assert read_tree(download(artifact, tmp_path / "out")) == {"ref": b"1" * 70_000}
    (source / "one").write_bytes(b"2" * 70_000)
    with pytest.raises(holdfast.errors.ReferenceChangedError, match="one"):
        download(artifact, tmp_path / "changed")
    (source / "one").unlink()
    with pytest.raises(FileNotFoundError, match="one"):
        download(artifact, tmp_path / "gone")
    with pytest.warns(UserWarning, match="ref"):
        download(artifact, tmp_path / "allowed", allow_missing_references=True)


def test_a_reference_to_a_folder_is_one_entry_for_each_file(tmp_path: Path) -> None:
    tree = {"one": b"1", "sub/two": b"2"}
    source = write_tree(tmp_path / "in", tree)
    artifact = new_artifact()
    entries = artifact.add_reference(f"file://{source}", "refs")
    assert sorted(entry.path for entry in entries) == ["refs/one", "refs/sub/two"]
    log(artifact)
    assert read_tree(download(artifact, tmp_path / "out") / "refs") == tree


def test_a_reference_of_an_unknown_scheme_is_tracked_and_never_fetched(tmp_path: Path) -> None:
    artifact = new_artifact()
    with pytest.raises(ValueError, match="name"):
        artifact.add_reference("tape://vault/7")
    with pytest.warns(UserWarning, match="checksummed"):
        artifact.add_reference("tape://vault/7", "tape")
    log(artifact)
    entry = fetched(artifact).get_entry("tape")
    assert (entry.ref, entry.digest) == ("tape://vault/7", "tape://vault/7")
    with pytest.raises(ValueError, match="tape"):
        download(artifact, tmp_path / "out")


def test_a_logged_artifact_is_closed(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"one": b"1"})
    artifact = new_artifact()
    artifact.add_file(str(source / "one"))
    log(artifact)
    with pytest.raises(holdfast.ArtifactFinalizedError):
        artifact.add_file(str(source / "one"), "two")
    with pytest.raises(holdfast.ArtifactNotLoggedError):
        new_artifact().wait()
