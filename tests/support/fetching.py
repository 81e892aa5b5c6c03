"""The daemon's reading side put together over a fake registry, and what tests compare."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_daemon.cache.pack_cache import PackCache
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.placed_store import PlacedStore
from holdfast_daemon.pipeline.bring_packs import PackSource
from holdfast_daemon.pipeline.fetch import DownloadOrder, DownloadProgress, Fetch
from holdfast_daemon.pipeline.http_transfers import HttpTransfers
from holdfast_daemon.pipeline.manifest_pages import ManifestPages
from holdfast_daemon.pipeline.read_entry import ReadEntry
from holdfast_daemon.pipeline.seeds import Seeds
from holdfast_daemon.pipeline.verify import Verify, VerifyProgress
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.workers import Workers
from support.fake_registry import FakeRegistry

Tree = dict[str, bytes]


class PlacedInMemory:
    """Stands for the journal."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, bytes] = {}

    async def load(self, folder: bytes) -> bytes | None:
        return self.blobs.get(folder)

    async def store(self, folder: bytes, blob: bytes) -> None:
        self.blobs[folder] = blob


@dataclass
class Reading:
    """Everything that reads."""

    registry: FakeRegistry
    cache: PackCache
    workers: Workers
    fetch: Fetch
    verify: Verify
    read_entry: ReadEntry
    placed: PlacedInMemory
    client: RegistryClient
    seed_store: PlacedStore
    seeds: Seeds

    async def download(self, version_id: str, root: Path, **order: Any) -> DownloadProgress:
        order_ = DownloadOrder(version_id, os.fsencode(root), **order)
        return [progress async for progress in self.fetch.download(order_)][-1]

    async def verify_folder(self, version_id: str, root: Path) -> VerifyProgress:
        return [progress async for progress in self.verify.verify(version_id, os.fsencode(root))][-1]

    async def read(self, version_id: str, path: str, offset: int = 0, length: int = 0) -> bytes:
        return b"".join([bytes(part) async for part in self.read_entry.read(version_id, path, offset, length)])


@asynccontextmanager
async def reading(
    folder: Path, workers: Workers, *, how: str = "filesystem", cache_bytes_max: int = 1 << 30
) -> AsyncIterator[Reading]:
    """A fake registry on a socket and the reading side of a daemon before it."""
    packs = folder / "packs"
    packs.mkdir(exist_ok=True)
    registry = FakeRegistry(packs, how)
    cache = PackCache(folder / "cache", cache_bytes_max)
    cache.open()
    placed = PlacedInMemory()
    journal = Journal(folder / "journal.db")
    seed_store = PlacedStore(journal)
    seeds = Seeds(seed_store, workers)
    with tempfile.TemporaryDirectory(prefix="hf-") as socket_dir:
        socket = Path(socket_dir) / "r.sock"
        server = await registry.serve(socket)
        client = RegistryClient(f"unix:{socket}")
        try:
            source = PackSource(client, cache, workers, HttpTransfers())
            manifests = ManifestPages(client)
            yield Reading(
                registry,
                cache,
                workers,
                Fetch(manifests, source, workers, placed, seeds),
                Verify(manifests, workers),
                ReadEntry(manifests, source),
                placed,
                client,
                seed_store,
                seeds,
            )
        finally:
            await client.close()
            await server.stop(None)
            journal.close()


def tree_of(root: Path) -> Tree:
    """All files below a folder with their bytes; a link is shown as what it says."""
    found: Tree = {}
    for folder, folders, names in os.walk(root):
        for name in [*names, *(n for n in folders if (Path(folder) / n).is_symlink())]:
            path = Path(folder) / name
            key = path.relative_to(root).as_posix()
            found[key] = b"-> " + os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
    return found
