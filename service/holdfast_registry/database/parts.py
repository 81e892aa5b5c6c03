"""Rows of distributed versions and their parts, and of the jobs that brought versions; statements for others' transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from holdfast_registry.database.locks import lock_distributed
from holdfast_registry.database.schema import distributed, lease, origin, part, version
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.distributed import Part, PartStatus
from holdfast_registry.domain.leases import is_usable
from holdfast_registry.domain.records import LeaseState, VersionState
from holdfast_registry.domain.semver import ANY_VERSION, SemanticVersionWish

_COMMITTED_ONCE = (VersionState.COMMITTED, VersionState.DELETED)
"""What a job can have come to, when it was to commit a version."""

_FIND_ORIGIN = (
    select(version.c.id, version.c.state)
    .join(origin, origin.c.version_id == version.c.id)
    .where(origin.c.collection_id == bindparam("collection_id"), origin.c.origin_id == bindparam("origin_id"))
)
_FIND_ITSELF = select(version.c.id, version.c.state).where(
    version.c.collection_id == bindparam("collection_id"), version.c.id == bindparam("origin_id")
)
_REMEMBER_ORIGIN = text(
    "INSERT INTO origin (collection_id, origin_id, version_id) VALUES (:collection_id, :origin_id, :version_id) "
    "ON CONFLICT (collection_id, origin_id) DO UPDATE SET version_id = excluded.version_id"
)
_FIND_DISTRIBUTED = select(distributed.c.id, distributed.c.version_id).where(
    distributed.c.collection_id == bindparam("collection_id"),
    distributed.c.distributed_id == bindparam("distributed_id"),
)
_INSERT_DISTRIBUTED = insert(distributed).returning(distributed.c.id)
_INSERT_PART = insert(part)
_FORGET_PART = part.delete().where(part.c.version_id == bindparam("of_version"))
_NOT_BROUGHT = (
    select(part.c.version_id, version.c.state)
    .join(version, version.c.id == part.c.version_id)
    .where(
        part.c.distributed == bindparam("distributed"),
        part.c.origin_id == bindparam("origin_id"),
        version.c.state.in_([VersionState.PENDING.value, VersionState.FAILED.value]),
    )
)
_PARTS = (
    select(
        part.c.version_id,
        part.c.writer,
        version.c.state,
        version.c.manifest_root,
        version.c.updated_at_ms,
        lease.c.state.label("lease_state"),
        lease.c.expires_at_ms,
    )
    .join(version, version.c.id == part.c.version_id)
    .join(lease, lease.c.version_id == version.c.id)
    .where(part.c.distributed == bindparam("distributed"))
    .order_by(version.c.updated_at_ms, part.c.version_id)
)
_DISTRIBUTED_OF = (
    select(distributed.c.id, distributed.c.version_id, distributed.c.distributed_id)
    .join(part, part.c.distributed == distributed.c.id)
    .where(part.c.version_id == bindparam("part_id"))
)
_LAST_BROUGHT = (
    select(func.max(version.c.updated_at_ms))
    .join(part, part.c.version_id == version.c.id)
    .where(part.c.distributed == bindparam("distributed"), version.c.state == VersionState.PART.value)
)
_MERGED = (
    update(version)
    .where(
        version.c.id.in_(select(part.c.version_id).where(part.c.distributed == bindparam("of_distributed"))),
        version.c.state == VersionState.PART.value,
    )
    .values(state=VersionState.FAILED.value)
)
_ORIGINS_OF_PARTS = (
    update(origin)
    .where(origin.c.version_id.in_(select(part.c.version_id).where(part.c.distributed == bindparam("of_distributed"))))
    .values(version_id=bindparam("finished"))
)
_FINISH = (
    update(distributed)
    .where(distributed.c.id == bindparam("of_distributed"))
    .values(version_id=bindparam("finished"), finished_at_ms=bindparam("now_ms"))
)


@dataclass(frozen=True, slots=True)
class PartWish:
    """What a writer says of the part that it begins."""

    distributed_id: str
    writer: str
    origin_id: str


@dataclass(frozen=True, slots=True)
class BeginWish:
    """What a writer says of a version before its content is brought."""

    part: PartWish | None = None
    """It is a part of a distributed version."""
    semantic_version: SemanticVersionWish = ANY_VERSION
    """What the commit will ask for, as far as that is known."""
    origin_id: str = ""
    """The writer's job."""


