"""`holdfast registry migrate`: what it would do, what it does, what it refuses; replicas that start at once migrate once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command as alembic
from sqlalchemy import Connection, text

from holdfast_registry.database.migrate import alembic_config, current_revision
from holdfast_registry.database.postgresql import make_engine, open_database
from holdfast_registry.database.schema import HEAD_REVISION
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase, connect, transaction
from holdfast_registry.errors import StartError
from registry.moving import command
from support.postgres import Postgres

OLD = "0004"


def bring_to(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    alembic.upgrade(config, revision)


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A data folder whose database an older Holdfast has made."""
    folder = tmp_path / "old"
    folder.mkdir(mode=0o700)
    connection = connect(folder / DATABASE_NAME, writable=True)
    with transaction(connection, "BEGIN IMMEDIATE"):
        bring_to(connection, OLD)
    connection.close()
    return folder


@pytest.fixture
def old_url(postgres: Postgres) -> str:
    url = postgres.new_database()

    async def make() -> None:
        engine = make_engine(url, 1)
        async with engine.begin() as connection:
            await connection.run_sync(bring_to, OLD)
        await engine.dispose()

    asyncio.run(make())
    return url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_plan_is_printed_and_carried_out_only_without_check(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_dir = tmp_path / "old"
    if kind == "postgresql":
        monkeypatch.setenv("HOLDFAST_REGISTRY_DATABASE_URL", request.getfixturevalue("old_url"))
    else:
        request.getfixturevalue("old_folder")
    migrate = ("migrate", "--data-dir", str(data_dir))
    assert command(*migrate, "--check") == 1
    planned = capsys.readouterr().out
    assert f"has schema {OLD}" in planned
    assert HEAD_REVISION in planned.splitlines()[-1]
    assert command(*migrate, "--check") == 1, "the check has changed something"
    assert command(*migrate) == 0
    assert command(*migrate, "--check") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_database_of_a_newer_holdfast_is_refused_with_what_to_do(
    old_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = connect(old_folder / DATABASE_NAME, writable=True)
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    connection.close()
    for check in ((), ("--check",)):
        assert command("migrate", "--data-dir", str(old_folder), *check) == 78
        assert "Upgrade this installation" in capsys.readouterr().err


def test_registry_that_must_not_migrate_refuses_an_older_database(old_folder: Path) -> None:
    with pytest.raises(StartError, match="holdfast registry migrate"):
        SqliteDatabase(old_folder / DATABASE_NAME, 1, migrates=False)
    connection = connect(old_folder / DATABASE_NAME, writable=False)
    assert current_revision(connection) == OLD
    connection.close()


async def test_replicas_that_start_at_once_on_an_empty_database_all_start(postgres: Postgres) -> None:
    url = postgres.new_database()
    opened = await asyncio.gather(*(open_database(url, 1) for _ in range(4)))
    assert {await database.read(current_revision) for database in opened} == {HEAD_REVISION}
    for database in opened:
        await database.aclose()
