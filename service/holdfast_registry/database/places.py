"""Where things are that calls name by an id, and which aliases are protected there."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, insert, or_, select, union

from holdfast_contract.reasons import Reason
from holdfast_registry.auth.needs import Aliases, Kept, Kind
from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import (
    alias,
    collection,
    entity,
    lease,
    link,
    project,
    protected_alias,
    token,
    version,
)
from holdfast_registry.database.statements import find_collection, find_project
from holdfast_registry.domain.access import Scope
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.errors import RegistryError, not_found

LEASES_KEPT = 4096
"""Whose place is remembered: it never changes, and each pack and each look-up of chunks asks."""
_PROJECT_ID = re.compile(r"(\d{1,18})-(\d{1,18})")


def _of_collection(*condition: Any) -> Select[Any]:
    return (
        select(entity.c.name, project.c.name)
        .select_from(collection)
        .join(project, project.c.id == collection.c.project_id)
        .join(entity, entity.c.id == project.c.entity_id)
        .where(*condition)
    )


_WANTED: Any = bindparam("wanted")
_VERSION_HOME = _of_collection(
    collection.c.id == select(version.c.collection_id).where(version.c.id == _WANTED).scalar_subquery()
)
_VERSION_LINKS = _of_collection(collection.c.id.in_(select(link.c.collection_id).where(link.c.version_id == _WANTED)))
_STATEMENTS: dict[Kind, Select[Any]] = {
    Kind.VERSION: _VERSION_HOME,
    Kind.LEASE: _of_collection(
        collection.c.id
        == select(version.c.collection_id)
        .join(lease, lease.c.version_id == version.c.id)
        .where(lease.c.id == _WANTED)
        .scalar_subquery()
    ),
    Kind.COLLECTION: _of_collection(collection.c.public_id == _WANTED),
    Kind.LINK: _of_collection(
        collection.c.id == select(link.c.collection_id).where(link.c.id == _WANTED).scalar_subquery()
    ),
}
_PROJECT = (
    select(entity.c.name, project.c.name)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(project.c.id == bindparam("row"), project.c.created_at_ms == bindparam("created"))
)
_TOKEN = select(token.c.entity, token.c.project).where(token.c.id == bindparam("row"))

Places = tuple[Scope, ...]
"""Where a thing is: first its own place, then those from which it can be seen, too."""


class PlaceRepository:
    """Finds places."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases: OrderedDict[str, Places] = OrderedDict()

    async def places(self, wanted: Sequence[Kept]) -> dict[Kept, Places]:
        """Returns where things are; one that does not exist is nowhere."""
        found = {thing: self._leases[thing.id] for thing in wanted if self._is_remembered(thing)}
        unknown = [thing for thing in wanted if thing not in found]
        if unknown:
            found |= await self._database.read(partial(_places_of_all, things=unknown))
        for thing in unknown:
            if thing.kind is Kind.LEASE and found[thing]:
                self._leases[thing.id] = found[thing]
        while len(self._leases) > LEASES_KEPT:
            self._leases.popitem(last=False)
        return found

    def _is_remembered(self, thing: Kept) -> bool:
        return thing.kind is Kind.LEASE and thing.id in self._leases


def _places_of_all(connection: Connection, things: Iterable[Kept]) -> dict[Kept, Places]:
    return {thing: _places(connection, thing) for thing in things}


def _places(connection: Connection, thing: Kept) -> Places:
    if thing.kind is Kind.PROJECT:
        matched = _PROJECT_ID.fullmatch(thing.id)
        values = {} if matched is None else {"row": int(matched[1]), "created": int(matched[2])}
        return _scopes(connection.execute(_PROJECT, values)) if values else ()
    if thing.kind is Kind.TOKEN:
        row_id = token_row(thing.id)
        return () if row_id is None else _scopes(connection.execute(_TOKEN, {"row": row_id}))
    own = _scopes(connection.execute(_STATEMENTS[thing.kind], {"wanted": thing.id}))
    if thing.kind is Kind.VERSION and own:
        return own + _scopes(connection.execute(_VERSION_LINKS, {"wanted": thing.id}))
    return own


def token_row(token_id: str) -> int | None:
    """Returns the row that a token's id on the wire stands for, if it can be one."""
    return int(token_id) if token_id.isascii() and token_id.isdecimal() and len(token_id) <= 18 else None


def _scopes(rows: Iterable[Any]) -> Places:
    return tuple(Scope(row[0] or "", row[1] or "") for row in rows)


