"""`API`: looks at what is stored, in Comet's words; and `APIExperiment`, an experiment as the registry knows it.

Answers are dicts with Comet's keys.  All lists are whole, whatever their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._own_writes import resolve_after_own_writes
from holdfast._process import this_process
from holdfast._queries import filter_json
from holdfast._registry_calls import RegistryCalls
from holdfast._version_lists import Artifacts
from holdfast.artifact import Artifact as StoredArtifact
from holdfast.artifact_collections import ArtifactCollection, ProjectArtifactCollections
from holdfast.comet._artifact_asset import ASSET_TYPE, asset_id, link_of, metadata_of
from holdfast.comet._logged_artifact import LoggedArtifact
from holdfast.comet._names import artifact_project, default_workspace, shown_aliases, version_name
from holdfast.comet.exceptions import not_found, told_as
from holdfast.errors import NotFoundError
from holdfast.public_runs import Run
from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfastpb.registry.v1 import version_pb2

DIRECTIONS = ("all", "input", "output")
CLOSED = "CLOSED"
"""What Comet calls a version that is committed; others are not listed."""


class API:
    """Reads artifacts and experiments.  Finds or starts the daemon at its first call."""

    def __init__(self, api_key: str | None = None, cache: bool = True, version: str = "v2") -> None:
        """Makes an API; nothing is asked yet.

        Args:
            api_key: accepted for compatibility; the daemon has the credentials.
            cache: accepted for compatibility; everything is asked for anew.
            version: accepted for compatibility.
        """

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def get_artifact(
        self, workspace: str, artifact_name: str, version: str | None = None, alias: str | None = None
    ) -> LoggedArtifact:
        """Returns a version; nobody is noted as its user.

        Args:
            workspace: the entity.
            artifact_name: name of the artifact.
            version: semantic version, a range of them, or "vN".
            alias: an alias, if no version is given; default: the newest.

        Raises:
            ArtifactNotFound: (a GetArtifactException) there is none.
            GetArtifactException: the name breaks its rules, or the registry refuses or cannot be asked.
        """
        return LoggedArtifact._of(_resolve(workspace, artifact_name, version or alias), None, None)

    def get_artifact_list(self, workspace: str, artifact_type: str | None = None) -> dict[str, Any]:
        """Returns all artifacts of a workspace: `{"artifacts": [{"name", "version", "description", …}]}`.

        Args:
            workspace: the entity.
            artifact_type: only those of this type.

        Raises:
            GetArtifactException: the registry refuses, or cannot be asked.
        """
        with told_as(not_found):
            wanted = [one for one in _collections(workspace) if artifact_type in (None, one.type)]
            newest = _newest_versions(workspace, artifact_type) if wanted else {}
            return {"artifacts": [_outline(one, newest.get(one._record.name)) for one in wanted]}

    def get_artifact_details(
        self, workspace: str | None = None, artifact_name: str | None = None, artifact_id: str | None = None
    ) -> dict[str, Any]:
        """Returns an artifact with all its versions, newest first.

        Args:
            workspace: the entity.
            artifact_name: name of the artifact.
            artifact_id: instead of both.

        Raises:
            ArtifactNotFound: (a GetArtifactException) there is none.
            GetArtifactException: neither a name nor an id, or the registry refuses or cannot be asked.
        """
        with told_as(not_found):
            collection = _collection(workspace, artifact_name, artifact_id)
            versions = list(_versions(collection))
        return {
            **_outline(collection, versions[0] if versions else None),
            "isPublic": False,
            "emoji": None,
            "versions": [_version_details(version) for version in versions],
        }

    def get_artifact_files(
        self,
        workspace: str | None = None,
        artifact_name: str | None = None,
        artifact_id: str | None = None,
        version: str | None = None,
        alias: str | None = None,
    ) -> dict[str, Any]:
        """Returns all assets of a version: `{"files": [{"fileName", "fileSize", "link", "metadata", …}]}`.

        Args:
            workspace: the entity.
            artifact_name: name of the artifact.
            artifact_id: instead of both.
            version: as of `get_artifact`.
            alias: as of `get_artifact`.

        Raises:
            ArtifactNotFound: (a GetArtifactException) there is none.
            GetArtifactException: neither a name nor an id, or the registry refuses or cannot be asked.
        """
        with told_as(not_found):
            collection = _collection(workspace, artifact_name, artifact_id)
            found = _resolve(collection.entity, collection._record.name, version or alias)
            return {"files": list(_files(found, collection.id))}

    # --- experiments --------------------------------------------------------------------------------------------------

    def get_experiment(
        self, workspace: str | None = None, project_name: str | None = None, experiment: str | None = None
    ) -> APIExperiment:
        """Returns an experiment.

        Args:
            workspace: the entity.
            project_name: of the run.
            experiment: its key.

        Raises:
            GetArtifactException: there is none, or the registry refuses or cannot be asked.
        """
        project = project_name or this_process().settings.project
        with told_as(not_found):
            calls = RegistryCalls(this_process().daemon)
            return APIExperiment(Run(calls.get_run(workspace or default_workspace(), project, experiment or "")))


class APIExperiment:
    """An experiment as the registry knows it."""

    def __init__(self, run: Run) -> None:
        """Makes the experiment of a run; `API.get_experiment` does."""
        self._run = run

    @property
    def id(self) -> str:
        """The key."""
        return self._run.id

    @property
    def key(self) -> str:
        """The key."""
        return self._run.id

    @property
    def workspace(self) -> str:
        """The workspace: the entity."""
        return self._run.entity

    @property
    def project_name(self) -> str:
        """The project."""
        return self._run.project

    @property
    def name(self) -> str:
        """The name for people; the key when none was given."""
        return self._run.display_name

    @property
    def url(self) -> str:
        """A URL that names the run."""
        return self._run.url

    def get_name(self) -> str:
        """Returns the name for people."""
        return self.name

    def get_state(self) -> str:
        """Returns "running", "finished", "failed" or "crashed"."""
        return self._run.state

    def get_tags(self) -> list[str]:
        """Returns the tags."""
        return list(self._run.tags)

    def get_artifact_lineage(self, direction: str = "all") -> dict[str, Any]:
        """Returns the versions that the experiment used and logged: `{"input": […], "output": […]}`, each oldest first.

        Args:
            direction: "input", "output" or "all"; what is not asked for is left out.

        Raises:
            ValueError: another direction.
            GetArtifactException: the registry refuses, or cannot be asked.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, not {direction!r:.200}")
        found: dict[str, Any] = {"experimentKey": self.key}
        with told_as(not_found):
            if direction in ("all", "input"):
                found["input"] = [_lineage_row(version) for version in self._run.used_artifacts(PAGE_SIZE_MAX)]
            if direction in ("all", "output"):
                found["output"] = [_lineage_row(version) for version in self._run.logged_artifacts(PAGE_SIZE_MAX)]
        return found

    def __repr__(self) -> str:
        return f"<APIExperiment {self.workspace}/{self.project_name}/{self.key}>"


