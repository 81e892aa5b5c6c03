"""Copies a registry's database from SQLite into an empty PostgreSQL, its chunks by COPY and with their index made afterwards.

`holdfast registry copy` does the same to a registry that is of worth, and compares every row; here ten million rows have to be there
within minutes.  Chunks lie in the order in which packs have brought them, as in any registry.
"""

import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from holdfast_registry.database.copying import CopyTarget, copied_tables, key_of, page_size, rows_after
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.schema import chunk
from holdfast_registry.database.sqlite import DATABASE_NAME
from holdfast_registry.server import open_database
from holdfast_registry.settings import RegistrySettings

_COLUMNS = tuple(column.name for column in chunk.columns)
_IN_ORDER_OF_ARRIVAL = "SELECT {} FROM chunk ORDER BY pack".format(", ".join(f'"{name}"' for name in _COLUMNS))
ROWS_AT_ONCE = 500_000

Say = Callable[[str], None]


async def copy_registry(source: Path, url: str, target: Path, say: Say) -> None:
    """Makes a second registry over PostgreSQL, with packs of its own.

    Args:
        source: data folder of a registry on SQLite that does not run.
        url: of an empty database.
        target: data folder to be made; its packs are the same files.
        say: told how far it is.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(f"{DATABASE_NAME}*", "packs"))
    # Packs are never written to once they are whole, so both may have the same.
    shutil.copytree(source / "packs", target / "packs", copy_function=_link)
    old = await open_database(RegistrySettings(), source)
    try:
        new = await open_database(RegistrySettings(database_url=url), target)
        try:
            await _copy_small_tables(old, new)
        finally:
            await new.aclose()
    finally:
        await old.aclose()
    await _copy_chunks(source / DATABASE_NAME, url, say)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


async def _copy_small_tables(old: OpenDatabase, new: OpenDatabase) -> None:
    target = CopyTarget(new, "the benchmark")
    state = await target.begin()
    for table in copied_tables():
        after = None
        while table is not chunk and (
            page := await old.read(partial(rows_after, table=table, after=after, count=page_size(table)))
        ):
            await target.insert(table, page, state.last_keys)
            after = key_of(table, page[-1])
    await target.complete()


async def _copy_chunks(source: Path, url: str, say: Say) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '512MB'")
        await connection.execute("ALTER TABLE chunk DROP CONSTRAINT pk_chunk")
        rows = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        try:
            cursor, copied = rows.execute(_IN_ORDER_OF_ARRIVAL), 0
            while page := cursor.fetchmany(ROWS_AT_ONCE):
                await connection.copy_records_to_table("chunk", records=page, columns=_COLUMNS)
                copied += len(page)
                say(f"scale: {copied:,} chunks copied to PostgreSQL")
        finally:
            rows.close()
        await connection.execute("ALTER TABLE chunk ADD CONSTRAINT pk_chunk PRIMARY KEY (entity_id, digest)")
        # What autovacuum does for a registry that has grown slowly.
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
