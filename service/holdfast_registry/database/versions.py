"""Committed versions: read by id or by name, changed and deleted; each method one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, bindparam, select, update

from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.commits import add_tags, change_aliases
from holdfast_registry.database.database import Database
from holdfast_registry.database.deletion import collection_of, delete_version, restore_version
from holdfast_registry.database.links import change_link_aliases, find_link, load_linked, load_linked_of
from holdfast_registry.database.locks import lock_collections, lock_version, lock_versions
from holdfast_registry.database.name_lookup import resolve
from holdfast_registry.database.quotas import charge_version, has_quota
from holdfast_registry.database.schema import collection, project, version, version_tag
from holdfast_registry.database.statements import (
    Once,
    find_collection,
    find_response,
    load_committed,
    load_version,
    remember_response,
    touch,
    ttl_columns,
)
from holdfast_registry.domain.aliases import LATEST
from holdfast_registry.domain.records import CollectionName, VersionRecord, VersionState
from holdfast_registry.domain.ttl import Ttl
from holdfast_registry.domain.versions import check_deletable
from holdfast_registry.errors import RegistryError, not_found

_NUMBERED = (
    select(version.c.id, version.c.state, version.c.manifest_root)
    .where(version.c.collection_id == bindparam("collection_id"), version.c.version_index == bindparam("index"))
    .with_for_update(key_share=True)
)

_CHARGED = (
    select(project.c.entity_id, project.c.id.label("project_id"))
    .join(collection, collection.c.project_id == project.c.id)
    .where(collection.c.id == bindparam("collection_id"), has_quota(project.c.entity_id))
)


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
    ttl: Ttl | None
    link_id: str
    """Not empty: the version as it is seen through this link, whose aliases are meant."""


class VersionRepository:
    """Versions that are committed."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def get(self, version_id: str) -> VersionRecord:
        """Returns one version.

        Raises:
            RegistryError: NOT_FOUND, also of one that is pending or deleted.
        """
        return await self._database.read(partial(load_committed, version_id=version_id))

    async def resolve(self, name: CollectionName, alias_text: str, *, numbers_first: bool) -> VersionRecord:
        """Returns the version that a name means; see `name_lookup`.

        Raises:
            RegistryError: NOT_FOUND.
        """
        wanted = partial(resolve, name=name, alias_text=alias_text or LATEST, numbers_first=numbers_first)
        return await self._database.read(wanted)

    async def update(self, change: VersionChange, once: Once[VersionRecord]) -> bytes:
        """Changes a version.

        Raises:
            RegistryError: NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED; names over their limits.
        """
        response = await self._database.write(partial(self._update, change=change, once=once))
        failpoint("update.after_commit")
        return response

    def _update(self, connection: Connection, change: VersionChange, once: Once[VersionRecord]) -> bytes:
        lock_version(connection, change.version_id, change.link_id)
        if (answered := find_response(connection, once)) is not None:
            return answered
        stored = _as_seen(connection, change)
        _check_etag(stored, change.expected_etag)
        now_ms = self._clock.now_ms()
        touched = self._change_aliases(connection, change, now_ms)
        if change.tags_to_remove:
            removed = version_tag.c.tag.in_(change.tags_to_remove) & (version_tag.c.version_id == stored.version_id)
            connection.execute(version_tag.delete().where(removed))
        add_tags(connection, stored.version_id, change.tags_to_add)
        values = _changed_columns(change)
        if values:
            connection.execute(update(version).where(version.c.id == stored.version_id).values(values))
        if not change.link_id or values or change.tags_to_add or change.tags_to_remove:
            touched |= {stored.version_id}
        touch(connection, touched, self._ids.new_id, now_ms)
        response = remember_response(connection, once, _as_seen(connection, change), now_ms)
        failpoint("update.before_commit")
        return response

    def _change_aliases(self, connection: Connection, change: VersionChange, now_ms: int) -> frozenset[str]:
        """Returns the versions whose own aliases have changed; a portfolio's aliases are its links'."""
        add, remove = change.aliases_to_add, change.aliases_to_remove
        if change.link_id:
            if add or remove:
                change_link_aliases(connection, change.link_id, add=add, remove=remove, now_ms=now_ms)
            return frozenset()
        collection_id, latest_id = collection_of(connection, change.version_id)
        is_latest = latest_id == change.version_id
        return change_aliases(connection, collection_id, change.version_id, add=add, remove=remove, is_latest=is_latest)

    async def delete(self, version_id: str, once: Once[VersionRecord], *, delete_aliases: bool) -> bytes:
        """Marks a version DELETED, with its links and all its aliases; `latest` goes to the next lower one.

        Raises:
            RegistryError: NOT_FOUND, HAS_ALIASES, REQUEST_ID_REUSED.
        """
        return await self._database.write(
            partial(self._delete, version_id=version_id, once=once, delete_aliases=delete_aliases)
        )

    def _delete(
        self, connection: Connection, version_id: str, once: Once[VersionRecord], *, delete_aliases: bool
    ) -> bytes:
        lock_versions(connection, [version_id])
        if (answered := find_response(connection, once)) is not None:
            return answered
        stored = load_committed(connection, version_id)
        links = [str(linked.link) for linked in load_linked_of(connection, version_id)]
        check_deletable(str(stored), stored.aliases, links, delete_aliases=delete_aliases)
        now_ms = self._clock.now_ms()
        delete_version(connection, version_id, self._ids, now_ms)
        record = load_version(connection, version_id)
        assert record is not None, "the version was there a moment ago"
        return remember_response(connection, once, record, now_ms)

    async def restore(self, name: CollectionName, version_index: int, once: Once[VersionRecord]) -> bytes:
        """Makes a DELETED version COMMITTED again; `latest` is the highest one, and nothing of its time to live is left.

        Raises:
            RegistryError: NOT_FOUND: there is none, or it was purged; QUOTA_EXCEEDED: there are as many versions as there may
                be (its bytes count as long as they can be restored); REQUEST_ID_REUSED.
        """
        return await self._database.write(partial(self._restore, name=name, version_index=version_index, once=once))

    def _restore(
        self, connection: Connection, name: CollectionName, version_index: int, once: Once[VersionRecord]
    ) -> bytes:
        found = find_collection(connection, name)
        if found is not None:
            lock_collections(connection, [found.id])
        if (answered := find_response(connection, once)) is not None:
            return answered
        wanted = {"collection_id": None if found is None else found.id, "index": version_index}
        row = connection.execute(_NUMBERED, wanted).first()
        # A purge clears the manifest in a transaction on the same row: one of the two comes first.
        if row is None or row.manifest_root is None:
            raise not_found(f"A version {name}:v{version_index} that can be restored")
        now_ms = self._clock.now_ms()
        if row.state == VersionState.DELETED:
            charged = connection.execute(_CHARGED, wanted).first()
            if charged is not None:
                charge_version(connection, charged.entity_id, charged.project_id)
            restore_version(connection, row.id, self._ids, now_ms)
        record = load_committed(connection, row.id)
        return remember_response(connection, once, record, now_ms)


def _check_etag(stored: VersionRecord, expected: str) -> None:
    if expected and expected != stored.etag:
        raise RegistryError(
            Reason.ETAG_MISMATCH,
            f"{stored} was changed by somebody else since it was read; read it again and repeat the change.",
            {"expected": expected[:64], "found": stored.etag},
        )


def _as_seen(connection: Connection, change: VersionChange) -> VersionRecord:
    """Returns the version, through the link if one is named."""
    if not change.link_id:
        return load_committed(connection, change.version_id)
    seen = load_linked(connection, [find_link(connection, change.link_id).id])[0]
    if seen.version_id != change.version_id:
        raise not_found(f"A link {change.link_id[:64]!r} of version {change.version_id[:64]!r}")
    return seen


def _changed_columns(change: VersionChange) -> dict[str, object]:
    values: dict[str, object] = {}
    if change.sets_description:
        values["description"] = change.description
    if change.metadata_json is not None:
        values["metadata_json"] = change.metadata_json
    if change.ttl is not None:
        values |= ttl_columns(change.ttl)
    return values
