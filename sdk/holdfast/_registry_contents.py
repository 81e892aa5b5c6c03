"""What is in registries: their collections, and the versions that are linked into those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import ChainedPaginator, Page, Paginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, page_request
from holdfast._version_lists import artifacts_of
from holdfast.artifact import Artifact
from holdfast.artifact_collections import ArtifactCollection, CollectionPages
from holdfast_contract.names import REGISTRY_PREFIX
from holdfastpb.registry.v1 import collection_pb2, version_pb2


class Collections(CollectionPages):
    """Collections of registries."""

    def __init__(
        self,
        organization: str,
        registry_filter: Filter | None = None,
        collection_filter: Filter | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
        *,
        registry: str = "",
    ) -> None:
        """Makes the paginator.

        Args:
            organization: the entity.
            registry_filter: only of registries that fit.
            collection_filter: only collections that fit; both: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
            registry: full name of the one registry; default: all.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        request = collection_pb2.ListCollectionsRequest(
            entity=organization,
            project=registry,
            only_registries=not registry,
            registry_filter_json=filter_json(with_registry_prefix(registry_filter)),
            filter_json=filter_json(collection_filter),
        )
        super().__init__(request, order, per_page, start)
        self._organization = organization
        self._registry_filter = registry_filter
        self._collection_filter = collection_filter
        self._registry = registry

    @normalize_exceptions
    def versions(
        self, filter: Filter | None = None, per_page: int = 100, start: str | None = None
    ) -> Versions | ChainedPaginator[Artifact]:
        """Returns the versions in these collections; collection by collection when the collections have an order.

        Args:
            filter: see docs/filters.md.
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        if self._request.order:
            return ChainedPaginator(one.versions(per_page, filter=filter) for one in self)
        return Versions(
            self._organization,
            self._registry_filter,
            self._collection_filter,
            filter,
            per_page,
            start,
            registry=self._registry,
        )


class OrderedCollections(ChainedPaginator[ArtifactCollection]):
    """Collections of registries, in the order of the registries."""

    def __init__(self, children: Iterator[Collections]) -> None:
        """Makes the chain; see `Registries.collections`."""
        super().__init__(children)

    def versions(
        self, filter: Filter | None = None, per_page: int = 100, start: str | None = None
    ) -> ChainedPaginator[Artifact]:
        """Returns the versions in these collections, collection by collection.

        Args:
            filter: see docs/filters.md.
            per_page: versions of one request, at most 1,000.
            start: accepted for compatibility; a chain begins at its beginning.
        """
        return ChainedPaginator(one.versions(per_page, filter=filter) for one in self)


class Versions(Paginator[Artifact]):
    """Versions that are linked into registries."""

    def __init__(
        self,
        organization: str,
        registry_filter: Filter | None = None,
        collection_filter: Filter | None = None,
        artifact_filter: Filter | None = None,
        per_page: int = 100,
        start: str | None = None,
        *,
        registry: str = "",
    ) -> None:
        """Makes the paginator.

        Args:
            organization: the entity.
            registry_filter: only in registries that fit.
            collection_filter: only in collections that fit.
            artifact_filter: only versions that fit; all three: see docs/filters.md.
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
            registry: full name of the one registry; default: all.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        super().__init__(per_page, start)
        self._request = version_pb2.SearchVersionsRequest(
            entity=organization,
            project=registry,
            only_registries=not registry,
            registry_filter_json=filter_json(with_registry_prefix(registry_filter)),
            collection_filter_json=filter_json(collection_filter),
            filter_json=filter_json(artifact_filter),
            page_size=self.per_page,
        )

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        page = CatalogueCalls(this_process().daemon).search_versions(page_request(self._request, cursor))
        return Page(artifacts_of(page.versions), page.next_page_token or None, page.total_count)


def with_registry_prefix(filters: Any, *, names: bool = False) -> Any:
    """Returns a filter on registries in which plain names have the prefix; patterns are taken as they are.

    Args:
        filters: the filter, or a part of it.
        names: this part says what a name is to be.
    """
    if isinstance(filters, Mapping):
        return {
            field: wanted if field == "$regex" else with_registry_prefix(wanted, names=names or field == "name")
            for field, wanted in filters.items()
        }
    if isinstance(filters, list | tuple):
        return [with_registry_prefix(one, names=names) for one in filters]
    if names and isinstance(filters, str) and not filters.startswith(REGISTRY_PREFIX):
        return f"{REGISTRY_PREFIX}{filters}"
    return filters
