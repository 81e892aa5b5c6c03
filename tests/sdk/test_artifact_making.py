"""Names, types, metadata, aliases and tags: what is refused before anything leaves the process."""

from typing import Any

import pytest

from holdfast.artifact import Artifact
from holdfast.errors import ArtifactFinalizedError, ArtifactNotLoggedError
from holdfast.runs import init
from holdfast_contract.digest import ArtifactDigest

LOGGED_ONLY = [
    "entity",
    "project",
    "qualified_name",
    "version",
    "source_entity",
    "source_project",
    "source_version",
    "source_qualified_name",
    "url",
    "aliases",
    "tags",
    "commit_hash",
    "file_count",
    "created_at",
    "updated_at",
    "history_step",
    "collection",
    "source_collection",
    "linked_artifacts",
    "source_artifact",
]

LOGGED_ONLY_METHODS = [
    "new_draft",
    "download",
    "checkout",
    "verify",
    "file",
    "files",
    "delete",
    "used_by",
    "logged_by",
    "json_encode",
    "unlink",
]


@pytest.mark.parametrize("name", ["a/b", "", "a b", "ü", "a\n", "..", "x" * 129, "a:v1"])
def test_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="rtifact name"):
        Artifact(name, "dataset")


@pytest.mark.parametrize("type_name", ["job", "wandb-history", "", "a/b", "a:b"])
def test_bad_or_reserved_type_is_refused(type_name: str) -> None:
    with pytest.raises(ValueError, match="type"):
        Artifact("a", type_name)


@pytest.mark.parametrize(("name", "type_name"), [("run-1-x", "run_table"), ("source-x", "code")])
def test_type_reserved_for_some_names_is_refused_for_those(name: str, type_name: str) -> None:
    with pytest.raises(ValueError, match="reserved for internal use"):
        Artifact(name, type_name)
    assert Artifact("other", type_name).type == type_name


@pytest.mark.parametrize("metadata", [{f"k{i}": i for i in range(101)}, {"a": float("inf")}])
def test_metadata_over_a_limit_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        Artifact("a", "dataset", metadata=metadata)


@pytest.mark.parametrize("metadata", [[1], 1, {"a": {1, 2}}, {("k",): 1}])
def test_metadata_that_json_cannot_say_is_a_type_error(metadata: Any) -> None:
    with pytest.raises(TypeError):
        Artifact("a", "dataset", metadata=metadata)


def test_metadata_is_a_plain_deep_copy() -> None:
    given = {"nested": {"list": [1]}, "tuple": (1, 2), "nan": float("nan")}
    artifact = Artifact("a", "dataset", metadata=given)
    given["nested"]["list"].append(2)  # type: ignore[index]
    assert artifact.metadata == {"nested": {"list": [1]}, "tuple": [1, 2], "nan": None}


@pytest.mark.parametrize("region", ["", " ", 5])
def test_storage_region_is_text_or_nothing(region: Any) -> None:
    with pytest.raises(ValueError, match="storage_region"):
        Artifact("a", "dataset", storage_region=region)


def test_deprecated_arguments_warn() -> None:
    with pytest.warns(DeprecationWarning, match="use_as"):
        assert Artifact("a", "dataset", use_as="x").use_as == "x"
    with pytest.warns(UserWarning, match="incremental"):
        assert Artifact("a", "dataset", incremental=True).incremental


def test_empty_draft_knows_what_a_draft_can_know_without_any_daemon() -> None:
    artifact = Artifact("a", "dataset", description="d")
    assert (artifact.id, artifact.name, artifact.source_name, artifact.state) == (None, "a", "a", "PENDING")
    assert (artifact.size, len(artifact.manifest), artifact.digest) == (0, 0, ArtifactDigest().hexdigest())
    assert artifact.is_draft()
    assert not artifact.is_link
    assert artifact.get_added_local_path_name("x") is None


@pytest.mark.parametrize("attribute", LOGGED_ONLY)
def test_attribute_of_a_version_is_refused_on_a_draft(attribute: str) -> None:
    with pytest.raises(ArtifactNotLoggedError, match=r"used prior to logging artifact or while in offline mode\. Call"):
        getattr(Artifact("a", "dataset"), attribute)


@pytest.mark.parametrize("method", [*LOGGED_ONLY_METHODS, "wait"])
def test_method_of_a_version_is_refused_on_a_draft(method: str) -> None:
    with pytest.raises(ArtifactNotLoggedError, match=rf"'Artifact\.{method}' used prior to logging"):
        getattr(Artifact("a", "dataset"), method)()


@pytest.mark.parametrize("method", ["get_entry", "get_path"])
def test_entries_are_refused_on_a_draft(method: str) -> None:
    with pytest.raises(ArtifactNotLoggedError):
        getattr(Artifact("a", "dataset"), method)("x")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("add_file", ["x"]),
        ("add_dir", ["x"]),
        ("add_reference", ["file://x"]),
        ("remove", ["x"]),
        ("new_file", ["x"]),
    ],
)
def test_finalized_artifact_refuses_changes(method: str, arguments: list[str]) -> None:
    artifact = Artifact("a", "dataset")
    artifact.finalize()
    with pytest.raises(ArtifactFinalizedError, match=rf"'Artifact\.{method}' used on logged artifact"):
        getattr(artifact, method)(*arguments)


def test_description_that_is_no_text_is_refused_when_given() -> None:
    with pytest.raises(TypeError, match="description must be a str or None, not int"):
        Artifact("a", "dataset", description=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("alias", ["a/b", "a:b", "", "v1"])
@pytest.mark.usefixtures("places")
def test_bad_alias_is_refused_at_logging(alias: str) -> None:
    with pytest.raises(ValueError, match=r"[Aa]lias"):
        init().log_artifact(Artifact("a", "dataset"), aliases=[alias])


@pytest.mark.parametrize("tag", ["a/b", "", " a", "a,b"])
@pytest.mark.usefixtures("places")
def test_bad_tag_is_refused_at_logging(tag: str) -> None:
    with pytest.raises(ValueError, match="Invalid tag"):
        init().log_artifact(Artifact("a", "dataset"), tags=[tag])


@pytest.mark.usefixtures("places")
def test_metadata_changed_to_nonsense_is_refused_at_logging_and_can_be_mended() -> None:
    artifact = Artifact("a", "dataset")
    artifact.metadata["x"] = {1, 2}
    with pytest.raises(TypeError):
        init().log_artifact(artifact)
    assert not artifact.is_final
