"""Reads chunks and packs that serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from holdfast_contract.errors import PackError
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX, MIB
from holdfast_contract.pack import decode_frame
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.store import BlobStore, PackFile
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.domain.records import ChunkPlace
from holdfast_registry.errors import RegistryError, not_found
from holdfast_registry.file_threads import FileThreads

READ_BYTES_MAX = 1 * MIB
"""Of one message."""
RANGES_MAX = FIND_MISSING_DIGESTS_MAX
"""Of one ReadPack: every chunk of the largest pack."""


@dataclass(frozen=True, slots=True)
class WantedChunk:
    """A chunk and where it lies."""

    position: int
    digest: bytes
    place: ChunkPlace


class ChunkReader:
    """Finds and reads what is stored."""

    def __init__(self, packs: PackRepository, store: BlobStore, threads: FileThreads) -> None:
        self._packs = packs
        self._store = store
        self._threads = threads

    def read(self, entity_id: int, digests: Sequence[bytes]) -> list[bytes | None]:
        """Returns chunks, each checked against its digest; None for one that has no row.  Blocks.

        Raises:
            RegistryError: STORE_DAMAGED: a pack is gone, or its bytes are others.
        """
        places = self._packs.places(entity_id, digests)
        by_pack: dict[bytes, list[WantedChunk]] = {}
        for position, (digest, place) in enumerate(zip(digests, places, strict=True)):
            if place is not None:
                by_pack.setdefault(place.pack_id, []).append(WantedChunk(position, digest, place))
        chunks: list[bytes | None] = [None] * len(digests)
        for pack_id, wanted in by_pack.items():
            with self._open(pack_id) as pack:
                for chunk in wanted:
                    chunks[chunk.position] = _read_chunk(pack, chunk)
        return chunks

    def _open(self, pack_id: bytes) -> PackFile:
        pack = self._store.open_pack(pack_id)
        if pack is None:
            raise _damaged(pack_id, "its file is gone")
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
                data = await self._threads.run(_read_group, pack, group)
                if len(data) != sum(length for _, length in group):
                    raise _damaged(pack_id, "its file is too short")
                yield data


def _read_chunk(pack: PackFile, chunk: WantedChunk) -> bytes:
    place = chunk.place
    stored = pack.pread(place.offset, place.stored_length)
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


def _read_group(pack: PackFile, group: Sequence[tuple[int, int]]) -> bytes:
    return b"".join([pack.pread(offset, length) for offset, length in group])


def _damaged(pack_id: bytes, what: str) -> RegistryError:
    return RegistryError(
        Reason.STORE_DAMAGED,
        f"The store has lost what it promised: pack {pack_id.hex()}: {what[:300]}; run fsck.",
        {"pack": pack_id.hex()},
    )
