"""Makes a database anew from records of the catalogue and the footers of packs, in a SQLite file that nobody else uses.

Foreign keys are not enforced while rows of several records come together; what points at nothing in the end is taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, delete, func, insert, not_, select, text, update

from holdfast_contract.pack import PackIndex
from holdfast_registry.database.schema import (
    alias,
    chunk,
    collection,
    entity,
    lease,
    link,
    metadata,
    pack,
    project,
    version,
)
from holdfast_registry.database.sqlite import connect, transaction
from holdfast_registry.database.sqlite_chunks import insert_absent
from holdfast_registry.database.store_records import recorded_tables
from holdfast_registry.domain.aliases import LATEST
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.domain.records import CollectionKind, LeaseState, PackState, VersionState

_ATTACHED = "record"
_UNFINISHED = (VersionState.PENDING.value, VersionState.PART.value)


@dataclass(frozen=True, slots=True)
class KnownPack:
    """A pack whose entity is known."""

    row: int
    entity_id: int
    was_read: bool
    """Its frames were checked when the record was written."""


@contextmanager
def open_for_rebuilding(path: Path) -> Iterator[Rebuilding]:
    """Opens the file to be filled; its schema is this software's."""
    connection = connect(path, writable=True)
    try:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        yield Rebuilding(connection)
    finally:
        connection.close()


class Rebuilding:
    """The file while it is filled; all calls block."""

    def __init__(self, connection: Connection) -> None:
        """Takes a connection that does not enforce foreign keys."""
        self._connection = connection

    def take_record(self, record: Path) -> None:
        """Takes over the rows of a record, in the place of older ones with the same key."""
        _take_record(self._connection, record)

    def entities(self) -> list[int]:
        """Returns the rows of all entities."""
        return list(self._connection.execute(select(entity.c.id).order_by(entity.c.id)).scalars())

    def known_packs(self) -> dict[bytes, KnownPack]:
        """Returns the packs that the records name."""
        rows = self._connection.execute(select(pack.c.pack_id, pack.c.id, pack.c.entity_id, pack.c.unread_since_ms))
        return {bytes(row.pack_id): KnownPack(row.id, row.entity_id, row.unread_since_ms is None) for row in rows}

    def manifest_roots(self) -> set[bytes]:
        """Returns the roots of all manifests that a version names."""
        rows = self._connection.execute(select(version.c.manifest_root).where(version.c.manifest_root.is_not(None)))
        return {bytes(root) for root in rows.scalars()}

    def add_pack(self, entity_id: int, index: PackIndex, now_ms: int) -> KnownPack:
        """Adds a pack that no record names."""
        with transaction(self._connection, "BEGIN IMMEDIATE"):
            return _add_pack(self._connection, entity_id, index, now_ms)

    def add_chunks(self, known: KnownPack, index: PackIndex, damaged: Collection[int] = ()) -> None:
        """Adds the chunks of a pack; one that another pack has, too, is read from whichever came first.

        Args:
            known: the pack.
            index: its footer's.
            damaged: positions of frames that are left out.
        """
        with transaction(self._connection, "BEGIN IMMEDIATE"):
            _add_chunks(self._connection, known, index, damaged)

    def finish(self, now_ms: int) -> list[str]:
        """Makes one consistent database of what came together; returns what had to be taken out, in words."""
        with transaction(self._connection, "BEGIN IMMEDIATE"):
            unfinished = version.c.state.in_(_UNFINISHED)
            self._connection.execute(update(version).where(unfinished).values(state=VersionState.FAILED.value))
            _give_packs_leases(self._connection, now_ms)
            said = _take_out_dangling(self._connection)
            _set_latest(self._connection)
        return said

    def versions(self) -> tuple[int, list[str]]:
        """Returns how many versions are committed, and the names of those whose manifest is in no pack."""
        return _rebuilt_versions(self._connection)


def _take_record(connection: Connection, record: Path) -> None:
    connection.execute(text(f"ATTACH DATABASE :path AS {_ATTACHED}"), {"path": str(record)})
    try:
        with transaction(connection, "BEGIN IMMEDIATE"):
            for table in recorded_tables():
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                connection.exec_driver_sql(
                    f'INSERT OR REPLACE INTO main."{table.name}" ({names}) SELECT {names} FROM {_ATTACHED}."{table.name}"'
                )
    finally:
        connection.exec_driver_sql(f"DETACH DATABASE {_ATTACHED}")


def _add_pack(connection: Connection, entity_id: int, index: PackIndex, now_ms: int) -> KnownPack:
    values = {
        "pack_id": index.pack_id,
        "entity_id": entity_id,
        "lease_id": "",
        "state": PackState.LIVE.value,
        "size_bytes": index.size_bytes,
        "chunk_count": len(index),
        "live_chunks": len(index),
        "created_at_ms": now_ms,
        "sealed_at_ms": now_ms,
    }
    return KnownPack(
        int(connection.execute(insert(pack).returning(pack.c.id), values).scalar_one()), entity_id, was_read=False
    )


