"""`migrate`, `copy`, `backup`, `restore`, `rebuild-index`: the commands that move and save a registry."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast_registry.settings import RegistrySettings


def add_moving_commands(commands: Any, data_dir_of: Callable[[RegistrySettings], Path]) -> None:
    """Adds the commands to the registry's command line."""
    migrate = commands.add_parser("migrate", help="bring the database to this software's schema")
    migrate.add_argument("--check", action="store_true", help="change nothing; exit 1 when migrations are missing")
    copy = commands.add_parser(
        "copy", help="copy database, packs or both to another place, checked, while all can read"
    )
    copy.add_argument("--from", dest="source", help="database: sqlite:FOLDER, postgresql://…, env:NAME or file:PATH")
    copy.add_argument("--to", dest="target", help="empty database that gets the copy")
    copy.add_argument("--blobs-from", help="packs: a folder or s3://BUCKET/PREFIX; default: those of the settings")
    copy.add_argument("--blobs-to", help="where packs are copied to")
    copy.add_argument("--deep", action="store_true", help="check every chunk of every pack")
    copy.add_argument("--open-again", action="store_true", help="give a copy up: the source takes changes again")
    backup = commands.add_parser(
        "backup", help="save the database, and which packs belong to it, while the registry runs"
    )
    backup.add_argument("folder", help="gets the backup; must be empty")
    backup.add_argument("--packs", action="store_true", help="save the packs, too")
    restore = commands.add_parser("restore", help="make a registry of a backup, in an empty place")
    restore.add_argument("folder", help="what `backup` has filled")
    rebuild = commands.add_parser("rebuild-index", help="make a database that was lost anew, from the store")
    runs = ((migrate, _migrate), (copy, _copy), (backup, _backup), (restore, _restore), (rebuild, _rebuild))
    for command, run in runs:
        command.add_argument("--data-dir", help="folder of database and packs")
        command.set_defaults(command=_placed(run, data_dir_of))


def _placed(
    run: Callable[[argparse.Namespace, RegistrySettings, Path], int], data_dir_of: Callable[[RegistrySettings], Path]
) -> Callable[[argparse.Namespace, RegistrySettings], int]:
    def command(wish: argparse.Namespace, settings: RegistrySettings) -> int:
        return run(wish, settings, data_dir_of(settings))

    return command


# What each command needs is loaded with it: `serve` starts without it.


def _migrate(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    from holdfast_registry.moving.migrate import migrate_database
    from holdfast_registry.moving.places import own_database

    return asyncio.run(migrate_database(wish, own_database(settings, data_dir)))


def _copy(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    from holdfast_registry.moving.copy import copy_registry

    return asyncio.run(copy_registry(wish, settings, data_dir, os.environ))


def _backup(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    from holdfast_registry.moving.backup import back_up

    return asyncio.run(back_up(wish, settings, data_dir))


def _restore(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    from holdfast_registry.moving.restore import restore

    return asyncio.run(restore(wish, settings, data_dir))


def _rebuild(wish: argparse.Namespace, settings: RegistrySettings, data_dir: Path) -> int:
    from holdfast_registry.moving.rebuild import rebuild_index

    return asyncio.run(rebuild_index(wish, settings, data_dir))
