"""Signatures are the documented ones of W&B: names, order, defaults; what we add comes after, by keyword only or last."""

import inspect
from typing import Any

import pytest

import holdfast
from holdfast._artifact_files import ArtifactFiles, File
from holdfast._run_code import is_of_a_run, is_program_file
from holdfast.api import Api, Artifacts
from holdfast.artifact import Artifact
from holdfast.manifest import ArtifactManifest, ArtifactManifestEntry
from holdfast.runs import Run

REQUIRED = inspect.Parameter.empty

DOCUMENTED: dict[Any, dict[str, Any]] = {
    Artifact.__init__: {
        "name": REQUIRED,
        "type": REQUIRED,
        "description": None,
        "metadata": None,
        "incremental": False,
        "use_as": None,
        "storage_region": None,
    },
    Artifact.new_draft: {},
    Artifact.finalize: {},
    Artifact.is_draft: {},
    Artifact.save: {"project": None, "settings": None},
    Artifact.wait: {"timeout": None},
    Artifact.new_file: {"name": REQUIRED, "mode": "x", "encoding": None, "policy": "mutable"},
    Artifact.add_file: {
        "local_path": REQUIRED,
        "name": None,
        "is_tmp": False,
        "skip_cache": False,
        "policy": "mutable",
        "overwrite": False,
    },
    Artifact.add_dir: {
        "local_path": REQUIRED,
        "name": None,
        "skip_cache": False,
        "policy": "mutable",
        "merge": False,
    },
    Artifact.add_reference: {"uri": REQUIRED, "name": None, "checksum": True, "max_objects": None},
    Artifact.remove: {"item": REQUIRED},
    Artifact.get_path: {"name": REQUIRED},
    Artifact.get_entry: {"name": REQUIRED},
    Artifact.get_added_local_path_name: {"local_path": REQUIRED},
    Artifact.download: {
        "root": None,
        "allow_missing_references": False,
        "skip_cache": None,
        "path_prefix": None,
        "multipart": None,
        "recursive": False,
    },
    Artifact.checkout: {"root": None},
    Artifact.verify: {"root": None},
    Artifact.file: {"root": None},
    Artifact.files: {"names": None, "per_page": 50, "start": None},
    Artifact.delete: {"delete_aliases": False},
    Artifact.used_by: {},
    Artifact.logged_by: {},
    Artifact.add: {"obj": REQUIRED, "name": REQUIRED, "overwrite": False},
    Artifact.get: {"name": REQUIRED},
    Artifact.__getitem__: {"name": REQUIRED},
    Artifact.__setitem__: {"name": REQUIRED, "item": REQUIRED},
    Artifact.link: {"target_path": REQUIRED, "aliases": None},
    Artifact.unlink: {},
    Artifact.cancel: {},
    Artifact.progress: {},
    Artifact.json_encode: {},
    ArtifactManifest.get_entry_by_path: {"path": REQUIRED},
    ArtifactManifest.get_entries_in_directory: {"directory": REQUIRED},
    ArtifactManifestEntry.parent_artifact: {},
    ArtifactManifestEntry.download: {"root": None, "skip_cache": None, "executor": None},
    ArtifactManifestEntry.ref_target: {},
    ArtifactManifestEntry.ref_url: {},
    File.download: {"root": ".", "replace": False, "exist_ok": False, "api": None},
    ArtifactFiles.__init__: {"artifact": REQUIRED, "names": None, "per_page": 50, "start": None},
    Api.artifact: {"name": REQUIRED, "type": None},
    Api.artifact_exists: {"name": REQUIRED, "type": None},
    Api.artifacts: {
        "type_name": REQUIRED,
        "name": REQUIRED,
        "order": None,
        "per_page": 50,
        "tags": None,
        "start": None,
    },
    Artifacts.__init__: {
        "entity": REQUIRED,
        "project": REQUIRED,
        "collection_name": REQUIRED,
        "type": REQUIRED,
        "filters": None,
        "order": None,
        "per_page": 50,
        "tags": None,
        "start": None,
    },
    Run.log_artifact: {"artifact_or_path": REQUIRED, "name": None, "type": None, "aliases": None, "tags": None},
    Run.use_artifact: {"artifact_or_name": REQUIRED, "type": None, "aliases": None, "use_as": None},
    Run.finish: {"exit_code": None, "quiet": None},
    Run.link_artifact: {"artifact": REQUIRED, "target_path": REQUIRED, "aliases": None},
    Run.log_model: {"path": REQUIRED, "name": None, "aliases": None},
    Run.use_model: {"name": REQUIRED},
    Run.link_model: {"path": REQUIRED, "registered_model_name": REQUIRED, "name": None, "aliases": None},
    Run.log_code: {"root": ".", "name": None, "include_fn": is_program_file, "exclude_fn": is_of_a_run},
    Run.log: {"data": REQUIRED, "step": None, "commit": None, "sync": None},
    holdfast.log: {"data": REQUIRED, "step": None, "commit": None, "sync": None},
    holdfast.log_model: {"path": REQUIRED, "name": None, "aliases": None},
    holdfast.use_model: {"name": REQUIRED},
    holdfast.link_model: {"path": REQUIRED, "registered_model_name": REQUIRED, "name": None, "aliases": None},
    holdfast.finish: {"exit_code": None, "quiet": None},
    holdfast.log_artifact: {
        "artifact_or_path": REQUIRED,
        "name": None,
        "type": None,
        "aliases": None,
        "tags": None,
    },
    holdfast.use_artifact: {"artifact_or_name": REQUIRED, "type": None, "aliases": None, "use_as": None},
}

