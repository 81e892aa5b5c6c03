"""Brings a database to this software's schema, and refuses one that is newer.

All missing migrations run in one transaction, which on PostgreSQL begins with an advisory lock: of registries that start at the same
moment one migrates, the others wait and find nothing to do.  A crash before the COMMIT leaves the schema that was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from holdfast_registry.database.schema import HEAD_REVISION, metadata
from holdfast_registry.errors import StartError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = 0x686F6C64
"""Key of the advisory lock under which one registry at a time brings a schema on PostgreSQL up to date."""
_SCRIPTS = "holdfast_registry:database/migrations"


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One migration that a database still needs."""

    revision: str
    title: str


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What lies between a database and this software."""

    found: str | None
    """Revision of the database; None: it is empty."""
    steps: Sequence[MigrationStep]


def current_revision(connection: Connection) -> str | None:
    """Returns the revision that the database is at; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def plan(connection: Connection) -> MigrationPlan:
    """Returns which migrations are missing, and changes nothing.

    Raises:
        StartError: the database was written by a newer version of this software.
    """
    revision = current_revision(connection)
    if revision == HEAD_REVISION:
        return MigrationPlan(revision, ())
    from alembic.script import ScriptDirectory

    newest_first = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    known = [script.revision for script in newest_first]
    if revision is not None and revision not in known:
        raise StartError(
            f"The database has schema {revision}, this software knows schemas up to {HEAD_REVISION}: "
            "a newer Holdfast has used this data folder. Upgrade this installation; nothing was changed."
        )
    missing = newest_first if revision is None else newest_first[: known.index(revision)]
    steps = [MigrationStep(script.revision, script.doc.splitlines()[0]) for script in reversed(missing)]
    return MigrationPlan(revision, steps)


def make_schema(connection: Connection) -> None:
    """Makes all tables of an empty database at once: the schema that the migrations arrive at, without the time that they take."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD_REVISION})


def migrate(connection: Connection) -> None:
    """Makes the schema of an empty database, or runs the migrations that are missing; all in the caller's transaction.

    Raises:
        StartError: the database was written by a newer version of this software.
    """
    if connection.dialect.name == "postgresql":
        # Without limits: a migration takes as long as it takes, and so does the wait for another registry's.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
    if current_revision(connection) is None:
        make_schema(connection)
    elif plan(connection).steps:
        from alembic import command

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def refuse_old(connection: Connection) -> None:
    """For a registry that must not migrate by itself.

    Raises:
        StartError: migrations are missing, or the database is newer than this software.
    """
    planned = plan(connection)
    if planned.steps:
        raise StartError(
            f"The database has schema {planned.found or 'none'}, this software needs {HEAD_REVISION}: run "
            "`holdfast registry migrate`, or let registries do it when they start (migrate_at_start = true)."
        )


def alembic_config() -> Config:
    """Returns what Alembic runs with; `attributes["connection"]` is to be set."""
    # Alembic takes a fifth of a second to import and is needed only where an older version has left a database.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    return config
