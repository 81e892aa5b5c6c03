"""CollectionService on the wire."""

from __future__ import annotations

from holdfast_contract.names import (
    check_collection_name,
    check_entity,
    check_project,
    check_tags,
    check_type_name,
    is_registry_project,
)
from holdfast_registry.database.catalogue import CatalogueRepository, CollectionChange, CollectionQuery
from holdfast_registry.database.projects import NewProject, ProjectChange, ProjectRepository
from holdfast_registry.domain.filters import COLLECTION_FIELDS, PROJECT_FIELDS, parse_filter
from holdfast_registry.domain.records import CollectionName, CollectionRecord, ProjectRecord
from holdfast_registry.domain.registries import VISIBILITIES, check_registry_name, checked_visibility
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import (
    checked_description,
    collection_message,
    once_of,
    page_wish,
    project_message,
    ttl_of,
)
from holdfastpb.registry.v1 import collection_pb2, collection_pb2_grpc


class CollectionServicer(collection_pb2_grpc.CollectionServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, catalogue: CatalogueRepository, projects: ProjectRepository) -> None:
        self._catalogue = catalogue
        self._projects = projects

    async def GetCollection(
        self, request: collection_pb2.GetCollectionRequest, context: Context
    ) -> collection_pb2.GetCollectionResponse:
        """Returns a collection."""
        if request.collection_id:
            record = await self._catalogue.get_by_id(request.collection_id)
        else:
            record = await self._catalogue.get(CollectionName(request.entity, request.project, request.name))
        return collection_pb2.GetCollectionResponse(collection=collection_message(record))

    async def ListCollections(
        self, request: collection_pb2.ListCollectionsRequest, context: Context
    ) -> collection_pb2.ListCollectionsResponse:
        """Lists collections."""
        query = CollectionQuery(
            entity=request.entity,
            project=request.project,
            type=request.type,
            filter=parse_filter(request.filter_json, COLLECTION_FIELDS),
            registry_filter=parse_filter(request.registry_filter_json, PROJECT_FIELDS),
            of_registries=request.only_registries,
        )
        page = await self._catalogue.list(query, page_wish(request))
        return collection_pb2.ListCollectionsResponse(
            collections=map(collection_message, page.collections),
            next_page_token=page.next_token,
            total_count=page.total_count,
        )

    async def UpdateCollection(
        self, request: collection_pb2.UpdateCollectionRequest, context: Context
    ) -> collection_pb2.UpdateCollectionResponse:
        """Changes a collection."""
        check_tags(request.tags_to_add)
        if request.new_name:
            check_collection_name(request.new_name)
        if request.new_type:
            # One that is reserved is refused where it is known whether it is a change.
            check_type_name(request.new_type, internal=True)
        description = "" if request.description_is_null else checked_description(request.description)
        change = CollectionChange(
            collection_id=request.collection_id,
            new_name=request.new_name,
            new_type=request.new_type,
            description=description if request.set_description else None,
            tags_to_add=tuple(request.tags_to_add),
            tags_to_remove=tuple(request.tags_to_remove),
            ttl=ttl_of(request.ttl) if request.set_ttl else None,
        )
        response = await self._catalogue.update(change, once_of(request, _updated_message))
        return collection_pb2.UpdateCollectionResponse.FromString(response)

    async def DeleteCollection(
        self, request: collection_pb2.DeleteCollectionRequest, context: Context
    ) -> collection_pb2.DeleteCollectionResponse:
        """Deletes a collection."""
        response = await self._catalogue.delete(request.collection_id, once_of(request, _deleted_message))
        return collection_pb2.DeleteCollectionResponse.FromString(response)

    async def CreatePortfolio(
        self, request: collection_pb2.CreatePortfolioRequest, context: Context
    ) -> collection_pb2.CreatePortfolioResponse:
        """Makes a portfolio."""
        check_entity(request.entity)
        check_project(request.project)
        check_collection_name(request.name)
        check_type_name(request.type, request.name)
        name = CollectionName(request.entity, request.project, request.name)
        response = await self._catalogue.create_portfolio(
            name, request.type, checked_description(request.description), once_of(request, _portfolio_message)
        )
        return collection_pb2.CreatePortfolioResponse.FromString(response)

    async def ListTypes(
        self, request: collection_pb2.ListTypesRequest, context: Context
    ) -> collection_pb2.ListTypesResponse:
        """Lists the types of a project."""
        records = await self._catalogue.types(request.entity, request.project)
        return collection_pb2.ListTypesResponse(
            types=[
                collection_pb2.ArtifactType(
                    name=record.name, collection_count=record.collection_count, created_at_ms=record.created_at_ms
                )
                for record in records
            ]
        )

    async def ListProjects(
        self, request: collection_pb2.ListProjectsRequest, context: Context
    ) -> collection_pb2.ListProjectsResponse:
        """Lists the projects of an entity."""
        wanted = parse_filter(request.filter_json, PROJECT_FIELDS)
        page = await self._projects.list(
            request.entity, wanted, page_wish(request), only_registries=request.only_registries
        )
        return collection_pb2.ListProjectsResponse(
            projects=map(project_message, page.projects),
            next_page_token=page.next_token,
            total_count=page.total_count,
        )

    async def GetProject(
        self, request: collection_pb2.GetProjectRequest, context: Context
    ) -> collection_pb2.GetProjectResponse:
        """Returns a project."""
        record = await self._projects.get(request.entity, request.name)
        return collection_pb2.GetProjectResponse(project=project_message(record))

    async def CreateProject(
        self, request: collection_pb2.CreateProjectRequest, context: Context
    ) -> collection_pb2.CreateProjectResponse:
        """Makes a project."""
        response = await self._projects.create(_new_project(request.project), once_of(request, _created_message))
        return collection_pb2.CreateProjectResponse.FromString(response)

    async def UpdateProject(
        self, request: collection_pb2.UpdateProjectRequest, context: Context
    ) -> collection_pb2.UpdateProjectResponse:
        """Changes a project."""
        if request.new_name:
            check_project(request.new_name)
            check_registry_name(request.new_name)
        for type_name in request.artifact_types_to_add:
            check_type_name(type_name)
        change = ProjectChange(
            project_id=request.project_id,
            new_name=request.new_name,
            sets_description=request.set_description,
            description=checked_description(request.description) or None,
            ttl=ttl_of(request.ttl) if request.set_ttl else None,
            visibility=checked_visibility(request.visibility) if request.visibility else "",
            types_to_add=tuple(request.artifact_types_to_add),
            allow_all_types=request.allow_all_types if request.set_allow_all_types else None,
        )
        response = await self._projects.update(change, once_of(request, _changed_message))
        return collection_pb2.UpdateProjectResponse.FromString(response)

    async def DeleteRegistry(
        self, request: collection_pb2.DeleteRegistryRequest, context: Context
    ) -> collection_pb2.DeleteRegistryResponse:
        """Deletes a registry."""
        response = await self._projects.delete_registry(request.project_id, once_of(request, _gone_message))
        return collection_pb2.DeleteRegistryResponse.FromString(response)


