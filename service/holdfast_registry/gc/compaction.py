"""Compaction: what is still in use of half-dead packs is copied into a new one, and the old ones are doomed.

Order: row of the new pack · its bytes, checked frame by frame, durable · one transaction: rows moved, new pack LIVE, old packs DOOMED.
A crash before that leaves a pack that nothing is read from; the next cycle gives it up.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast_contract.errors import PackError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import MIB
from holdfast_contract.pack import PACK_HEADER_BYTES, Codec, build_pack, decode_frame, read_index
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.clock import IdSource
from holdfast_registry.database.gc_cycles import Cycle
from holdfast_registry.database.gc_sweep import GcSweepRepository, Move
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.domain.records import ChunkPlace
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.report import GcReport
from holdfast_registry.gc.sweep import PackUse, Told

logger = logging.getLogger(__name__)

FRAMES_BYTES = 16 * MIB
"""Of one new pack, which is built in memory."""
PACKS_MAX = 500
"""Rewritten into one: each is opened and read."""


@dataclass(slots=True)
class _Batch:
    """Old packs whose live frames go into one new pack."""

    victims: dict[int, Collection[bytes]] = field(default_factory=dict)
    frames: list[tuple[bytes, bytes, int, Codec]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    bytes: int = 0


class Compactor:
    """Rewrites packs."""

    def __init__(
        self,
        repository: GcSweepRepository,
        packs: PackRepository,
        store: BlobStore,
        threads: FileThreads,
        ids: IdSource,
    ) -> None:
        self._repository = repository
        self._packs = packs
        self._store = store
        self._threads = threads
        self._ids = ids

    async def compact(self, cycle: Cycle, entity_id: int, use: PackUse, report: GcReport, told: Told) -> None:
        """Rewrites the packs of which little is in use.

        Raises:
            CycleLostError: another collector has taken over.
        """
        for positions in _groups(use):
            await told()
            batch = await self._threads.run(self._read, entity_id, use, positions)
            if batch.frames:
                report.packs_compacted += await self._write(cycle, entity_id, batch)
                report.bytes_moved += batch.bytes

    def _read(self, entity_id: int, use: PackUse, positions: Sequence[int]) -> _Batch:
        batch = _Batch()
        for position in positions:
            pack_id = use.packs.pack_id(position)
            try:
                self._read_pack(entity_id, use.packs.rows[position], pack_id, batch)
            except PackError as error:
                # It stays as it is: what can still be read of it must not be lost by moving.
                logger.error("pack cannot be compacted pack=%s message=%s", pack_id.hex(), error.message)
        return batch

    def _read_pack(self, entity_id: int, row: int, pack_id: bytes, batch: _Batch) -> None:
        """Adds the frames that are read from one pack, all or none."""
        opened = self._store.open_pack(pack_id)
        if opened is None:
            raise PackError(f"Pack {pack_id.hex()} is gone; run fsck.")
        with opened:
            digests = set(split_digests(bytes(read_index(opened.pread, opened.size_bytes, pack_id=pack_id).digests)))
            wanted = sorted(digests)
            frames: list[tuple[bytes, bytes, int, Codec]] = []
            moves: list[Move] = []
            offset = PACK_HEADER_BYTES + batch.bytes
            for digest, place in zip(wanted, self._packs.places(entity_id, wanted), strict=True):
                if place is None or place.pack_id != pack_id:
                    continue
                stored = opened.pread(place.offset, place.stored_length)
                frames.append((digest, _checked(stored, digest, place), place.length, Codec(place.codec)))
                moves.append(Move(digest, row, place.offset, offset))
                offset += len(stored)
        batch.bytes = offset - PACK_HEADER_BYTES
        batch.frames += frames
        batch.moves += moves
        batch.victims[row] = digests

    async def _write(self, cycle: Cycle, entity_id: int, batch: _Batch) -> int:
        pack_id = bytes.fromhex(self._ids.new_id())
        encoded = build_pack(pack_id, batch.frames)
        victim = next(iter(batch.victims))
        row = await self._repository.reserve(cycle, victim, pack_id, len(encoded), len(batch.frames))
        await self._threads.run(self._publish, pack_id, encoded)
        failpoint("gc.after_publish")
        return await self._repository.move(cycle, entity_id, row, batch.moves, batch.victims)

    def _publish(self, pack_id: bytes, encoded: bytes) -> None:
        self._store.put(pack_id, encoded)
        incoming = self._store.open_incoming(pack_id)
        if incoming is None:
            raise PackError(f"Pack {pack_id.hex()}, which was just written, is gone.")
        with incoming:
            incoming.publish()


def _checked(stored: bytes, digest: bytes, place: ChunkPlace) -> bytes:
    decode_frame(stored, place.codec, place.length, digest, decompress)
    return stored


def _groups(use: PackUse) -> Iterator[list[int]]:
    """Yields positions of packs that fit into one; a single one that fits into none is not worth it."""
    group: list[int] = []
    group_bytes = 0
    for position in use.half_dead():
        live_bytes = use.live_bytes[position]
        if group and (group_bytes + live_bytes > FRAMES_BYTES or len(group) == PACKS_MAX):
            yield group
            group, group_bytes = [], 0
        group.append(position)
        group_bytes += live_bytes
    if group:
        yield group
