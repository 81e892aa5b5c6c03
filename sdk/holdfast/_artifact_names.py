"""Completes the names that users write with the entity and project that they mean."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_contract.errors import InvalidNameError
from holdfast_contract.names import check_entity, check_project, check_run_id, parse_artifact_name


@dataclass(frozen=True, slots=True)
class VersionName:
    """A version, fully named."""

    entity: str
    project: str
    collection: str
    alias: str
    """Alias, "vN", semantic version, range of them, or a digest in hex."""
    numbers_first: bool = False
    """An alias that reads like a semantic version or a range does not stand in front of that."""


def complete_name(text: str, *, entity: str, project: str) -> VersionName:
    """Returns the version that `[[entity/]project/]name[:alias]` names; without an alias the latest.

    Raises:
        InvalidNameError: (a ValueError) the text is no name.
    """
    parsed = parse_artifact_name(text)
    return VersionName(
        entity=parsed.entity or entity,
        project=parsed.project or project,
        collection=parsed.collection,
        alias=parsed.alias or "latest",
    )


def project_of_path(text: str | None, *, entity: str, project: str) -> tuple[str, str]:
    """Returns the entity and project that `[entity/]project` names; without a text the given ones.

    Raises:
        InvalidNameError: (a ValueError) the text has more parts, or a part breaks its rules.
    """
    if not text:
        return entity, project
    found_entity, slash, found_project = text.rpartition("/")
    if not slash:
        found_entity = entity
    check_entity(found_entity)
    check_project(found_project)
    return found_entity, found_project


def run_of_path(text: str, *, entity: str, project: str) -> tuple[str, str, str]:
    """Returns entity, project and id of the run that `[[entity/]project/]id` names.

    Links of W&B's pages (`/entity/project/runs/id`) and `entity/project:id` are understood, too.

    Raises:
        InvalidNameError: (a ValueError) the text is no such path, or a part breaks its rules.
    """
    if not isinstance(text, str) or not text.strip("/ "):
        raise InvalidNameError(f"A run is named by [[entity/]project/]id, not {text!r:.200}")
    path = text.strip("/ ").replace("/runs/", "/")
    place, separator, run_id = path.rpartition(":" if ":" in path else "/")
    check_run_id(run_id)
    if not separator:
        return entity, project, run_id
    return *project_of_path(place, entity=entity, project=project), run_id
