"""Links: places of versions in portfolios, under the portfolio's own numbers and aliases; each method one transaction.

A portfolio's `latest` is its link with the highest number; its aliases are rows of `alias` by portfolio and version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from holdfast_contract.digest import digest_of
from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.commits import change_aliases, take_number
from holdfast_registry.database.database import Database
from holdfast_registry.database.locks import lock_collections, lock_link, lock_version
from holdfast_registry.database.schema import alias, collection, entity, link, project, version
from holdfast_registry.database.statements import (
    AnyRow,
    Once,
    ensure_project,
    find_collection,
    find_response,
    insert_collection,
    load_committed,
    load_versions,
    remember_response,
)
from holdfast_registry.domain.records import CollectionKind, CollectionName, LinkRecord, VersionRecord
from holdfast_registry.domain.registries import check_accepts, check_linkable
from holdfast_registry.domain.versions import check_type
from holdfast_registry.errors import invalid, not_found

ETAG_CHARS = 32
"""As many as those of versions."""

_LINKS = (
    select(
        link,
        collection.c.name.label("portfolio"),
        collection.c.latest_version_id,
        project.c.name.label("project"),
        entity.c.name.label("entity"),
    )
    .join(collection, collection.c.id == link.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
)
_LINK = _LINKS.where(link.c.id == bindparam("link_id"))
_LINKS_BY_ID = _LINKS.where(link.c.id.in_(bindparam("link_ids", expanding=True)))
_LINKS_OF_VERSION = _LINKS.where(link.c.version_id == bindparam("version_id")).order_by(
    link.c.created_at_ms, link.c.collection_id
)
_LINK_IN = select(link.c.id).where(
    link.c.collection_id == bindparam("collection_id"), link.c.version_id == bindparam("version_id")
)
_ALIASES = (
    select(link.c.id, alias.c.name)
    .join(alias, and_(alias.c.collection_id == link.c.collection_id, alias.c.version_id == link.c.version_id))
    .where(link.c.id.in_(bindparam("link_ids", expanding=True)))
)
_DROP_ALIASES = alias.delete().where(
    alias.c.collection_id == bindparam("of_collection"), alias.c.version_id == bindparam("of_version")
)
_HIGHEST = (
    select(link.c.version_id)
    .where(link.c.collection_id == bindparam("collection_id"))
    .order_by(link.c.version_index.desc())
    .limit(1)
)
_SET_LATEST = (
    update(collection)
    .where(collection.c.id == bindparam("row_id"))
    .values(latest_version_id=bindparam("latest"), updated_at_ms=bindparam("now_ms"))
)
_TYPES_OF_PROJECT = (
    select(project.c.types_json).where(project.c.id == bindparam("row_id")).with_for_update(read=True, key_share=True)
)


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What is to be linked where; the names are checked already."""

    version_id: str
    target: CollectionName
    aliases: tuple[str, ...]


