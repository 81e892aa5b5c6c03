"""Repairs: what can still be read of a damaged pack is copied into new packs, and lost chunks are taken from wherever a copy lies.

Order for a damaged pack: row of a new pack · its bytes, durable · one transaction: rows moved, new pack LIVE; all that for each
16 MiB · one transaction: rows of what is lost taken away, the pack QUARANTINED.  A crash leaves a new pack that nothing is read from,
which garbage collection gives up, and a damaged pack that the next scrub finds again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from holdfast_contract.errors import PackError
from holdfast_contract.limits import MIB
from holdfast_contract.pack import PACK_HEADER_BYTES, Codec, build_pack, decode_frame, read_index
from holdfast_registry.blobstore.store import BlobStore, PackFile, PackGoneError, StoreUnavailableError
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.clock import IdSource
from holdfast_registry.database.chunks import NewChunk
from holdfast_registry.database.gc_sweep import Move
from holdfast_registry.database.scrubs import PlacedChunk, ScrubbedPack, ScrubRepository
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads

logger = logging.getLogger(__name__)

FRAMES_BYTES = 16 * MIB
"""Of one new pack, which is built in memory."""


@dataclass(slots=True)
class _Frames:
    """Sound frames, and how many of the wanted ones were not."""

    sound: list[tuple[PlacedChunk, bytes]] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)


class Repairer:
    """Moves chunks out of damaged packs."""

    def __init__(self, scrubs: ScrubRepository, store: BlobStore, threads: FileThreads, ids: IdSource) -> None:
        self._scrubs = scrubs
        self._store = store
        self._threads = threads
        self._ids = ids

    async def quarantine(self, pack: ScrubbedPack, problem: str) -> None:
        """Lets nothing be read from a damaged pack any more; what of it is sound is read from new packs.

        Raises:
            RegistryError: UNAVAILABLE: it is to be tried again.
        """
        moved, lost = 0, list[bytes]()
        for group in _groups(await self._scrubs.rows_in(pack)):
            frames = await self._threads.run(self._read_group, pack, group)
            lost += frames.unreadable
            if frames.sound:
                moved += await self._write(pack, frames.sound, move=True)
        taken = await self._scrubs.quarantine(pack, problem, moved, lost)
        logger.error(
            "pack is damaged and in quarantine pack=%s problem=%s chunks_moved=%s chunks_lost=%s",
            pack.pack_id.hex(),
            problem,
            moved,
            len(taken),
        )

    async def heal(self) -> int:
        """Looks for copies of lost chunks in all packs of their entities, and serves them again; returns how many."""
        healed = 0
        lost = await self._scrubs.lost()
        for entity_id, chunks in groupby(lost, key=lambda chunk: chunk.entity_id):
            victims = {chunk.digest: chunk.pack_row for chunk in chunks}
            healed += await self._heal(entity_id, victims)
        if healed:
            logger.warning("lost chunks were found elsewhere count=%s", healed)
        await self._scrubs.forget_healed()
        return healed

    async def _heal(self, entity_id: int, wanted: dict[bytes, int]) -> int:
        after = healed = 0
        while wanted and (packs := await self._scrubs.holding_packs(entity_id, after)):
            after = packs[-1].row
            for pack in packs:
                frames = await self._threads.run(self._read_copies, pack, wanted)
                for group in _groups_of_frames(frames.sound):
                    healed += await self._write(pack, group, move=False)
                    for chunk, _ in group:
                        wanted.pop(chunk.digest, None)
        return healed

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read_group(self, pack: ScrubbedPack, rows: Sequence[PlacedChunk]) -> _Frames:
        try:
            opened = self._store.open_pack(pack.pack_id)
            if opened is None:
                return _Frames(unreadable=[row.digest for row in rows])
            with opened:
                return _sound_frames(opened, rows)
        except StoreUnavailableError:
            raise
        except RegistryError:  # something else than a file has its name
            return _Frames(unreadable=[row.digest for row in rows])

    def _read_copies(self, pack: ScrubbedPack, wanted: dict[bytes, int]) -> _Frames:
        """Returns sound copies of chunks that a pack has, whatever the database says of it."""
        try:
            opened = self._store.open_pack(pack.pack_id)
            if opened is None:
                return _Frames()
            with opened:
                index = read_index(opened.pread, opened.size_bytes, pack_id=pack.pack_id)
                digests = split_digests(bytes(index.digests))
                columns = (index.offsets(), index.stored_lengths, index.lengths, index.codecs)
                held = {row[0]: PlacedChunk(*row) for row in zip(digests, *columns, strict=True) if row[0] in wanted}
                return _sound_frames(opened, list(held.values()))
        except StoreUnavailableError:
            raise
        except (PackError, PackGoneError, RegistryError, OSError):
            return _Frames()  # what cannot be read has no copy

    # --- writing ------------------------------------------------------------------------------------------------------

    async def _write(self, source: ScrubbedPack, frames: Sequence[tuple[PlacedChunk, bytes]], *, move: bool) -> int:
        pack_id = bytes.fromhex(self._ids.new_id())
        encoded = build_pack(
            pack_id, [(chunk.digest, stored, chunk.length, Codec(chunk.codec)) for chunk, stored in frames]
        )
        row = await self._scrubs.reserve(source.row, pack_id, len(encoded), len(frames))
        await self._threads.run(self._publish, pack_id, encoded)
        moves, brought, offset = list[Move](), list[NewChunk](), PACK_HEADER_BYTES
        for chunk, stored in frames:
            if move:
                moves.append(Move(chunk.digest, source.row, chunk.offset, offset))
            else:
                place = (row, offset, len(stored), chunk.length, chunk.codec)
                brought.append((source.entity_id, chunk.digest, *place))
            offset += len(stored)
        return await self._scrubs.serve(source.entity_id, row, moves, brought)

    def _publish(self, pack_id: bytes, encoded: bytes) -> None:
        self._store.put(pack_id, encoded)
        incoming = self._store.open_incoming(pack_id)
        if incoming is None:
            raise PackError(f"Pack {pack_id.hex()}, which was just written, is gone.")
        with incoming:
            incoming.publish()


def _sound_frames(opened: PackFile, rows: Sequence[PlacedChunk]) -> _Frames:
    frames = _Frames()
    for row in rows:
        try:
            stored = opened.pread(row.offset, row.stored_length)
            decode_frame(stored, row.codec, row.length, row.digest, decompress)
        except StoreUnavailableError:
            raise
        except (PackError, PackGoneError, OSError, ValueError, OverflowError):  # a damaged row may have any figures
            frames.unreadable.append(row.digest)
        else:
            frames.sound.append((row, bytes(stored)))
    return frames


def _groups(rows: Sequence[PlacedChunk]) -> Iterator[list[PlacedChunk]]:
    """Yields rows whose frames fit into one new pack, in the order in which they lie."""
    group: list[PlacedChunk] = []
    group_bytes = 0
    for row in sorted(rows, key=lambda row: row.offset):
        if group and group_bytes + row.stored_length > FRAMES_BYTES:
            yield group
            group, group_bytes = [], 0
        group.append(row)
        group_bytes += row.stored_length
    if group:
        yield group


def _groups_of_frames(frames: Sequence[tuple[PlacedChunk, bytes]]) -> Iterator[list[tuple[PlacedChunk, bytes]]]:
    by_digest = {row.digest: (row, stored) for row, stored in frames}
    for group in _groups([row for row, _ in frames]):
        yield [by_digest[row.digest] for row in group]
