"""Committed versions: read by id, by name or in pages; changed and deleted; each method one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, update

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import MIB
from holdfast_contract.names import is_version_alias
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.commits import add_tags, change_aliases
from holdfast_registry.database.schema import alias, collection, version, version_tag
from holdfast_registry.database.sqlite import SqliteDatabase
from holdfast_registry.database.statements import (
    AnyRow,
    Once,
    find_collection,
    find_response,
    load_version,
    load_versions,
    remember_response,
    touch,
)
from holdfast_registry.domain.aliases import LATEST
from holdfast_registry.domain.records import CollectionName, VersionRecord, VersionState
from holdfast_registry.domain.versions import check_deletable, new_latest
from holdfast_registry.errors import RegistryError, not_found

PAGE_BYTES_MAX = 3 * MIB
"""Metadata of the versions of one page: the page must fit a message of 4 MiB."""
ROW_BYTES = 2048
"""Bytes of a version beside its metadata and description, generously."""
INDEX_DIGITS_MAX = 18
"""Numbers above what the database can hold name nothing."""

_HEX_DIGEST = re.compile("[0-9a-f]{64}")

_COMMITTED = version.c.state == VersionState.COMMITTED.value
_ID_BY_ALIAS = select(alias.c.version_id).where(
    alias.c.collection_id == bindparam("collection_id"), alias.c.name == bindparam("name")
)
_ID_BY_INDEX = select(version.c.id).where(
    version.c.collection_id == bindparam("collection_id"), version.c.version_index == bindparam("index"), _COMMITTED
)
_ID_BY_DIGEST = (
    select(version.c.id)
    .where(version.c.collection_id == bindparam("collection_id"), version.c.digest == bindparam("digest"), _COMMITTED)
    .order_by(version.c.version_index.desc())
    .limit(1)
)
_COLLECTION_OF = select(version.c.collection_id, collection.c.latest_version_id).join(
    collection, collection.c.id == version.c.collection_id
)
_NEXT_LOWER = (
    select(version.c.version_index, version.c.id)
    .where(version.c.collection_id == bindparam("collection_id"), _COMMITTED)
    .order_by(version.c.version_index.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class PageWish:
    """Which versions of a collection to list."""

    name: CollectionName
    type: str
    size: int
    after_index: int | None
    """Number of the last version of the page before."""
    oldest_first: bool
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Some versions of a collection."""

    versions: list[VersionRecord]
    next_index: int | None
    """Where the next page goes on; None: there is none."""
    total_count: int


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What is to be changed; None leaves a field as it is."""

    version_id: str
    expected_etag: str
    sets_description: bool
    description: str | None
    metadata_json: bytes | None
    aliases_to_add: tuple[str, ...]
    aliases_to_remove: tuple[str, ...]
    tags_to_add: tuple[str, ...]
    tags_to_remove: tuple[str, ...]


class VersionRepository:
    """Versions that are committed."""

    def __init__(self, database: SqliteDatabase, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def get(self, version_id: str) -> VersionRecord:
        """Returns one version.

        Raises:
            RegistryError: NOT_FOUND, also of one that is pending or deleted.
        """
        return await self._database.read(partial(_committed, version_id=version_id))

    async def resolve(self, name: CollectionName, alias_text: str) -> VersionRecord:
        """Returns the version that an alias, `vN` or a digest names; of versions with one digest the newest.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._database.read(partial(_resolve, name=name, alias_text=alias_text or LATEST))

    async def list(self, wish: PageWish) -> VersionPage:
        """Returns one page of a collection's versions.

        Raises:
            RegistryError: NOT_FOUND: no such collection, or not of that type.
        """
        return await self._database.read(partial(_list, wish=wish))

    async def update(self, change: VersionChange, once: Once[VersionRecord]) -> bytes:
        """Changes a version.

        Raises:
            RegistryError: NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED; names over their limits.
        """
        response = await self._database.write(partial(self._update, change=change, once=once))
        failpoint("update.after_commit")
        return response

    def _update(self, connection: Connection, change: VersionChange, once: Once[VersionRecord]) -> bytes:
        if (answered := find_response(connection, once)) is not None:
            return answered
        stored = _committed(connection, change.version_id)
        _check_etag(stored, change.expected_etag)
        now_ms = self._clock.now_ms()
        collection_id, latest_id = _collection_of(connection, stored.version_id)
        touched = change_aliases(
            connection,
            collection_id,
            stored.version_id,
            add=change.aliases_to_add,
            remove=change.aliases_to_remove,
            is_latest=latest_id == stored.version_id,
        )
        if change.tags_to_remove:
            removed = version_tag.c.tag.in_(change.tags_to_remove) & (version_tag.c.version_id == stored.version_id)
            connection.execute(version_tag.delete().where(removed))
        add_tags(connection, stored.version_id, change.tags_to_add)
        values = _changed_columns(change)
        if values:
            connection.execute(update(version).where(version.c.id == stored.version_id).values(values))
        touch(connection, touched | {stored.version_id}, self._ids.new_id, now_ms)
        response = remember_response(connection, once, _committed(connection, stored.version_id), now_ms)
        failpoint("update.before_commit")
        return response

    async def delete(self, version_id: str, once: Once[VersionRecord], *, delete_aliases: bool) -> bytes:
        """Marks a version DELETED; `latest` goes to the next lower one.

        Raises:
            RegistryError: NOT_FOUND, HAS_ALIASES, REQUEST_ID_REUSED.
        """
        return await self._database.write(
            partial(self._delete, version_id=version_id, once=once, delete_aliases=delete_aliases)
        )

    def _delete(
        self, connection: Connection, version_id: str, once: Once[VersionRecord], *, delete_aliases: bool
    ) -> bytes:
        if (answered := find_response(connection, once)) is not None:
            return answered
        stored = _committed(connection, version_id)
        check_deletable(str(stored), stored.aliases, delete_aliases=delete_aliases)
        now_ms = self._clock.now_ms()
        collection_id, latest_id = _collection_of(connection, version_id)
        connection.execute(alias.delete().where(alias.c.version_id == version_id))
        deleted = {"state": VersionState.DELETED.value}
        connection.execute(update(version).where(version.c.id == version_id).values(deleted))
        touched = {version_id}
        if latest_id == version_id:
            touched |= self._move_latest(connection, collection_id, now_ms)
        touch(connection, touched, self._ids.new_id, now_ms)
        record = load_version(connection, version_id)
        assert record is not None, "the version was there a moment ago"
        return remember_response(connection, once, record, now_ms)

    def _move_latest(self, connection: Connection, collection_id: int, now_ms: int) -> frozenset[str]:
        highest = connection.execute(_NEXT_LOWER, {"collection_id": collection_id}).all()
        latest_id = new_latest((row.version_index, row.id) for row in highest)
        moved = {"latest_version_id": latest_id, "updated_at_ms": now_ms}
        connection.execute(update(collection).where(collection.c.id == collection_id).values(moved))
        if latest_id is None:
            return frozenset()
        return change_aliases(connection, collection_id, latest_id, add=(), is_latest=True)


