"""Opens the store that the settings name."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast_contract import os_layer
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.blobstore.epoch import DirectoryEpoch, ObjectEpoch, StoreEpoch
from holdfast_registry.blobstore.records import FolderRecords, ObjectRecords, StoreRecords
from holdfast_registry.blobstore.s3_place import place_of
from holdfast_registry.blobstore.s3_transfers import PresignedTransfers
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.blobstore.transfers import FileTransfers, StreamTransfers, Transfers
from holdfast_registry.clock import Clock
from holdfast_registry.errors import StartError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.metrics.tallies import StoreTally
from holdfast_registry.settings import RegistrySettings

if TYPE_CHECKING:
    from holdfast_registry.blobstore.s3 import S3Store

S3_FILE_THREADS_MIN = 16
"""They wait for the network most of the time: at 30 ms a request, 500 requests a second."""


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store and how packs get there and back."""

    store: BlobStore
    transfers: Transfers
    streamed_to: DirectoryStore | None
    """The store, if packs may come over the wire."""
    epoch: StoreEpoch
    tally: StoreTally = field(default_factory=StoreTally)
    """Requests to it, if it is on a network."""


def file_threads(settings: RegistrySettings) -> FileThreads:
    """Returns as many threads as the store needs."""
    return FileThreads(max(settings.file_threads, S3_FILE_THREADS_MIN if settings.store_url else 0))


def store_folder(settings: RegistrySettings, data_dir: Path) -> Path:
    """Returns the folder of a directory store.

    Raises:
        StartError: it is to be shared, and the database is not.
    """
    if settings.store_dir is None:
        return data_dir
    if settings.database_url is None:
        raise StartError(
            "A store_dir apart from data_dir needs a database_url: registries that share their packs must share their database."
        )
    folder = Path(os.path.abspath(settings.store_dir))
    try:
        os_layer.make_private_folder(folder)
    except PermissionError as error:
        raise StartError(str(error)) from error
    return folder


async def open_store(settings: RegistrySettings, data_dir: Path, threads: FileThreads, clock: Clock) -> OpenStore:
    """Opens the store to serve from it.

    Raises:
        StartError: it cannot be used.
    """
    if not settings.store_url:
        folder = DirectoryStore(store_folder(settings, data_dir))
        await threads.run(folder.prepare)
        own = FileTransfers(folder) if not settings.listen else StreamTransfers(folder, threads)
        return OpenStore(folder, own, folder, epoch_of(settings, data_dir, folder))
    store = await asyncio.to_thread(_open_s3, settings, clock, try_out=True)
    return OpenStore(store, PresignedTransfers(store, threads), None, ObjectEpoch(store), store.tally)


def open_for_reading(settings: RegistrySettings, data_dir: Path, clock: Clock) -> BlobStore:
    """Opens the store to look into it.  Blocks; whoever opens it closes it.

    Raises:
        StartError: its settings or credentials are of no use.
    """
    return (
        _open_s3(settings, clock, try_out=False)
        if settings.store_url
        else DirectoryStore(store_folder(settings, data_dir))
    )


def epoch_of(settings: RegistrySettings, data_dir: Path, store: BlobStore) -> StoreEpoch:
    """Returns where the restore epoch of an opened store is kept: with the packs, so that every replica sees it."""
    if settings.store_url:
        from holdfast_registry.blobstore.s3 import S3Store  # as in `_open_s3`

        assert isinstance(store, S3Store), "the settings name it"
        return ObjectEpoch(store)
    return DirectoryEpoch(store_folder(settings, data_dir))


def records_of(settings: RegistrySettings, data_dir: Path, store: BlobStore) -> StoreRecords:
    """Returns where the catalogue of an opened store is kept: with the packs."""
    if settings.store_url:
        from holdfast_registry.blobstore.s3 import S3Store  # as in `_open_s3`

        assert isinstance(store, S3Store), "the settings name it"
        return ObjectRecords(store)
    return FolderRecords(store_folder(settings, data_dir))


def _open_s3(settings: RegistrySettings, clock: Clock, *, try_out: bool) -> S3Store:
    try:
        # Its client takes 0.2 s to load, and is there only where the extra `s3` was installed.
        from holdfast_registry.blobstore.s3 import S3Store
    except ImportError as error:
        raise StartError(f"An S3 store needs more packages ({error.name}); install holdfast[s3].") from error
    store = S3Store(place_of(settings), clock)
    if try_out:
        try:
            store.check_server()
        except BaseException:  # whatever it is, nobody else can close it
            store.close()
            raise
    return store
