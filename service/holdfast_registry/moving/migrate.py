"""`holdfast registry migrate`: which migrations a database needs, and running them."""

from __future__ import annotations

import argparse
import sys

from holdfast_registry.database.migrate import plan
from holdfast_registry.database.schema import HEAD_REVISION
from holdfast_registry.moving.places import DatabasePlace

EXIT_CODE_OLD = 1
"""With `--check`: migrations are missing."""


async def migrate_database(wish: argparse.Namespace, place: DatabasePlace) -> int:
    """Prints the plan and runs it; returns the exit code.

    Raises:
        StartError: the database is newer than this software, there is none, or a registry uses it (SQLite).
    """
    async with place.snapshot(any_schema=True) as snapshot:
        planned = await snapshot.read(plan)
    said = f"{place.label} has schema {planned.found or 'none'}, this software {HEAD_REVISION}"
    if not planned.steps:
        sys.stdout.write(f"{said}: nothing to do\n")
        return 0
    sys.stdout.write(f"{said}; missing:\n")
    for step in planned.steps:
        sys.stdout.write(f"  {step.revision}  {step.title}\n")
    sys.stdout.flush()
    if wish.check:
        return EXIT_CODE_OLD
    async with place.target():
        sys.stdout.write("done\n")
    return 0
