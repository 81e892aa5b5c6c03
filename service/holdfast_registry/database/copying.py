"""Copies all rows of a registry's database into another one, table by table, in the order of their keys.

The target has one row (`copying`) that says which row of each table came last; it changes in the transaction that inserts, so a copy
that was killed anywhere goes on where it was, and inserts nothing twice.  While that row says that the copy is not complete nobody
serves the target.  At the end both sides are read again and compared: number of rows, and a digest over all values.

Order: row `copying` · tables, those first that others point at, 1,000 rows a transaction · comparison · numbers of new rows set
(PostgreSQL) · complete.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from blake3 import blake3
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    collate,
    func,
    insert,
    select,
    tuple_,
    update,
)

from holdfast_contract.failpoints import failpoint
from holdfast_registry.database.copy_state import COPY_STATE
from holdfast_registry.database.database import OpenDatabase, Unit
from holdfast_registry.database.schema import catalogue, copying, metadata, pack
from holdfast_registry.database.snapshot import Snapshot
from holdfast_registry.domain.records import PackState
from holdfast_registry.errors import StartError

ROWS_AT_ONCE = 1000
"""Of one transaction; a version's metadata may have tens of KiB."""
NARROW_ROWS_AT_ONCE = 20_000
"""Of a table that has nothing but numbers and digests."""
_COPIED_NOT = frozenset({copying.name, catalogue.name})
"""What a database says of itself and its own store."""
Key = tuple[int | str | bytes, ...]


@dataclass(frozen=True, slots=True)
class TableDigest:
    """All rows of a table."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far a database is that is being filled."""

    source: str
    last_keys: dict[str, Key]
    is_complete: bool


def copied_tables() -> list[Table]:
    """Returns what is copied, in an order in which rows may be inserted."""
    return [table for table in metadata.sorted_tables if table.name not in _COPIED_NOT]


def rows_after(
    connection: Connection, table: Table, after: Key | None, count: int, where: ColumnElement[bool] | None = None
) -> list[Any]:
    """Returns the next rows of a table, in the order of its key; with `where` only some of them."""
    page = _page(connection, table, after, count)
    return list(connection.execute(page if where is None else page.where(where)))


def _page(connection: Connection, table: Table, after: Key | None, count: int) -> Select[Any]:
    columns = list(table.primary_key.columns)
    # The same order on both databases and under every locale.
    plain = connection.dialect.name == "sqlite"
    keys = [each if plain or not isinstance(each.type, Text) else collate(each, "C") for each in columns]
    wanted = select(table).order_by(*keys).limit(count)
    if after is None:
        return wanted
    values = [bindparam(None, value, type_=each.type) for each, value in zip(columns, after, strict=True)]
    return wanted.where(keys[0] > values[0] if len(keys) == 1 else tuple_(*keys) > tuple_(*values))


def page_size(table: Table) -> int:
    """Returns how many rows of a table are read at once."""
    narrow = not any(isinstance(each.type, Text) or _is_long(each.type) for each in table.columns)
    return NARROW_ROWS_AT_ONCE if narrow else ROWS_AT_ONCE


def _is_long(kind: Any) -> bool:
    return isinstance(kind, LargeBinary) and kind.length is None


def key_of(table: Table, row: Any) -> Key:
    """Returns the key of a row."""
    return tuple(getattr(row, each.name) for each in table.primary_key.columns)


@dataclass(frozen=True, slots=True)
class CopiedPack:
    """A pack that serves."""

    pack_id: bytes
    size_bytes: int
    chunk_count: int


def serving_packs(connection: Connection) -> list[CopiedPack]:
    """Returns the packs that chunks are read from."""
    wanted = select(pack.c.pack_id, pack.c.size_bytes, pack.c.chunk_count).where(pack.c.state == PackState.LIVE.value)
    rows = connection.execute(wanted.order_by(pack.c.id))
    return [CopiedPack(bytes(row.pack_id), row.size_bytes, row.chunk_count) for row in rows]


