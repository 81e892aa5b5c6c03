"""The catalogue of a database: the rows that cannot be told from packs, as a SQLite file that lies in the store beside them.

A *whole* record has all such rows, a *recent* one those of versions that were committed since.  Chunks are not among them: where they
lie is in the packs' own footers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, insert, literal, select, true, update

from holdfast_registry.database.copying import key_of, page_size, rows_after
from holdfast_registry.database.migrate import make_schema
from holdfast_registry.database.schema import (
    alias,
    audit,
    catalogue,
    collection,
    collection_tag,
    distributed,
    edge,
    entity,
    link,
    metadata,
    origin,
    pack,
    project,
    protected_alias,
    quota,
    run,
    token,
    version,
    version_tag,
)
from holdfast_registry.database.snapshot import Snapshot
from holdfast_registry.database.sqlite import connect, make_portable, transaction
from holdfast_registry.domain.records import PackState, VersionState

OVERLAP_MS = 10 * 60_000
"""Commits are recorded again for so long: one may become visible later than its time, and clocks of replicas differ."""
_ALL: ColumnElement[bool] = true()
_WHOLE: Mapping[Table, ColumnElement[bool]] = {
    entity: _ALL,
    project: _ALL,
    collection: _ALL,
    collection_tag: _ALL,
    run: _ALL,
    version: _ALL,
    origin: _ALL,
    link: _ALL,
    distributed: _ALL,
    alias: _ALL,
    version_tag: _ALL,
    edge: _ALL,
    pack: pack.c.state == PackState.LIVE.value,
    token: _ALL,
    protected_alias: _ALL,
    quota: _ALL,
}


@dataclass(frozen=True, slots=True)
class RecordState:
    """What the store has of a database."""

    recorded_up_to_ms: int
    whole_at_ms: int
    audit_id: int
    """Of the last entry of the audit log then."""
    last_audit_id: int
    """Of the last entry now."""


def record_state(connection: Connection) -> RecordState:
    """Returns what the store has, and whether there is more."""
    row = connection.execute(select(catalogue).where(catalogue.c.id == 1)).first()
    last = connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
    if row is None:
        return RecordState(0, 0, 0, last)
    return RecordState(row.recorded_up_to_ms, row.whole_at_ms, row.audit_id, last)


def note_record(connection: Connection, *, up_to_ms: int, whole_at_ms: int, audit_id: int) -> None:
    """Notes what the store has got."""
    values = {"recorded_up_to_ms": up_to_ms, "whole_at_ms": whole_at_ms, "audit_id": audit_id}
    if connection.execute(update(catalogue).where(catalogue.c.id == 1), values).rowcount == 0:
        connection.execute(insert(catalogue), {"id": 1, **values})


def recorded_tables() -> list[Table]:
    """Returns the tables of a record, those first that others point at."""
    return [table for table in metadata.sorted_tables if table in _WHOLE]


def _recent(since_ms: int) -> Mapping[Table, ColumnElement[bool]]:
    # Deleted ones, too: numbers that were given are not given again.
    states = (VersionState.COMMITTED.value, VersionState.DELETED.value)
    committed = and_(version.c.state.in_(states), version.c.created_at_ms >= literal(since_ms))
    versions = select(version.c.id).where(committed)
    collections = select(version.c.collection_id).where(committed)
    return {
        entity: _ALL,
        project: _ALL,
        collection: collection.c.id.in_(collections),
        run: run.c.id.in_(select(edge.c.run_id).where(edge.c.version_id.in_(versions))),
        version: committed,
        origin: origin.c.version_id.in_(versions),
        alias: alias.c.collection_id.in_(collections),
        version_tag: version_tag.c.version_id.in_(versions),
        edge: edge.c.version_id.in_(versions),
        pack: and_(pack.c.state == PackState.LIVE.value, pack.c.sealed_at_ms >= literal(since_ms)),
    }


async def write_record(snapshot: Snapshot, path: Path, since_ms: int | None) -> int:
    """Writes a record as a SQLite file.

    Args:
        snapshot: of the database.
        path: of the file, which must not exist.
        since_ms: only what was committed since; None: a whole record.

    Returns:
        Rows of versions in it.
    """
    wanted = _WHOLE if since_ms is None else _recent(since_ms)
    connection = await asyncio.to_thread(_new_file, path)
    versions = 0
    try:
        for table in recorded_tables():
            if table in wanted:
                count = await _write_table(snapshot, connection, table, wanted[table])
                versions += count if table is version else 0
    finally:
        await asyncio.to_thread(connection.close)
    await asyncio.to_thread(make_portable, path)
    return versions


def _new_file(path: Path) -> Connection:
    connection = connect(path, writable=True)
    # Rows point at some that are in other records; and a file that is read once needs no journal.
    for pragma in ("foreign_keys=OFF", "journal_mode=OFF", "synchronous=OFF"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    with transaction(connection, "BEGIN"):
        make_schema(connection)
    return connection


async def _write_table(snapshot: Snapshot, target: Connection, table: Table, where: ColumnElement[bool]) -> int:
    rows, after = 0, None
    size = page_size(table)
    while page := await snapshot.read(partial(rows_after, table=table, after=after, count=size, where=where)):
        await asyncio.to_thread(_insert, target, table, page)
        rows, after = rows + len(page), key_of(table, page[-1])
    return rows


def _insert(target: Connection, table: Table, rows: Sequence[Any]) -> None:
    with transaction(target, "BEGIN"):
        target.execute(insert(table), [dict(row._mapping) for row in rows])
