"""`holdfast registry copy`: a registry's database, its packs, or both, into another place.

Order: the target is begun (which refuses one that has a registry) · the source is closed to changes · packs · tables · comparison ·
the store's epoch · the target is complete.  The source stays closed, so that nobody goes on writing where nobody will read.  A crash
anywhere leaves the source closed and the target unserved; the same command goes on, `--open-again` gives up.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast_contract.failpoints import failpoint
from holdfast_registry.blobstore.epoch import StoreEpoch
from holdfast_registry.blobstore.open_store import file_threads
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.database.copying import CopyTarget, serving_packs
from holdfast_registry.database.snapshot import Snapshot
from holdfast_registry.errors import StartError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.moving.packs import PackCopier
from holdfast_registry.moving.places import DatabasePlace, database_of, open_store_at, own_database, own_store
from holdfast_registry.moving.progress import Progress, mebibytes
from holdfast_registry.moving.tables import copy_tables, same_tables
from holdfast_registry.settings import RegistrySettings

EXIT_CODE_DIFFERS = 1


async def copy_registry(
    wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path, environ: Mapping[str, str]
) -> int:
    """Runs the command; returns the exit code: 0, or 1 when source and target are not the same.

    Raises:
        StartError: a place cannot be used, or is not empty.
    """
    clock = SystemClock()
    progress = Progress(sys.stderr, clock)
    source = database_of(wish.source, environ) if wish.source else own_database(settings, data_dir)
    if wish.open_again:
        await source.open_to_changes()
        progress.say(f"{source.label} can be changed again.")
        return 0
    if not (wish.target or wish.blobs_to):
        raise StartError("Say where to copy to: --to for the database, --blobs-to for the packs, or both.")
    target = database_of(wish.target, environ) if wish.target else None
    threads = file_threads(settings)
    try:
        job = _Job(source, target, wish.blobs_from or own_store(settings, data_dir), wish.blobs_to, deep=wish.deep)
        return await _Run(job, settings, threads, clock, progress).run()
    finally:
        threads.close()


@dataclass(frozen=True, slots=True)
class _Job:
    source: DatabasePlace
    target: DatabasePlace | None
    blobs_from: str
    blobs_to: str | None
    deep: bool


class _Run:
    def __init__(
        self, job: _Job, settings: RegistrySettings, threads: FileThreads, clock: Clock, progress: Progress
    ) -> None:
        self._job = job
        self._settings = settings
        self._threads = threads
        self._clock = clock
        self._progress = progress

    async def run(self) -> int:
        job = self._job
        async with self._begun_target() as target:
            await job.source.close_to_changes()
            self._progress.say(f"{job.source.label} can only be read from now on.")
            failpoint("copy.after_close")
            async with job.source.snapshot() as snapshot:
                if job.blobs_to and not await self._copy_packs(snapshot):
                    return EXIT_CODE_DIFFERS
                if target is not None and not await self._copy_tables(snapshot, target):
                    return EXIT_CODE_DIFFERS
        self._say_what_now()
        return 0

    @asynccontextmanager
    async def _begun_target(self) -> AsyncIterator[CopyTarget | None]:
        if self._job.target is None:
            yield None
            return
        async with self._job.target.target() as database:
            target = CopyTarget(database, self._job.source.label)
            await target.begin()
            yield target

    async def _copy_packs(self, snapshot: Snapshot) -> bool:
        job = self._job
        assert job.blobs_to is not None, "asked for"
        packs = await snapshot.read(serving_packs)
        total = mebibytes(sum(pack.size_bytes for pack in packs))
        self._progress.say(f"{len(packs)} packs, {total}: {job.blobs_from} to {job.blobs_to}")
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(open_store_at(place, self._settings, self._threads, self._clock))
                for place in (job.blobs_from, job.blobs_to)
            ]
            copier = PackCopier(opened[0].store, opened[1], self._threads, self._progress, deep=job.deep)
            report = await copier.copy(packs)
            for problem in report.problems:
                self._progress.say(f"NOT COPIED  {problem}")
            if report.problems:
                self._progress.say("Run `holdfast registry fsck` on the source; the same command goes on afterwards.")
                return False
            await self._threads.run(_carry_epoch, opened[0].epoch, opened[1].epoch)
        copied = f"{report.copied} copied ({mebibytes(report.bytes_copied)}), {report.present} were there"
        self._progress.say(f"packs: {copied}; all checked{' to the last chunk' if job.deep else ''}")
        return True

    async def _copy_tables(self, snapshot: Snapshot, target: CopyTarget) -> bool:
        if await copy_tables(snapshot, target, self._progress):
            self._progress.say("The database was copied before, completely.")
            return True
        assert self._job.target is not None, "asked for"
        async with self._job.target.snapshot() as copied:
            if not await same_tables(snapshot, copied, self._progress):
                return False
        await target.complete()
        failpoint("copy.after_complete")
        return True

    def _say_what_now(self) -> None:
        job = self._job
        self._progress.say("Done. The source stays closed to changes. Next, where the registry is served:")
        if job.target is not None and job.target.url is not None:
            self._progress.say("  HOLDFAST_REGISTRY_DATABASE_URL: the address of the new database")
        elif job.target is not None and job.target.path is not None:
            self._progress.say(f"  HOLDFAST_REGISTRY_DATA_DIR={job.target.path.parent}")
        if job.blobs_to:
            name = "STORE_URL" if "://" in job.blobs_to else "STORE_DIR"
            self._progress.say(f"  HOLDFAST_REGISTRY_{name}={job.blobs_to}")
        if job.target is None:
            self._progress.say(
                "  holdfast registry copy --open-again: the database stays where it is, and takes changes again"
            )
        self._progress.say("then start it; what daemons have waiting goes on by itself.")


def _carry_epoch(source: StoreEpoch, target: StoreEpoch) -> None:
    """Whether the store and the database are of one time is the same in the new place."""
    word = source.read()
    if target.read() != word:
        target.write(word)
