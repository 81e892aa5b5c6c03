"""What is said of a version besides its bytes: names, text, lineage, deletion."""

from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from support.sdk_calls import PROJECT, fetched, fresh_name, log, new_artifact
from support.sdk_host import SdkHost

METADATA = {"text": "naïve 🦜", "nested": {"list": [1, 2.5, None, True]}, "empty": {}}


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def holding(text: str, name: str | None = None) -> holdfast.Artifact:
    """A draft with one file."""
    artifact = new_artifact(name)
    with artifact.new_file("file") as file:
        file.write(text)
    return artifact


def test_description_metadata_aliases_and_tags_come_back(tmp_path: Path) -> None:
    artifact = holding("x")
    artifact.description, artifact.metadata = "Some *text*\nin lines", METADATA
    log(artifact, aliases=["best", "übung"], tags=["a tag", "other"])
    found = fetched(artifact)
    assert (found.description, found.metadata) == ("Some *text*\nin lines", METADATA)
    assert set(found.aliases) == {"best", "übung", "latest"}
    assert set(found.tags) == {"a tag", "other"}
    assert (found.type, found.state, found.version, found.project) == ("dataset", "COMMITTED", "v0", PROJECT)
    assert found.commit_hash


def test_changes_are_kept_by_save(tmp_path: Path) -> None:
    artifact = log(holding("x"), aliases=["old"], tags=["old tag"])
    artifact.description, artifact.metadata = "new", {"k": 1}
    artifact.aliases.append("new")
    artifact.aliases.remove("old")
    artifact.tags = ["new tag"]
    artifact.save()
    found = fetched(artifact)
    assert (found.description, found.metadata, found.tags) == ("new", {"k": 1}, ["new tag"])
    assert set(found.aliases) == {"new", "latest"}
    found.description = None
    found.save()
    assert fetched(artifact).description is None


def test_versions_are_numbered_and_latest_names_the_last() -> None:
    name = fresh_name()
    for number in range(3):
        artifact = log(holding(f"content {number}", name), aliases=["moving"])
        assert artifact.version == f"v{number}"
    api = holdfast.Api()
    path = f"{PROJECT}/{name}"
    assert api.artifact(f"{path}:latest").version == "v2"
    assert api.artifact(path).version == "v2"
    assert api.artifact(f"{path}:moving").version == "v2"
    assert api.artifact(f"{path}:v1").version == "v1"
    assert api.artifact(f"{path}:v0").aliases == []
    assert [found.version for found in api.artifacts("dataset", path)] == ["v2", "v1", "v0"]
    assert api.artifact_exists(f"{path}:v1")
    assert not api.artifact_exists(f"{path}:v3")
    with pytest.raises(errors.CommError):
        api.artifact(f"{path}:v3")


def test_lineage_knows_who_logged_and_who_used() -> None:
    name = fresh_name()
    with holdfast.init(project=PROJECT, job_type="prepare", config={"rate": 0.5}) as maker:
        maker.log_artifact(holding("x", name)).wait()
    with holdfast.init(project=PROJECT, job_type="train") as user:
        used = user.use_artifact(f"{name}:latest", type="dataset")
        user.log_artifact(holding("model", f"{name}-model")).wait()
    logged_by = used.logged_by()
    assert logged_by is not None
    assert (logged_by.id, logged_by.job_type, logged_by.config) == (maker.id, "prepare", {"rate": 0.5})
    [used_by] = used.used_by()
    assert used_by.id == user.id
    assert [found.name for found in used_by.used_artifacts()] == [f"{name}:v0"]
    assert [found.name for found in used_by.logged_artifacts()] == [f"{name}-model:v0"]


def test_a_draft_that_is_used_is_logged_first() -> None:
    with holdfast.init(project=PROJECT) as run:
        used = run.use_artifact(holding("x"))
    assert used.version == "v0"
    assert [by.id for by in used.used_by()] == [run.id]


def test_a_collection_holds_one_type() -> None:
    name = fresh_name()
    log(holding("x", name))
    other = holdfast.Artifact(name, "model")
    with other.new_file("file") as file:
        file.write("y")
    with pytest.raises(ValueError, match="already exists with type 'dataset'"):
        log(other)


def test_a_version_with_aliases_is_deleted_only_with_them() -> None:
    name = fresh_name()
    first, second = (log(holding(text, name)) for text in "ab")
    with pytest.raises(errors.CommError, match="alias"):
        second.delete()
    assert second.state == "COMMITTED"
    second.delete(delete_aliases=True)
    assert second.state == "DELETED"
    api = holdfast.Api()
    assert not api.artifact_exists(f"{PROJECT}/{name}:v1")
    assert api.artifact(f"{PROJECT}/{name}:latest").version == "v0"
    # Its number is not given again, nor is its content taken for there.
    assert log(holding("b", name)).version == "v2"
    first.delete(delete_aliases=True)
    assert [found.version for found in api.artifacts("dataset", f"{PROJECT}/{name}")] == ["v2"]


@pytest.mark.parametrize("alias", ["a/b", "a:b", "v3"])
def test_names_that_break_their_rules_are_refused_before_anything_is_logged(alias: str) -> None:
    artifact = holding("x")
    with pytest.raises(ValueError, match=r"[Aa]lias"):
        log(artifact, aliases=[alias])
    assert log(artifact, aliases=["fine"]).version == "v0"


def test_metadata_that_breaks_its_rules_is_refused() -> None:
    for metadata in ({"k": float("inf")}, {str(n): n for n in range(101)}, {"k": object()}):
        with pytest.raises((ValueError, TypeError)):
            holdfast.Artifact("x", "dataset", metadata=metadata)