def _add_chunks(connection: Connection, known: KnownPack, index: PackIndex, damaged: Collection[int]) -> None:
    offsets = index.offsets()
    rows = [
        (known.entity_id, digest, known.row, offsets[at], index.stored_lengths[at], index.lengths[at], index.codecs[at])
        for at, digest in enumerate(split_digests(bytes(index.digests)))
        if at not in damaged
    ]
    insert_absent(connection, rows)


def _give_packs_leases(connection: Connection, now_ms: int) -> None:
    """Each pack was brought under a lease of some version of its entity; which one no longer matters."""
    for entity_id in connection.execute(select(pack.c.entity_id).distinct()).scalars().all():
        some = (
            select(version.c.id)
            .join(collection, collection.c.id == version.c.collection_id)
            .join(project, project.c.id == collection.c.project_id)
            .where(project.c.entity_id == entity_id)
            .limit(1)
        )
        version_id = connection.execute(some).scalar()
        if version_id is None:
            continue
        lease_id = f"{entity_id:032x}"
        values = {"id": lease_id, "entity_id": entity_id, "version_id": version_id, "state": LeaseState.CLOSED.value}
        times = {"started_at_ms": now_ms, "expires_at_ms": now_ms, "ended_at_ms": now_ms}
        connection.execute(insert(lease), values | times)
        # Who has brought a pack is forgotten, so none can be its own upload's alone; what nobody had read was read just now.
        forgotten = {"lease_id": lease_id, "unread_since_ms": None}
        connection.execute(update(pack).where(pack.c.entity_id == entity_id).values(**forgotten))


def _take_out_dangling(connection: Connection) -> list[str]:
    said: list[str] = []
    taken = True
    while taken:  # what is taken out may have been pointed at
        taken = False
        for table in metadata.sorted_tables:
            for key in sorted(table.foreign_keys, key=lambda each: each.parent.name):
                there = select(key.column).where(key.column == key.parent).exists()
                gone = connection.execute(delete(table).where(and_(key.parent.is_not(None), not_(there)))).rowcount
                if gone:
                    taken = True
                    said.append(f"{gone} rows of {table.name}, whose {key.parent.name} is not known")
    return said


def _set_latest(connection: Connection) -> None:
    """Numbers and `latest` are those of the highest version, or link, that came back."""
    for rows in connection.execute(select(collection.c.id, collection.c.kind, collection.c.next_version_index)).all():
        table = link if rows.kind == CollectionKind.PORTFOLIO.value else version
        here = table.c.collection_id == rows.id
        top = connection.execute(select(func.max(table.c.version_index)).where(here)).scalar()
        connection.execute(delete(alias).where(alias.c.collection_id == rows.id, alias.c.name == LATEST))
        latest = connection.execute(_highest(table, rows.id)).scalar()
        if latest is not None:
            connection.execute(insert(alias), {"collection_id": rows.id, "name": LATEST, "version_id": latest})
        following = max(rows.next_version_index, -1 if top is None else top + 1)
        values = {"latest_version_id": latest, "next_version_index": following}
        connection.execute(update(collection).where(collection.c.id == rows.id).values(values))


def _highest(table: Table, collection_id: int) -> Select[Any]:
    if table is link:
        wanted = select(link.c.version_id).where(link.c.collection_id == collection_id)
    else:
        committed = version.c.state == VersionState.COMMITTED.value
        wanted = select(version.c.id).where(version.c.collection_id == collection_id, committed)
    return wanted.order_by(table.c.version_index.desc()).limit(1)


def _rebuilt_versions(connection: Connection) -> tuple[int, list[str]]:
    rows = connection.execute(
        select(
            version.c.version_index,
            collection.c.name,
            project.c.name.label("project"),
            entity.c.name.label("entity"),
            chunk.c.digest.label("found"),
        )
        .join(collection, collection.c.id == version.c.collection_id)
        .join(project, project.c.id == collection.c.project_id)
        .join(entity, entity.c.id == project.c.entity_id)
        .outerjoin(chunk, and_(chunk.c.entity_id == entity.c.id, chunk.c.digest == version.c.manifest_root))
        .where(version.c.state == VersionState.COMMITTED.value, version.c.entry_count > 0)
        .order_by(version.c.collection_id, version.c.version_index)
    ).all()
    lost = [f"{row.entity}/{row.project}/{row.name}:v{row.version_index}" for row in rows if row.found is None]
    return len(rows), lost
