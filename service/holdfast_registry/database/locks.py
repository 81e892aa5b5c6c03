"""Who waits for whom on PostgreSQL, where units run at once; on SQLite one writer makes each unit serial, and nothing here acts.

At READ COMMITTED a statement sees what was committed before it began, and a lock that had to be waited for may be older than
what the next statement sees.  So a unit that decides by what it reads *locks first and reads in the next statement*.  The answer to
an earlier request of the same id is looked for after the locks, too: who repeats a request waits for the first and gets its answer.

Order of locks, for all units:
  1. `gc_state`            a cycle of garbage collection
  2. `project`             of registries that are changed or deleted
  3. `collection` (by row) numbers, aliases, `latest`, links and whatever else belongs to a name
  4. `distributed`         parts that come, and the finish that makes a version of them
  5. `lease`               everything that is uploaded under it: grant, seal, commit, abort, expiry
  6. `entity`              shared: its `chunk_epoch` stands still while a commit relies on it; raised by whoever condemns
  7. `quota` (by row)      of the entity, then of the project: who counts what is used waits for who adds to it
  8. `chunk` (by digest), then `pack`
  9. `run`, `edge`         in the order of the call: in the rare circle the database tells one of the units, which runs again
 10. `request`
Rows that are made by whoever comes first (entities, projects, collections, runs) are not locked: of two that make one, the second
meets the unique key, and its unit runs again.  Locks are NO KEY UPDATE where rows stay, since every row that points to one takes
a KEY SHARE lock on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, select, text, union

from holdfast_registry.database.database import OvertakenError
from holdfast_registry.database.schema import collection, lease, link, project, version
from holdfast_registry.domain.records import LeaseState

_UPLOAD = text(
    "SELECT 1 FROM version v JOIN collection c ON c.id = v.collection_id JOIN project p ON p.id = c.project_id "
    "JOIN entity e ON e.id = p.entity_id JOIN lease l ON l.version_id = v.id "
    "WHERE v.id = :version_id AND l.id = :lease_id FOR NO KEY UPDATE OF c, l FOR SHARE OF e"
)
_PART = text(
    "SELECT 1 FROM version v JOIN collection c ON c.id = v.collection_id JOIN project p ON p.id = c.project_id "
    "JOIN entity e ON e.id = p.entity_id JOIN lease l ON l.version_id = v.id "
    "JOIN part ON part.version_id = v.id JOIN distributed d ON d.id = part.distributed "
    "WHERE v.id = :version_id AND l.id = :lease_id FOR UPDATE OF d FOR NO KEY UPDATE OF l FOR SHARE OF e"
)
_PART_OF = text(
    "SELECT 1 FROM part JOIN distributed d ON d.id = part.distributed WHERE part.version_id = :version_id "
    "FOR UPDATE OF d"
)
_DISTRIBUTED = text("SELECT 1 FROM distributed WHERE id = :row_id FOR UPDATE")
_LEASES = (
    select(lease.c.id)
    .where(lease.c.version_id == bindparam("version_id"))
    .order_by(lease.c.id)
    .with_for_update(key_share=True)
)
_ACTIVE_LEASES = (
    select(lease.c.id)
    .join(version, version.c.id == lease.c.version_id)
    .where(version.c.collection_id == bindparam("collection_id"), lease.c.state == LeaseState.ACTIVE.value)
    .order_by(lease.c.id)
    .with_for_update(key_share=True, of=lease)
)
_COLLECTIONS = (
    select(collection.c.id)
    .where(collection.c.id.in_(bindparam("row_ids", expanding=True)))
    .order_by(collection.c.id)
    .with_for_update(key_share=True)
)
_BY_PUBLIC_ID = select(collection.c.id).where(collection.c.public_id == bindparam("public_id"))
_HOMES = union(
    select(version.c.collection_id).where(version.c.id.in_(bindparam("version_ids", expanding=True))),
    select(link.c.collection_id).where(link.c.version_id.in_(bindparam("version_ids", expanding=True))),
)
_HOMES_OF_COLLECTION = (
    select(link.c.collection_id)
    .join(version, version.c.id == link.c.version_id)
    .where(version.c.collection_id == bindparam("row_id"))
    .distinct()
)
_HOME = select(version.c.collection_id).where(version.c.id == bindparam("version_id"))
_PLACE = select(link.c.collection_id).where(link.c.id == bindparam("link_id"))
_PROJECT = select(project.c.id).where(project.c.id == bindparam("row_id")).with_for_update()
_PORTFOLIOS = select(collection.c.id).where(collection.c.project_id == bindparam("row_id"))
_ALONE = text("SELECT pg_try_advisory_xact_lock(:key)")

MAINTENANCE_KEY = 0x686F6C65
"""Of the advisory lock under which one registry at a time does a piece of maintenance."""


def locks_rows(connection: Connection) -> bool:
    """Tells whether units run at once here, so that there is anything to lock."""
    return connection.dialect.name == "postgresql"


def lock_upload(connection: Connection, version_id: str, lease_id: str) -> None:
    """For a commit: the collection, the lease, and the entity's chunks as they are known."""
    if locks_rows(connection):
        connection.execute(_UPLOAD, {"version_id": version_id, "lease_id": lease_id})


