"""Semantic versions beside `vN`: given to drafts, found by name and by range wherever a version is named."""

from pathlib import Path

import fsspec
import pytest

import holdfast
from holdfast import errors
from holdfast.fs import HoldfastFileSystem
from support.sdk_calls import PROJECT, download, fetched, fresh_name, log, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def holding(text: str, name: str, semantic_version: str | None = None, bump: str = "major") -> holdfast.Artifact:
    """A draft with one file."""
    artifact = new_artifact(name)
    with artifact.new_file("file") as file:
        file.write(text)
    artifact.semantic_version, artifact.version_bump = semantic_version, bump
    return artifact


def test_drafts_get_the_next_one_or_what_they_ask_for() -> None:
    name = fresh_name()
    assert new_artifact().semantic_version is None
    logged = [log(holding(*wish)) for wish in (("0", name), ("1", name, None, "minor"), ("2", name, "1.0.7"))]
    logged.append(log(holding("3", name, bump="patch")))
    assert [version.semantic_version for version in logged] == ["1.0.0", "1.1.0", "1.0.7", "1.1.1"]
    assert fetched(logged[2]).semantic_version == "1.0.7"
    assert logged[3].new_draft().semantic_version is None


def test_only_a_draft_can_be_given_one_that_is_well_formed() -> None:
    draft = holding("x", fresh_name())
    with pytest.raises(ValueError, match="MAJOR"):
        draft.semantic_version = "1.2"
    with pytest.raises(ValueError, match="patch"):
        draft.version_bump = "none"
    log(draft)
    with pytest.raises(errors.ArtifactFinalizedError):
        draft.semantic_version = "2.0.0"


def test_one_that_was_given_is_refused_with_the_reason() -> None:
    name = fresh_name()
    first = log(holding("0", name, "1.2.0"))
    with pytest.raises(errors.SemanticVersionExistsError, match=r"1\.2\.0"):
        log(holding("1", name, "1.2.0"))
    first.delete(delete_aliases=True)
    with pytest.raises(errors.SemanticVersionDeletedError, match="deleted"):
        log(holding("1", name, "1.2.0"))
    assert issubclass(errors.SemanticVersionExistsError, ValueError)
    assert log(holding("1", name)).semantic_version == "2.0.0"


def test_equal_content_under_another_one_is_a_version_of_its_own() -> None:
    name = fresh_name()
    first, again, other = (log(holding("same", name, wish)) for wish in (None, "1.0.0", "1.0.1"))
    assert (first.version, again.version, other.version) == ("v0", "v0", "v1")
    assert other.progress().bytes_sent == 0


def test_every_place_that_takes_a_name_takes_versions_and_ranges(tmp_path: Path) -> None:
    name = fresh_name()
    for number, text in enumerate(("1.2.0", "1.9.3", "2.0.0", "2.1.0-rc.1")):
        log(holding(str(number), name, text))
    path, api = f"{PROJECT}/{name}", holdfast.Api()
    wanted = {"1.2.0": "v0", "^1.2": "v1", "~1.2": "v0", ">=1.0,<2.0": "v1", "1.x": "v1", "1.2.*": "v0", "*": "v2"}
    assert {alias: api.artifact(f"{path}:{alias}").version for alias in wanted} == wanted
    assert api.artifact(f"{path}:Latest").version == "v3"
    assert not api.artifact_exists(f"{path}:^3")
    assert (download(api.artifact(f"{path}:^1"), tmp_path / "in") / "file").read_text() == "1"
    with holdfast.init(project=PROJECT) as run:
        assert run.use_artifact(f"{name}:^1.2").version == "v1"
        linked = run.link_artifact(api.artifact(f"{path}:1.2.0"), f"{PROJECT}/{name}-shelf")
    assert (linked.version, linked.semantic_version) == ("v0", "1.2.0")
    assert api.artifact(f"{path}-shelf:^1").source_version == "v0"


def test_paths_of_the_file_system_and_references_take_ranges() -> None:
    fsspec.register_implementation("holdfast", HoldfastFileSystem, clobber=True)
    name = fresh_name()
    for number, text in enumerate(("1.2.0", "2.0.0")):
        log(holding(str(number), name, text))
    root = f"holdfast://local/{PROJECT}/{name}"
    with fsspec.open(f"{root}:^1.2/file", "r") as file:
        assert file.read() == "0"
    assert fsspec.filesystem("holdfast").ls(f"{root}:1.x", detail=False) == [f"local/{PROJECT}/{name}:1.x/file"]
    referring = new_artifact()
    referring.add_reference(f"{root}:^1.2/file".replace("holdfast:", "holdfast-artifact:"), name="there")
    assert log(referring).get_entry("there").size == 1


def test_lists_are_filtered_and_sorted_by_precedence() -> None:
    name = fresh_name()
    for number, text in enumerate(("1.10.0", "1.2.0", "3.0.0")):
        log(holding(str(number), name, text))
    found = holdfast.Api().artifacts(
        "dataset", f"{PROJECT}/{name}", order="-semantic_version", filters={"semantic_version": {"$lt": "3.0.0"}}
    )
    assert [version.semantic_version for version in found] == ["1.10.0", "1.2.0"]
