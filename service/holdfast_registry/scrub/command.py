"""`holdfast registry scrub`: what the scrub has found, a round at once, and the end of packs in quarantine."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from holdfast_registry.blobstore.open_store import OpenStore, file_threads, open_store
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.database.inspected import inspected_database
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.scrub_status import ScrubStatus
from holdfast_registry.database.scrubs import ScrubRepository
from holdfast_registry.scrub.composition import compose_scrubber
from holdfast_registry.scrub.scrubber import Scrubber
from holdfast_registry.server import open_data_folder, open_database
from holdfast_registry.settings import RegistrySettings

EXIT_CODE_DAMAGE = 1


def add_scrub_command(scrub: argparse.ArgumentParser) -> None:
    """Adds the options of `scrub`."""
    scrub.add_argument(
        "what",
        nargs="?",
        choices=["status", "run", "discard"],
        default="status",
        help="show what was found; read everything now; give the packs in quarantine up",
    )
    scrub.add_argument("--json", action="store_true", help="one JSON object on stdout")


def scrub(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    """Runs the command; returns the exit code: 0, or 1 when a version is hurt.

    Raises:
        StartError: there is no registry; for `run` and `discard`, one that uses this data folder.
    """
    if wish.what == "run":
        asyncio.run(_run(settings, data_dir))
    elif wish.what == "discard":
        count = asyncio.run(_discard(settings, data_dir))
        sys.stderr.write(f"{count} packs are given up; garbage collection removes them.\n")
    status = inspected_database(settings.database_url, data_dir).look(lambda inspection: inspection.scrub_status())
    _print(status, as_json=wish.json)
    return EXIT_CODE_DAMAGE if status.hurt else 0


async def _run(settings: RegistrySettings, data_dir: Path) -> None:
    async with stopped_scrubber(settings, data_dir) as scrubber:
        await scrubber.look(0, settings.scrub_bytes_per_s)


async def _discard(settings: RegistrySettings, data_dir: Path) -> int:
    lock = open_data_folder(data_dir)
    try:
        database = await open_database(settings, data_dir)
        try:
            return await ScrubRepository(database, SystemClock()).discard_quarantined()
        finally:
            await database.aclose()
    finally:
        lock.release()


@asynccontextmanager
async def stopped_scrubber(
    settings: RegistrySettings, data_dir: Path, clock: Clock | None = None
) -> AsyncIterator[Scrubber]:
    """Opens a registry for one command; on PostgreSQL others may serve it meanwhile, from other data folders.

    Raises:
        StartError: it runs on this data folder, or cannot be opened.
    """
    clock = clock or SystemClock()
    lock = open_data_folder(data_dir)
    try:
        database = await open_database(settings, data_dir)
        threads = file_threads(settings)
        opened: OpenStore | None = None
        try:
            opened = await open_store(settings, data_dir, threads, clock)
            packs = PackRepository(
                database, clock, lease_ttl_s=settings.lease_ttl_s, part_lease_ttl_s=settings.part_lease_ttl_s
            )
            reader = ChunkReader(packs, opened.store, opened.transfers, threads)
            yield compose_scrubber(database, packs, reader, opened.store, threads, clock)
        finally:
            await asyncio.to_thread(threads.close)
            if opened is not None:
                await asyncio.to_thread(opened.store.close)
            await database.aclose()
    finally:
        lock.release()


def _print(status: ScrubStatus, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(status), ensure_ascii=False) + "\n")
        return
    for pack in status.quarantined:
        sys.stdout.write(
            f"QUARANTINE  pack {pack.pack_id}: {pack.problem}; {pack.chunks_moved} chunks moved, {pack.chunks_lost} lost\n"
        )
    for version in status.hurt:
        deleted = " (deleted)" if version.is_deleted else ""
        sys.stdout.write(f"HURT        {version.name}{deleted}: {', '.join(version.paths)}\n")
    if status.round is None:
        sys.stdout.write("Nothing was scrubbed yet.\n")
        return
    state = "goes on" if status.round.ended_at_ms is None else "done"
    sys.stdout.write(
        f"round {status.round.row} {state}: {status.round.packs_checked} packs, {status.round.bytes_read} bytes read, "
        f"{status.round.packs_damaged} packs damaged; {status.lost_chunks} chunks lost, {len(status.hurt)} versions hurt\n"
    )
