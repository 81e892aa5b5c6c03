"""Collections and types of artifacts: what the versions of one name have in common, listed and changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import Page, Paginator, SizedPaginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, order_text, page_request
from holdfast._registry_calls import RegistryCalls
from holdfast._times import iso_time
from holdfast._ttl import TimeToLive, ttl_message, ttl_of
from holdfast._version_lists import Artifacts
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact
from holdfast.errors import NotFoundError
from holdfast.retention import Retention
from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfast_contract.names import check_collection_name, check_tags, check_type_name
from holdfastpb.registry.v1 import collection_pb2

_CHANGES = ("new_name", "new_type", "set_description", "tags_to_add", "tags_to_remove", "set_ttl")
"""Fields of an update that say that something is to be changed."""


class ArtifactCollection:
    """The versions of one name: a sequence, which versions are logged into, or a portfolio, which they are linked into.

    Attributes that are set here are kept by `save()`.
    """

    def __init__(
        self,
        entity: str,
        project: str,
        name: str,
        type: str,
        organization: str | None = None,
        attrs: collection_pb2.Collection | None = None,
    ) -> None:
        """Makes the collection of a name, as it is stored.

        Args:
            entity: of the collection.
            project: of the collection.
            name: of the collection.
            type: refuse a collection of another type.
            organization: accepted for compatibility; it is the entity.
            attrs: what was read already; default: it is asked for.

        Raises:
            NotFoundError: there is none, or it holds another type.
        """
        self._take(attrs or _find(entity, project, name, type))

    @classmethod
    def _of(cls, record: collection_pb2.Collection) -> Self:
        """Returns the collection of a record."""
        return cls(record.entity, record.project, record.name, record.type, attrs=record)

    def _take(self, record: collection_pb2.Collection) -> None:
        self._record = record
        self._name = record.name
        self._type = record.type
        self._description = record.description if record.has_description else None
        self._tags = list(record.tags)
        self._ttl = ttl_of(record.ttl)
        # A list of collections comes without aliases.
        self._aliases = list(record.aliases) or None

    # --- identity -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The collection's id; a new name does not change it."""
        return str(self._record.collection_id)

    @property
    def entity(self) -> str:
        """The entity (tenant) that it belongs to."""
        return str(self._record.entity)

    @property
    def project(self) -> str:
        """The project that it belongs to; of a registry's collection the registry's full name."""
        return str(self._record.project)

    @property
    def project_id(self) -> str:
        """The id of its project; asked for."""
        return str(_calls().get_project(self.entity, self.project).project_id)

    @property
    def project_internal_id(self) -> str | None:
        """As `project_id`."""
        return self.project_id

    @property
    def qualified_name(self) -> str:
        """`entity/project/name`."""
        return f"{self.entity}/{self.project}/{self._record.name}"

    def is_sequence(self) -> bool:
        """Returns whether versions are logged into it; False for a portfolio, into which they are linked."""
        return bool(self._record.kind != collection_pb2.COLLECTION_KIND_PORTFOLIO)

    # --- what the user may change -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name; unique in the project."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        check_collection_name(name)
        self._name = name

    @property
    def type(self) -> str:
        """The type of its versions."""
        return self._type

    @type.setter
    def type(self, type: str) -> None:
        if not self.is_sequence():
            raise ValueError(
                f"Type can only be changed if the artifact collection is a sequence; {self.qualified_name} is a portfolio."
            )
        check_type_name(self._record.type, artifact_name=self._record.name)
        check_type_name(type, artifact_name=self._name)
        self._type = type

    @property
    def description(self) -> str | None:
        """Free text, Markdown."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        self._description = description

    @property
    def tags(self) -> list[str]:
        """Its tags; may be changed in place or set."""
        return self._tags

    @tags.setter
    def tags(self, tags: Collection[str]) -> None:
        check_tags(list(tags))
        self._tags = list(dict.fromkeys(tags))

    @property
    def ttl(self) -> TimeToLive:
        """How long versions are kept that say nothing themselves: a time, None for ever, INHERIT for what the project says."""
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: TimeToLive) -> None:
        self._ttl = ttl_of(ttl_message(ttl))

    # --- what the registry knows --------------------------------------------------------------------------------------

    @property
    def aliases(self) -> list[str]:
        """All aliases of its versions."""
        if self._aliases is None:
            self._aliases = list(_ArtifactCollectionAliases(self.id))
        return list(self._aliases)

    @property
    def created_at(self) -> str:
        """When it was made: ISO 8601, UTC."""
        return iso_time(self._record.created_at_ms)

    @property
    def updated_at(self) -> str | None:
        """When it or a version of it changed last: ISO 8601, UTC; None: never since it was made."""
        return iso_time(self._record.updated_at_ms) if self._record.updated_at_ms else None

    @property
    def version_count(self) -> int:
        """How many versions it held when this was read."""
        return int(self._record.version_count)

    @normalize_exceptions
    def artifacts(self, per_page: int = 50, start: str | None = None) -> Artifacts:
        """Returns its versions, newest first.

        Args:
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return self._versions(None, None, per_page, start)

    @normalize_exceptions
    def versions(
        self, per_page: int = 50, start: str | None = None, *, filter: Filter | None = None, order: str | None = None
    ) -> Artifacts:
        """Returns its versions; older name for `artifacts`, with a filter and an order.

        Args:
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
            filter: see docs/filters.md.
            order: "+field" or "-field"; default: newest first.
        """
        return self._versions(filter, order, per_page, start)

    def _versions(self, filter: Filter | None, order: str | None, per_page: int, start: str | None) -> Artifacts:
        record = self._record
        return Artifacts(record.entity, record.project, record.name, record.type, filter, order, per_page, start=start)

    @property
    def retention(self) -> Retention:
        """Its policy of retention, to be read, set and tried."""
        return Retention(self.entity, self.project, self._record.name)

    # --- changes ------------------------------------------------------------------------------------------------------

    @normalize_exceptions
    def load(self, entity: str, project: str, type_: str, name: str) -> Self:
        """Becomes the collection of these names as it is stored; what was set and not saved is lost.

        Args:
            entity: of the collection.
            project: of the collection.
            type_: refuse a collection of another type.
            name: of the collection.

        Raises:
            NotFoundError: (a CommError) there is none, or it holds another type.
        """
        self._take(_find(entity, project, name, type_))
        return self

    @normalize_exceptions
    def save(self) -> None:
        """Keeps a new name, type, description, tags and ttl, all or none.

        Raises:
            CommError: the name is taken, the type is kept for internal use, or a value breaks its rules.
        """
        check_tags(self._tags)
        saved, description = self._record, self._description
        saved_description = saved.description if saved.has_description else None
        request = collection_pb2.UpdateCollectionRequest(
            collection_id=saved.collection_id,
            new_name=self._name if self._name != saved.name else "",
            new_type=self._type if self._type != saved.type else "",
            set_description=description != saved_description,
            description=description or "",
            description_is_null=description is None,
            tags_to_add=[tag for tag in self._tags if tag not in saved.tags],
            tags_to_remove=[tag for tag in saved.tags if tag not in self._tags],
        )
        if self._ttl != ttl_of(saved.ttl):
            request.set_ttl = True
            request.ttl.CopyFrom(ttl_message(self._ttl))
        if any(getattr(request, field) for field in _CHANGES):
            self._take(_calls().update_collection(request))

    @normalize_exceptions
    def change_type(self, new_type: str) -> None:
        """Changes the type at once.  Deprecated: set `type` and call `save()`.

        Raises:
            CommError: the type is kept for internal use, or this is a portfolio.
        """
        warn_user("change_type() is deprecated; set `type` and call save()", DeprecationWarning)
        self.type = new_type
        self.save()

    @normalize_exceptions
    def restore(self, version: int | str) -> Artifact:
        """Takes the deletion of a version back, within the registry's undelete window.

        It has its number, tags and files again, not the aliases and links that it had.

        Args:
            version: its number, or "vN".

        Returns:
            The version.

        Raises:
            NotFoundError: (a CommError) there is none, or it was deleted too long ago.
        """
        record = self._record
        index = int(str(version).removeprefix("v"))
        calls = RegistryCalls(this_process().daemon)
        return Artifact._of_version(calls.restore_version(record.entity, record.project, record.name, index))

    @normalize_exceptions
    def delete(self) -> None:
        """Deletes the collection: a sequence with its versions and all their links and aliases, a portfolio with its links."""
        _calls().delete_collection(self.id)

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self._name} ({self._type})>"


