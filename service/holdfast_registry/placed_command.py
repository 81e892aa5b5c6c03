"""Commands that do their work at a registry that runs, or on a data folder that no registry uses."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast_registry.access_desk import Connection, Desk, call_running, use_data_folder
from holdfast_registry.errors import EXIT_CODE_LOCKED, StartError
from holdfast_registry.settings import RegistrySettings

RunAtDesk = Callable[[argparse.Namespace, Desk], int]
AddCommand = Callable[[Any, str, str, RunAtDesk], argparse.ArgumentParser]
"""Adds a command, by its name and its help; see `PlacedCommands.add`."""


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how a registry that runs is called."""
    parser.add_argument("--address", help="of a registry that runs: unix:/PATH or HOST:PORT")
    parser.add_argument("--token-file", help="file with an administrator's token, for HOST:PORT")
    parser.add_argument("--ca-file", help="PEM of the authority that signed the registry's certificate")
    parser.add_argument("--client-cert", help="PEM of our certificate, when the registry asks for one")
    parser.add_argument("--client-key", help="PEM of its key")
    parser.add_argument("--insecure", action="store_true", default=None, help="plaintext to another machine")


@contextmanager
def pointing_at_address() -> Iterator[None]:
    """Tells whoever meets a folder that a registry uses how that one is asked.

    Raises:
        StartError: whatever was raised within.
    """
    try:
        yield
    except StartError as error:
        if error.exit_code != EXIT_CODE_LOCKED:
            raise
        raise StartError(f"{error} To ask the one that runs, say --address.", error.exit_code) from error


def connection_of(wish: argparse.Namespace) -> Connection:
    """Returns what these options say."""
    return Connection(
        wish.address, wish.token_file, wish.ca_file, wish.client_cert, wish.client_key, bool(wish.insecure)
    )


class PlacedCommands:
    """Adds to commands where they do their work."""

    def __init__(self, data_dir_of: Callable[[RegistrySettings], Path]) -> None:
        self._data_dir_of = data_dir_of

    def add(self, commands: Any, name: str, text: str, run: RunAtDesk) -> argparse.ArgumentParser:
        """Adds a command, with the options that say where."""
        parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
        parser.add_argument("--data-dir", help="folder of database and packs, while no registry uses it")
        add_connection_options(parser)
        parser.set_defaults(command=self._placed(run))
        return parser

    def _placed(self, run: RunAtDesk) -> Callable[[argparse.Namespace, RegistrySettings], int]:
        def command(wish: argparse.Namespace, settings: RegistrySettings) -> int:
            with self._desk(wish, settings) as desk:
                return run(wish, desk)

        return command

    @contextmanager
    def _desk(self, wish: argparse.Namespace, settings: RegistrySettings) -> Iterator[Desk]:
        if wish.address:
            with call_running(connection_of(wish)) as desk:
                yield desk
            return
        with pointing_at_address(), use_data_folder(settings, self._data_dir_of(settings)) as desk:
            yield desk


def shown_time(at_ms: int) -> str:
    """Returns a time as commands print it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
