"""Puts together what takes packs in, reads them and reads them back."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_registry.blobstore.open_store import OpenStore
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.clock import Clock
from holdfast_registry.database.database import Database
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.pack_intake import PackIntake
from holdfast_registry.pack_verifier import PackVerifier
from holdfast_registry.scrub.composition import compose_verifier


@dataclass(frozen=True, slots=True)
class PackParts:
    """What deals with packs."""

    reader: ChunkReader
    verifier: PackVerifier
    intake: PackIntake


def compose_packs(
    packs: PackRepository,
    database: Database,
    opened_store: OpenStore,
    threads: FileThreads,
    clock: Clock,
    *,
    verified_at_once: int,
) -> PackParts:
    """Puts it together; so many packs are checked, or read back, in parallel."""
    store, transfers = opened_store.store, opened_store.transfers
    reader = ChunkReader(packs, store, transfers, threads)
    verifier = compose_verifier(database, packs, reader, store, threads, clock, at_once=verified_at_once)
    intake = PackIntake(
        packs,
        store,
        transfers,
        verifier,
        threads,
        streamed_to=opened_store.streamed_to,
        verified_at_once=verified_at_once,
    )
    return PackParts(reader, verifier, intake)
