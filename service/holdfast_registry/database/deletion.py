"""What goes with a version: its aliases, its links and theirs, and being the latest; for all that delete."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select, update

from holdfast_registry.clock import IdSource
from holdfast_registry.database.commits import change_aliases, end_lease
from holdfast_registry.database.expiry import EXPIRES_AT_MS
from holdfast_registry.database.links import drop_links, links_into_others, links_of_version
from holdfast_registry.database.schema import (
    alias,
    collection,
    collection_tag,
    lease,
    link,
    project,
    protected_alias,
    version,
)
from holdfast_registry.database.statements import touch
from holdfast_registry.domain.records import CollectionKind, LeaseState, VersionState
from holdfast_registry.domain.ttl import TtlKind
from holdfast_registry.domain.versions import new_latest

_COLLECTION_OF = (
    select(version.c.collection_id, collection.c.latest_version_id)
    .join(collection, collection.c.id == version.c.collection_id)
    .where(version.c.id == bindparam("version_id"))
)
_ACTIVE_LEASES = (
    select(lease.c.id)
    .join(version, version.c.id == lease.c.version_id)
    .where(version.c.collection_id == bindparam("row_id"), lease.c.state == LeaseState.ACTIVE.value)
)
_HIGHEST = (
    select(version.c.version_index, version.c.id)
    .where(version.c.collection_id == bindparam("collection_id"), version.c.state == VersionState.COMMITTED.value)
    .order_by(version.c.version_index.desc())
    .limit(1)
)
_MARK_DELETED = update(version).where(version.c.id == bindparam("row_id")).values(state=VersionState.DELETED.value)
_MARK_RESTORED = (
    update(version)
    .where(version.c.id == bindparam("row_id"))
    .values(state=VersionState.COMMITTED.value, deleted_age_ms=None)
)
_WHEN_IT_GOES = (
    select(
        EXPIRES_AT_MS.label("expires_at_ms"),
        func.coalesce(collection.c.retention_json, project.c.retention_json).label("retention_json"),
    )
    .select_from(version)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .where(version.c.id == bindparam("row_id"))
)
_LIVE_ON = update(version).where(version.c.id == bindparam("row_id")).values(ttl_kind=TtlKind.NONE.value, ttl_s=None)
_SET_LATEST = (
    update(collection)
    .where(collection.c.id == bindparam("row_id"))
    .values(latest_version_id=bindparam("latest"), updated_at_ms=bindparam("now_ms"))
)


def collection_of(connection: Connection, version_id: str) -> tuple[int, str | None]:
    """Returns the row of a version's collection, and the id of the latest version there."""
    row = connection.execute(_COLLECTION_OF, {"version_id": version_id}).one()
    return row.collection_id, row.latest_version_id


def delete_version(connection: Connection, version_id: str, ids: IdSource, now_ms: int) -> None:
    """Marks a committed version DELETED and removes every name it has; `latest` falls to the next lower one everywhere."""
    collection_id, latest_id = collection_of(connection, version_id)
    drop_links(connection, links_of_version(connection, version_id), now_ms)
    connection.execute(alias.delete().where(alias.c.version_id == version_id))
    connection.execute(_MARK_DELETED, {"row_id": version_id})
    touched = {version_id}
    if latest_id == version_id:
        touched |= _move_latest(connection, collection_id, now_ms)
    touch(connection, touched, ids.new_id, now_ms)


def restore_version(connection: Connection, version_id: str, ids: IdSource, now_ms: int) -> None:
    """Makes a DELETED version COMMITTED again, without the names that it had.

    One whose time has passed, or that a policy of retention may have taken, lives without end: it would go again within minutes.
    """
    collection_id, _ = collection_of(connection, version_id)
    connection.execute(_MARK_RESTORED, {"row_id": version_id})
    goes = connection.execute(_WHEN_IT_GOES, {"row_id": version_id}).one()
    if goes.retention_json is not None or (goes.expires_at_ms is not None and goes.expires_at_ms <= now_ms):
        connection.execute(_LIVE_ON, {"row_id": version_id})
    touch(connection, {version_id} | _move_latest(connection, collection_id, now_ms), ids.new_id, now_ms)


def _move_latest(connection: Connection, collection_id: int, now_ms: int) -> frozenset[str]:
    highest = connection.execute(_HIGHEST, {"collection_id": collection_id}).all()
    latest_id = new_latest((row.version_index, row.id) for row in highest)
    connection.execute(_SET_LATEST, {"row_id": collection_id, "latest": latest_id, "now_ms": now_ms})
    if latest_id is None:
        return frozenset()
    return change_aliases(connection, collection_id, latest_id, add=(), is_latest=True)


def delete_portfolio(connection: Connection, row_id: int) -> None:
    """Removes a portfolio with its links and aliases; the versions stay."""
    connection.execute(alias.delete().where(alias.c.collection_id == row_id))
    connection.execute(link.delete().where(link.c.collection_id == row_id))
    connection.execute(collection_tag.delete().where(collection_tag.c.collection_id == row_id))
    connection.execute(protected_alias.delete().where(protected_alias.c.collection_id == row_id))
    connection.execute(collection.delete().where(collection.c.id == row_id))


def delete_sequence(connection: Connection, row_id: int, public_id: str, ids: IdSource, now_ms: int) -> int:
    """Deletes all versions of a collection, with their names and links, and frees its own name.

    Uploads on their way lose their leases; their writers begin again, in a new collection.

    Returns:
        The number of committed versions.
    """
    drop_links(connection, links_into_others(connection, row_id), now_ms)
    connection.execute(alias.delete().where(alias.c.collection_id == row_id))
    connection.execute(collection_tag.delete().where(collection_tag.c.collection_id == row_id))
    connection.execute(protected_alias.delete().where(protected_alias.c.collection_id == row_id))
    for lease_id in connection.execute(_ACTIVE_LEASES, {"row_id": row_id}).scalars().all():
        end_lease(connection, lease_id, LeaseState.EXPIRED, now_ms)
    of_collection = version.c.collection_id == row_id
    deleted = {"state": VersionState.DELETED.value, "etag": ids.new_id(), "updated_at_ms": now_ms}
    count = connection.execute(
        update(version).where(of_collection, version.c.state == VersionState.COMMITTED.value).values(deleted)
    ).rowcount
    given_up = (VersionState.PENDING.value, VersionState.PART.value)
    failed = {"state": VersionState.FAILED.value}
    connection.execute(update(version).where(of_collection, version.c.state.in_(given_up)).values(failed))
    # No collection can be called so: its row is kept for its versions' sake, and nobody finds it by name.
    gone = {"name": f":{public_id}", "kind": CollectionKind.DELETED.value, "latest_version_id": None}
    connection.execute(update(collection).where(collection.c.id == row_id).values(gone | {"updated_at_ms": now_ms}))
    return count