# A row of protected_alias counts for an alias of a collection.
PROTECTION_COUNTS = and_(
    protected_alias.c.project_id == collection.c.project_id,
    or_(protected_alias.c.collection_id.is_(None), protected_alias.c.collection_id == collection.c.id),
)
_HELD = (
    select(alias.c.name)
    .join(collection, collection.c.id == alias.c.collection_id)
    .join(protected_alias, and_(PROTECTION_COUNTS, protected_alias.c.name == alias.c.name))
)
_GIVEN = (
    select(protected_alias.c.name)
    .join(collection, PROTECTION_COUNTS)
    .where(protected_alias.c.name.in_(bindparam("names", expanding=True)))
)
_OF_VERSIONS = select(version.c.id).join(collection, collection.c.id == version.c.collection_id)
_HELD_BY = {
    Kind.VERSION: _HELD.where(alias.c.version_id == _WANTED),
    Kind.LINK: _HELD.join(
        link, and_(link.c.collection_id == alias.c.collection_id, link.c.version_id == alias.c.version_id)
    ).where(link.c.id == _WANTED),
    Kind.COLLECTION: union(
        _HELD.where(collection.c.public_id == _WANTED),
        _HELD.where(alias.c.version_id.in_(_OF_VERSIONS.where(collection.c.public_id == _WANTED))),
    ),
}
_GIVEN_TO = {
    Kind.VERSION: _GIVEN.where(
        collection.c.id == select(version.c.collection_id).where(version.c.id == _WANTED).scalar_subquery()
    ),
    Kind.LINK: _GIVEN.where(
        collection.c.id == select(link.c.collection_id).where(link.c.id == _WANTED).scalar_subquery()
    ),
}
# The collection need not exist yet.
_GIVEN_BY_NAME = (
    select(protected_alias.c.name)
    .join(project, project.c.id == protected_alias.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .outerjoin(collection, collection.c.id == protected_alias.c.collection_id)
    .where(
        entity.c.name == bindparam("entity"),
        project.c.name == bindparam("project"),
        or_(protected_alias.c.collection_id.is_(None), collection.c.name == bindparam("collection")),
        protected_alias.c.name.in_(bindparam("names", expanding=True)),
    )
)


def refuse_protected(connection: Connection, touched: Aliases) -> None:
    """Looks whether a call gives or takes an alias that is protected where it is.

    Raises:
        RegistryError: PERMISSION_DENIED.
    """
    found = connection.execute(*_protected(touched)).scalars().first()
    if found is not None:
        raise RegistryError(
            Reason.PERMISSION_DENIED,
            f"The alias {found!r} is protected here; only the roles aliaser and admin may give it or take it away.",
            {"alias": str(found)},
        )


def _protected(touched: Aliases) -> tuple[Any, dict[str, object]]:
    if touched.kind is None:
        named = {"entity": touched.entity, "project": touched.project, "collection": touched.collection}
        return _GIVEN_BY_NAME, named | {"names": list(touched.names or ())}
    if touched.names is None:
        return _HELD_BY[touched.kind], {"wanted": touched.id}
    return _GIVEN_TO[touched.kind], {"wanted": touched.id, "names": list(touched.names)}


class ProtectedAliasRepository:
    """Sets and shows protected aliases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, where: CollectionName, names: Iterable[str]) -> None:
        """Replaces the protected aliases of a project (no collection's name) or of one collection.

        Raises:
            RegistryError: NOT_FOUND.
        """

        def unit(connection: Connection) -> None:
            project_id, collection_id = _rows(connection, where)
            connection.execute(protected_alias.delete().where(*_at(project_id, collection_id)))
            rows = [
                {"project_id": project_id, "collection_id": collection_id, "name": name} for name in sorted({*names})
            ]
            if rows:
                connection.execute(insert(protected_alias), rows)

        await self._database.write(unit)

    async def get(self, where: CollectionName) -> list[str]:
        """Returns what is set there itself, by name.

        Raises:
            RegistryError: NOT_FOUND.
        """

        def unit(connection: Connection) -> list[str]:
            found = select(protected_alias.c.name).where(*_at(*_rows(connection, where)))
            return list(connection.execute(found.order_by(protected_alias.c.name)).scalars())

        return await self._database.read(unit)


def _at(project_id: int, collection_id: int | None) -> Sequence[Any]:
    # `IS` compares with NULL, too.
    return protected_alias.c.project_id == project_id, protected_alias.c.collection_id.is_not_distinct_from(
        collection_id
    )


def _rows(connection: Connection, where: CollectionName) -> tuple[int, int | None]:
    project_id = find_project(connection, where.entity, where.project)
    if project_id is None:
        raise not_found(f"Project {where.entity}/{where.project}")
    if not where.name:
        return project_id, None
    found = find_collection(connection, where)
    if found is None:
        raise not_found(f"Collection {where}")
    return project_id, found.id
