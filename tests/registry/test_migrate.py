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
from holdfast_registry.domain.semver import parse_version
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


def number_versions(connection: Connection) -> list[tuple[str | None, str | None]]:
    """Takes versions of several states over the migration that gives them semantic versions; returns those, and their keys."""
    bring_to(connection, "0008")
    connection.execute(text("INSERT INTO entity (id, name, chunk_epoch, created_at_ms) VALUES (1, 'e', 0, 0)"))
    connection.execute(text("INSERT INTO project (id, entity_id, name, created_at_ms) VALUES (1, 1, 'p', 0)"))
    connection.execute(
        text(
            "INSERT INTO collection (id, public_id, project_id, name, kind, type, description, next_version_index, created_at_ms, "
            "updated_at_ms) VALUES (1, 'c', 1, 'cats', 1, 'dataset', '', 100, 0, 0)"
        )
    )
    insert = text(
        "INSERT INTO version (id, collection_id, state, version_index, size_bytes, entry_count, metadata_json, created_at_ms, "
        "updated_at_ms, commit_hash, etag) VALUES (:id, 1, :state, :index, 0, 0, :metadata, 0, 0, '', '')"
    )
    for state, index in ((2, 0), (3, 8), (2, 9), (2, 99), (1, None), (4, None)):
        connection.execute(insert, {"id": f"{state}-{index}", "state": state, "index": index, "metadata": b"{}"})
    bring_to(connection, "0009")
    rows = connection.execute(
        text("SELECT semantic_version, semantic_version_key FROM version ORDER BY version_index, id")
    )
    return [(row.semantic_version, row.semantic_version_key) for row in rows]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_versions_that_exist_get_semantic_versions_by_their_number(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "sqlite":
        connection = connect(tmp_path / DATABASE_NAME, writable=True)
        with transaction(connection, "BEGIN IMMEDIATE"):
            found = number_versions(connection)
        connection.close()
    else:
        server: Postgres = request.getfixturevalue("postgres")
        engine = make_engine(server.new_database(), 1)
        async with engine.begin() as open_connection:
            found = await open_connection.run_sync(number_versions)
        await engine.dispose()
    texts = [text for text, _ in found if text is not None]
    assert texts == ["1.0.0", "9.0.0", "10.0.0", "100.0.0"]
    assert sorted(key for _, key in found if key is not None) == [_key(text) for text in texts]
    assert found.count((None, None)) == 2


def _key(text: str) -> str:
    version = parse_version(text)
    assert version is not None
    return version.key


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