class LinkRepository:
    """Links versions, and takes links away."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def link(self, wish: LinkWish, once: Once[VersionRecord]) -> bytes:
        """Links a version into a portfolio, which is made when absent; a link that is there stays and gets the aliases.

        Raises:
            RegistryError: NOT_FOUND, KIND_MISMATCH, TYPE_MISMATCH, INVALID_ARGUMENT (another entity's), REQUEST_ID_REUSED.
        """
        response = await self._database.write(partial(self._link, wish=wish, once=once))
        failpoint("link.after_commit")
        return response

    def _link(self, connection: Connection, wish: LinkWish, once: Once[VersionRecord]) -> bytes:
        target = find_collection(connection, wish.target)
        lock_version(connection, wish.version_id, "", *([] if target is None else [target.id]))
        if (answered := find_response(connection, once)) is not None:
            return answered
        source = load_committed(connection, wish.version_id)
        if source.name.entity != wish.target.entity:
            raise invalid(f"{source} cannot be linked into {wish.target}: that belongs to another entity.")
        now_ms = self._clock.now_ms()
        portfolio_id = ensure_portfolio(connection, wish.target, source.type, self._ids, now_ms)
        if target is None:
            lock_collections(connection, [portfolio_id])  # somebody else may have made it
        place = {"collection_id": portfolio_id, "version_id": source.version_id}
        link_id = connection.execute(_LINK_IN, place).scalar()
        if link_id is None:
            link_id = self._ids.new_id()
            index = take_number(connection, portfolio_id, source.version_id, now_ms)
            values = {"id": link_id, "version_index": index, "created_at_ms": now_ms}
            connection.execute(insert(link), place | values)
        change_link_aliases(connection, link_id, add=wish.aliases, remove=(), now_ms=now_ms)
        response = remember_response(connection, once, load_linked(connection, [link_id])[0], now_ms)
        failpoint("link.before_commit")
        return response

    async def unlink(self, link_id: str, once: Once[None]) -> bytes:
        """Removes a link with its aliases; the version stays.

        Raises:
            RegistryError: NOT_FOUND, REQUEST_ID_REUSED.
        """

        def unit(connection: Connection) -> bytes:
            lock_link(connection, link_id)
            if (answered := find_response(connection, once)) is not None:
                return answered
            now_ms = self._clock.now_ms()
            drop_links(connection, [find_link(connection, link_id)], now_ms)
            return remember_response(connection, once, None, now_ms)

        return await self._database.write(unit)

    async def links_of(self, version_id: str) -> list[VersionRecord]:
        """Returns the version once for each of its links, oldest first.

        Raises:
            RegistryError: NOT_FOUND.
        """

        def unit(connection: Connection) -> list[VersionRecord]:
            load_committed(connection, version_id)
            return load_linked_of(connection, version_id)

        return await self._database.read(unit)


def ensure_portfolio(
    connection: Connection, name: CollectionName, type_name: str, ids: IdSource, now_ms: int, description: str = ""
) -> int:
    """Returns the row of a portfolio, made when absent, that takes links to versions of a type.

    Raises:
        RegistryError: KIND_MISMATCH, TYPE_MISMATCH.
    """
    found = find_collection(connection, name)
    if found is not None:
        check_linkable(name.name, CollectionKind(found.kind))
        check_type(name.name, found.type, type_name)
        return int(found.id)
    _, project_id = ensure_project(connection, name.entity, name.project, now_ms)
    accepted = json.loads(connection.execute(_TYPES_OF_PROJECT, {"row_id": project_id}).scalar_one())
    check_accepts(name.project, accepted, type_name)
    return insert_collection(
        connection, ids.new_id(), project_id, name.name, CollectionKind.PORTFOLIO, type_name, now_ms, description
    )


def find_link(connection: Connection, link_id: str) -> AnyRow:
    """Returns a link's row with the names of its place.

    Raises:
        RegistryError: NOT_FOUND.
    """
    row = connection.execute(_LINK, {"link_id": link_id}).first()
    if row is None:
        raise not_found(f"Link {link_id[:64]!r}")
    return row


def links_of_version(connection: Connection, version_id: str) -> Sequence[AnyRow]:
    """Returns the rows of a version's links, oldest first."""
    return connection.execute(_LINKS_OF_VERSION, {"version_id": version_id}).all()


def links_into_others(connection: Connection, collection_id: int) -> Sequence[AnyRow]:
    """Returns the rows of the links of all versions of a sequence."""
    linked = select(version.c.id).where(version.c.collection_id == collection_id)
    return connection.execute(_LINKS.where(link.c.version_id.in_(linked))).all()


def load_linked(connection: Connection, link_ids: Sequence[str]) -> list[VersionRecord]:
    """Returns versions as they are seen through links, in the order of the links' ids."""
    wanted = {"link_ids": list(link_ids)}
    rows = {row.id: row for row in connection.execute(_LINKS_BY_ID, wanted)}
    aliases: dict[str, list[str]] = {}
    for link_id, name in connection.execute(_ALIASES, wanted):
        aliases.setdefault(link_id, []).append(name)
    sources = load_versions(connection, list({row.version_id: None for row in rows.values()}))
    by_id = {record.version_id: record for record in sources}
    return [
        _through(by_id[rows[link_id].version_id], rows[link_id], aliases.get(link_id, []))
        for link_id in link_ids
        if link_id in rows
    ]


def load_linked_of(connection: Connection, version_id: str) -> list[VersionRecord]:
    """Returns a version once for each of its links, oldest first."""
    return load_linked(connection, [row.id for row in links_of_version(connection, version_id)])


def _through(source: VersionRecord, row: AnyRow, aliases: Iterable[str]) -> VersionRecord:
    record = LinkRecord(
        link_id=row.id,
        name=CollectionName(row.entity, row.project, row.portfolio),
        version_index=row.version_index,
        aliases=tuple(sorted(aliases)),
        created_at_ms=row.created_at_ms,
    )
    # What is seen through a link changes with the version and with the link's aliases, and so does its etag.
    etag = digest_of("\n".join((source.etag, row.id, *record.aliases)).encode()).hex()[:ETAG_CHARS]
    return replace(source, link=record, etag=etag)


def change_link_aliases(
    connection: Connection, link_id: str, *, add: Sequence[str], remove: Sequence[str], now_ms: int
) -> None:
    """Gives aliases of a portfolio to one of its links, and takes some from it."""
    row = find_link(connection, link_id)
    is_latest = row.latest_version_id == row.version_id
    change_aliases(connection, row.collection_id, row.version_id, add=add, remove=remove, is_latest=is_latest)
    latest = {"row_id": row.collection_id, "latest": row.latest_version_id, "now_ms": now_ms}
    connection.execute(_SET_LATEST, latest)


def drop_links(connection: Connection, rows: Sequence[AnyRow], now_ms: int) -> None:
    """Removes links with their aliases; where one was a portfolio's latest, the next lower link becomes that."""
    for row in rows:
        connection.execute(_DROP_ALIASES, {"of_collection": row.collection_id, "of_version": row.version_id})
        connection.execute(link.delete().where(link.c.id == row.id))
    for portfolio_id in {row.collection_id for row in rows if row.latest_version_id == row.version_id}:
        highest = connection.execute(_HIGHEST, {"collection_id": portfolio_id}).scalar()
        connection.execute(_SET_LATEST, {"row_id": portfolio_id, "latest": highest, "now_ms": now_ms})
        if highest is not None:
            change_aliases(connection, portfolio_id, highest, add=(), is_latest=True)
