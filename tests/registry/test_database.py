"""The database's promises: migrations reach the declared schema; units that share a COMMIT do not share a fate."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from holdfast_contract.reasons import Reason
from holdfast_registry.database.migrate import alembic_config
from holdfast_registry.database.schema import HEAD_REVISION, metadata
from holdfast_registry.database.sqlite import SqliteDatabase, connect, transaction
from holdfast_registry.errors import RegistryError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "registry.sqlite3", readers=2)
    yield opened
    await asyncio.to_thread(opened.close)


def add_entity(connection: Connection, name: str) -> None:
    connection.execute(
        text("INSERT INTO entity (name, chunk_epoch, created_at_ms) VALUES (:name, 0, 0)"), {"name": name}
    )


def names(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT name FROM entity ORDER BY name")).scalars())


def columns_and_statements(path: Path) -> tuple[object, object]:
    connection = connect(path, writable=True)
    assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    made = dict(
        connection.execute(text("SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version'")).all()
    )
    columns = {name: sorted(connection.execute(text(f"PRAGMA table_xinfo('{name}')")).all()) for name in made}
    connection.close()
    # Columns that a migration has added stand elsewhere in the statement, and in the table.
    named = {name: sorted(column[1:] for column in found) for name, found in columns.items()}
    return named, {name: sorted(re.split(r"[\s,()]+", sql or "")) for name, sql in made.items()}


def test_migrations_arrive_at_the_schema_that_new_databases_have(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite3"
    SqliteDatabase(path, readers=1).close()
    migrated = tmp_path / "migrated.sqlite3"
    connection = connect(migrated, writable=True)
    with transaction(connection, "BEGIN IMMEDIATE"):
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    connection.close()
    assert columns_and_statements(migrated) == columns_and_statements(path)
    import holdfast_registry.database as package

    assert package.__file__ is not None
    scripts = ScriptDirectory(str(Path(package.__file__).parent / "migrations"))
    assert scripts.get_heads() == [HEAD_REVISION]


async def test_unit_that_fails_takes_no_other_along(database: SqliteDatabase) -> None:
    def fails(connection: Connection) -> None:
        add_entity(connection, "undone")
        raise RegistryError(Reason.INTERNAL, "on purpose")

    units = [lambda c, n=f"n{number}": add_entity(c, n) for number in range(5)]
    outcomes = await asyncio.gather(
        *(database.write(unit) for unit in [*units[:2], fails, *units[2:]]), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(RegistryError) == 1
    assert await database.read(names) == ["n0", "n1", "n2", "n3", "n4"]


async def test_statement_that_the_database_refuses_fails_its_unit_alone(database: SqliteDatabase) -> None:
    outcomes = await asyncio.gather(
        *(database.write(lambda c, n=name: add_entity(c, n)) for name in ("same", "same", "other")),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert await database.read(names) == ["other", "same"]


async def test_reader_sees_every_write_that_was_answered(database: SqliteDatabase) -> None:
    for number in range(20):
        await database.write(lambda c, n=f"n{number:02}": add_entity(c, n))
        assert len(await database.read(names)) == number + 1


async def test_reader_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Exception, match="readonly"):
        await database.read(lambda c: add_entity(c, "x"))


async def test_cancelled_caller_harms_nobody(database: SqliteDatabase) -> None:
    tasks = [asyncio.create_task(database.write(lambda c, n=f"n{number}": add_entity(c, n))) for number in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    kept = await database.read(names)
    assert {f"n{number}" for number in range(1, 10, 2)} <= set(kept)
    assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) == 5
    await database.write(lambda c: add_entity(c, "after"))
    assert "after" in await database.read(names)


async def test_full_disk_undoes_the_unit_and_says_so(database: SqliteDatabase) -> None:
    await database.write(lambda c: c.execute(text("PRAGMA max_page_count = 60")).close())
    with pytest.raises(RegistryError) as refused:
        await database.write(lambda c: [add_entity(c, f"{number}" + "x" * 4000) for number in range(100)])
    assert refused.value.reason is Reason.OUT_OF_SPACE
    await database.write(lambda c: c.execute(text("PRAGMA max_page_count = 100000")).close())
    await database.write(lambda c: add_entity(c, "after"))
    assert await database.read(names) == ["after"]
