"""Registries: projects that hold portfolios only, into which versions of any project are linked."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

from holdfast._catalogue_calls import CatalogueCalls
from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import ChainedPaginator, Page, Paginator
from holdfast._process import this_process
from holdfast._queries import Filter, filter_json, order_text, page_request
from holdfast._registry_contents import Collections, OrderedCollections, Versions, with_registry_prefix
from holdfast._times import iso_time
from holdfast.artifact import Artifact
from holdfast.errors import CommError
from holdfast_contract.names import REGISTRY_PREFIX, check_project, check_type_name
from holdfastpb.registry.v1 import collection_pb2

if TYPE_CHECKING:
    from holdfast.api import Api

_CHANGES = ("new_name", "set_description", "visibility", "artifact_types_to_add", "set_allow_all_types")
"""Fields of an update that say that something is to be changed."""

Visibility = Literal["organization", "restricted"]

_VISIBILITIES = ("organization", "restricted")
_NO_MEMBERS = "A registry has no list of members: who may read it and link into it is said by the tokens of its entity"
_TYPES_AND_ALL = (
    "Cannot update types when `allow_all_artifact_types` is `True`. Set `allow_all_artifact_types` to `False` first."
)


def full_registry_name(name: str) -> str:
    """Returns a registry's name with the prefix that makes it one; the prefix may be there already.

    Raises:
        ValueError: the name breaks its rules.
    """
    check_project(name)
    full = name if name.startswith(REGISTRY_PREFIX) else f"{REGISTRY_PREFIX}{name}"
    check_project(full)
    if full == REGISTRY_PREFIX:
        raise ValueError("A registry needs a name")
    return full


class AddOnlyArtifactTypes(MutableSequence[str]):
    """The types that a registry takes.  What is saved stays; what was added since may be changed."""

    def __init__(self, saved: Iterable[str] = ()) -> None:
        """Makes the list of what is saved."""
        self._saved = list(saved)
        self._added: list[str] = []

    @property
    def draft(self) -> tuple[str, ...]:
        """The types that were added since it was saved."""
        return tuple(self._added)

    def __len__(self) -> int:
        return len(self._saved) + len(self._added)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        return [*self._saved, *self._added][index]

    def __setitem__(self, index: Any, value: Any) -> None:
        place = self._added_place(index)
        check_type_name(value)
        self._added[place] = value

    def __delitem__(self, index: Any) -> None:
        del self._added[self._added_place(index)]

    def insert(self, index: int, value: str) -> None:
        """Adds a type behind those that are saved; one that is there already is not added again.

        Raises:
            ValueError: the type breaks its rules.
        """
        check_type_name(value)
        if value not in self:
            self._added.insert(max(0, index - len(self._saved)), value)

    def _added_place(self, index: object) -> int:
        if not isinstance(index, int):
            raise TypeError("The types of a registry are changed one by one")
        place = index if index >= 0 else index + len(self)
        if place < len(self._saved):
            raise ValueError(
                f"Cannot remove artifact type: {self[index]!r} that has been saved to the registry; types can only be added"
            )
        return place - len(self._saved)

    def __repr__(self) -> str:
        return repr(list(self))


class Registry:
    """A registry of an entity.  Attributes that are set here are kept by `save()`."""

    def __init__(self, organization: str, entity: str, name: str, attrs: collection_pb2.Project | None = None) -> None:
        """Makes the registry of a name, as it is stored.

        Args:
            organization: the entity; used when `entity` is empty.
            entity: whose registry it is.
            name: with or without "wandb-registry-".
            attrs: what was read already; default: it is asked for.

        Raises:
            NotFoundError: there is none.
            ValueError: the name breaks its rules.
        """
        self._take(attrs or _calls().get_project(entity or organization, full_registry_name(name)))

    @classmethod
    def _of(cls, record: collection_pb2.Project) -> Self:
        """Returns the registry of a record."""
        return cls(record.entity, record.entity, record.name, record)

    def _take(self, record: collection_pb2.Project) -> None:
        self._record = record
        self._name = record.name.removeprefix(REGISTRY_PREFIX)
        self._description = record.description
        self._visibility: Visibility = "restricted" if record.visibility == "restricted" else "organization"
        self._allow_all = not record.artifact_types
        self._types = AddOnlyArtifactTypes(record.artifact_types)

    # --- identity -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The registry's id; a new name does not change it."""
        return str(self._record.project_id)

    @property
    def internal_id(self) -> str | None:
        """As `id`."""
        return self.id

    @property
    def entity(self) -> str:
        """The entity (tenant) that it belongs to."""
        return str(self._record.entity)

    @property
    def organization(self) -> str:
        """As `entity`: an organization has one."""
        return self.entity

    @property
    def full_name(self) -> str:
        """The name with "wandb-registry-" before it, as in link targets."""
        return f"{REGISTRY_PREFIX}{self._name}"

    @property
    def path(self) -> list[str]:
        """Entity and full name."""
        return [self.entity, self.full_name]

    @property
    def created_at(self) -> str:
        """When it was made: ISO 8601, UTC."""
        return iso_time(self._record.created_at_ms)

    @property
    def updated_at(self) -> str | None:
        """When it changed last: ISO 8601, UTC; None: never since it was made."""
        return iso_time(self._record.updated_at_ms) if self._record.updated_at_ms else None

    # --- what the user may change -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name without the prefix."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = full_registry_name(value).removeprefix(REGISTRY_PREFIX)

    @property
    def description(self) -> str:
        """Free text, Markdown; empty when there is none."""
        return self._description

    @description.setter
    def description(self, value: str | None) -> None:
        self._description = value or ""

    @property
    def visibility(self) -> Visibility:
        """Who is meant to see it: "organization" or "restricted"; tokens decide who does."""
        return self._visibility

    @visibility.setter
    def visibility(self, value: Visibility) -> None:
        self._visibility = _checked_visibility(value)

    @property
    def artifact_types(self) -> AddOnlyArtifactTypes:
        """The types that it takes, when not all; types can be added."""
        return self._types

    @property
    def allow_all_artifact_types(self) -> bool:
        """Whether it takes versions of every type."""
        return self._allow_all

    @allow_all_artifact_types.setter
    def allow_all_artifact_types(self, value: bool) -> None:
        if value and self._types.draft:
            raise ValueError(_TYPES_AND_ALL)
        self._allow_all = bool(value)

    # --- what is in it ------------------------------------------------------------------------------------------------

    @normalize_exceptions
    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Collections:
        """Returns its collections.

        Args:
            filter: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return Collections(self.entity, None, filter, order, per_page, start, registry=str(self._record.name))

    @normalize_exceptions
    def versions(self, filter: Filter | None = None, per_page: int = 100, start: str | None = None) -> Versions:
        """Returns all versions that are linked into it.

        Args:
            filter: see docs/filters.md.
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        return Versions(self.entity, None, None, filter, per_page, start, registry=str(self._record.name))

    # --- changes ------------------------------------------------------------------------------------------------------

    @classmethod
    @normalize_exceptions
    def create(
        cls,
        api: Api | None,
        organization: str | None,
        name: str,
        visibility: Visibility,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Self:
        """Makes a registry.

        Args:
            api: gives the entity when `organization` is None.
            organization: the entity that it is to belong to.
            name: with or without "wandb-registry-".
            visibility: "organization" or "restricted".
            description: free text, Markdown.
            artifact_types: the types that it takes; default: all.

        Raises:
            CommError: there is one of this name, or an argument breaks its rules.
        """
        for type_name in artifact_types or ():
            check_type_name(type_name)
        project = collection_pb2.Project(
            entity=organization or (api.default_entity if api is not None else this_process().settings.entity),
            name=full_registry_name(name),
            description=description or "",
            has_description=description is not None,
            is_registry=True,
            visibility=_checked_visibility(visibility),
            artifact_types=list(dict.fromkeys(artifact_types or ())),
        )
        return cls._of(_calls().create_project(project))

    @normalize_exceptions
    def load(self) -> None:
        """Reads the registry again; what was set and not saved is lost.

        Raises:
            NotFoundError: (a CommError) it is gone.
        """
        self._take(_calls().get_project(self.entity, str(self._record.name)))

    @normalize_exceptions
    def save(self) -> None:
        """Keeps a new name, description, visibility and types.

        Raises:
            CommError: the name is taken; types were added while all are allowed; or all were forbidden.
        """
        saved = self._record
        allowed_all = not saved.artifact_types
        if self._allow_all and self._types.draft:
            raise ValueError(_TYPES_AND_ALL)
        if not self._allow_all and not self._types:
            raise ValueError("A registry that does not allow all artifact types needs one in `artifact_types`")
        request = collection_pb2.UpdateProjectRequest(
            project_id=saved.project_id,
            new_name=self.full_name if self.full_name != saved.name else "",
            set_description=self._description != saved.description,
            description=self._description,
            visibility=self._visibility if self._visibility != saved.visibility else "",
            artifact_types_to_add=self._types.draft,
            set_allow_all_types=self._allow_all != allowed_all,
            allow_all_types=self._allow_all,
        )
        if any(getattr(request, field) for field in _CHANGES):
            self._take(_calls().update_project(request))

    @normalize_exceptions
    def delete(self) -> None:
        """Deletes the registry with its collections and links; the versions stay where they were logged."""
        _calls().delete_registry(self.id)

    # --- members ------------------------------------------------------------------------------------------------------

    def members(self) -> list[Any]:
        """Returns nobody: access is granted with tokens."""
        return []

    def user_members(self) -> list[Any]:
        """Returns nobody: access is granted with tokens."""
        return []

    def team_members(self) -> list[Any]:
        """Returns nobody: access is granted with tokens."""
        return []

    def add_members(self, *members: Any) -> NoReturn:
        """Not possible: access is granted with tokens.

        Raises:
            CommError: always.
        """
        raise CommError(_NO_MEMBERS)

    def remove_members(self, *members: Any) -> NoReturn:
        """Not possible: access is granted with tokens.

        Raises:
            CommError: always.
        """
        raise CommError(_NO_MEMBERS)

    def update_member(self, member: Any, role: Any) -> NoReturn:
        """Not possible: access is granted with tokens.

        Raises:
            CommError: always.
        """
        raise CommError(_NO_MEMBERS)

    def __repr__(self) -> str:
        return f"<Registry {self.entity}/{self._name}>"


class Registries(Paginator[Registry]):
    """The registries of an entity."""

    def __init__(
        self,
        organization: str,
        filter: Filter | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; see `Api.registries`.

        Raises:
            ValueError: an argument breaks its rules.
            TypeError: a filter that is no dict.
        """
        super().__init__(per_page, start)
        self.organization = organization
        self._filter = filter
        self._request = collection_pb2.ListProjectsRequest(
            entity=organization,
            only_registries=True,
            filter_json=filter_json(with_registry_prefix(filter)),
            order=order_text(order),
            page_size=self.per_page,
        )

    def _fetch(self, cursor: str | None) -> Page[Registry]:
        page = _calls().list_projects(page_request(self._request, cursor))
        return Page([Registry._of(record) for record in page.projects], page.next_page_token or None, page.total_count)

    @normalize_exceptions
    def collections(
        self, filter: Filter | None = None, order: str | None = None, per_page: int = 100, start: str | None = None
    ) -> Collections | OrderedCollections:
        """Returns the collections of these registries; registry by registry when the registries have an order.

        Args:
            filter: see docs/filters.md.
            order: "+field" or "-field"; default: by name.
            per_page: collections of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        if self._request.order:
            children = (registry.collections(filter, order, per_page) for registry in self)
            return OrderedCollections(children)
        return Collections(self.organization, self._filter, filter, order, per_page, start)

    @normalize_exceptions
    def versions(
        self, filter: Filter | None = None, per_page: int = 100, start: str | None = None
    ) -> Versions | ChainedPaginator[Artifact]:
        """Returns the versions in these registries; registry by registry when the registries have an order.

        Args:
            filter: see docs/filters.md.
            per_page: versions of one request, at most 1,000.
            start: `cursor` of an earlier paginator, to go on from there.
        """
        if self._request.order:
            return ChainedPaginator(registry.versions(filter, per_page) for registry in self)
        return Versions(self.organization, self._filter, None, filter, per_page, start)


def _checked_visibility(value: str) -> Visibility:
    if value == "organization":
        return "organization"
    if value == "restricted":
        return "restricted"
    raise ValueError(f"Invalid visibility: {value!r}. Must be one of: {', '.join(_VISIBILITIES)}")


def _calls() -> CatalogueCalls:
    return CatalogueCalls(this_process().daemon)
