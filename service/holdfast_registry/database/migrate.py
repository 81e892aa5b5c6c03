"""Brings a database to this software's schema, and refuses one that is newer."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from holdfast_registry.database.schema import HEAD_REVISION
from holdfast_registry.errors import StartError

_SCRIPTS = "holdfast_registry:database/migrations"


def current_revision(connection: Connection) -> str | None:
    """Returns the revision that the database is at; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(connection: Connection) -> None:
    """Runs the migrations that are missing, all in the caller's transaction.

    Raises:
        StartError: the database was written by a newer version of this software.
    """
    revision = current_revision(connection)
    if revision == HEAD_REVISION:
        return
    # Alembic takes a fifth of a second to import and is needed once in the life of a data folder.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StartError(
            f"The database has schema {revision}, this software knows schemas up to {HEAD_REVISION}: "
            "a newer Holdfast has used this data folder. Upgrade this installation; nothing was changed."
        )
    command.upgrade(config, "head")