PROPERTIES = [
    "id",
    "entity",
    "project",
    "name",
    "qualified_name",
    "version",
    "source_entity",
    "source_project",
    "source_name",
    "source_qualified_name",
    "source_version",
    "is_link",
    "type",
    "url",
    "description",
    "metadata",
    "aliases",
    "tags",
    "incremental",
    "use_as",
    "state",
    "manifest",
    "digest",
    "size",
    "commit_hash",
    "file_count",
    "created_at",
    "updated_at",
    "history_step",
    "collection",
    "source_collection",
    "linked_artifacts",
    "source_artifact",
    "ttl",
    "distributed_id",
    "storage_region",
]

SETTABLE = {"description", "metadata", "aliases", "tags", "ttl", "distributed_id"}

INIT_ARGUMENTS = [
    "entity",
    "project",
    "dir",
    "id",
    "name",
    "notes",
    "tags",
    "config",
    "config_exclude_keys",
    "config_include_keys",
    "allow_val_change",
    "group",
    "job_type",
    "mode",
    "reinit",
    "resume",
    "settings",
]


@pytest.mark.parametrize("function", DOCUMENTED, ids=lambda function: function.__qualname__)
def test_signature_is_the_documented_one(function: Any) -> None:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    ours = {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY}
    assert list(ours.items()) == list(DOCUMENTED[function].items())


@pytest.mark.parametrize("name", PROPERTIES)
def test_attribute_is_a_property(name: str) -> None:
    attribute = inspect.getattr_static(Artifact, name)
    assert isinstance(attribute, property)
    assert (attribute.fset is not None) == (name in SETTABLE)


def test_arguments_of_init_are_all_optional_and_further_ones_are_taken() -> None:
    parameters = inspect.signature(holdfast.init).parameters
    assert list(parameters) == [*INIT_ARGUMENTS, "unknown"]
    assert all(parameters[name].default is None for name in INIT_ARGUMENTS)


@pytest.mark.parametrize("name", ["Api", "Artifact", "ArtifactTTL", "Error", "Run", "Settings", "init", "login", "run"])
def test_names_that_scripts_use_are_there(name: str) -> None:
    assert name in holdfast.__all__


def test_public_names_are_these() -> None:
    assert sorted(holdfast.__all__) == dir(holdfast)
    for name in holdfast.__all__:
        getattr(holdfast, name)


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'artefact'"):
        holdfast.artefact  # noqa: B018
