"""Opens a database of either kind for one look at it: one snapshot, read-only, also beside registries that serve it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from holdfast_registry.database.inspection import Inspection, check_revision
from holdfast_registry.database.sqlite import DATABASE_NAME, connect_read_only, transaction
from holdfast_registry.database.sqlite import translate as translate_sqlite
from holdfast_registry.errors import StartError

T = TypeVar("T")


class InspectedDatabase(Protocol):
    """A database that can be looked at."""

    @property
    def name(self) -> str:
        """For people; without a password."""

    def look(self, work: Callable[[Inspection], T]) -> T:
        """Runs some work, which may take hours, on one snapshot.  Blocks; runs no event loop of the caller's.

        Raises:
            StartError: there is no registry, or one of another schema.
            RegistryError: UNAVAILABLE: the server does not answer, which is no damage; others, and DatabaseError: it cannot be read.
        """


class SqliteFile:
    """The file in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        """Knows where it lies."""
        self._path = data_dir / DATABASE_NAME

    @property
    def name(self) -> str:
        """Of the file."""
        return DATABASE_NAME

    def look(self, work: Callable[[Inspection], T]) -> T:
        """Runs some work on one snapshot."""
        if not self._path.exists():
            raise StartError(f"There is no registry in {self._path.parent}; check --data-dir.")
        try:
            connection = connect_read_only(self._path)
            try:
                with transaction(connection, "BEGIN"):
                    check_revision(connection)
                    return work(Inspection(connection))
            finally:
                connection.close()
        except DBAPIError as error:
            raise translate_sqlite(error) from error


class PostgresServer:
    """A database of a server."""

    def __init__(self, url: str) -> None:
        """Knows its address; connects to nothing."""
        self._url = url

    @property
    def name(self) -> str:
        """Of the kind: an address could hold a password."""
        return "postgresql"

    def look(self, work: Callable[[Inspection], T]) -> T:
        """Runs some work on one snapshot."""
        return asyncio.run(self._look(work))

    async def _look(self, work: Callable[[Inspection], T]) -> T:
        # Imported where it is wanted: the embedded registry has neither the driver nor the time to load it.
        from holdfast_registry.database.postgresql import make_engine, translate

        def unit(connection: Connection) -> T:
            check_revision(connection)
            return work(Inspection(connection))

        engine = make_engine(self._url, 1, is_patient=True)
        try:
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                async with connection.begin():
                    return await connection.run_sync(unit)
        except (DBAPIError, OSError) as error:
            raise translate(error) from error
        finally:
            await engine.dispose()


def inspected_database(database_url: str | None, data_dir: Path) -> InspectedDatabase:
    """Returns the database that the settings name."""
    return SqliteFile(data_dir) if database_url is None else PostgresServer(database_url)