async def digest_table(snapshot: Snapshot, table: Table) -> TableDigest:
    """Reads a whole table; the same rows have the same digest on every database."""
    hasher, rows, after = blake3(), 0, None
    while page := await snapshot.read(partial(rows_after, table=table, after=after, count=page_size(table))):
        hasher.update("".join([f"{tuple(row)!r}\n" for row in page]).encode("utf-8", "surrogatepass"))
        rows, after = rows + len(page), key_of(table, page[-1])
    return TableDigest(rows, hasher.hexdigest())


class CopyTarget:
    """A database that is being filled."""

    def __init__(self, database: OpenDatabase, source: str) -> None:
        """Takes an open database of this software's schema.

        Args:
            database: the target.
            source: where its rows come from, for people and to know it again; without secrets.
        """
        self._database = database
        self._source = source

    async def begin(self) -> CopyState:
        """Begins, or goes on with what was begun.

        Raises:
            StartError: the database has rows of its own, or is being filled from somewhere else.
        """
        state = await self._database.write(self._begin)
        failpoint("copy.after_begin")
        return state

    def _begin(self, connection: Connection) -> CopyState:
        row = connection.execute(COPY_STATE.with_for_update()).first()
        if row is None:
            filled = [table.name for table in copied_tables() if _has_rows(connection, table)]
            if filled:
                raise StartError(
                    f"The target has a registry already (table {filled[0]} has rows); give an empty database."
                )
            values = {"id": 1, "source": self._source, "progress_json": "{}", "is_complete": False}
            connection.execute(insert(copying), values)
            return CopyState(self._source, {}, False)
        if row.source != self._source:
            raise StartError(f"The target is being filled from {row.source}, not from {self._source}.")
        keys = {name: _decoded(key) for name, key in json.loads(row.progress_json).items()}
        return CopyState(row.source, keys, row.is_complete)

    async def insert(self, table: Table, rows: Sequence[Any], last_keys: dict[str, Key]) -> None:
        """Adds rows and notes the last one.

        Args:
            table: where they belong.
            rows: in the order of the key, right after the last one.
            last_keys: of all tables as the target has them; gets this table's new one.

        Raises:
            StartError: another process fills the same database.
        """
        after = {**last_keys, table.name: key_of(table, rows[-1])}

        def unit(connection: Connection) -> None:
            found = connection.execute(COPY_STATE.with_for_update()).one()
            if found.progress_json != _encoded(last_keys):
                raise StartError("Another process copies into the same database; let it finish.")
            connection.execute(insert(table), [dict(row._mapping) for row in rows])
            connection.execute(update(copying), {"progress_json": _encoded(after)})

        await self._database.write(unit)
        last_keys[table.name] = after[table.name]
        failpoint("copy.after_rows")

    async def complete(self, also: Unit[None] | None = None) -> None:
        """Sets the numbers of new rows, and lets the database be served; `also` runs in the same transaction."""

        def unit(connection: Connection) -> None:
            if also is not None:
                also(connection)
            if connection.dialect.name == "postgresql":
                for table in copied_tables():
                    _set_sequence(connection, table)
            connection.execute(update(copying), {"is_complete": True})

        await self._database.write(unit)


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(*table.primary_key.columns).limit(1)).first() is not None


def _set_sequence(connection: Connection, table: Table) -> None:
    column = table.autoincrement_column
    if column is None:
        return
    sequence = func.pg_get_serial_sequence(f'"{table.name}"', column.name)
    highest = connection.execute(select(func.max(column))).scalar()
    if highest is not None:
        connection.execute(select(func.setval(sequence, highest)))


def _encoded(keys: dict[str, Key]) -> str:
    plain = {
        name: [{"hex": each.hex()} if isinstance(each, bytes) else each for each in key] for name, key in keys.items()
    }
    return json.dumps(plain, sort_keys=True)


def _decoded(key: list[Any]) -> Key:
    return tuple(bytes.fromhex(each["hex"]) if isinstance(each, dict) else each for each in key)