class ArtifactType:
    """A type of artifacts in a project, and its collections."""

    def __init__(
        self, entity: str, project: str, type_name: str, attrs: collection_pb2.ArtifactType | None = None
    ) -> None:
        """Makes the type of a name.

        Args:
            entity: of the project.
            project: whose types are looked at.
            type_name: the type.
            attrs: what was read already; default: it is asked for.

        Raises:
            NotFoundError: the project has no artifact of this type.
        """
        self.entity = entity
        self.project = project
        self.type = type_name
        self._record = attrs if attrs is not None else self._find()

    def _find(self) -> collection_pb2.ArtifactType:
        for one in _calls().list_types(self.entity, self.project):
            if one.name == self.type:
                return one
        raise NotFoundError(f"Could not find artifact type {self.type!r} in {self.entity}/{self.project}")

    @normalize_exceptions
    def load(self) -> Self:
        """Reads the type again.

        Raises:
            NotFoundError: (a CommError) it is gone.
        """
        self._record = self._find()
        return self

    @property
    def id(self) -> str:
        """`entity/project/name`: types have no other id."""
        return f"{self.entity}/{self.project}/{self.type}"

    @property
    def name(self) -> str:
        """The type's name."""
        return self.type

    @property
    def created_at(self) -> str:
        """When its first collection was made: ISO 8601, UTC."""
        return iso_time(self._record.created_at_ms)

    @normalize_exceptions
    def collections(
        self,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """Returns the collections of this type.

        Args:
            filters: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return ArtifactCollections(self.entity, self.project, self.type, filters, order, per_page, start)

    def collection(self, name: str) -> ArtifactCollection:
        """Returns a collection of this type.

        Raises:
            NotFoundError: there is none.
        """
        return ArtifactCollection(self.entity, self.project, name, self.type)

    def __repr__(self) -> str:
        return f"<ArtifactType {self.type}>"


class ArtifactTypes(Paginator[ArtifactType]):
    """The artifact types of a project, by name."""

    def __init__(self, entity: str, project: str, per_page: int = 50, start: str | None = None) -> None:
        """Makes the paginator; one request brings all types.

        Args:
            entity: of the project.
            project: whose types are listed.
            per_page: accepted for compatibility.
            start: accepted for compatibility; there is one page.
        """
        super().__init__(per_page, start)
        self._entity = entity
        self._project = project

    def _fetch(self, cursor: str | None) -> Page[ArtifactType]:
        found = _calls().list_types(self._entity, self._project)
        return Page([ArtifactType(self._entity, self._project, one.name, one) for one in found], None)


class CollectionPages(SizedPaginator[ArtifactCollection]):
    """Collections of a query; base of the lists that users see."""

    def __init__(
        self, request: collection_pb2.ListCollectionsRequest, order: str | None, per_page: int, start: str | None
    ) -> None:
        """Makes the paginator of a query; see the lists' own signatures."""
        super().__init__(per_page, start)
        request.order = order_text(order)
        request.page_size = self.per_page
        self._request = request

    def _fetch(self, cursor: str | None) -> Page[ArtifactCollection]:
        page = _calls().list_collections(page_request(self._request, cursor))
        found = [ArtifactCollection._of(record) for record in page.collections]
        return Page(found, page.next_page_token or None, page.total_count)


class ArtifactCollections(CollectionPages):
    """The collections of one type in a project."""

    def __init__(
        self,
        entity: str,
        project: str,
        type_name: str,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `ArtifactType.collections`.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        request = collection_pb2.ListCollectionsRequest(
            entity=entity, project=project, type=type_name, filter_json=filter_json(filters)
        )
        super().__init__(request, order, per_page, start)


class ProjectArtifactCollections(CollectionPages):
    """The collections of a project, of all types."""

    def __init__(
        self,
        entity: str,
        project: str,
        filters: Filter | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `ArtifactType.collections`.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        request = collection_pb2.ListCollectionsRequest(
            entity=entity, project=project, filter_json=filter_json(filters)
        )
        super().__init__(request, order, per_page, start)


class _ArtifactCollectionAliases(Paginator[str]):
    """The aliases of a collection, sorted; at most 1,000."""

    def __init__(self, collection_id: str, per_page: int = PAGE_SIZE_MAX, start: str | None = None) -> None:
        """Makes the paginator; one request brings all aliases."""
        super().__init__(per_page, start)
        self._collection_id = collection_id

    def _fetch(self, cursor: str | None) -> Page[str]:
        return Page(list(_calls().get_collection_by_id(self._collection_id).aliases), None)


def _find(entity: str, project: str, name: str, type: str | None) -> collection_pb2.Collection:
    record = _calls().get_collection(entity, project, name)
    if type and record.type != type:
        raise NotFoundError(
            f"Could not find artifact collection {name!r} of type {type!r} in {entity}/{project}: its type is"
            f" {record.type!r}"
        )
    return record


def _calls() -> CatalogueCalls:
    return CatalogueCalls(this_process().daemon)
