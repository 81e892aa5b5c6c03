"""Completes the names that users write with the entity and project that they mean."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_contract.names import parse_artifact_name


@dataclass(frozen=True, slots=True)
class VersionName:
    """A version, fully named."""

    entity: str
    project: str
    collection: str
    alias: str
    """Alias, "vN", or a digest in hex."""


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
