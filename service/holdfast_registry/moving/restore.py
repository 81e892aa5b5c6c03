"""`holdfast registry restore`: a backup becomes the registry of an empty place.

Order: every file of the backup checked against its digest · packs, where the backup has them · a working copy of the database, brought
to this software's schema · rename (SQLite), or its rows into the empty database (PostgreSQL) · the epoch that keeps garbage from being
collected until fsck has run, in the same transaction with which the database can be served.  A crash leaves a place without a registry,
or one that is being filled; the same command goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.errors import PackError
from holdfast_contract.pack import read_index
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.blobstore.open_store import file_threads
from holdfast_registry.clock import SystemClock
from holdfast_registry.database.copying import CopiedPack
from holdfast_registry.database.sqlite import DATABASE_NAME
from holdfast_registry.errors import StartError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.moving.backup import EXIT_CODE_DAMAGE, FORMAT, MANIFEST_NAME, PACKS_NAME, saved_file
from holdfast_registry.moving.in_place import WORKING_NAME, put_in_place, refuse_registry, remove_working
from holdfast_registry.moving.packs import PackCopier
from holdfast_registry.moving.places import StorePlace, open_store_at, own_database, own_store
from holdfast_registry.moving.progress import Progress
from holdfast_registry.server import open_data_folder
from holdfast_registry.settings import RegistrySettings


async def restore(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    """Runs the command; returns the exit code: 0, or 1 when the backup is damaged or packs are missing.

    Raises:
        StartError: the backup is damaged or newer than this software, or the place has a registry.
    """
    clock = SystemClock()
    progress = Progress(sys.stderr, clock)
    folder = Path(wish.folder)
    packs, with_packs = await asyncio.to_thread(_checked, folder)
    place = own_database(settings, data_dir)
    lock = open_data_folder(data_dir)
    threads = file_threads(settings)
    try:
        refuse_registry(place)
        store = open_store_at(own_store(settings, data_dir), settings, threads, clock)
        async with store as opened:
            if with_packs and not await _bring_packs(packs, folder, opened, threads, progress):
                return EXIT_CODE_DAMAGE
            present = (await threads.run(opened.store.list_names)).packs
        working = data_dir / WORKING_NAME
        await asyncio.to_thread(_copy_file, folder / DATABASE_NAME, working)
        # Known again by the backup itself, when this is repeated.
        source = f"backup {(await asyncio.to_thread(saved_file, folder / DATABASE_NAME)).blake3[:16]}"
        await put_in_place(working, place, source, clock, progress)
    finally:
        threads.close()
        lock.release()
    missing = [pack for pack in packs if pack.pack_id not in present]
    progress.say(f"{place.label} is restored. Next: `holdfast registry fsck`; before that no garbage is collected.")
    if missing:
        progress.say(
            f"{len(missing)} of its {len(packs)} packs are not in the store; fsck names the versions that need them."
        )
    return EXIT_CODE_DAMAGE if missing else 0


def _checked(folder: Path) -> tuple[list[CopiedPack], bool]:
    """Returns the packs of a backup, and whether it has them, after every byte of the rest was checked."""
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_bytes())
        with_packs, files = bool(manifest["with_packs"]), dict(manifest["files"])
        if manifest["format"] != FORMAT:
            raise StartError(
                f"{path} has format {manifest['format']}; use the version of Holdfast that made it, or a newer one."
            )
        for name in (DATABASE_NAME, PACKS_NAME):
            found = saved_file(folder / name)
            if (found.size_bytes, found.blake3) != (files[name]["size_bytes"], files[name]["blake3"]):
                raise _damaged(f"{folder / name} is not what was saved")
        packs = [_pack_of(line) for line in (folder / PACKS_NAME).read_text("ascii").splitlines()]
    except FileNotFoundError as error:
        raise _damaged(f"{error.filename} is missing, so this is no complete backup") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(f"{path} cannot be read") from error
    if with_packs:
        _check_packs(folder, packs)
    return packs, with_packs


def _pack_of(line: str) -> CopiedPack:
    name, size_bytes, chunk_count = line.split(" ")
    return CopiedPack(bytes.fromhex(name), int(size_bytes), int(chunk_count))


def _check_packs(folder: Path, packs: list[CopiedPack]) -> None:
    store = DirectoryStore(folder)
    for pack in packs:
        opened = store.open_pack(pack.pack_id)
        if opened is None:
            raise _damaged(f"pack {pack.pack_id.hex()} is missing")
        with opened:
            try:
                read_index(opened.pread, opened.size_bytes, pack_id=pack.pack_id)
            except PackError as error:
                raise _damaged(error.message) from error
            if opened.size_bytes != pack.size_bytes:
                raise _damaged(f"pack {pack.pack_id.hex()} has {opened.size_bytes} bytes instead of {pack.size_bytes}")


def _damaged(what: str) -> StartError:
    return StartError(f"The backup is damaged: {what}. Nothing was changed; use another backup.", EXIT_CODE_DAMAGE)


async def _bring_packs(
    packs: list[CopiedPack], folder: Path, store: StorePlace, threads: FileThreads, progress: Progress
) -> bool:
    report = await PackCopier(DirectoryStore(folder), store, threads, progress, deep=False).copy(packs)
    for problem in report.problems:
        progress.say(f"NOT RESTORED  {problem}")
    progress.say(f"packs: {report.copied} restored, {report.present} were in the store")
    return not report.problems


def _copy_file(saved: Path, working: Path) -> None:
    remove_working(working)
    shutil.copyfile(saved, working)
    working.chmod(os_layer.FILE_MODE)
