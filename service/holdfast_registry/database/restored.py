"""What changes in a database that comes from a backup, or was made anew from the store."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from holdfast_registry.database.schema import gc_state


def distrust_store(connection: Connection, epoch: str, now_ms: int) -> None:
    """Says that database and store may be of different times: no garbage is collected before fsck has run.

    Args:
        connection: in a transaction.
        epoch: a word that no store has.
        now_ms: for a database that has not seen a cycle.
    """
    values = {"epoch": epoch, "announced_epoch": "", "cycle": None, "held_until_ms": 0}
    if connection.execute(update(gc_state).where(gc_state.c.id == 1), values).rowcount == 0:
        connection.execute(insert(gc_state), {"id": 1, "age_ms": 0, "seen_at_ms": now_ms, **values})
