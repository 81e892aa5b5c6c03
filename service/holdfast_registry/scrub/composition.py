"""Puts the scrub together, for a registry that serves and for a command, and the verifier, which mends as the scrub does."""

from __future__ import annotations

from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.clock import Clock, RandomIds
from holdfast_registry.database.database import Database
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.scrubs import ScrubRepository
from holdfast_registry.database.unread import UnreadRepository
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.lifecycle import die_of_fsync
from holdfast_registry.pack_verifier import DUTY as VERIFIER_DUTY
from holdfast_registry.pack_verifier import Mending, PackVerifier
from holdfast_registry.scrub.hurt import HurtVersions
from holdfast_registry.scrub.inspect_pack import PackInspector
from holdfast_registry.scrub.repair import Repairer
from holdfast_registry.scrub.scrubber import DUTY, Scrubber


def compose_scrubber(
    database: Database,
    packs: PackRepository,
    reader: ChunkReader,
    store: BlobStore,
    threads: FileThreads,
    clock: Clock,
) -> Scrubber:
    """Puts it together; each is another holder of the duty."""
    ids = RandomIds()
    scrubs = ScrubRepository(database, clock)
    return Scrubber(
        scrubs,
        PackInspector(packs, store, threads),
        Repairer(scrubs, store, threads, ids),
        HurtVersions(scrubs, reader, threads),
        Duty(database, clock, DUTY, holder=ids.new_id()),
        clock,
        die_of_fsync,
    )


def compose_verifier(
    database: Database,
    packs: PackRepository,
    reader: ChunkReader,
    store: BlobStore,
    threads: FileThreads,
    clock: Clock,
    *,
    at_once: int,
) -> PackVerifier:
    """Puts it together; `at_once` packs are read in parallel."""
    ids = RandomIds()
    scrubs = ScrubRepository(database, clock)
    return PackVerifier(
        UnreadRepository(database, clock),
        PackInspector(packs, store, threads),
        Mending(scrubs, Repairer(scrubs, store, threads, ids), HurtVersions(scrubs, reader, threads)),
        Duty(database, clock, VERIFIER_DUTY, holder=ids.new_id()),
        clock,
        die_of_fsync,
        at_once=at_once,
    )
