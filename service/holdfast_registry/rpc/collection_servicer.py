"""CollectionService on the wire."""

from __future__ import annotations

from holdfast_registry.database.catalogue import CatalogueRepository
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import collection_message, page_size
from holdfastpb.registry.v1 import collection_pb2, collection_pb2_grpc


class CollectionServicer(collection_pb2_grpc.CollectionServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, catalogue: CatalogueRepository) -> None:
        self._catalogue = catalogue

    async def GetCollection(
        self, request: collection_pb2.GetCollectionRequest, context: Context
    ) -> collection_pb2.GetCollectionResponse:
        """Returns a collection."""
        record = await self._catalogue.get(CollectionName(request.entity, request.project, request.name))
        return collection_pb2.GetCollectionResponse(collection=collection_message(record))

    async def ListCollections(
        self, request: collection_pb2.ListCollectionsRequest, context: Context
    ) -> collection_pb2.ListCollectionsResponse:
        """Lists a project's collections."""
        page = await self._catalogue.list(
            request.entity,
            request.project,
            request.type,
            after_name=request.page_token,
            size=page_size(request.page_size),
        )
        return collection_pb2.ListCollectionsResponse(
            collections=map(collection_message, page.collections),
            next_page_token=page.collections[-1].name.name if page.has_more else "",
            total_count=page.total_count,
        )
