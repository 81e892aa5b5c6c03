"""Closes a registry's database to changes while it is moved, and opens it again; calls that read go on.

On SQLite the marker is a file beside the database, which its one writer looks for in each transaction; on PostgreSQL it is a trigger
on every table, which costs nothing while it is not there.  Both hold for registries that run, and for those that start later.

Order of closing: the marker, durable · the transactions that were under way have ended.  A crash in between leaves a marker, and
closing again is harmless.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from holdfast_contract.reasons import Reason
from holdfast_registry.database.schema import metadata
from holdfast_registry.errors import RegistryError

MARKER_NAME = "read-only"
"""Beside a SQLite database: what is in it is for people."""
READ_ONLY_STATE = "HF001"
"""The SQLSTATE that a change comes back with on PostgreSQL."""
_TRIGGER = "holdfast_read_only"
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {_TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '{READ_ONLY_STATE}', MESSAGE = 'holdfast: this registry is being moved';
END
$$
"""


def read_only() -> RegistryError:
    """Returns the answer to every change while a registry is moved; whoever gets it tries again later."""
    return RegistryError(
        Reason.UNAVAILABLE,
        "This registry is being moved, or was moved, to another place (`holdfast registry copy`): it can be read, and nothing can "
        "be changed. What waits goes on by itself when the new one answers, or when this one is opened again.",
    )


def marker_beside(database: Path) -> Path:
    """Returns where the marker of a SQLite database is."""
    return database.with_name(MARKER_NAME)


def close_tables(connection: Connection) -> None:
    """Closes a PostgreSQL database; waits for changes that are under way."""
    connection.exec_driver_sql(_FUNCTION)
    for table in metadata.sorted_tables:
        connection.exec_driver_sql(
            f'CREATE OR REPLACE TRIGGER {_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "{table.name}" '
            f"FOR EACH STATEMENT EXECUTE FUNCTION {_TRIGGER}()"
        )


def open_tables(connection: Connection) -> None:
    """Opens a PostgreSQL database again; one that was not closed stays as it is."""
    for table in metadata.sorted_tables:
        connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS {_TRIGGER} ON "{table.name}"')
