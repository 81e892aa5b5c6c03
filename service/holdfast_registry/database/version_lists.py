"""Lists of committed versions: of a collection, of a portfolio, of a query over many, of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, literal, select

from holdfast_registry.database.collection_rows import collection_sources, project_sources
from holdfast_registry.database.database import Database
from holdfast_registry.database.expiry import EXPIRES_AT_MS
from holdfast_registry.database.filters import FieldSource, FilterCompiler, Several
from holdfast_registry.database.links import load_linked
from holdfast_registry.database.paging import Listing, PageWish, count_rows, fetch_page
from holdfast_registry.database.schema import (
    alias,
    collection,
    edge,
    entity,
    link,
    project,
    run,
    version,
    version_tag,
)
from holdfast_registry.database.statements import AnyRow, find_collection, load_versions
from holdfast_registry.domain.filters import Filter
from holdfast_registry.domain.records import CollectionKind, CollectionName, EdgeKind, VersionRecord, VersionState
from holdfast_registry.domain.ttl import TtlKind
from holdfast_registry.errors import not_found

_COMMITTED = version.c.state == VersionState.COMMITTED.value
_TEXT_BYTES = func.length(version.c.metadata_json) + 4 * func.coalesce(func.length(version.c.description), 0)
_portfolio = collection.alias("portfolio")
_shelf = project.alias("shelf")
"""The project that a portfolio is in."""


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Some versions of a list."""

    versions: list[VersionRecord]
    next_token: str
    total_count: int


@dataclass(frozen=True, slots=True)
class CollectionVersions:
    """The versions of one collection that are wanted."""

    name: CollectionName
    type: str
    """Not empty: the collection must be of it."""
    tags: tuple[str, ...]
    """All of which they carry."""
    filter: Filter


@dataclass(frozen=True, slots=True)
class VersionQuery:
    """The versions of an entity that are wanted."""

    entity: str
    project: str
    """Empty: all."""
    type: str
    filter: Filter
    collection_filter: Filter
    registry_filter: Filter
    of_registries: bool
    """Links of registries, instead of what was logged."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """The manifest of a version."""

    version_id: str
    root: bytes


_MANIFESTS = (
    select(version.c.id, version.c.manifest_root)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(
        entity.c.name == bindparam("entity"),
        version.c.manifest_root.is_not(None),
        version.c.state != VersionState.FAILED.value,
    )
)


class OwnView:
    """Versions where they were logged."""

    id: ColumnElement[str] = version.c.id
    home = collection
    shelf = project
    index: ColumnElement[int] = version.c.version_index
    created_at_ms: ColumnElement[int] = version.c.created_at_ms
    names = select(literal(1)).where(
        alias.c.collection_id == version.c.collection_id, alias.c.version_id == version.c.id
    )
    load = staticmethod(load_versions)

    @staticmethod
    def rows() -> Select[Any]:
        """Returns all of them, in no order."""
        return _join_source(select(version.c.id.label("row_id")).select_from(version))


class LinkView:
    """Versions as portfolios show them: with the portfolio's name, numbers and aliases."""

    id: ColumnElement[str] = link.c.id
    home = _portfolio
    shelf = _shelf
    index: ColumnElement[int] = link.c.version_index
    created_at_ms: ColumnElement[int] = version.c.created_at_ms
    names = select(literal(1)).where(alias.c.collection_id == link.c.collection_id, alias.c.version_id == version.c.id)
    load = staticmethod(load_linked)

    @staticmethod
    def rows() -> Select[Any]:
        """Returns all of them, in no order."""
        linked = select(link.c.id.label("row_id")).select_from(link).join(version, version.c.id == link.c.version_id)
        return (
            _join_source(linked)
            .join(_portfolio, _portfolio.c.id == link.c.collection_id)
            .join(_shelf, _shelf.c.id == _portfolio.c.project_id)
        )


View = type[OwnView] | type[LinkView]


def _join_source(statement: Select[Any]) -> Select[Any]:
    return (
        statement.join(collection, collection.c.id == version.c.collection_id)
        .join(project, project.c.id == collection.c.project_id)
        .outerjoin(run, run.c.id == version.c.logged_by)
        .where(_COMMITTED)
    )


def version_sources(view: View) -> Mapping[str, FieldSource]:
    """Returns what the fields of VERSION_FIELDS are in a query on versions."""
    tagged = select(literal(1)).where(version_tag.c.version_id == version.c.id)
    own_ttl_s = case((version.c.ttl_kind == TtlKind.DURATION.value, version.c.ttl_s))
    return {
        "name": view.home.c.name,
        "collection": view.home.c.name,
        "project": view.shelf.c.name,
        "type": collection.c.type,
        "id": version.c.id,
        "state": literal(VersionState.COMMITTED.name),
        "version": view.index,
        "version_index": view.index,
        "semantic_version": version.c.semantic_version_key,
        "alias": Several(alias.c.name, view.names),
        "tag": Several(version_tag.c.tag, tagged),
        "size": version.c.size_bytes,
        "file_count": version.c.entry_count,
        "digest": version.c.digest,
        "metadata": version.c.metadata_json,
        "description": version.c.description,
        "ttl": own_ttl_s,
        "created_at": version.c.created_at_ms,
        "updated_at": version.c.updated_at_ms,
        "expires_at": EXPIRES_AT_MS,
        "logged_by": run.c.run_id,
    }


def _listing(view: View, statement: Select[Any], default_order: str) -> Listing:
    orders: Mapping[str, ColumnElement[Any]] = {
        "version_index": view.index,
        "version": view.index,
        "created_at": version.c.created_at_ms,
        "updated_at": version.c.updated_at_ms,
        "size": version.c.size_bytes,
        "name": view.home.c.name,
        "semantic_version": version.c.semantic_version_key,
    }
    return Listing(statement, orders, default_order, view.id, _TEXT_BYTES)


