"""The grammar of everything that has a name: artifacts, types, aliases, tags, entities, projects, runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_contract.errors import InvalidNameError
from holdfast_contract.limits import ALIASES_MAX, NAME_CHARS_MAX, TAGS_MAX
from holdfast_contract.semantic_versions import opens_range

_ARTIFACT_NAME = re.compile(r"[a-zA-Z0-9_\-.]+")
_ENTITY = re.compile(r"[a-zA-Z0-9_\-.]+")
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION_ALIAS = re.compile(r"v[0-9]+")
# Control characters would forge log lines; lone surrogates have no UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PROJECT_FORBIDDEN = "/\\#?%:"
_NAME_PARTS_MAX = 3
REGISTRY_PREFIX = "wandb-registry-"
"""A project whose name begins so is a registry: it holds portfolios, and neither runs nor versions of its own."""


def _check_text(kind: str, value: str) -> None:
    """Refuses what no name may be: not text, empty, too long, unprintable."""
    if not isinstance(value, str):
        raise InvalidNameError(f"{kind} must be a string, not {type(value).__name__}: {value!r:.200}")
    if not value.strip():
        raise InvalidNameError(f"{kind} must not be empty: {value!r:.200}")
    if len(value) > NAME_CHARS_MAX:
        raise InvalidNameError(f"{kind} is longer than {NAME_CHARS_MAX} characters: {value!r:.200}")
    if _UNPRINTABLE.search(value):
        raise InvalidNameError(f"{kind} must not have control characters or broken Unicode: {value!r:.200}")


def check_artifact_name(name: str) -> None:
    """Refuses names that W&B refuses, and those that are no folder name (`.`, `..`, a final newline).

    Raises:
        InvalidNameError: see the message.
    """
    if isinstance(name, str) and not _ARTIFACT_NAME.fullmatch(name):
        raise InvalidNameError(
            "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots. "
            f"Invalid name: {name!r:.200}"
        )
    _check_text("Artifact name", name)
    _check_folder_name(name)


def _check_folder_name(name: str) -> None:
    # The default download folder has the name of the artifact.
    if name in (".", ".."):
        raise InvalidNameError(f"Invalid artifact name: {name!r}; it means a folder, choose another one.")


def check_collection_name(name: str) -> None:
    """Refuses what no collection may be called; portfolios may have spaces, unlike artifacts that are logged.

    Raises:
        InvalidNameError: see the message.
    """
    _check_text("Collection name", name)
    if any(character in name for character in "/\\:"):
        raise InvalidNameError(f"Collection name must not contain '/', '\\' or ':'. Found: {name!r:.200}")
    _check_folder_name(name)


def check_type_name(type_name: str, artifact_name: str | None = None, internal: bool = False) -> None:
    """Refuses bad type names, and those that Holdfast keeps for itself unless `internal`.

    Args:
        type_name: the artifact type.
        artifact_name: needed to tell `run_table` and `code` of users from internal ones.
        internal: the caller is Holdfast itself.

    Raises:
        InvalidNameError: see the message.
    """
    _check_text("Artifact type", type_name)
    if "/" in type_name or ":" in type_name:
        raise InvalidNameError(f"Artifact type must not contain '/' or ':'. Invalid type: {type_name!r}")
    if not internal and is_reserved_type(type_name, artifact_name or ""):
        raise InvalidNameError(
            f"Artifact type {type_name!r} is reserved for internal use. Please use a different type."
        )


def is_reserved_type(type_name: str, artifact_name: str) -> bool:
    """Tells whether a type is kept for internal use; `run_table` and `code` are under some artifact names only."""
    return (
        type_name == "job"
        or type_name.startswith("wandb-")
        or (type_name == "run_table" and artifact_name.startswith("run-"))
        or (type_name == "code" and artifact_name.startswith("source-"))
    )


def check_alias(alias: str) -> None:
    """Refuses what no alias may be.

    Raises:
        InvalidNameError: see the message.
    """
    if isinstance(alias, str) and ("/" in alias or ":" in alias):
        raise InvalidNameError(
            f"Aliases must not contain any of the following characters: '/', ':'. Found: {alias!r:.200}"
        )
    _check_text("Alias", alias)


def is_version_alias(alias: str) -> bool:
    """Tells whether an alias has the form of a version: `v` and decimal digits."""
    return _VERSION_ALIAS.fullmatch(alias) is not None


def check_user_alias(alias: str) -> None:
    """Refuses what a user may not give as an alias: versions are given by the registry alone, and ranges mean several of them.

    Raises:
        InvalidNameError: see the message.
    """
    check_alias(alias)
    if is_version_alias(alias):
        raise InvalidNameError(f"Alias {alias!r} looks like a version, and only the registry gives those.")
    if opens_range(alias):
        raise InvalidNameError(f"Alias {alias!r} looks like a range of versions; begin it with another character.")


def check_user_aliases(aliases: Sequence[str]) -> None:
    """Refuses a list with a bad alias, or with too many different ones.

    Raises:
        InvalidNameError: see the message.
    """
    for alias in aliases:
        check_user_alias(alias)
    if len(set(aliases)) > ALIASES_MAX:
        raise InvalidNameError(f"At most {ALIASES_MAX} aliases can be given, not {len(set(aliases))}.")


def check_tag(tag: str) -> None:
    """Refuses what no tag may be: anything but words of letters, digits, `_`, `-`, with spaces between them.

    Raises:
        InvalidNameError: see the message.
    """
    check_tags([tag])


def check_tags(tags: Sequence[str]) -> None:
    """Refuses a list with a bad tag, or with too many different ones.

    Raises:
        InvalidNameError: names every bad tag.
    """
    invalid = [tag for tag in tags if not isinstance(tag, str) or not _TAG.fullmatch(tag)]
    if invalid:
        raise InvalidNameError(
            f"Invalid tag(s): {invalid!r:.400}. Use words of letters, digits, '_', '-', separated by spaces."
        )
    for tag in tags:
        _check_text("Tag", tag)
    if len(set(tags)) > TAGS_MAX:
        raise InvalidNameError(f"At most {TAGS_MAX} tags can be given at once; {len(set(tags))} were given.")


def check_entity(entity: str) -> None:
    """Refuses what no entity may be called.

    Raises:
        InvalidNameError: see the message.
    """
    _check_text("Entity name", entity)
    if not _ENTITY.fullmatch(entity) or entity in (".", ".."):
        raise InvalidNameError(
            "Entity name may only contain alphanumeric characters, dashes, underscores, and dots. "
            f"Invalid name: {entity!r}"
        )


def check_project(project: str) -> None:
    """Refuses what no project may be called.

    Raises:
        InvalidNameError: see the message.
    """
    if isinstance(project, str) and len(project) > NAME_CHARS_MAX:
        raise InvalidNameError(f"Invalid project name {project!r:.200}: exceeded {NAME_CHARS_MAX} characters")
    _check_text("Project name", project)
    found = [character for character in _PROJECT_FORBIDDEN if character in project]
    if found:
        raise InvalidNameError(
            f"Invalid project name {project!r}: cannot contain characters {','.join(_PROJECT_FORBIDDEN)!r}, "
            f"found {','.join(found)!r}"
        )
    if project in (".", ".."):
        raise InvalidNameError(f"Invalid project name {project!r}: it means a folder, choose another one.")


def is_registry_project(project: str) -> bool:
    """Tells whether a project's name makes it a registry."""
    return project.startswith(REGISTRY_PREFIX)


