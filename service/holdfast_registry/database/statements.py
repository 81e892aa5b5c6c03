"""Statements that several repositories need: names to rows, rows to records, requests answered before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, insert, literal, select, union_all, update

from holdfast_contract.names import is_registry_project
from holdfast_contract.reasons import Reason
from holdfast_registry.database.expiry import EXPIRES_AT_MS
from holdfast_registry.database.schema import (
    alias,
    collection,
    distributed,
    entity,
    link,
    part,
    project,
    request,
    run,
    version,
    version_tag,
)
from holdfast_registry.domain.records import CollectionKind, CollectionName, VersionRecord, VersionState
from holdfast_registry.domain.registries import VISIBILITIES
from holdfast_registry.domain.ttl import Ttl, TtlKind
from holdfast_registry.errors import RegistryError, not_found

R = TypeVar("R")

AnyRow = Any
"""A row of some query: columns as attributes, which no type checker follows across two releases of SQLAlchemy."""


@dataclass(frozen=True, slots=True)
class Once(Generic[R]):
    """A mutation that is done once however often it is asked for; travels with it into its transaction."""

    request_id: str
    method: str
    request_digest: bytes
    """Of the whole request, so that another one under the same id is noticed."""
    encode: Callable[[R], bytes]
    """Makes the response that every repetition gets."""


_FIND_REQUEST = select(request.c.method, request.c.request_digest, request.c.response).where(
    request.c.request_id == bindparam("request_id")
)
_INSERT_REQUEST = insert(request)

_FIND_COLLECTION = (
    select(
        collection.c.id,
        collection.c.type,
        collection.c.kind,
        collection.c.next_version_index,
        collection.c.latest_version_id,
        project.c.entity_id,
    )
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .where(
        entity.c.name == bindparam("entity"),
        project.c.name == bindparam("project"),
        collection.c.name == bindparam("name"),
        collection.c.kind != CollectionKind.DELETED.value,
    )
)
_INSERT_COLLECTION = insert(collection).returning(collection.c.id)
_FIND_ENTITY = select(entity.c.id).where(entity.c.name == bindparam("name"))
_FIND_PROJECT = select(project.c.id).where(
    project.c.entity_id == bindparam("entity_id"), project.c.name == bindparam("name")
)
_FIND_BOTH = (
    select(entity.c.id, project.c.id.label("project_id"))
    .join(project, project.c.entity_id == entity.c.id)
    .where(entity.c.name == bindparam("entity"), project.c.name == bindparam("project"))
)
_LINK_COUNT = select(func.count()).select_from(link).where(link.c.version_id == version.c.id).scalar_subquery()
# Two may have come to one version, when the second brought the same content.
_FINISHED_FROM = (
    select(distributed.c.distributed_id).where(distributed.c.version_id == version.c.id).limit(1).scalar_subquery()
)
_PART_OF = (
    select(distributed.c.distributed_id)
    .join(part, part.c.distributed == distributed.c.id)
    .where(part.c.version_id == version.c.id)
    .scalar_subquery()
)
_VERSIONS = (
    select(
        version,
        collection.c.name.label("collection"),
        collection.c.type.label("type"),
        project.c.name.label("project"),
        entity.c.name.label("entity"),
        run.c.run_id.label("run_name"),
        EXPIRES_AT_MS.label("expires_at_ms"),
        _LINK_COUNT.label("link_count"),
        func.coalesce(_FINISHED_FROM, _PART_OF).label("distributed_id"),
    )
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .join(entity, entity.c.id == project.c.entity_id)
    .outerjoin(run, run.c.id == version.c.logged_by)
)
_VERSION_BY_ID = _VERSIONS.where(version.c.id == bindparam("version_id"))
_VERSIONS_BY_ID = _VERSIONS.where(version.c.id.in_(bindparam("version_ids", expanding=True)))
# A version may have names in portfolios, too; its own are those of its own collection.
_ALIASES = (
    select(alias.c.version_id, alias.c.name)
    .join(version, and_(version.c.id == alias.c.version_id, version.c.collection_id == alias.c.collection_id))
    .where(alias.c.version_id.in_(bindparam("version_ids", expanding=True)))
)
_TAGS = select(version_tag.c.version_id, version_tag.c.tag).where(
    version_tag.c.version_id.in_(bindparam("version_ids", expanding=True))
)
# Lists as parameters cost as much as the query itself; one version needs none.
_NAMES_OF_ONE = union_all(
    select(alias.c.name, literal(True).label("is_alias")).where(
        alias.c.version_id == bindparam("version_id"), alias.c.collection_id == bindparam("collection_id")
    ),
    select(version_tag.c.tag, literal(False)).where(version_tag.c.version_id == bindparam("version_id")),
)
_TOUCH = (
    update(version)
    .where(version.c.id == bindparam("touched_id"))
    .values(etag=bindparam("new_etag"), updated_at_ms=bindparam("now_ms"))
)


def find_response(connection: Connection, once: Once[R]) -> bytes | None:
    """Returns the response to an earlier request of this id.

    Raises:
        RegistryError: REQUEST_ID_REUSED: that request was another one.
    """
    row = connection.execute(_FIND_REQUEST, {"request_id": once.request_id}).first()
    if row is None:
        return None
    if row.method != once.method or row.request_digest != once.request_digest:
        raise RegistryError(
            Reason.REQUEST_ID_REUSED,
            f"Request id {once.request_id!r} was used for another {row.method}; make a new id for a new request.",
        )
    return bytes(row.response)


def remember_response(connection: Connection, once: Once[R], result: R, now_ms: int) -> bytes:
    """Keeps the response, in the transaction of its effect, and returns it."""
    response = once.encode(result)
    connection.execute(
        _INSERT_REQUEST,
        {
            "request_id": once.request_id,
            "method": once.method,
            "request_digest": once.request_digest,
            "response": response,
            "created_at_ms": now_ms,
        },
    )
    return response


def find_collection(connection: Connection, name: CollectionName) -> AnyRow | None:
    """Returns (id, type, kind, next_version_index, latest_version_id, entity_id), or None."""
    return connection.execute(
        _FIND_COLLECTION, {"entity": name.entity, "project": name.project, "name": name.name}
    ).first()


def find_entity(connection: Connection, name: str) -> int | None:
    """Returns the row of an entity."""
    return connection.execute(_FIND_ENTITY, {"name": name}).scalar()


def find_project(connection: Connection, entity_name: str, project_name: str) -> int | None:
    """Returns the row of a project."""
    entity_id = find_entity(connection, entity_name)
    return connection.execute(_FIND_PROJECT, {"entity_id": entity_id, "name": project_name}).scalar()


def ensure_entity(connection: Connection, name: str, now_ms: int) -> int:
    """Returns the row of an entity, made when absent."""
    entity_id = find_entity(connection, name)
    if entity_id is None:
        values = {"name": name, "chunk_epoch": 0, "created_at_ms": now_ms}
        entity_id = int(connection.execute(insert(entity).returning(entity.c.id), values).scalar_one())
    return entity_id


def ensure_project(connection: Connection, entity_name: str, project_name: str, now_ms: int) -> tuple[int, int]:
    """Returns the rows of (entity, project), made when absent."""
    found = connection.execute(_FIND_BOTH, {"entity": entity_name, "project": project_name}).first()
    if found is not None:
        return int(found.id), int(found.project_id)
    entity_id = ensure_entity(connection, entity_name, now_ms)
    values = {
        "entity_id": entity_id,
        "name": project_name,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
        "is_registry": is_registry_project(project_name),
        "visibility": VISIBILITIES[0] if is_registry_project(project_name) else "",
    }
    return entity_id, connection.execute(insert(project).returning(project.c.id), values).scalar_one()


def insert_collection(
    connection: Connection,
    public_id: str,
    project_id: int,
    name: str,
    kind: CollectionKind,
    type_name: str,
    now_ms: int,
    description: str = "",
) -> int:
    """Makes an empty collection; returns its row."""
    values = {
        "public_id": public_id,
        "project_id": project_id,
        "name": name,
        "kind": kind.value,
        "type": type_name,
        "description": description,
        "next_version_index": 0,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
    }
    return int(connection.execute(_INSERT_COLLECTION, values).scalar_one())


def load_version(connection: Connection, version_id: str | None) -> VersionRecord | None:
    """Returns one version, whatever its state."""
    wanted: dict[str, object] = {"version_id": version_id}
    row = connection.execute(_VERSION_BY_ID, wanted).first()
    if row is None:
        return None
    names = connection.execute(_NAMES_OF_ONE, wanted | {"collection_id": row.collection_id}).all()
    return _record(
        row, [name for name, is_alias in names if is_alias], [tag for tag, is_alias in names if not is_alias]
    )


def load_versions(connection: Connection, version_ids: Sequence[str]) -> list[VersionRecord]:
    """Returns these versions in the order of the ids."""
    rows = {row.id: row for row in connection.execute(_VERSIONS_BY_ID, {"version_ids": list(version_ids)})}
    return _records(connection, [rows[version_id] for version_id in version_ids if version_id in rows])


def load_committed(connection: Connection, version_id: str) -> VersionRecord:
    """Returns one version that is committed.

    Raises:
        RegistryError: NOT_FOUND, also of one that is pending or deleted.
    """
    record = load_version(connection, version_id)
    if record is None or record.state is not VersionState.COMMITTED:
        raise not_found(f"Version {version_id[:64]!r}")
    return record


def touch(connection: Connection, version_ids: Iterable[str], etag: Callable[[], str], now_ms: int) -> None:
    """Gives versions a new etag, because something that a reader sees of them has changed."""
    rows = [{"touched_id": version_id, "new_etag": etag(), "now_ms": now_ms} for version_id in sorted(version_ids)]
    if rows:
        connection.execute(_TOUCH, rows)


def _records(connection: Connection, rows: Sequence[AnyRow]) -> list[VersionRecord]:
    ids = {"version_ids": [row.id for row in rows]}
    aliases: dict[str, list[str]] = {}
    tags: dict[str, list[str]] = {}
    for version_id, name in connection.execute(_ALIASES, ids):
        aliases.setdefault(version_id, []).append(name)
    for version_id, tag in connection.execute(_TAGS, ids):
        tags.setdefault(version_id, []).append(tag)
    return [_record(row, aliases.get(row.id, []), tags.get(row.id, [])) for row in rows]


def _record(row: AnyRow, aliases: Sequence[str], tags: Sequence[str]) -> VersionRecord:
    return VersionRecord(
        version_id=row.id,
        name=CollectionName(row.entity, row.project, row.collection),
        type=row.type,
        version_index=-1 if row.version_index is None else row.version_index,
        state=VersionState(row.state),
        digest=bytes(row.digest or b""),
        manifest_root=bytes(row.manifest_root or b""),
        size_bytes=row.size_bytes,
        entry_count=row.entry_count,
        description=row.description,
        metadata_json=bytes(row.metadata_json),
        aliases=tuple(sorted(aliases)),
        tags=tuple(sorted(tags)),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        commit_hash=row.commit_hash,
        logged_by_run_id=row.run_name or "",
        history_step=row.history_step,
        etag=row.etag,
        ttl=ttl_of_row(row),
        expires_at_ms=row.expires_at_ms,
        link_count=row.link_count,
        distributed_id=row.distributed_id or "",
        semantic_version=row.semantic_version or "",
    )


def ttl_of_row(row: AnyRow) -> Ttl:
    """Returns what a version, collection or project says of its time to live."""
    return Ttl(TtlKind(row.ttl_kind), row.ttl_s or 0)


def ttl_columns(ttl: Ttl) -> dict[str, object]:
    """Returns the columns that keep a time to live."""
    return {"ttl_kind": ttl.kind.value, "ttl_s": ttl.seconds or None}
