"""Keeps the catalogue in the store: the names of versions beside their packs, so that a lost database can be made anew.

At most one record a minute, and only when something has changed: with what was committed since the last one, or each hour with
everything (which also has moved aliases, tags and deletions).  A commit itself costs nothing.  What a lost database takes along are the
names of the last minute, and of the last hour the aliases that were moved without a commit.

Order: record in the store · noted in the database · records that two whole ones have replaced removed.  A crash in between leaves a
record that is written again under another name, or records that the next round removes.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NoReturn

import zstandard

from holdfast_contract.os_layer import FsyncError
from holdfast_registry.blobstore.records import StoreRecords
from holdfast_registry.clock import Clock, IdSource
from holdfast_registry.database.database import Database
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.snapshot import Snapshot
from holdfast_registry.database.store_records import OVERLAP_MS, RecordState, note_record, record_state, write_record
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.file_threads import FileThreads

logger = logging.getLogger(__name__)

WHOLE_EVERY_MS = 3600 * 1000
DUTY = "catalogue"
WHOLE_SUFFIX = "-whole.sqlite3.zst"
RECENT_SUFFIX = "-recent.sqlite3.zst"
WHOLE_KEPT = 2
"""The one before the last is for the day on which the last one cannot be read."""
LEVEL = 3
"""A tenth of the bytes, at 200 MB a second."""


class CatalogueKeeper:
    """Writes records, one registry at a time."""

    def __init__(
        self,
        database: Database,
        snapshot: Callable[[], AbstractAsyncContextManager[Snapshot]],
        records: StoreRecords,
        threads: FileThreads,
        clock: Clock,
        ids: IdSource,
        die: Callable[[OSError], NoReturn],
    ) -> None:
        self._database = database
        self._snapshot = snapshot
        self._records = records
        self._duty = Duty(database, clock, DUTY, holder=ids.new_id())
        self._threads = threads
        self._clock = clock
        self._ids = ids
        self._die = die

    async def run(self, interval_s: float) -> None:
        """Looks at every interval whether something has changed, until it is cancelled; 0: never.  A failure is tried again."""
        while interval_s:
            await asyncio.sleep(interval_s)
            try:
                await self.once(every_ms=round(interval_s * 1000))
            except FsyncError as error:
                self._die(error)
            except (RegistryError, DatabaseError, OSError) as error:
                logger.error("the catalogue could not be written error=%s", error, exc_info=error)

    async def once(self, every_ms: int) -> str | None:
        """Writes a record, if there is something new and nobody else does it; returns its name."""
        state = await self._database.read(record_state)
        if state.last_audit_id == state.audit_id:
            return None
        async with self._duty.held(every_ms) as is_ours:
            return await self._record(state) if is_ours else None

    async def _record(self, state: RecordState) -> str:
        now_ms = self._clock.now_ms()
        # A clock that has gone back makes a whole one.
        is_recent = 0 <= now_ms - state.whole_at_ms < WHOLE_EVERY_MS and now_ms >= state.recorded_up_to_ms
        name = f"{now_ms:015}-{self._ids.new_id()[:8]}{RECENT_SUFFIX if is_recent else WHOLE_SUFFIX}"
        await self._write(name, state.recorded_up_to_ms - OVERLAP_MS if is_recent else None)
        await self._note(state, now_ms, is_recent=is_recent)
        if not is_recent:
            await self._threads.run(self._forget_old)
        return name

    async def _write(self, name: str, since_ms: int | None) -> None:
        with tempfile.TemporaryDirectory(prefix="holdfast-catalogue-") as folder:
            path = Path(folder) / "record.sqlite3"
            async with self._snapshot() as snapshot:
                versions = await write_record(snapshot, path, since_ms)
            size_bytes = await self._threads.run(self._put, name, path)
        logger.info("catalogue written record=%s versions=%s bytes=%s", name, versions, size_bytes)

    def _put(self, name: str, path: Path) -> int:
        encoded = zstandard.ZstdCompressor(level=LEVEL).compress(path.read_bytes())
        self._records.write(name, encoded)
        return len(encoded)

    async def _note(self, state: RecordState, now_ms: int, *, is_recent: bool) -> None:
        whole_at_ms = state.whole_at_ms if is_recent else now_ms
        unit = partial(note_record, up_to_ms=now_ms, whole_at_ms=whole_at_ms, audit_id=state.last_audit_id)
        await self._database.write(unit)

    def _forget_old(self) -> None:
        names = self._records.names()
        whole = [name for name in names if name.endswith(WHOLE_SUFFIX)]
        if len(whole) > WHOLE_KEPT:
            for name in names[: names.index(whole[-WHOLE_KEPT])]:
                self._records.remove(name)


def wanted_records(names: list[str]) -> list[str]:
    """Returns which records make a database: the last whole one, and all recent ones since a while before it."""
    whole = [name for name in names if name.endswith(WHOLE_SUFFIX)]
    if not whole:
        return [name for name in names if name.endswith(RECENT_SUFFIX)]
    after = [name for name in names if name.endswith(RECENT_SUFFIX) and name > whole[-1]]
    return [whole[-1], *after]
