"""Garbage collection on every pair of database and store: freed bytes are true, and any replica can do it after any other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.client import Client
from registry.collecting import collect
from registry.kept import PLACES, Kept, credentials, kept_at

FILES, CHANGED = 200, 2
FILE_BYTES = 20_000
ENTRY_BYTES = 200
"""Of one file, in footers and manifests of both versions, at most."""


@pytest.fixture(params=PLACES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    kept = kept_at(request, tmp_path)
    with credentials(kept):
        yield kept


async def test_one_percent_changed_and_the_older_deleted_leaves_what_the_newer_needs(kept: Kept) -> None:
    old = {f"{number:04}": os.urandom(FILE_BYTES) for number in range(FILES)}
    new = old | {f"{number * 50:04}": os.urandom(FILE_BYTES) for number in range(CHANGED)}
    with kept.process() as process, Client(process.target) as client:
        first = client.log_files("c", old)
        client.log_files("c", new)
        both = kept.stored_bytes()
        client.delete(first.version_id)
        process.stop()
    needed = FILES * FILE_BYTES
    assert needed + CHANGED * FILE_BYTES <= both <= needed + CHANGED * FILE_BYTES + 2 * FILES * ENTRY_BYTES, (
        "what is in both versions is stored once"
    )
    # Each cycle by another replica, where there can be others: what one has written in the store the next one knows.
    folders = [kept.data_dir, kept.folder / "other" if kept.environment else kept.data_dir]
    reports = [await collect(folder, settings=kept.settings) for folder in folders]
    assert [report.problem for report in reports] == ["", ""]
    after = await asyncio.to_thread(kept.stored_bytes)
    assert both - after == sum(report.bytes_removed for report in reports)
    # Two chunks in a hundred of the first pack are dead: a pack is rewritten when less than half of it is in use.
    assert needed <= after <= needed + CHANGED * FILE_BYTES + 2 * FILES * ENTRY_BYTES
    assert reports[1].bytes_deleted >= CHANGED * FILE_BYTES
    assert (await asyncio.to_thread(kept.fsck)).is_clean