def check_run_id(run_id: str) -> None:
    """Refuses what no run id may be.

    Raises:
        InvalidNameError: see the message.
    """
    if isinstance(run_id, str) and run_id != run_id.strip():
        raise InvalidNameError(f"Run ID cannot start or end with whitespace: {run_id!r:.200}")
    _check_text("Run ID", run_id)
    if any(character in run_id for character in _PROJECT_FORBIDDEN) or run_id in (".", ".."):
        raise InvalidNameError(f"Run ID cannot contain the characters: {_PROJECT_FORBIDDEN!r}: {run_id!r}")


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """The parts of what a user writes to name a version."""

    entity: str | None
    """None: the caller's own."""
    project: str | None
    """None: the run's, or the default one."""
    collection: str
    alias: str | None
    """Alias or version; None: none was written."""

    def __str__(self) -> str:
        """Returns the text that parses to this name."""
        parts = [part for part in (self.entity, self.project, self.collection) if part is not None]
        return "/".join(parts) + ("" if self.alias is None else f":{self.alias}")


def parse_artifact_name(text: str) -> ArtifactName:
    """Takes apart `name`, `name:alias`, `project/name:alias` or `entity/project/name:alias`.

    The alias is everything after the first colon and may hold "/" and ":" as in W&B (it names nothing).

    Raises:
        InvalidNameError: more than three parts, or a part that breaks its own grammar.
    """
    if not isinstance(text, str):
        raise InvalidNameError(f"Artifact name must be a string, not {type(text).__name__}: {text!r:.200}")
    path, colon, alias = text.partition(":")
    parts = path.split("/")
    if len(parts) > _NAME_PARTS_MAX:
        raise InvalidNameError(f"Invalid artifact path: {text!r:.200}; use entity/project/name:alias.")
    check_collection_name(parts[-1])
    project = parts[-2] if len(parts) > 1 else None
    entity = parts[0] if len(parts) == _NAME_PARTS_MAX else None
    if project is not None:
        check_project(project)
    if entity is not None:
        check_entity(entity)
    if colon:
        _check_text("Alias", alias)
    return ArtifactName(entity=entity, project=project, collection=parts[-1], alias=alias if colon else None)
