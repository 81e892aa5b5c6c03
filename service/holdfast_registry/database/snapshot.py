"""One state of a whole database, read in pieces while registries go on working with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from holdfast_registry.database.database import Unit
from holdfast_registry.database.migrate import current_revision
from holdfast_registry.database.schema import HEAD_REVISION
from holdfast_registry.database.sqlite import connect_read_only, transaction, translate
from holdfast_registry.errors import StartError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Snapshot(Protocol):
    """Runs units that only read, one at a time; all see the same state."""

    async def read(self, unit: Unit[T]) -> T:
        """Runs a unit."""


class SqliteSnapshot:
    """Of a SQLite file."""

    def __init__(self, connection: Connection) -> None:
        """Takes a connection that only reads, in a transaction."""
        self._connection = connection

    async def read(self, unit: Unit[T]) -> T:
        """Runs a unit in a thread."""
        return await asyncio.to_thread(unit, self._connection)


@asynccontextmanager
async def open_sqlite(path: Path, *, any_schema: bool = False) -> AsyncIterator[Snapshot]:
    """Opens a SQLite file, which a registry may be writing to.

    Args:
        path: of the file.
        any_schema: whoever reads knows what to do with another schema.

    Raises:
        StartError: there is none, or its schema is another one.
        RegistryError, DatabaseError: it cannot be read.
    """
    try:
        connection = _connect(path)
        try:
            with transaction(connection, "BEGIN"):
                if not any_schema:
                    _check_schema(connection)
                yield SqliteSnapshot(connection)
        finally:
            connection.close()
    except DBAPIError as error:
        raise translate(error) from error


def snapshots_of(path: Path, url: str | None) -> Callable[[], AbstractAsyncContextManager[Snapshot]]:
    """Returns what opens a registry's own database to be read.

    Args:
        path: of the SQLite file.
        url: of PostgreSQL, if that is its database.
    """
    return partial(open_sqlite, path) if url is None else partial(open_postgresql, url)


def _connect(path: Path) -> Connection:
    if not path.exists():
        raise StartError(f"There is no registry's database at {path}.")
    return connect_read_only(path)


def _check_schema(connection: Connection) -> None:
    revision = current_revision(connection)
    if revision != HEAD_REVISION:
        raise StartError(
            f"The database has schema {revision}, this software works with {HEAD_REVISION}; run `holdfast registry migrate` there "
            "first, or use the version of Holdfast that serves it."
        )


class PostgresSnapshot:
    """Of a PostgreSQL database."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Takes a connection in a transaction that only reads."""
        self._connection = connection

    async def read(self, unit: Unit[T]) -> T:
        """Runs a unit in a greenlet of the event loop."""
        return await self._connection.run_sync(unit)


@asynccontextmanager
async def open_postgresql(url: str, *, any_schema: bool = False) -> AsyncIterator[Snapshot]:
    """Opens a PostgreSQL database, which registries may be writing to.

    Args:
        url: see `make_engine`.
        any_schema: as for SQLite.

    Raises:
        StartError: its schema is another one.
        RegistryError, DatabaseError: it cannot be read.
    """
    from holdfast_registry.database.postgresql import make_engine, translate

    engine = make_engine(url, 1)
    try:
        try:
            connection = await engine.connect()
        except OSError as error:
            raise translate(error) from error
        try:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                # Between two reads lies whatever is done with the rows.
                await connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                await connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                if not any_schema:
                    await connection.run_sync(_check_schema)
                yield PostgresSnapshot(connection)
        finally:
            await connection.close()
    except DBAPIError as error:
        raise translate(error) from error
    finally:
        await engine.dispose()
