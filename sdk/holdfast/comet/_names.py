"""The names of Comet's artifacts, `[workspace/]name[:version_or_alias]`, and where they lie: a project of the workspace's entity."""

from __future__ import annotations

import os
from dataclasses import dataclass

from holdfast._artifact_names import VersionName
from holdfast._process import this_process
from holdfast._settings import variable
from holdfast._warn_user import warn_user
from holdfast_contract.names import check_entity, check_project

LATEST = "Latest"
"""The alias that the newest version has by itself, as Comet writes it; ours is in small letters, and either is found."""


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """A name taken apart; what it does not say is None."""

    workspace: str | None
    name: str
    version_or_alias: str | None


def parse_name(text: str) -> ArtifactName:
    """Takes a name apart: at the first "/", then at the first ":" (a range of versions may hold either).

    Raises:
        ValueError: it has no name.
    """
    if not isinstance(text, str):
        raise ValueError(f"An artifact is named by [workspace/]name[:version_or_alias], not {text!r:.200}")
    rest, colon, version = text.partition(":")
    workspace, slash, name = rest.partition("/")
    if not slash:
        workspace, name = "", rest
    if not name or (slash and not workspace) or (colon and not version):
        raise ValueError(f"An artifact is named by [workspace/]name[:version_or_alias], not {text!r:.200}")
    return ArtifactName(workspace or None, name, version or None)


def version_name(
    text: str, workspace: str | None, version_or_alias: str | None, *, default_workspace: str
) -> VersionName:
    """Returns what a name and two arguments mean together; an argument wins over the name, with a warning if they differ.

    Raises:
        ValueError: the text is no name.
    """
    parsed = parse_name(text)
    entity = _chosen("workspace", workspace, parsed.workspace) or default_workspace
    alias = _chosen("version_or_alias", version_or_alias, parsed.version_or_alias) or LATEST
    check_entity(entity)
    # The registry knows it in either case; what this process logged is looked up under one of them.
    alias = alias.lower() if alias.lower() == LATEST.lower() else alias
    return VersionName(entity, artifact_project(), parsed.name, alias, numbers_first=True)


def _chosen(argument: str, given: str | None, named: str | None) -> str | None:
    if given is not None and named is not None and given != named:
        warn_user(f"{argument}={given!r} was given and the artifact's name says {named!r}; the argument is taken.")
    return named if given is None else given


def artifact_project() -> str:
    """Returns the project that holds the artifacts of a workspace: Comet's are unique in their workspace, ours in their project."""
    settings = this_process().settings
    project = settings.comet_project or settings.project
    check_project(project)
    return project


def default_workspace() -> str:
    """Returns the workspace of those who name none."""
    return variable("ENTITY", os.environ) or os.environ.get("COMET_WORKSPACE") or this_process().settings.entity


def shown_aliases(aliases: list[str]) -> frozenset[str]:
    """Returns aliases as Comet shows them."""
    return frozenset(LATEST if alias == LATEST.lower() else alias for alias in aliases)


def stored_aliases(aliases: list[str]) -> list[str]:
    """Returns aliases as they are stored, sorted; the one that the newest version has by itself is left out."""
    return sorted({alias for alias in aliases if alias.lower() != LATEST.lower()})
