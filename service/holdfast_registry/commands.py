"""The registry's command line.  Exit codes: 0 done, 1 damage found, 2 usage, 73 in use, 74 fsync failed, 78 configuration."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast_contract.errors import ContractError
from holdfast_contract.places import find_places
from holdfast_contract.settings import SettingError, explain_settings, load_settings
from holdfast_registry.access_commands import add_access_commands
from holdfast_registry.auth.tokens import new_token, token_digest
from holdfast_registry.blobstore.open_store import epoch_of, open_for_reading
from holdfast_registry.clock import SystemClock
from holdfast_registry.database.inspected import inspected_database
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.domain.access import EVERYTHING, NewToken, Role
from holdfast_registry.errors import EXIT_CODE_CONFIGURATION, DatabaseError, RegistryError, StartError
from holdfast_registry.fsck import accept_restored, check_store
from holdfast_registry.fsck_report import print_report
from holdfast_registry.gc.command import add_gc_command, ask_running, collect_garbage
from holdfast_registry.lifecycle import start_log
from holdfast_registry.moving.commands import add_moving_commands
from holdfast_registry.placed_command import pointing_at_address
from holdfast_registry.scrub.command import add_scrub_command, scrub
from holdfast_registry.server import open_data_folder, open_database, serve
from holdfast_registry.settings import SECTION, RegistrySettings

EXIT_CODE_DAMAGE = 1
EXIT_CODE_FAILED = 1
_FIRST_TOKEN_NAME = "admin"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code.  A user's mistake is one line on stderr."""
    os.umask(0o077)  # whatever is made is for this user alone
    wish = _parser().parse_args(arguments)
    try:
        settings = _settings(wish)
        return int(wish.command(wish, settings))
    except StartError as error:
        return _complain(str(error), error.exit_code)
    except (SettingError, RegistryError, DatabaseError, ContractError) as error:
        return _complain(str(error), EXIT_CODE_CONFIGURATION)
    except OSError as error:  # a full disk, a folder that can't be written
        return _complain(f"{error.filename or 'the data folder'}: {error.strerror or error}", EXIT_CODE_FAILED)


def _complain(message: str, exit_code: int) -> int:
    sys.stderr.write(f"holdfast registry: {message}\n")
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast registry", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="serve until SIGTERM"))
    init = commands.add_parser("init", help="make the data folder and print the first token, once")
    init.set_defaults(command=_init)
    add_access_commands(commands, _data_dir)
    fsck = commands.add_parser("fsck", help="find damage and the versions that it hurts; may run beside a server")
    fsck.add_argument("--deep", action="store_true", help="read every byte of every pack")
    fsck.add_argument("--json", action="store_true", help="one JSON object on stdout")
    fsck.set_defaults(command=_fsck)
    gc = commands.add_parser("gc", help="collect what no version needs any more, or show the last cycles")
    add_gc_command(gc)
    gc.set_defaults(command=_gc)
    add_moving_commands(commands, _data_dir)
    scrub_parser = commands.add_parser("scrub", help="what was found damaged, and the versions that it hurts")
    add_scrub_command(scrub_parser)
    scrub_parser.set_defaults(command=_scrub)
    config = commands.add_parser("config", help="print the settings in force as JSON")
    config.set_defaults(command=_config)
    for command in (init, fsck, gc, scrub_parser):
        command.add_argument("--data-dir", help="folder of database and packs")
    return parser


def _add_serve(serving: argparse.ArgumentParser) -> None:
    serving.add_argument("--data-dir", help="folder of database and packs")
    where = serving.add_mutually_exclusive_group()
    where.add_argument("--socket", help="Unix socket to serve on")
    where.add_argument("--listen", help="HOST:PORT to serve on; every call then needs a token")
    serving.add_argument("--insecure", action="store_true", default=None, help="allow plaintext on other than loopback")
    serving.add_argument("--tls-cert", help="PEM of the certificate chain to serve TLS with")
    serving.add_argument("--tls-key", help="PEM of its key")
    serving.add_argument("--tls-client-ca", help="PEM of the authority whose clients alone may connect")
    serving.add_argument("--ready-fd", type=int, help="descriptor that gets READY")
    serving.add_argument("--idle-exit-s", "--parent-idle-exit-s", type=float, help="end after so long without a call")
    serving.set_defaults(command=_serve)


def _settings(wish: argparse.Namespace) -> RegistrySettings:
    """Returns the settings in force: the command line wins over environment and file."""
    settings = load_settings(RegistrySettings, SECTION, os.environ)
    names = {field.name for field in dataclasses.fields(RegistrySettings)}
    given = {name: value for name, value in vars(wish).items() if name in names and value is not None}
    if "socket" in given:
        given["listen"] = None
    return dataclasses.replace(settings, **given)


def _data_dir(settings: RegistrySettings) -> Path:
    if settings.data_dir:
        return Path(os.path.abspath(settings.data_dir))
    return find_places(os.environ).registry_dir


def _serve(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    start_log(settings.log_level, settings.log_format)
    socket_path = Path(os.path.abspath(settings.socket)) if settings.socket else None
    if socket_path is None and not settings.listen and not settings.data_dir:
        socket_path = find_places(os.environ).registry_socket
    asyncio.run(serve(settings, _data_dir(settings), socket_path, ready_fd=wish.ready_fd))
    return 0


def _init(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    secret = new_token()
    if not asyncio.run(_add_first_token(settings, token_digest(secret))):
        raise StartError("This registry has tokens already; `holdfast registry token create` makes another one.")
    sys.stderr.write("The first token. It is shown only now; keep it like a password:\n")
    sys.stdout.write(f"{secret}\n")
    return 0


async def _add_first_token(settings: RegistrySettings, digest: bytes) -> bool:
    """Needs the lock, since two processes must not write one SQLite file."""
    lock = open_data_folder(_data_dir(settings))
    try:
        database = await open_database(settings, _data_dir(settings))
        try:
            wanted = NewToken(_FIRST_TOKEN_NAME, Role.ADMIN, EVERYTHING)
            now_ms = SystemClock().now_ms()
            return await TokenRepository(database).add(wanted, digest, now_ms, only_first=True) is not None
        finally:
            await database.aclose()
    finally:
        lock.release()


def _fsck(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    data_dir = _data_dir(settings)
    store = open_for_reading(settings, data_dir, SystemClock())
    try:
        report = check_store(data_dir, store, deep=wish.deep, database_url=settings.database_url)
        print_report(report, sys.stdout, as_json=wish.json)
        database = inspected_database(settings.database_url, data_dir)
        if accept_restored(database, epoch_of(settings, data_dir, store)):
            sys.stderr.write("A backup was put back here. Garbage is collected again from now on.\n")
    finally:
        store.close()
    return 0 if report.is_clean else EXIT_CODE_DAMAGE


def _gc(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    if wish.address:
        return ask_running(wish)
    with pointing_at_address():
        return asyncio.run(collect_garbage(wish, settings, _data_dir(settings)))


def _scrub(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    return scrub(wish, settings, _data_dir(settings))


def _config(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    found = explain_settings(RegistrySettings, SECTION, os.environ)
    sys.stdout.write(json.dumps([dataclasses.asdict(value) for value in found], indent=2) + "\n")
    return 0
