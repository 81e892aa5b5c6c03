"""`holdfast registry backup`: the database of a registry, which may run meanwhile, as one SQLite file with a list of its packs.

    registry.sqlite3   the database at one moment, from SQLite and from PostgreSQL alike
    packs.txt          the packs that it needs: id, bytes, chunks
    packs/             with --packs: the packs themselves
    backup.json        what belongs to it, with digests; last, so that a backup without it is none

A crash leaves a folder without backup.json, which restore refuses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blake3 import blake3

from holdfast_contract import os_layer
from holdfast_contract.limits import MIB
from holdfast_registry.blobstore.open_store import file_threads
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.database.copying import CopiedPack, CopyTarget, serving_packs
from holdfast_registry.database.schema import HEAD_REVISION
from holdfast_registry.database.snapshot import open_sqlite
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase, make_portable, save_online
from holdfast_registry.errors import StartError
from holdfast_registry.moving.in_place import flush_file
from holdfast_registry.moving.packs import PackCopier
from holdfast_registry.moving.places import DatabasePlace, open_store_at, own_database, own_store
from holdfast_registry.moving.progress import Progress, mebibytes
from holdfast_registry.moving.tables import copy_tables
from holdfast_registry.settings import RegistrySettings

MANIFEST_NAME = "backup.json"
PACKS_NAME = "packs.txt"
FORMAT = 1
EXIT_CODE_DAMAGE = 1
READ_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One file of a backup."""

    size_bytes: int
    blake3: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a backup has."""

    format: int
    made_at: str
    schema: str
    source: str
    packs: int
    pack_bytes: int
    with_packs: bool
    files: dict[str, SavedFile]

    def to_json(self) -> bytes:
        """Returns what stands in the file."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


async def back_up(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    """Runs the command; returns the exit code: 0, or 1 when packs could not be saved.

    Raises:
        StartError: the folder is not empty, or there is no registry.
    """
    clock = SystemClock()
    progress = Progress(sys.stderr, clock)
    folder = _empty_folder(wish.folder)
    place = own_database(settings, data_dir)
    await _save_database(place, folder, progress)
    async with open_sqlite(folder / DATABASE_NAME) as snapshot:
        packs = await snapshot.read(serving_packs)
    os_layer.write_durably(folder / PACKS_NAME, _pack_list(packs))
    if wish.packs and not await _save_packs(packs, folder, settings, data_dir, clock, progress):
        return EXIT_CODE_DAMAGE
    files = {name: saved_file(folder / name) for name in (DATABASE_NAME, PACKS_NAME)}
    pack_bytes = sum(pack.size_bytes for pack in packs)
    made_at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="seconds")
    manifest = BackupManifest(
        FORMAT, made_at, HEAD_REVISION, place.label, len(packs), pack_bytes, bool(wish.packs), files
    )
    os_layer.write_durably(folder / MANIFEST_NAME, manifest.to_json())
    what = "with its packs" if wish.packs else f"its {len(packs)} packs ({mebibytes(pack_bytes)}) stay in the store"
    progress.say(f"{folder}: the database ({mebibytes(files[DATABASE_NAME].size_bytes)}); {what}")
    return 0


def _empty_folder(text: str) -> Path:
    folder = Path(os.path.abspath(Path(text).expanduser()))
    try:
        os_layer.make_private_folder(folder)
    except PermissionError as error:
        raise StartError(str(error)) from error
    if any(folder.iterdir()):
        raise StartError(f"{folder} is not empty; each backup gets a folder of its own.")
    return folder


async def _save_database(place: DatabasePlace, folder: Path, progress: Progress) -> None:
    path = folder / DATABASE_NAME
    if place.path is not None:
        async with place.snapshot():
            """Its schema is this software's."""
        await asyncio.to_thread(save_online, place.path, path)
    else:
        database = await asyncio.to_thread(SqliteDatabase, path, 1)
        try:
            async with place.snapshot() as snapshot:
                target = CopyTarget(database, place.label)
                await copy_tables(snapshot, target, progress)
                await target.complete()
        finally:
            await database.aclose()
    await asyncio.to_thread(make_portable, path)
    await asyncio.to_thread(flush_file, path)


async def _save_packs(
    packs: list[CopiedPack],
    folder: Path,
    settings: RegistrySettings,
    data_dir: Path,
    clock: Clock,
    progress: Progress,
) -> bool:
    threads = file_threads(settings)
    at = partial(open_store_at, settings=settings, threads=threads, clock=clock)
    try:
        async with at(own_store(settings, data_dir)) as source, at(str(folder)) as target:
            report = await PackCopier(source.store, target, threads, progress, deep=False).copy(packs)
    finally:
        threads.close()
    for problem in report.problems:
        progress.say(f"NOT SAVED  {problem}")
    return not report.problems


def _pack_list(packs: list[CopiedPack]) -> bytes:
    return "".join(f"{pack.pack_id.hex()} {pack.size_bytes} {pack.chunk_count}\n" for pack in packs).encode()


def saved_file(path: Path) -> SavedFile:
    """Reads a file to its end."""
    hasher, size_bytes = blake3(), 0
    with path.open("rb") as opened:
        while block := opened.read(READ_BYTES):
            hasher.update(block)
            size_bytes += len(block)
    return SavedFile(size_bytes, hasher.hexdigest())