class VersionListRepository:
    """Lists of versions; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_collection(self, wanted: CollectionVersions, page: PageWish, *, oldest_first: bool) -> VersionPage:
        """Returns one page of the versions of a collection, or of a portfolio's links.

        Raises:
            RegistryError: NOT_FOUND: no such collection, or not of that type; INVALID_FILTER: no such order.
        """
        default_order = "+version_index" if oldest_first else "-version_index"
        return await self._database.read(partial(_of_collection, wanted=wanted, page=page, default_order=default_order))

    async def search(self, query: VersionQuery, page: PageWish) -> VersionPage:
        """Returns one page of what a query finds, newest first unless asked otherwise.

        Raises:
            RegistryError: INVALID_FILTER: no such order.
        """

        def unit(connection: Connection) -> VersionPage:
            view = _view(query)
            return _fetch(connection, view, _listing(view, _found(connection, query), "-created_at"), page)

        return await self._database.read(unit)

    async def found(self, query: VersionQuery) -> Sequence[str]:
        """Returns the ids of all versions that a query finds, each once."""

        def unit(connection: Connection) -> Sequence[str]:
            statement = _found(connection, query).with_only_columns(version.c.id).distinct()
            return connection.execute(statement).scalars().all()

        return await self._database.read(unit)

    async def count(self, query: VersionQuery) -> int:
        """Returns how many versions, or links, a query finds."""

        def unit(connection: Connection) -> int:
            return count_rows(connection, _listing(_view(query), _found(connection, query), "-created_at"))

        return await self._database.read(unit)

    async def manifests(self, entity_name: str) -> list[StoredManifest]:
        """Returns the manifests of all versions of an entity whose content is kept, deleted ones included."""

        def unit(connection: Connection) -> list[StoredManifest]:
            rows = connection.execute(_MANIFESTS, {"entity": entity_name})
            return [StoredManifest(row.id, bytes(row.manifest_root)) for row in rows]

        return await self._database.read(unit)

    async def of_run(
        self, entity_name: str, project_name: str, run_id: str, kind: EdgeKind, page: PageWish
    ) -> VersionPage:
        """Returns one page of the versions that a run logged or used, oldest edge first; of an unknown run none."""

        def unit(connection: Connection) -> VersionPage:
            runs_project = project.alias("runs_project")
            the_run = run.alias("the_run")
            statement = (
                OwnView.rows()
                .join(edge, and_(edge.c.version_id == version.c.id, edge.c.kind == kind.value))
                .join(the_run, the_run.c.id == edge.c.run_id)
                .join(runs_project, runs_project.c.id == the_run.c.project_id)
                .join(entity, entity.c.id == runs_project.c.entity_id)
                .where(the_run.c.run_id == run_id, runs_project.c.name == project_name, entity.c.name == entity_name)
            )
            listing = Listing(statement, {"edge": edge.c.id}, "+edge", edge.c.id, _TEXT_BYTES)
            return _fetch(connection, OwnView, listing, page)

        return await self._database.read(unit)


def _fetch(connection: Connection, view: View, listing: Listing, page: PageWish) -> VersionPage:
    found = fetch_page(connection, listing, page)
    return VersionPage(view.load(connection, _ids(found.rows)), found.next_token, found.total_count)


def _ids(rows: Sequence[AnyRow]) -> list[str]:
    return [row.row_id for row in rows]


def _of_collection(
    connection: Connection, *, wanted: CollectionVersions, page: PageWish, default_order: str
) -> VersionPage:
    found = find_collection(connection, wanted.name)
    if found is None:
        raise not_found(f"Artifact {wanted.name}")
    if wanted.type and found.type != wanted.type:
        raise not_found(f"Artifact {wanted.name} of type {wanted.type!r} (it is of type {found.type!r})")
    view: View = LinkView if found.kind == CollectionKind.PORTFOLIO else OwnView
    held_in = link.c.collection_id if view is LinkView else version.c.collection_id
    compiler = FilterCompiler(version_sources(view), connection.dialect.name)
    statement = view.rows().where(held_in == found.id, compiler.compile(wanted.filter))
    if wanted.tags:
        statement = statement.where(version.c.id.in_(_ids_with_tags(wanted.tags)))
    return _fetch(connection, view, _listing(view, statement, default_order), page)


def _view(query: VersionQuery) -> View:
    return LinkView if query.of_registries else OwnView


def _found(connection: Connection, query: VersionQuery) -> Select[Any]:
    view, dialect = _view(query), connection.dialect.name
    statement = (
        view.rows()
        .join(entity, entity.c.id == view.shelf.c.entity_id)
        .where(
            entity.c.name == query.entity,
            FilterCompiler(version_sources(view), dialect).compile(query.filter),
            FilterCompiler(collection_sources(view.home, view.shelf), dialect).compile(query.collection_filter),
            FilterCompiler(project_sources(view.shelf), dialect).compile(query.registry_filter),
        )
    )
    if query.of_registries:
        statement = statement.where(view.shelf.c.is_registry)
    if query.project:
        statement = statement.where(view.shelf.c.name == query.project)
    if query.type:
        statement = statement.where(view.home.c.type == query.type)
    return statement


def _ids_with_tags(tags: Sequence[str]) -> Select[tuple[str]]:
    wanted = sorted(set(tags))
    return (
        select(version_tag.c.version_id)
        .where(version_tag.c.tag.in_(wanted))
        .group_by(version_tag.c.version_id)
        .having(func.count() == len(wanted))
    )