def _committed(connection: Connection, version_id: str) -> VersionRecord:
    record = load_version(connection, version_id)
    if record is None or record.state is not VersionState.COMMITTED:
        raise not_found(f"Version {version_id[:64]!r}")
    return record


def _resolve(connection: Connection, name: CollectionName, alias_text: str) -> VersionRecord:
    found = find_collection(connection, name)
    if found is None:
        raise not_found(f"Artifact {name}")
    version_id = _id_by_name(connection, found.id, alias_text)
    if version_id is None:
        raise not_found(f"Artifact version {name}:{alias_text[:200]}")
    return _committed(connection, version_id)


def _id_by_name(connection: Connection, collection_id: int, text: str) -> str | None:
    in_collection: dict[str, object] = {"collection_id": collection_id}
    if is_version_alias(text):
        if len(text) - 1 > INDEX_DIGITS_MAX:
            return None
        return connection.execute(_ID_BY_INDEX, in_collection | {"index": int(text[1:])}).scalar()
    by_alias = connection.execute(_ID_BY_ALIAS, in_collection | {"name": text}).scalar()
    if by_alias is None and _HEX_DIGEST.fullmatch(text):
        return connection.execute(_ID_BY_DIGEST, in_collection | {"digest": bytes.fromhex(text)}).scalar()
    return by_alias


def _list(connection: Connection, wish: PageWish) -> VersionPage:
    found = find_collection(connection, wish.name)
    if found is None:
        raise not_found(f"Artifact {wish.name}")
    if wish.type and found.type != wish.type:
        raise not_found(f"Artifact {wish.name} of type {wish.type!r} (it is of type {found.type!r})")
    conditions: list[ColumnElement[bool]] = [version.c.collection_id == found.id, _COMMITTED]
    if wish.tags:
        conditions.append(version.c.id.in_(_ids_with_tags(wish.tags)))
    total = connection.execute(select(func.count()).select_from(version).where(*conditions)).scalar_one()
    index = version.c.version_index
    if wish.after_index is not None:
        conditions.append(index > wish.after_index if wish.oldest_first else index < wish.after_index)
    size_bytes = func.length(version.c.metadata_json) + 4 * func.coalesce(func.length(version.c.description), 0)
    rows = connection.execute(
        select(version.c.id, index, size_bytes.label("size_bytes"))
        .where(*conditions)
        .order_by(index.asc() if wish.oldest_first else index.desc())
        .limit(wish.size + 1)
    ).all()
    shown = rows[: min(wish.size, _rows_that_fit(rows))]
    next_index = shown[-1].version_index if len(shown) < len(rows) else None
    return VersionPage(load_versions(connection, [row.id for row in shown]), next_index, total)


def _ids_with_tags(tags: Sequence[str]) -> Select[tuple[str]]:
    wanted = sorted(set(tags))
    return (
        select(version_tag.c.version_id)
        .where(version_tag.c.tag.in_(wanted))
        .group_by(version_tag.c.version_id)
        .having(func.count() == len(wanted))
    )


def _rows_that_fit(rows: Sequence[AnyRow]) -> int:
    """Returns how many of the rows fit a page; at least one."""
    page_bytes = 0
    for count, row in enumerate(rows):
        page_bytes += ROW_BYTES + row.size_bytes
        if page_bytes > PAGE_BYTES_MAX and count:
            return count
    return len(rows)


def _check_etag(stored: VersionRecord, expected: str) -> None:
    if expected and expected != stored.etag:
        raise RegistryError(
            Reason.ETAG_MISMATCH,
            f"{stored} was changed by somebody else since it was read; read it again and repeat the change.",
            {"expected": expected[:64], "found": stored.etag},
        )


def _collection_of(connection: Connection, version_id: str) -> tuple[int, str | None]:
    row = connection.execute(_COLLECTION_OF.where(version.c.id == version_id)).one()
    return row.collection_id, row.latest_version_id


def _changed_columns(change: VersionChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if change.sets_description:
        values["description"] = change.description
    if change.metadata_json is not None:
        values["metadata_json"] = change.metadata_json
    return values
