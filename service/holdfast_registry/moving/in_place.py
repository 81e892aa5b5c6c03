"""A database that was made in a working file takes its place, and can be served from then on.

Order: this software's schema · rename (SQLite), or all rows into the empty database (PostgreSQL) and the comparison of both · the epoch
that keeps garbage from being collected until fsck has run, no later than the moment from which the database can be served.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_registry.clock import Clock, RandomIds
from holdfast_registry.database.copying import CopyTarget
from holdfast_registry.database.restored import distrust_store
from holdfast_registry.database.snapshot import open_sqlite
from holdfast_registry.database.sqlite import SqliteDatabase, make_portable
from holdfast_registry.errors import StartError
from holdfast_registry.moving.places import DatabasePlace
from holdfast_registry.moving.progress import Progress
from holdfast_registry.moving.tables import copy_tables, same_tables

WORKING_NAME = "restoring.sqlite3"
"""In the data folder, until the database is in place."""


def refuse_registry(place: DatabasePlace) -> None:
    """Makes sure that a place is empty; PostgreSQL is asked when it is filled.

    Raises:
        StartError: it is not.
    """
    if place.path is not None and place.path.exists():
        raise StartError(f"{place.path} exists; only an empty place is filled.")


def remove_working(working: Path) -> None:
    """Removes what an earlier try has left."""
    for leftover in sorted(working.parent.glob(f"{working.name}*")):
        os_layer.unlink(leftover)


def flush_file(path: Path) -> None:
    """Brings a file and its name to the disk."""
    descriptor = os_layer.open_existing(path)
    try:
        os_layer.fsync(descriptor)
    finally:
        os.close(descriptor)
    os_layer.fsync_folder(path.parent)


async def put_in_place(working: Path, place: DatabasePlace, source: str, clock: Clock, progress: Progress) -> None:
    """Makes a working file the database of a place.

    Args:
        working: beside a SQLite database; gone on return.
        place: empty, or filled from the same source until a crash.
        source: where the file comes from, to know it again.
        clock: for a database that has not seen a cycle of garbage collection.
        progress: hears how far it is.

    Raises:
        StartError: the place is not empty, or the file is newer than this software.
    """
    unit = partial(distrust_store, epoch=f"restored-{RandomIds().new_id()}", now_ms=clock.now_ms())
    database = await asyncio.to_thread(SqliteDatabase, working, 1)
    try:
        if place.path is not None:
            await database.write(unit)
    finally:
        await database.aclose()
    await asyncio.to_thread(make_portable, working)
    if place.path is not None:
        await asyncio.to_thread(flush_file, working)
        os_layer.rename(working, place.path)
        os_layer.fsync_folder(place.path.parent)
        return
    async with open_sqlite(working) as snapshot, place.target() as opened:
        target = CopyTarget(opened, source)
        if not await copy_tables(snapshot, target, progress):
            async with place.snapshot() as copied:
                if not await same_tables(snapshot, copied, progress):
                    raise StartError("The database has other rows than it was given; drop it and try again.", 1)
            await target.complete(unit)
    os_layer.unlink(working)
