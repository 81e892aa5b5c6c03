"""The registry's calls about collections, projects, registries, links, and lists of versions and runs; the daemon passes them on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast._registry_calls import new_request_id
from holdfastpb.registry.v1 import collection_pb2, run_pb2, version_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

_COLLECTIONS = "/holdfast.registry.v1.CollectionService/"
_VERSIONS = "/holdfast.registry.v1.VersionService/"
_RUNS = "/holdfast.registry.v1.RunService/"


class CatalogueCalls:
    """Typed calls of CollectionService, and the listing and linking ones of VersionService and RunService.

    A change is given its `request_id` here, so that a repeated send has no second effect.
    """

    def __init__(self, daemon: DaemonClient) -> None:
        """Makes the calls through `daemon`."""
        self._daemon = daemon

    # --- collections --------------------------------------------------------------------------------------------------

    def get_collection(self, entity: str, project: str, name: str) -> collection_pb2.Collection:
        """Returns a collection by its names, with its aliases.

        Raises:
            NotFoundError: there is none.
        """
        request = collection_pb2.GetCollectionRequest(entity=entity, project=project, name=name)
        return self._collection(request)

    def get_collection_by_id(self, collection_id: str) -> collection_pb2.Collection:
        """Returns a collection by its id, with its aliases.

        Raises:
            NotFoundError: there is none.
        """
        return self._collection(collection_pb2.GetCollectionRequest(collection_id=collection_id))

    def _collection(self, request: collection_pb2.GetCollectionRequest) -> collection_pb2.Collection:
        response = self._daemon.unary(_COLLECTIONS + "GetCollection", request, collection_pb2.GetCollectionResponse)
        return response.collection

    def list_collections(
        self, request: collection_pb2.ListCollectionsRequest
    ) -> collection_pb2.ListCollectionsResponse:
        """Returns one page of collections."""
        return self._daemon.unary(_COLLECTIONS + "ListCollections", request, collection_pb2.ListCollectionsResponse)

    def update_collection(self, request: collection_pb2.UpdateCollectionRequest) -> collection_pb2.Collection:
        """Changes name, type, description, tags or ttl."""
        request.request_id = new_request_id()
        response = self._daemon.unary(
            _COLLECTIONS + "UpdateCollection", request, collection_pb2.UpdateCollectionResponse
        )
        return response.collection

    def delete_collection(self, collection_id: str) -> int:
        """Deletes a collection with all in it; returns how many versions were deleted."""
        request = collection_pb2.DeleteCollectionRequest(request_id=new_request_id(), collection_id=collection_id)
        response = self._daemon.unary(
            _COLLECTIONS + "DeleteCollection", request, collection_pb2.DeleteCollectionResponse
        )
        return int(response.versions_deleted)

    def create_portfolio(self, request: collection_pb2.CreatePortfolioRequest) -> collection_pb2.Collection:
        """Makes an empty portfolio."""
        request.request_id = new_request_id()
        response = self._daemon.unary(_COLLECTIONS + "CreatePortfolio", request, collection_pb2.CreatePortfolioResponse)
        return response.collection

    def list_types(self, entity: str, project: str) -> list[collection_pb2.ArtifactType]:
        """Returns the artifact types of a project, by name."""
        request = collection_pb2.ListTypesRequest(entity=entity, project=project)
        return list(self._daemon.unary(_COLLECTIONS + "ListTypes", request, collection_pb2.ListTypesResponse).types)

    # --- projects and registries --------------------------------------------------------------------------------------

    def list_projects(self, request: collection_pb2.ListProjectsRequest) -> collection_pb2.ListProjectsResponse:
        """Returns one page of projects or registries."""
        return self._daemon.unary(_COLLECTIONS + "ListProjects", request, collection_pb2.ListProjectsResponse)

    def get_project(self, entity: str, name: str) -> collection_pb2.Project:
        """Returns a project or registry.

        Raises:
            NotFoundError: there is none.
        """
        request = collection_pb2.GetProjectRequest(entity=entity, name=name)
        return self._daemon.unary(_COLLECTIONS + "GetProject", request, collection_pb2.GetProjectResponse).project

    def create_project(self, project: collection_pb2.Project) -> collection_pb2.Project:
        """Makes a project or registry."""
        request = collection_pb2.CreateProjectRequest(request_id=new_request_id(), project=project)
        return self._daemon.unary(_COLLECTIONS + "CreateProject", request, collection_pb2.CreateProjectResponse).project

    def update_project(self, request: collection_pb2.UpdateProjectRequest) -> collection_pb2.Project:
        """Changes a project or registry."""
        request.request_id = new_request_id()
        return self._daemon.unary(_COLLECTIONS + "UpdateProject", request, collection_pb2.UpdateProjectResponse).project

    def delete_registry(self, project_id: str) -> None:
        """Deletes a registry with its links."""
        request = collection_pb2.DeleteRegistryRequest(request_id=new_request_id(), project_id=project_id)
        self._daemon.unary(_COLLECTIONS + "DeleteRegistry", request, collection_pb2.DeleteRegistryResponse)

    # --- versions and their links -------------------------------------------------------------------------------------

    def search_versions(self, request: version_pb2.SearchVersionsRequest) -> version_pb2.SearchVersionsResponse:
        """Returns one page of the versions of a query."""
        return self._daemon.unary(_VERSIONS + "SearchVersions", request, version_pb2.SearchVersionsResponse)

    def link_version(
        self, version_id: str, *, entity: str, project: str, collection: str, aliases: Iterable[str] = ()
    ) -> version_pb2.Version:
        """Links a version into a portfolio, which is made when absent.

        Returns:
            The version with its `link`.
        """
        request = version_pb2.LinkVersionRequest(
            request_id=new_request_id(),
            version_id=version_id,
            entity=entity,
            project=project,
            collection=collection,
            aliases=list(aliases),
        )
        return self._daemon.unary(_VERSIONS + "LinkVersion", request, version_pb2.LinkVersionResponse).version

    def unlink_version(self, link_id: str) -> None:
        """Removes a link; the version stays."""
        request = version_pb2.UnlinkVersionRequest(request_id=new_request_id(), link_id=link_id)
        self._daemon.unary(_VERSIONS + "UnlinkVersion", request, version_pb2.UnlinkVersionResponse)

    def list_links(self, version_id: str) -> list[version_pb2.Version]:
        """Returns a version once for each of its links, oldest link first."""
        request = version_pb2.ListLinksRequest(version_id=version_id)
        return list(self._daemon.unary(_VERSIONS + "ListLinks", request, version_pb2.ListLinksResponse).versions)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def upsert_run(self, request: run_pb2.UpsertRunRequest) -> run_pb2.Run:
        """Changes a run; returns what is stored now."""
        return self._daemon.unary(_RUNS + "UpsertRun", request, run_pb2.UpsertRunResponse).run

    def record_logged(self, run: run_pb2.Run, version_id: str) -> None:
        """Records a version that exists already as an output of a run."""
        request = run_pb2.RecordUseRequest(run=run, version_id=version_id, kind=run_pb2.EDGE_KIND_LOGGED)
        self._daemon.unary(_RUNS + "RecordUse", request, run_pb2.RecordUseResponse)

    def list_runs(self, request: run_pb2.ListRunsRequest) -> run_pb2.ListRunsResponse:
        """Returns one page of a project's runs."""
        return self._daemon.unary(_RUNS + "ListRuns", request, run_pb2.ListRunsResponse)

    def list_run_artifacts(self, request: version_pb2.ListRunArtifactsRequest) -> version_pb2.ListRunArtifactsResponse:
        """Returns one page of the versions that a run logged or used."""
        return self._daemon.unary(_VERSIONS + "ListRunArtifacts", request, version_pb2.ListRunArtifactsResponse)