def _resolve(workspace: str | None, name: str, version_or_alias: str | None) -> StoredArtifact:
    process = this_process()
    with told_as(not_found):
        wanted = version_name(name, workspace, version_or_alias, default_workspace=default_workspace())
        return StoredArtifact._of_version(resolve_after_own_writes(wanted, process.daemon, process.own_writes))


def _collections(workspace: str) -> Iterator[ArtifactCollection]:
    """The artifacts of a workspace; none where nothing was ever logged."""
    try:
        yield from ProjectArtifactCollections(workspace, artifact_project(), per_page=PAGE_SIZE_MAX)
    except NotFoundError:
        return


def _collection(workspace: str | None, name: str | None, artifact_id: str | None) -> ArtifactCollection:
    calls = CatalogueCalls(this_process().daemon)
    if artifact_id:
        return ArtifactCollection._of(calls.get_collection_by_id(artifact_id))
    if not name:
        raise ValueError("an artifact is named by artifact_name (and workspace), or by artifact_id")
    entity = workspace or default_workspace()
    process = this_process()
    process.own_writes.settle((entity, artifact_project(), name), process.daemon)
    return ArtifactCollection._of(calls.get_collection(entity, artifact_project(), name))


def _versions(collection: ArtifactCollection) -> Iterator[StoredArtifact]:
    record = collection._record
    yield from Artifacts(record.entity, record.project, record.name, record.type, per_page=PAGE_SIZE_MAX)


def _newest_versions(workspace: str, artifact_type: str | None) -> dict[str, StoredArtifact]:
    """The newest version of each artifact, by name; a thousand of them cost one request."""
    calls = CatalogueCalls(this_process().daemon)
    request = version_pb2.SearchVersionsRequest(
        entity=workspace,
        project=artifact_project(),
        type=artifact_type or "",
        filter_json=filter_json({"alias": "latest"}),
        page_size=PAGE_SIZE_MAX,
    )
    newest: dict[str, StoredArtifact] = {}
    while True:
        page = calls.search_versions(request)
        for version in page.versions:
            place = version.link if version.HasField("link") else version
            newest[place.collection] = StoredArtifact._of_version(version)
        if not page.next_page_token:
            return newest
        request.page_token = page.next_page_token


def _outline(collection: ArtifactCollection, newest: StoredArtifact | None) -> dict[str, Any]:
    """What lists and details say of an artifact."""
    version = newest._logged.semantic_version if newest is not None else None
    return {
        "artifactId": collection.id,
        "project": collection.project,
        "name": collection.name,
        "type": collection.type,
        "description": collection.description,
        "version": version,
        "latestVersion": version,
        "tags": list(collection.tags),
        "sizeInBytes": newest.size if newest is not None else 0,
        "versionCount": collection.version_count,
    }


def _version_details(version: StoredArtifact) -> dict[str, Any]:
    logged = version._logged
    return {
        "artifactVersionId": version.id,
        "version": logged.semantic_version,
        "owner": version.entity,
        "metadata": version.metadata,
        "createdFrom": logged.logged_by_run_id or None,
        "sizeInBytes": version.size,
        "state": CLOSED,
        "added": int(logged.created_at_ms),
        "alias": sorted(shown_aliases(version.aliases)),
        "tags": list(version.tags),
    }


def _files(version: StoredArtifact, artifact_id: str) -> Iterator[dict[str, Any]]:
    name = version.source_name.rpartition(":")[0]
    for entry in version.manifest.entries.values():
        yield {
            "artifactId": artifact_id,
            "artifactVersionId": version.id,
            "assetId": asset_id(name, entry.path),
            "fileName": entry.path,
            "fileSize": entry.size or 0,
            "link": link_of(entry),
            "dir": entry.path.rpartition("/")[0],
            "type": ASSET_TYPE,
            "metadata": metadata_of(entry),
        }


def _lineage_row(version: StoredArtifact) -> dict[str, Any]:
    logged = version._logged
    return {
        "artifactVersionId": version.id,
        "workspace": logged.entity,
        "artifactName": logged.collection,
        "artifactType": version.type,
        "artifactVersion": logged.semantic_version,
        "sourceExperimentKey": logged.logged_by_run_id or None,
    }
