"""Where a registry's database and packs are, as a command line says it; secrets come from files and the environment only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from holdfast_contract import os_layer
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.blobstore.epoch import StoreEpoch
from holdfast_registry.blobstore.open_store import open_store, records_of
from holdfast_registry.blobstore.records import StoreRecords
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.clock import Clock
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.read_only import close_tables, marker_beside, open_tables
from holdfast_registry.database.snapshot import Snapshot, open_postgresql, open_sqlite
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase, wait_for_writer
from holdfast_registry.errors import EXIT_CODE_LOCKED, StartError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.lifecycle import DataFolderLock
from holdfast_registry.server import open_data_folder
from holdfast_registry.settings import RegistrySettings

SQLITE = "sqlite:"
_MARKER_TEXT = (
    b"This registry is being moved, or was moved: `holdfast registry copy --open-again` takes this mark away.\n"
)


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A database: a SQLite file, or an address of PostgreSQL."""

    path: Path | None
    url: str | None
    label: str
    """For people; without secrets."""

    def snapshot(self, *, any_schema: bool = False) -> AbstractAsyncContextManager[Snapshot]:
        """Opens it to be read, at one moment; registries may be using it.

        Raises:
            StartError: there is none, or its schema is another one.
        """
        if self.path is not None:
            return open_sqlite(self.path, any_schema=any_schema)
        assert self.url is not None, "one of the two"
        return open_postgresql(self.url, any_schema=any_schema)

    @asynccontextmanager
    async def target(self, connections: int = 2) -> AsyncIterator[OpenDatabase]:
        """Opens it to be filled, and brings it to this software's schema.

        Raises:
            StartError: a registry uses it (SQLite), or it is newer than this software.
        """
        if self.path is None:
            assert self.url is not None, "one of the two"
            from holdfast_registry.database.postgresql import open_database

            database: OpenDatabase = await open_database(self.url, connections)
            try:
                yield database
            finally:
                await database.aclose()
            return
        lock = open_data_folder(self.path.parent)
        try:
            database = await asyncio.to_thread(SqliteDatabase, self.path, 1)
            try:
                yield database
            finally:
                await database.aclose()
        finally:
            lock.release()

    async def close_to_changes(self) -> None:
        """Lets registries that use it only read from now on; changes that were under way have ended on return."""
        if self.path is None:
            async with self.target() as database:
                await database.write(close_tables)
            return
        os_layer.write_durably(marker_beside(self.path), _MARKER_TEXT)
        try:
            DataFolderLock(self.path.parent).release()
        except StartError as error:
            if error.exit_code != EXIT_CODE_LOCKED:
                raise
            await asyncio.to_thread(wait_for_writer, self.path)

    async def open_to_changes(self) -> None:
        """Takes that back."""
        if self.path is None:
            async with self.target() as database:
                await database.write(open_tables)
        elif os_layer.unlink_if_exists(marker_beside(self.path)):
            os_layer.fsync_folder(self.path.parent)


def database_of(text: str, environ: Mapping[str, str]) -> DatabasePlace:
    """Reads where a database is: `sqlite:FOLDER`, `postgresql://…`, or `env:NAME` and `file:PATH` that have one of these.

    Raises:
        StartError: it is none of these, or has a password that everybody who lists processes could see.
    """
    kind, _, rest = text.partition(":")
    if kind in ("env", "file"):
        return _place(_indirect(kind, rest, environ))
    parts = urlsplit(text)
    if parts.password or "password" in parse_qs(parts.query):
        raise StartError(
            "A password in an argument can be seen by everybody on this machine; put the address into a file and say file:PATH, "
            "into a variable and say env:NAME, or the password into ~/.pgpass or PGPASSWORD."
        )
    return _place(text)


def _indirect(kind: str, rest: str, environ: Mapping[str, str]) -> str:
    if kind == "env":
        if rest not in environ:
            raise StartError(f"The variable {rest} is not set.")
        return environ[rest].strip()
    try:
        return Path(rest).expanduser().read_text("utf-8").strip()
    except OSError as error:
        raise StartError(f"{rest} cannot be read: {error.strerror}") from error


def _place(text: str) -> DatabasePlace:
    if text.startswith(SQLITE):
        path = Path(os.path.abspath(Path(text[len(SQLITE) :].removeprefix("//")).expanduser()))
        if path.is_dir() or path.suffix != Path(DATABASE_NAME).suffix:
            path = path / DATABASE_NAME
        return DatabasePlace(path, None, f"{SQLITE}{path}")
    parts = urlsplit(text)
    if parts.scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise StartError(
            "A database is sqlite:FOLDER or postgresql://USER@HOST/NAME, or env:NAME or file:PATH that has one of these."
        )
    host = parts.hostname or "".join(parse_qs(parts.query).get("host", []))
    return DatabasePlace(None, text, f"postgresql://{host}{parts.path}")


def own_database(settings: RegistrySettings, data_dir: Path) -> DatabasePlace:
    """Returns the database that the settings name."""
    return _place(settings.database_url or f"{SQLITE}{data_dir / DATABASE_NAME}")


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store of packs that is open."""

    store: BlobStore
    epoch: StoreEpoch
    records: StoreRecords
    label: str
    reads_back: bool
    """What was written is to be read again: nobody else has checked its bytes."""


@asynccontextmanager
async def open_store_at(
    text: str, settings: RegistrySettings, threads: FileThreads, clock: Clock
) -> AsyncIterator[StorePlace]:
    """Opens a store to read from and to write to.

    Args:
        text: `s3://BUCKET/PREFIX`, or a folder that has, or gets, the folder `packs`.
        settings: how an S3 server is reached.
        threads: to wait in.
        clock: for signatures.

    Raises:
        StartError: it cannot be used.
    """
    is_s3 = "://" in text
    there = replace(settings, store_url=text if is_s3 else None, store_dir=None, listen=None)
    folder = Path() if is_s3 else _private_folder(text)
    opened = await open_store(there, folder, threads, clock)
    try:
        records = records_of(there, folder, opened.store)
        label = text if is_s3 else str(folder)
        yield StorePlace(opened.store, opened.epoch, records, label, isinstance(opened.store, DirectoryStore))
    finally:
        await asyncio.to_thread(opened.store.close)


def _private_folder(text: str) -> Path:
    folder = Path(os.path.abspath(Path(text).expanduser()))
    try:
        os_layer.make_private_folder(folder)
    except PermissionError as error:
        raise StartError(str(error)) from error
    return folder


def own_store(settings: RegistrySettings, data_dir: Path) -> str:
    """Returns the store that the settings name, as `open_store_at` takes it."""
    return settings.store_url or settings.store_dir or str(data_dir)
