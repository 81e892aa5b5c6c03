"""Collections: what a project holds; each method one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, select, text, update

from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfast_contract.names import is_reserved_type
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.collection_rows import collection_sources, project_sources
from holdfast_registry.database.database import Database
from holdfast_registry.database.deletion import delete_portfolio, delete_sequence
from holdfast_registry.database.filters import FilterCompiler
from holdfast_registry.database.links import ensure_portfolio
from holdfast_registry.database.locks import lock_collection, lock_deleted_collection
from holdfast_registry.database.paging import Listing, PageWish, fetch_page
from holdfast_registry.database.schema import alias, collection, collection_tag, entity, link, project, version
from holdfast_registry.database.statements import (
    AnyRow,
    Once,
    find_collection,
    find_project,
    find_response,
    remember_response,
    ttl_columns,
    ttl_of_row,
)
from holdfast_registry.domain.filters import Filter
from holdfast_registry.domain.records import CollectionKind, CollectionName, CollectionRecord, TypeRecord, VersionState
from holdfast_registry.domain.ttl import Ttl
from holdfast_registry.errors import RegistryError, not_found

_counted = version.alias()
_VERSION_COUNT = (
    select(func.count())
    .select_from(_counted)
    .where(_counted.c.collection_id == collection.c.id, _counted.c.state == VersionState.COMMITTED.value)
    .scalar_subquery()
)
_linked = link.alias()
_LINK_COUNT = (
    select(func.count()).select_from(_linked).where(_linked.c.collection_id == collection.c.id).scalar_subquery()
)
_IS_PORTFOLIO = collection.c.kind == CollectionKind.PORTFOLIO.value
_IS_THERE = collection.c.kind != CollectionKind.DELETED.value
_COLLECTIONS = (
    select(
        collection,
        project.c.name.label("project"),
        entity.c.name.label("entity"),
        case((_IS_PORTFOLIO, _LINK_COUNT), else_=_VERSION_COUNT).label("version_count"),
        case((_IS_PORTFOLIO, link.c.version_index), else_=version.c.version_index).label("latest_index"),
        version.c.size_bytes.label("latest_size_bytes"),
    )
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .outerjoin(version, version.c.id == collection.c.latest_version_id)
    .outerjoin(link, and_(link.c.collection_id == collection.c.id, link.c.version_id == version.c.id))
    .where(_IS_THERE)
)
_TAGS = select(collection_tag.c.collection_id, collection_tag.c.tag).where(
    collection_tag.c.collection_id.in_(bindparam("row_ids", expanding=True))
)
_ALIASES = (
    select(alias.c.name).where(alias.c.collection_id == bindparam("row_id")).order_by(alias.c.name).limit(PAGE_SIZE_MAX)
)
_ADD_TAG = text("INSERT INTO collection_tag (collection_id, tag) VALUES (:row_id, :tag) ON CONFLICT DO NOTHING")
_TYPES = (
    select(
        collection.c.type,
        func.count().label("collection_count"),
        func.min(collection.c.created_at_ms).label("created_at_ms"),
    )
    .where(collection.c.project_id == bindparam("project_id"), _IS_THERE)
    .group_by(collection.c.type)
    .order_by(collection.c.type)
)


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """Some collections of a list."""

    collections: list[CollectionRecord]
    next_token: str
    total_count: int


@dataclass(frozen=True, slots=True)
class CollectionQuery:
    """The collections of an entity that are wanted."""

    entity: str
    project: str
    """Empty: all."""
    type: str
    filter: Filter
    registry_filter: Filter
    of_registries: bool


@dataclass(frozen=True, slots=True)
class CollectionChange:
    """What is to be changed; the names are checked already.  None, or an empty name, leaves a field as it is."""

    collection_id: str
    new_name: str
    new_type: str
    description: str | None
    tags_to_add: tuple[str, ...]
    tags_to_remove: tuple[str, ...]
    ttl: Ttl | None


class CatalogueRepository:
    """Collections."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def get(self, name: CollectionName) -> CollectionRecord:
        """Returns one collection, with its aliases.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get, name=name))

    async def get_by_id(self, collection_id: str) -> CollectionRecord:
        """Returns one collection, with its aliases.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_get_by_id, collection_id=collection_id))

    async def list(self, query: CollectionQuery, page: PageWish) -> CollectionPage:
        """Returns one page of collections, by name unless asked otherwise; of an unknown project none.

        Raises:
            RegistryError: INVALID_FILTER: no such order.
        """
        return await self._database.read(partial(_list, query=query, page=page))

    async def types(self, entity_name: str, project_name: str) -> Sequence[TypeRecord]:
        """Returns the types of a project's collections, by name."""

        def unit(connection: Connection) -> Sequence[TypeRecord]:
            project_id = find_project(connection, entity_name, project_name)
            rows = connection.execute(_TYPES, {"project_id": project_id})
            return [TypeRecord(row.type, row.collection_count, row.created_at_ms) for row in rows]

        return await self._database.read(unit)

    async def create_portfolio(
        self, name: CollectionName, type_name: str, description: str, once: Once[CollectionRecord]
    ) -> bytes:
        """Makes an empty portfolio.

        Raises:
            RegistryError: ALREADY_EXISTS; TYPE_MISMATCH: the registry does not take the type; REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            if (answered := find_response(connection, once)) is not None:
                return answered
            if find_collection(connection, name) is not None:
                raise _exists(name)
            now_ms = self._clock.now_ms()
            ensure_portfolio(connection, name, type_name, self._ids, now_ms, description)
            return remember_response(connection, once, _get(connection, name), now_ms)

        return await self._database.write(unit)

    async def update(self, change: CollectionChange, once: Once[CollectionRecord]) -> bytes:
        """Changes a collection.

        Raises:
            RegistryError: NOT_FOUND, ALREADY_EXISTS, TYPE_RESERVED, KIND_MISMATCH, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            lock_collection(connection, change.collection_id)
            if (answered := find_response(connection, once)) is not None:
                return answered
            row = _row_by_id(connection, change.collection_id)
            now_ms = self._clock.now_ms()
            values = _changed_columns(connection, row, change) | {"updated_at_ms": now_ms}
            connection.execute(update(collection).where(collection.c.id == row.id).values(values))
            _change_tags(connection, row.id, change)
            return remember_response(connection, once, _get_by_id(connection, change.collection_id), now_ms)

        return await self._database.write(unit)

    async def delete(self, collection_id: str, once: Once[int]) -> bytes:
        """Deletes a sequence with its versions, or a portfolio with its links.

        Raises:
            RegistryError: NOT_FOUND, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            lock_deleted_collection(connection, collection_id)
            if (answered := find_response(connection, once)) is not None:
                return answered
            row = _row_by_id(connection, collection_id)
            now_ms = self._clock.now_ms()
            deleted = 0
            if row.kind == CollectionKind.PORTFOLIO:
                delete_portfolio(connection, row.id)
            else:
                deleted = delete_sequence(connection, row.id, collection_id, self._ids, now_ms)
            return remember_response(connection, once, deleted, now_ms)

        return await self._database.write(unit)


def _get(connection: Connection, name: CollectionName) -> CollectionRecord:
    row = connection.execute(
        _COLLECTIONS.where(entity.c.name == name.entity, project.c.name == name.project, collection.c.name == name.name)
    ).first()
    if row is None:
        raise not_found(f"Artifact {name}")
    return _with_aliases(connection, row)


def _get_by_id(connection: Connection, collection_id: str) -> CollectionRecord:
    return _with_aliases(connection, _row_by_id(connection, collection_id))


def _row_by_id(connection: Connection, collection_id: str) -> AnyRow:
    row = connection.execute(_COLLECTIONS.where(collection.c.public_id == collection_id)).first()
    if row is None:
        raise not_found(f"Collection {collection_id[:64]!r}")
    return row


def _with_aliases(connection: Connection, row: AnyRow) -> CollectionRecord:
    aliases = connection.execute(_ALIASES, {"row_id": row.id}).scalars().all()
    return _records(connection, [row], aliases)[0]


def _list(connection: Connection, *, query: CollectionQuery, page: PageWish) -> CollectionPage:
    dialect = connection.dialect.name
    statement = _COLLECTIONS.where(
        entity.c.name == query.entity,
        FilterCompiler(collection_sources(collection, project), dialect).compile(query.filter),
        FilterCompiler(project_sources(project), dialect).compile(query.registry_filter),
    )
    if query.project:
        statement = statement.where(project.c.name == query.project)
    if query.of_registries:
        statement = statement.where(project.c.is_registry)
    if query.type:
        statement = statement.where(collection.c.type == query.type)
    found = fetch_page(connection, _listing(statement), page)
    return CollectionPage(_records(connection, found.rows), found.next_token, found.total_count)


def _listing(statement: Select[Any]) -> Listing:
    orders: dict[str, ColumnElement[Any]] = {
        "name": collection.c.name,
        "created_at": collection.c.created_at_ms,
        "updated_at": collection.c.updated_at_ms,
    }
    return Listing(statement, orders, "+name", collection.c.id, 4 * func.length(collection.c.description))


def _records(connection: Connection, rows: Sequence[AnyRow], aliases: Sequence[str] = ()) -> list[CollectionRecord]:
    tags: dict[int, list[str]] = {}
    for row_id, tag in connection.execute(_TAGS, {"row_ids": [row.id for row in rows]}):
        tags.setdefault(row_id, []).append(tag)
    return [_record(row, tags.get(row.id, []), aliases) for row in rows]


def _record(row: AnyRow, tags: Sequence[str], aliases: Sequence[str]) -> CollectionRecord:
    return CollectionRecord(
        collection_id=row.public_id,
        name=CollectionName(row.entity, row.project, row.name),
        kind=CollectionKind(row.kind),
        type=row.type,
        description=row.description,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        version_count=row.version_count,
        latest_version_index=-1 if row.latest_index is None else row.latest_index,
        latest_size_bytes=row.latest_size_bytes or 0,
        tags=tuple(sorted(tags)),
        ttl=ttl_of_row(row),
        aliases=tuple(aliases),
    )


def _changed_columns(connection: Connection, row: AnyRow, change: CollectionChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if change.new_name and change.new_name != row.name:
        name = CollectionName(row.entity, row.project, change.new_name)
        if find_collection(connection, name) is not None:
            raise _exists(name)
        values["name"] = change.new_name
    if change.new_type and change.new_type != row.type:
        _check_new_type(row, change)
        values["type"] = change.new_type
    if change.description is not None:
        values["description"] = change.description
    if change.ttl is not None:
        values |= ttl_columns(change.ttl)
    return values


def _check_new_type(row: AnyRow, change: CollectionChange) -> None:
    if row.kind != CollectionKind.SEQUENCE:
        raise RegistryError(
            Reason.KIND_MISMATCH,
            f"{row.name} is a portfolio, whose type is that of what is linked; make another portfolio for another type.",
        )
    for type_name in (row.type, change.new_type):
        if is_reserved_type(type_name, change.new_name or row.name):
            raise RegistryError(
                Reason.TYPE_RESERVED,
                f"The type of {row.name} cannot be changed from {row.type!r} to {change.new_type!r}: "
                f"{type_name!r} is reserved for internal use.",
            )


def _change_tags(connection: Connection, row_id: int, change: CollectionChange) -> None:
    if change.tags_to_remove:
        removed = collection_tag.c.tag.in_(change.tags_to_remove) & (collection_tag.c.collection_id == row_id)
        connection.execute(collection_tag.delete().where(removed))
    if change.tags_to_add:
        connection.execute(_ADD_TAG, [{"row_id": row_id, "tag": tag} for tag in sorted(set(change.tags_to_add))])


def _exists(name: CollectionName) -> RegistryError:
    return RegistryError(Reason.ALREADY_EXISTS, f"A collection {name} exists already; choose another name.")
