"""Projects of an entity, as `Api.projects()` gives them."""

from __future__ import annotations

from typing import Self

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import Page, SizedPaginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, order_text, page_request
from holdfast._times import iso_time
from holdfast._ttl import TimeToLive, ttl_message, ttl_of
from holdfast.artifact_collections import ArtifactTypes, ProjectArtifactCollections
from holdfast.retention import Retention
from holdfast_contract.names import REGISTRY_PREFIX
from holdfastpb.registry.v1 import collection_pb2

_NO_REGISTRY = {"name": {"$not": {"$regex": f"^{REGISTRY_PREFIX}"}}}


class Project:
    """A project: collections and runs that belong together.  Attributes that are set here are kept by `save()`."""

    def __init__(self, record: collection_pb2.Project) -> None:
        """Makes the project of a record."""
        self._take(record)

    def _take(self, record: collection_pb2.Project) -> None:
        self._record = record
        self._description = record.description if record.has_description else None
        self._ttl = ttl_of(record.ttl)

    @property
    def id(self) -> str:
        """The project's id."""
        return str(self._record.project_id)

    @property
    def name(self) -> str:
        """Its name; unique in the entity."""
        return str(self._record.name)

    @property
    def entity(self) -> str:
        """The entity (tenant) that it belongs to."""
        return str(self._record.entity)

    @property
    def path(self) -> list[str]:
        """Entity and name."""
        return [self.entity, self.name]

    @property
    def url(self) -> str:
        """A URL that names the project."""
        return f"holdfast://{self.entity}/{self.name}"

    @property
    def description(self) -> str | None:
        """Free text, Markdown."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        self._description = description

    @property
    def ttl(self) -> TimeToLive:
        """How long versions are kept that, with their collection, say nothing themselves: a time; INHERIT and None: for ever."""
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: TimeToLive) -> None:
        self._ttl = ttl_of(ttl_message(ttl))

    @property
    def retention(self) -> Retention:
        """The policy of retention of its collections that have none of their own."""
        return Retention(self.entity, self.name)

    @property
    def created_at(self) -> str:
        """When it was made: ISO 8601, UTC."""
        return iso_time(self._record.created_at_ms)

    @normalize_exceptions
    def artifacts_types(self, per_page: int = 50) -> ArtifactTypes:
        """Returns the types of its artifacts.

        Args:
            per_page: accepted for compatibility.
        """
        return ArtifactTypes(self.entity, self.name, per_page)

    @normalize_exceptions
    def collections(
        self,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ProjectArtifactCollections:
        """Returns its collections of all types.

        Args:
            filters: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return ProjectArtifactCollections(self.entity, self.name, filters, order, per_page, start)

    @normalize_exceptions
    def load(self) -> Self:
        """Reads the project again; what was set and not saved is lost.

        Raises:
            NotFoundError: (a CommError) it is gone.
        """
        self._take(_calls().get_project(self.entity, self.name))
        return self

    @normalize_exceptions
    def save(self) -> None:
        """Keeps a new description and ttl."""
        saved = self._record
        request = collection_pb2.UpdateProjectRequest(project_id=saved.project_id)
        if self._description != (saved.description if saved.has_description else None):
            request.set_description = True
            request.description = self._description or ""
        if self._ttl != ttl_of(saved.ttl):
            request.set_ttl = True
            request.ttl.CopyFrom(ttl_message(self._ttl))
        if request.set_description or request.set_ttl:
            self._take(_calls().update_project(request))

    def __repr__(self) -> str:
        return f"<Project {self.entity}/{self.name}>"


class Projects(SizedPaginator[Project]):
    """The projects of an entity, by name; registries are not among them."""

    def __init__(
        self,
        entity: str,
        per_page: int = 200,
        *,
        filters: Filter | None = None,
        order: str | None = None,
        start: str | None = None,
    ) -> None:
        """Makes the paginator.

        Args:
            entity: whose projects are listed.
            per_page: projects of one request, at most 1,000.
            filters: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        super().__init__(per_page, start)
        self.entity = entity
        wanted = filter_json({"$and": [_NO_REGISTRY, filters]} if filters else _NO_REGISTRY)
        self._request = collection_pb2.ListProjectsRequest(
            entity=entity, filter_json=wanted, order=order_text(order), page_size=self.per_page
        )

    def _fetch(self, cursor: str | None) -> Page[Project]:
        page = _calls().list_projects(page_request(self._request, cursor))
        return Page([Project(record) for record in page.projects], page.next_page_token or None, page.total_count)

    def __repr__(self) -> str:
        return f"<Projects {self.entity}>"


def _calls() -> CatalogueCalls:
    return CatalogueCalls(this_process().daemon)