def find_origin(
    connection: Connection, collection_id: int, origin_id: str, states: Sequence[VersionState] = _COMMITTED_ONCE
) -> str | None:
    """Returns the version that a job came to; None: the job is not known, or its version is in none of these states.

    A committed version that is carried away in a bundle has its id for origin: brought back, it is itself.
    """
    if not origin_id:
        return None
    values = {"collection_id": collection_id, "origin_id": origin_id}
    row = connection.execute(_FIND_ORIGIN, values).first() or connection.execute(_FIND_ITSELF, values).first()
    return str(row.id) if row is not None and row.state in states else None


def remember_origin(connection: Connection, collection_id: int, origin_id: str, version_id: str) -> None:
    """Notes the version that a job has come to."""
    if origin_id:
        values = {"collection_id": collection_id, "origin_id": origin_id, "version_id": version_id}
        connection.execute(_REMEMBER_ORIGIN, values)


def begin_part(
    connection: Connection, collection_id: int, version_id: str, wish: PartWish, now_ms: int
) -> Sequence[str]:
    """Ties a pending version to its distributed version, which is made when absent.

    Returns:
        Pending versions that the same job had begun before: the new one takes their place.
    """
    row = find_distributed(connection, collection_id, wish.distributed_id)
    if row is None:
        values = {"collection_id": collection_id, "distributed_id": wish.distributed_id, "created_at_ms": now_ms}
        distributed_row = int(connection.execute(_INSERT_DISTRIBUTED, values).scalar_one())
    else:
        distributed_row = row.id
        lock_distributed(connection, distributed_row)
    of_job = {"distributed": distributed_row, "origin_id": wish.origin_id}
    replaced = connection.execute(_NOT_BROUGHT, of_job).all() if wish.origin_id else []
    for one in replaced:
        forget_part(connection, one.version_id)
    values = {
        "version_id": version_id,
        "distributed": distributed_row,
        "writer": wish.writer,
        "origin_id": wish.origin_id,
        "created_at_ms": now_ms,
    }
    connection.execute(_INSERT_PART, values)
    return [one.version_id for one in replaced if one.state == VersionState.PENDING]


def forget_part(connection: Connection, version_id: str) -> None:
    """Unties a version from its distributed one: nobody will miss it there."""
    connection.execute(_FORGET_PART, {"of_version": version_id})


def find_distributed(connection: Connection, collection_id: int, distributed_id: str) -> AnyRow | None:
    """Returns (id, version_id); the latter is None until it is finished."""
    return connection.execute(
        _FIND_DISTRIBUTED, {"collection_id": collection_id, "distributed_id": distributed_id}
    ).first()


def distributed_of(connection: Connection, part_id: str) -> AnyRow | None:
    """Returns (id, version_id, distributed_id) of the distributed version that a part belongs to."""
    return connection.execute(_DISTRIBUTED_OF, {"part_id": part_id}).first()


def load_parts(connection: Connection, distributed_row: int, now_ms: int) -> list[Part]:
    """Returns all parts; those that were brought in the order in which they were."""
    return [_part(row, now_ms) for row in connection.execute(_PARTS, {"distributed": distributed_row})]


def _part(row: AnyRow, now_ms: int) -> Part:
    status = PartStatus.LOST
    if row.state == VersionState.PART:
        status = PartStatus.BROUGHT
    elif row.state == VersionState.PENDING and is_usable(LeaseState(row.lease_state), row.expires_at_ms, now_ms):
        status = PartStatus.AWAITED
    return Part(row.version_id, row.writer, status, bytes(row.manifest_root or b""))


def brought_at_ms(connection: Connection, distributed_row: int, now_ms: int) -> int:
    """Returns a time for a part that is being brought: later than those of all that were, also when the clock was set back."""
    last = connection.execute(_LAST_BROUGHT, {"distributed": distributed_row}).scalar()
    return now_ms if last is None else max(now_ms, last + 1)


def finish_distributed(connection: Connection, distributed_row: int, version_id: str, now_ms: int) -> None:
    """Notes that a distributed version is finished: its parts have done their service, their jobs came to it."""
    finished = {"of_distributed": distributed_row, "finished": version_id}
    connection.execute(_MERGED, {"of_distributed": distributed_row})
    connection.execute(_ORIGINS_OF_PARTS, finished)
    connection.execute(_FINISH, finished | {"now_ms": now_ms})
