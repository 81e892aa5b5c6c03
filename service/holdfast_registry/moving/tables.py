"""The rows of a whole database on their way into another one, and the comparison of both."""

from __future__ import annotations

from functools import partial

from holdfast_contract.failpoints import failpoint
from holdfast_registry.database.copying import (
    CopyTarget,
    copied_tables,
    digest_table,
    page_size,
    rows_after,
)
from holdfast_registry.database.snapshot import Snapshot
from holdfast_registry.moving.progress import Progress


async def copy_tables(snapshot: Snapshot, target: CopyTarget, progress: Progress) -> bool:
    """Copies what the target does not have yet; returns whether it was complete before.

    Raises:
        StartError: the target has a registry, or is being filled from elsewhere.
    """
    state = await target.begin()
    if state.is_complete:
        return True
    for table in copied_tables():
        rows = 0
        while True:
            after, count = state.last_keys.get(table.name), page_size(table)
            page = await snapshot.read(partial(rows_after, table=table, after=after, count=count))
            if not page:
                break
            await target.insert(table, page, state.last_keys)
            rows += len(page)
            progress.tell(f"table {table.name}: {rows} rows")
    return False


async def same_tables(source: Snapshot, copied: Snapshot, progress: Progress) -> bool:
    """Reads both and says which tables differ; returns whether none does."""
    failpoint("copy.before_compare")
    differ, rows = False, 0
    for table in copied_tables():
        progress.tell(f"comparing table {table.name}")
        ours, theirs = await digest_table(source, table), await digest_table(copied, table)
        rows += ours.rows
        if ours != theirs:
            differ = True
            progress.say(f"DIFFERS  table {table.name}: {ours.rows} rows here, {theirs.rows} in the target")
    if not differ:
        progress.say(f"database: {rows} rows in {len(copied_tables())} tables, the same on both sides")
    return not differ
