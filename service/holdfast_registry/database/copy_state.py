"""Whether a database is being filled by `registry copy` or `restore`; nobody serves it before it is complete."""

from __future__ import annotations

from sqlalchemy import Connection, select

from holdfast_registry.database.schema import copying
from holdfast_registry.errors import StartError

COPY_STATE = select(copying.c.source, copying.c.progress_json, copying.c.is_complete).where(copying.c.id == 1)


def check_complete(connection: Connection) -> None:
    """Refuses a database that is being filled.

    Raises:
        StartError: says from where.
    """
    row = connection.execute(COPY_STATE).first()
    if row is not None and not row.is_complete:
        raise StartError(
            f"This database is being filled from {row.source}, and is not complete; run that copy or restore again, it goes on where "
            "it was."
        )