def lock_part(connection: Connection, version_id: str, lease_id: str) -> None:
    """For a part that is brought: its distributed version, the lease, and the entity's chunks as they are known."""
    if locks_rows(connection):
        connection.execute(_PART, {"version_id": version_id, "lease_id": lease_id})


def lock_distributed(connection: Connection, row_id: int) -> None:
    """For a part that is begun, and for the finish: no other part comes or goes."""
    if locks_rows(connection):
        connection.execute(_DISTRIBUTED, {"row_id": row_id})


def lock_given_up(connection: Connection, version_id: str) -> None:
    """For an abort: the distributed version, if there is one, and the leases."""
    if locks_rows(connection):
        connection.execute(_PART_OF, {"version_id": version_id})
        connection.execute(_LEASES, {"version_id": version_id})


def lock_collections(connection: Connection, row_ids: Iterable[int]) -> None:
    """Locks collections in the order of their rows.

    Raises:
        OvertakenError: one was deleted meanwhile.
    """
    wanted = sorted(set(row_ids))
    if locks_rows(connection) and wanted:
        found = connection.execute(_COLLECTIONS, {"row_ids": wanted}).all()
        if len(found) < len(wanted):
            raise OvertakenError


def lock_collection(connection: Connection, public_id: str) -> None:
    """For a change of a collection; one that is not there is none to be locked."""
    if locks_rows(connection):
        lock_collections(connection, connection.execute(_BY_PUBLIC_ID, {"public_id": public_id}).scalars())


def lock_deleted_collection(connection: Connection, public_id: str) -> None:
    """For the end of a collection: itself, every portfolio that its versions are linked into, and the leases under which others come.

    Raises:
        OvertakenError: a version was linked somewhere else meanwhile.
    """
    if not locks_rows(connection):
        return
    row_id = connection.execute(_BY_PUBLIC_ID, {"public_id": public_id}).scalar()
    if row_id is None:
        return
    of_collection = {"row_id": row_id}
    homes = {row_id, *connection.execute(_HOMES_OF_COLLECTION, of_collection).scalars()}
    lock_collections(connection, homes)
    if not homes.issuperset(connection.execute(_HOMES_OF_COLLECTION, of_collection).scalars()):
        raise OvertakenError
    connection.execute(_ACTIVE_LEASES, {"collection_id": row_id})


def lock_versions(connection: Connection, version_ids: Sequence[str]) -> None:
    """For the end of versions: their collections, and every portfolio that they are linked into.

    Raises:
        OvertakenError: one was linked somewhere else meanwhile.
    """
    if not locks_rows(connection):
        return
    wanted = {"version_ids": list(version_ids)}
    homes = set(connection.execute(_HOMES, wanted).scalars())
    lock_collections(connection, homes)
    if not homes.issuperset(connection.execute(_HOMES, wanted).scalars()):
        raise OvertakenError


def lock_version(connection: Connection, version_id: str, link_id: str = "", *also: int) -> None:
    """For a change of a version or of its place in a portfolio: both collections, and others that are named by their rows."""
    if not locks_rows(connection):
        return
    homes = [*also, *connection.execute(_HOME, {"version_id": version_id}).scalars()]
    if link_id:
        homes += connection.execute(_PLACE, {"link_id": link_id}).scalars()
    lock_collections(connection, homes)


def lock_link(connection: Connection, link_id: str) -> None:
    """For the end of a link: its portfolio."""
    if locks_rows(connection):
        lock_collections(connection, connection.execute(_PLACE, {"link_id": link_id}).scalars())


def lock_project(connection: Connection, row_id: int, *, with_collections: bool = False) -> None:
    """For a change of a project, and for the end of a registry with all that it holds; no collection is made in it meanwhile."""
    if not locks_rows(connection):
        return
    connection.execute(_PROJECT, {"row_id": row_id})
    if with_collections:
        lock_collections(connection, connection.execute(_PORTFOLIOS, {"row_id": row_id}).scalars())


def is_alone(connection: Connection) -> bool:
    """Tells whether this registry may do a piece of maintenance now; it holds until the end of the transaction."""
    return not locks_rows(connection) or bool(connection.execute(_ALONE, {"key": MAINTENANCE_KEY}).scalar_one())
