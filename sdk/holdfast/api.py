"""`Api`: looks at what is stored, without a run, and changes what may be changed of it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast._artifact_names import complete_name, project_of_path, run_of_path
from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._own_writes import resolve_after_own_writes
from holdfast._process import this_process
from holdfast._queries import Filter
from holdfast._registry_calls import RegistryCalls
from holdfast._version_lists import Artifacts, RunArtifacts
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast.artifact_collections import (
    ArtifactCollection,
    ArtifactCollections,
    ArtifactType,
    ArtifactTypes,
    ProjectArtifactCollections,
)
from holdfast.errors import NotFoundError
from holdfast.projects import Project, Projects
from holdfast.public_runs import Run, Runs
from holdfast.registries import Registries, Registry, Visibility
from holdfastpb.registry.v1 import collection_pb2

__all__ = [
    "Api",
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "Project",
    "ProjectArtifactCollections",
    "Projects",
    "Registries",
    "Registry",
    "Run",
    "RunArtifacts",
    "Runs",
    "Viewer",
]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who uses an `Api`."""

    username: str
    entity: str


class Api:
    """Reads artifacts, collections, registries and runs.  Finds or starts the daemon at its first call.

    Every refusal is a `CommError`, as with W&B; where W&B's documents promise a `ValueError` it is one as well.
    """

    def __init__(
        self, overrides: Mapping[str, Any] | None = None, timeout: int | None = None, api_key: str | None = None
    ) -> None:
        """Makes an API; nothing is asked yet.

        Args:
            overrides: "entity" and "project" to use where a name has none.
            timeout: accepted for compatibility; every call has its own deadline.
            api_key: accepted for compatibility; the daemon has the credentials.
        """
        self._overrides = dict(overrides or {})

    # --- what names are completed with --------------------------------------------------------------------------------

    @property
    def default_entity(self) -> str:
        """The entity of names that have none."""
        return str(self._overrides.get("entity") or this_process().settings.entity)

    @property
    def default_project(self) -> str:
        """The project of names that have none."""
        return str(self._overrides.get("project") or this_process().settings.project)

    @property
    def settings(self) -> dict[str, Any]:
        """The defaults as a dict: "entity" and "project"."""
        return {"entity": self.default_entity, "project": self.default_project}

    @property
    def viewer(self) -> Viewer:
        """Who asks, as far as this machine knows: the operating system's user, and the entity of names that have none."""
        try:
            username = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            username = str(os.getuid())
        return Viewer(username, self.default_entity)

    def flush(self) -> None:
        """Does nothing: objects are asked for anew each time.  W&B's forgets what it has cached."""

    # --- artifacts ----------------------------------------------------------------------------------------------------

    @normalize_exceptions
    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Returns a logged version.

        Args:
            name: `[[entity/]project/]name[:alias]`; the alias may be "vN", a semantic version or a range of them
                ("1.2.0", "^1.2"), or a digest; default: latest.
            type: refuse a version of another type.

        Raises:
            CommError: no such version (`NotFoundError`); another type, or a name that breaks its rules (a ValueError).
        """
        if name is None:
            raise ValueError("You must specify name= to fetch an artifact.")
        full_name = complete_name(name, entity=self.default_entity, project=self.default_project)
        process = this_process()
        artifact = Artifact._of_version(resolve_after_own_writes(full_name, process.daemon, process.own_writes))
        if type is not None and artifact.type != type:
            raise ValueError(f"type {type!r} specified but this artifact is of type {artifact.type!r}")
        return artifact

    @normalize_exceptions
    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Returns whether there is such a version; arguments as of `artifact`.

        Raises:
            CommError: nobody could be asked, or the name breaks its rules.
        """
        try:
            artifact = self.artifact(name)
        except NotFoundError:
            return False
        return type is None or artifact.type == type

    @normalize_exceptions
    def artifacts(
        self,
        type_name: str,
        name: str,
        order: str | None = None,
        per_page: int = 50,
        tags: str | list[str] | None = None,
        start: str | None = None,
        *,
        filters: Filter | None = None,
    ) -> Artifacts:
        """Returns the committed versions of a collection, newest first.

        Args:
            type_name: type of the collection.
            name: `[[entity/]project/]name`.
            order: "+field" or "-field", for example "+version_index" for oldest first.
            per_page: versions of one request, at most 1,000.
            tags: only versions that carry all of these.
            start: `cursor` of an earlier paginator, to go on from there.
            filters: see docs/filters.md.

        Raises:
            CommError: an argument breaks its rules; `NotFoundError` comes when the first page is asked for.
        """
        return Artifacts(*self._collection_path(name), type_name, filters, order, per_page, tags, start)

    @normalize_exceptions
    def artifact_versions(self, type_name: str, name: str, per_page: int = 50) -> Artifacts:
        """Returns the versions of a collection.  Deprecated: use `artifacts`."""
        warn_user("Api.artifact_versions() is deprecated; use Api.artifacts()", DeprecationWarning)
        return self.artifacts(type_name, name, per_page=per_page)

    # --- types and collections ----------------------------------------------------------------------------------------

    @normalize_exceptions
    def artifact_types(self, project: str | None = None, start: str | None = None) -> ArtifactTypes:
        """Returns the artifact types of a project, by name.

        Args:
            project: `[entity/]project`; default: the default project.
            start: accepted for compatibility; there is one page.
        """
        return ArtifactTypes(*self._project_path(project), start=start)

    @normalize_exceptions
    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Returns an artifact type of a project.

        Args:
            type_name: the type.
            project: `[entity/]project`; default: the default project.

        Raises:
            NotFoundError: (a CommError) the project has no artifact of this type.
        """
        return ArtifactType(*self._project_path(project), type_name)

    @normalize_exceptions
    def artifact_collections(
        self,
        project_name: str,
        type_name: str,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
        *,
        filters: Filter | None = None,
    ) -> ArtifactCollections:
        """Returns the collections of a type.

        Args:
            project_name: `[entity/]project`.
            type_name: the type.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
            filters: see docs/filters.md.
        """
        return ArtifactCollections(*self._project_path(project_name), type_name, filters, order, per_page, start)

    @normalize_exceptions
    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """Returns a collection.

        Args:
            type_name: its type.
            name: `[[entity/]project/]name`.

        Raises:
            NotFoundError: (a CommError) there is none of this type.
        """
        return ArtifactCollection(*self._collection_path(name), type_name)

    @normalize_exceptions
    def artifact_collection_exists(self, name: str, type: str) -> bool:
        """Returns whether there is a collection of this type.

        Args:
            name: `[[entity/]project/]name`.
            type: its type.

        Raises:
            CommError: nobody could be asked, or the name breaks its rules.
        """
        try:
            self.artifact_collection(type, name)
        except NotFoundError:
            return False
        return True

    @normalize_exceptions
    def create_portfolio(self, name: str, type_name: str, description: str | None = None) -> ArtifactCollection:
        """Makes an empty collection into which versions can be linked; linking makes it, too.

        Args:
            name: `[[entity/]project/]name`.
            type_name: of the versions.
            description: free text, Markdown.

        Raises:
            CommError: there is a collection of this name, or an argument breaks its rules.
        """
        entity, project, collection = self._collection_path(name)
        request = collection_pb2.CreatePortfolioRequest(
            entity=entity, project=project, name=collection, type=type_name, description=description or ""
        )
        return ArtifactCollection._of(CatalogueCalls(this_process().daemon).create_portfolio(request))

    # --- runs ---------------------------------------------------------------------------------------------------------

    @normalize_exceptions
    def run(self, path: str = "") -> Run:
        """Returns a run.

        Args:
            path: `[[entity/]project/]id`.

        Raises:
            NotFoundError: (a CommError) there is none.
        """
        place = run_of_path(path, entity=self.default_entity, project=self.default_project)
        return Run(RegistryCalls(this_process().daemon).get_run(*place))

    @normalize_exceptions
    def runs(
        self,
        path: str | None = None,
        filters: Filter | None = None,
        order: str | None = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
        *,
        start: str | None = None,
    ) -> Runs:
        """Returns the runs of a project.

        Args:
            path: `[entity/]project`; default: the default project.
            filters: by group, job type, tags, state, name, config and more: see docs/filters.md.
            order: "+created_at" for oldest first, "-created_at" for newest first.
            per_page: runs of one request, at most 1,000.
            include_sweeps: accepted for compatibility; there are no sweeps.
            lazy: accepted for compatibility.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return Runs(*self._project_path(path), filters, order, per_page, include_sweeps, start=start)

    # --- projects and registries --------------------------------------------------------------------------------------

    @normalize_exceptions
    def projects(self, entity: str | None = None, per_page: int = 200) -> Projects:
        """Returns the projects of an entity, by name.

        Args:
            entity: default: the default entity.
            per_page: projects of one request, at most 1,000.
        """
        return Projects(entity or self.default_entity, per_page)

    @normalize_exceptions
    def project(self, name: str, entity: str | None = None) -> Project:
        """Returns a project.

        Args:
            name: `[entity/]project`.
            entity: default: that of the name, else the default entity.

        Raises:
            NotFoundError: (a CommError) there is none; the first artifact or run makes it.
        """
        place = project_of_path(name, entity=entity or self.default_entity, project=self.default_project)
        return Project(CatalogueCalls(this_process().daemon).get_project(*place))

    @normalize_exceptions
    def registries(
        self,
        organization: str | None = None,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Registries:
        """Returns the registries of an entity; `.collections()` and `.versions()` of the result look into them.

        Args:
            organization: the entity; default: the default entity.
            filter: on name, description and times: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: registries of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return Registries(organization or self.default_entity, filter, order, per_page, start)

    @normalize_exceptions
    def registry(self, name: str, organization: str | None = None) -> Registry:
        """Returns a registry.

        Args:
            name: with or without "wandb-registry-".
            organization: the entity; default: the default entity.

        Raises:
            NotFoundError: (a CommError) there is none.
        """
        entity = organization or self.default_entity
        return Registry(entity, entity, name)

    @normalize_exceptions
    def create_registry(
        self,
        name: str,
        visibility: Visibility,
        organization: str | None = None,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Registry:
        """Makes a registry.

        Args:
            name: with or without "wandb-registry-".
            visibility: "organization" or "restricted".
            organization: the entity; default: the default entity.
            description: free text, Markdown.
            artifact_types: the types that it takes; default: all.

        Raises:
            CommError: there is one of this name, or an argument breaks its rules.
        """
        return Registry.create(self, organization, name, visibility, description, artifact_types)

    # --- names --------------------------------------------------------------------------------------------------------

    def _project_path(self, path: str | None) -> tuple[str, str]:
        return project_of_path(path, entity=self.default_entity, project=self.default_project)

    def _collection_path(self, name: str) -> tuple[str, str, str]:
        full_name = complete_name(name, entity=self.default_entity, project=self.default_project)
        return full_name.entity, full_name.project, full_name.collection

    def __repr__(self) -> str:
        return f"<Api {self.default_entity}/{self.default_project}>"