def _new_project(wanted: collection_pb2.Project) -> NewProject:
    check_entity(wanted.entity)
    check_project(wanted.name)
    is_registry = wanted.is_registry or is_registry_project(wanted.name)
    if is_registry:
        check_registry_name(wanted.name)
    for type_name in wanted.artifact_types:
        check_type_name(type_name)
    return NewProject(
        entity=wanted.entity,
        name=wanted.name,
        description=checked_description(wanted.description) if wanted.has_description or wanted.description else None,
        ttl=ttl_of(wanted.ttl),
        visibility=checked_visibility(wanted.visibility or VISIBILITIES[0]) if is_registry else "",
        types=tuple(sorted(set(wanted.artifact_types))) if is_registry else (),
    )


def _updated_message(record: CollectionRecord) -> collection_pb2.UpdateCollectionResponse:
    return collection_pb2.UpdateCollectionResponse(collection=collection_message(record))


def _deleted_message(versions_deleted: int) -> collection_pb2.DeleteCollectionResponse:
    return collection_pb2.DeleteCollectionResponse(versions_deleted=versions_deleted)


def _portfolio_message(record: CollectionRecord) -> collection_pb2.CreatePortfolioResponse:
    return collection_pb2.CreatePortfolioResponse(collection=collection_message(record))


def _created_message(record: ProjectRecord) -> collection_pb2.CreateProjectResponse:
    return collection_pb2.CreateProjectResponse(project=project_message(record))


def _changed_message(record: ProjectRecord) -> collection_pb2.UpdateProjectResponse:
    return collection_pb2.UpdateProjectResponse(project=project_message(record))


def _gone_message(_: None) -> collection_pb2.DeleteRegistryResponse:
    return collection_pb2.DeleteRegistryResponse()
