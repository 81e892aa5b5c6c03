"""Reads chunks and packs that serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast_contract.errors import PackError
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX, MIB
from holdfast_contract.pack import decode_frame
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.store import BlobStore, PackFile, PackGoneError
from holdfast_registry.blobstore.transfers import Transfers, Way
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.domain.records import ChunkPlace
from holdfast_registry.errors import RegistryError, not_found
from holdfast_registry.file_threads import FileThreads

READ_BYTES_MAX = 1 * MIB
"""Of one message."""
RANGES_MAX = FIND_MISSING_DIGESTS_MAX
"""Of one ReadPack: every chunk of the largest pack."""


CHUNKS_AT_ONCE = 64
"""Frames of one pack in memory beside their chunks: some 6 MiB of segments, 64 MiB at worst."""
PACKS_GRANTED_MAX = 1000
"""In one call of GrantReads."""


LOOKS_MAX = 3
"""For chunks whose pack goes while they are read; a pack is kept for hours after its last chunk has left it."""


class _PackLeftError(RegistryError):
    """A pack is gone: damage, unless its chunks lie elsewhere by now."""

    def __init__(self, pack_id: bytes) -> None:
        damage = _damaged(pack_id, "it is gone")
        super().__init__(damage.reason, damage.message, damage.metadata)


@dataclass(frozen=True, slots=True)
class ReadablePack:
    """A pack and how a daemon reads it."""

    pack_id: bytes
    size_bytes: int
    way: Way


@dataclass(frozen=True, slots=True)
class WantedChunk:
    """A chunk and where it lies."""

    position: int
    digest: bytes
    place: ChunkPlace


class ChunkReader:
    """Finds and reads what is stored."""

    def __init__(self, packs: PackRepository, store: BlobStore, transfers: Transfers, threads: FileThreads) -> None:
        self._packs = packs
        self._store = store
        self._transfers = transfers
        self._threads = threads

    def read(self, entity_id: int, digests: Sequence[bytes]) -> list[bytes | None]:
        """Returns chunks, each checked against its digest; None for one that has no row.  Blocks.

        Raises:
            RegistryError: STORE_DAMAGED: a pack is gone, or its bytes are others.
        """
        for _ in range(LOOKS_MAX - 1):
            try:
                return self._read(entity_id, digests)
            except _PackLeftError:
                continue  # its chunks were rewritten or brought again since they were looked up, and lie elsewhere
        return self._read(entity_id, digests)

    def _read(self, entity_id: int, digests: Sequence[bytes]) -> list[bytes | None]:
        places = self._packs.places(entity_id, digests)
        by_pack: dict[bytes, list[WantedChunk]] = {}
        for position, (digest, place) in enumerate(zip(digests, places, strict=True)):
            if place is not None:
                by_pack.setdefault(place.pack_id, []).append(WantedChunk(position, digest, place))
        chunks: list[bytes | None] = [None] * len(digests)
        for pack_id, wanted in by_pack.items():
            with self._open(pack_id) as pack:
                for first in range(0, len(wanted), CHUNKS_AT_ONCE):
                    group = wanted[first : first + CHUNKS_AT_ONCE]
                    for chunk, data in zip(group, _read_chunks(pack, group), strict=True):
                        chunks[chunk.position] = data
        return chunks

    def _open(self, pack_id: bytes) -> PackFile:
        pack = self._store.open_pack(pack_id)
        if pack is None:
            raise _PackLeftError(pack_id)
        return pack

    async def locate(self, entity: str, digests: Sequence[bytes]) -> list[ChunkPlace]:
        """Returns where chunks lie, in the order of the digests.

        Raises:
            RegistryError: NOT_FOUND names the first that is not stored; TOO_LARGE.
        """
        if len(digests) > FIND_MISSING_DIGESTS_MAX:
            raise RegistryError(
                Reason.TOO_LARGE, f"{len(digests)} digests were asked for; at most {FIND_MISSING_DIGESTS_MAX} a call."
            )
        return await self._threads.run(self._locate, entity, digests)

    def _locate(self, entity: str, digests: Sequence[bytes]) -> list[ChunkPlace]:
        entity_id = self._packs.entity_id(entity)
        places = [None] * len(digests) if entity_id is None else self._packs.places(entity_id, digests)
        found = [place for place in places if place is not None]
        if len(found) < len(digests):
            absent = digests[places.index(None)].hex()
            raise RegistryError(Reason.NOT_FOUND, f"Chunk {absent} is not stored.", {"digest": absent})
        return found

    async def ways_to(self, sizes: Mapping[bytes, int]) -> list[ReadablePack]:
        """Returns how to read packs that were located.

        Args:
            sizes: pack id → bytes.
        """
        ways = await self._transfers.downloads(list(sizes))
        return [ReadablePack(pack_id, sizes[pack_id], way) for pack_id, way in zip(sizes, ways, strict=True)]

    async def grant_reads(self, entity: str, pack_ids: Sequence[bytes]) -> list[ReadablePack]:
        """Returns anew how to read packs.

        Raises:
            RegistryError: NOT_FOUND names the first that is not there; TOO_LARGE.
        """
        if len(pack_ids) > PACKS_GRANTED_MAX:
            raise RegistryError(
                Reason.TOO_LARGE, f"{len(pack_ids)} packs were asked for; at most {PACKS_GRANTED_MAX} a call."
            )
        records = await self._threads.run(self._packs.readable_packs, entity, pack_ids)
        absent = next((pack_id for pack_id in pack_ids if pack_id not in records), None)
        if absent is not None:
            raise RegistryError(Reason.NOT_FOUND, f"Pack {absent.hex()} does not exist.", {"pack": absent.hex()})
        return await self.ways_to({pack_id: records[pack_id].size_bytes for pack_id in pack_ids})

    async def read_ranges(self, entity: str, pack_id: bytes, ranges: Sequence[tuple[int, int]]) -> AsyncIterator[bytes]:
        """Yields the bytes of ranges (offset, length) of a pack, one after another, in pieces of at most 1 MiB.

        Raises:
            RegistryError: NOT_FOUND, INVALID_ARGUMENT, STORE_DAMAGED.
        """
        record = await self._threads.run(self._packs.readable_pack, entity, pack_id)
        if record is None:
            raise not_found(f"Pack {pack_id.hex()}")
        if len(ranges) > RANGES_MAX or any(offset + length > record.size_bytes for offset, length in ranges):
            raise RegistryError(
                Reason.INVALID_ARGUMENT, f"A range lies outside of pack {pack_id.hex()}, or there are too many."
            )
        with await self._threads.run(self._open, pack_id) as pack:
            for group in _pieces(ranges):
                data = await self._threads.run(_read_group, pack, pack_id, group)
                if len(data) != sum(length for _, length in group):
                    raise _damaged(pack_id, "its file is too short")
                yield data


def _read_chunks(pack: PackFile, wanted: Sequence[WantedChunk]) -> list[bytes]:
    try:
        frames = pack.read_ranges([(chunk.place.offset, chunk.place.stored_length) for chunk in wanted])
    except PackGoneError as error:
        raise _PackLeftError(wanted[0].place.pack_id) from error
    return [_decoded(chunk, stored) for chunk, stored in zip(wanted, frames, strict=True)]


def _decoded(chunk: WantedChunk, stored: bytes) -> bytes:
    place = chunk.place
    try:
        return bytes(decode_frame(stored, place.codec, place.length, chunk.digest, decompress))
    except PackError as error:
        raise _damaged(place.pack_id, f"chunk {chunk.digest.hex()} cannot be read: {error.message}") from error


def _pieces(ranges: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Cuts long ranges and joins short ones, so that each piece is a full message or nearly."""
    pieces: list[list[tuple[int, int]]] = [[]]
    piece_bytes = 0
    for offset, length in ranges:
        for start in range(offset, offset + length, READ_BYTES_MAX):
            part = min(READ_BYTES_MAX, offset + length - start)
            if piece_bytes + part > READ_BYTES_MAX:
                pieces.append([])
                piece_bytes = 0
            pieces[-1].append((start, part))
            piece_bytes += part
    return [piece for piece in pieces if piece]


def _read_group(pack: PackFile, pack_id: bytes, group: Sequence[tuple[int, int]]) -> bytes:
    try:
        return b"".join(pack.read_ranges(group))
    except PackGoneError as error:
        raise _PackLeftError(pack_id) from error


def _damaged(pack_id: bytes, what: str) -> RegistryError:
    return RegistryError(
        Reason.STORE_DAMAGED,
        f"The store has lost what it promised: pack {pack_id.hex()}: {what[:300]}; run fsck.",
        {"pack": pack_id.hex()},
    )
