"""Reads a range of one entry: only the chunks that hold it are brought and checked; the next ones come while these are handed out.

What a second read of the same file needs again is kept, within bounds: its lists of chunks, and the chunks of small reads.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import accumulate

from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import stop
from holdfast_daemon.pipeline.bring_packs import READING_SHARE, PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import decode_list, invalid_list
from holdfast_daemon.pipeline.fetch_tasks import chunk_columns
from holdfast_daemon.pipeline.manifest_pages import ManifestPages, Segment
from holdfastpb.common.v1.manifest_pb2 import LongChunkList

FIRST_PIECE_BYTES_MAX = 4 * MIB
"""A usual random read is one piece, and the first bytes of a long one do not wait for more than this."""
PIECE_BYTES_MAX = 8 * MIB
"""At most two of them are held at a time for one reader."""
MESSAGE_DATA_BYTES = 1 * MIB
SMALL_BYTES_MAX = 1 * MIB
"""Of an entry that is read whole among others: above that, its bytes cost more than a call of its own."""
CHUNKS_BYTES_MAX = 32 * MIB
"""Of chunks kept for all readers: what several readers of one file, or one that goes to and fro, come back to."""
CACHED_READ_CHUNKS_MAX = 16
"""About 4 MiB.  Of longer pieces only the last chunk is kept, where the next read may go on: they would push all others out."""
LISTS_CHUNKS_MAX = 1_000_000
"""Chunks of decoded parts of long lists that are kept: 40 MB, files of 250 GiB in all."""
LISTS_AT_ONCE = 16
"""Parts of a list that are asked for together: 2.4 MiB."""


@dataclass(frozen=True, slots=True)
class _List:
    """Chunks of a file in order: all, or a part of a long list."""

    digests: bytes
    ends: "array[int]"
    """Of each chunk, in the file."""


@dataclass(slots=True)
class _LongList:
    """What is known of a long list: where its parts end, and those that are decoded."""

    ends: list[int] = field(default_factory=list)
    parts: dict[int, _List] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Chunks that are brought together."""

    start: int
    digests: bytes
    lengths: list[int]


@dataclass(frozen=True, slots=True)
class _Small:
    """An entry that is read whole."""

    number: int
    path: str
    digests: list[bytes]
    lengths: list[int]


class ReadEntry:
    """Reads entries; any number at the same time."""

    def __init__(self, manifests: ManifestPages, packs: PackSource) -> None:
        self._manifests = manifests
        self._packs = packs
        self._readers: dict[str, Reader] = {}
        self._long_lists: OrderedDict[tuple[str, str], _LongList] = OrderedDict()
        self._listed_chunks = 0
        self._chunks: OrderedDict[bytes, bytes] = OrderedDict()
        self._chunks_bytes = 0

    async def read(self, version_id: str, path: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yields the bytes of the range, at most 1 MiB at a time; a range beyond the end is cut.

        Args:
            version_id: a committed version.
            path: one of its entries.
            offset: first byte.
            length: bytes; 0: to the end.

        Raises:
            HoldfastError: NOT_FOUND; STORE_DAMAGED; INVALID_ARGUMENT for a reference.
        """
        version = await self._manifests.get_version(version_id)
        segment, row = await self._find(version_id, path)
        size = segment.entries.sizes[row]
        end = min(size, offset + length) if length else size
        reader = self._readers.setdefault(version.entity, Reader(version.entity, whole_pack_share=READING_SHARE))
        try:
            async with aclosing(
                self._ahead(reader, path, self._pieces(reader, version_id, segment, row, offset, end))
            ) as chunks:
                async for message in _messages(chunks, offset, end):
                    yield message
        except HoldfastError as error:
            if error.reason is Reason.STORE_DAMAGED:
                await self._manifests.ask_for_version(version_id)  # was deleted meanwhile, perhaps: says so
            raise

    async def read_small(self, version_id: str, paths: Sequence[str]) -> AsyncGenerator[list[tuple[int, bytes]], None]:
        """Yields contents of entries with the numbers of their paths, about 1 MiB at a time, in the order of the paths.

        Absent entries, references and files of more than 1 MiB are left out.

        Args:
            version_id: a committed version.
            paths: of its entries.

        Raises:
            HoldfastError: NOT_FOUND of the version; STORE_DAMAGED.
        """
        version = await self._manifests.get_version(version_id)
        reader = self._readers.setdefault(version.entity, Reader(version.entity, whole_pack_share=READING_SHARE))
        waiting: list[_Small] = []
        waiting_bytes = 0
        async with aclosing(self._small_entries(version_id, paths)) as found:
            async for one in found:
                if waiting and waiting_bytes + sum(one.lengths) > FIRST_PIECE_BYTES_MAX:
                    for message in _small_messages(waiting, await self._bring_small(reader, waiting)):
                        yield message
                    waiting, waiting_bytes = [], 0
                waiting.append(one)
                waiting_bytes += sum(one.lengths)
        for message in _small_messages(waiting, await self._bring_small(reader, waiting)):
            yield message

    async def _small_entries(self, version_id: str, paths: Sequence[str]) -> AsyncGenerator[_Small, None]:
        segment: Segment | None = None
        for number, path in enumerate(paths):
            if segment is None or not segment.entries.paths[0] <= path <= segment.entries.paths[-1]:
                segment = await self._manifests.segment_of(version_id, path)
            row = _row_of(segment, path)
            if segment is None or row is None:
                continue
            entries = segment.entries
            if row in entries.references or row in entries.long_chunks or entries.sizes[row] > SMALL_BYTES_MAX:
                continue
            digests, lengths = chunk_columns(entries, (row,))
            yield _Small(number, path, _column(digests), lengths)

    async def _bring_small(self, reader: Reader, wanted: Sequence[_Small]) -> dict[bytes, bytes]:
        """Returns the chunks by their digests; each is brought once."""
        lengths = {digest: length for one in wanted for digest, length in zip(one.digests, one.lengths, strict=True)}
        if not lengths:
            return {}
        chunks = await self._packs.read(reader, wanted[0].path, b"".join(lengths), list(lengths.values()))
        return dict(zip(lengths, chunks, strict=True))

    async def _find(self, version_id: str, path: str) -> tuple[Segment, int]:
        segment = await self._manifests.segment_of(version_id, path)
        row = _row_of(segment, path)
        if segment is None or row is None:
            raise HoldfastError(Reason.NOT_FOUND, f"version {version_id} has no entry {path!r}", path=path)
        if row in segment.entries.references:
            uri = segment.entries.references[row][0]
            text = f"{path} is a reference, its bytes are at {uri}; read them there"
            raise HoldfastError(Reason.INVALID_ARGUMENT, text, path=path, uri=uri)
        return segment, row

    # --- which chunks -------------------------------------------------------------------------------------------------

    async def _pieces(
        self, reader: Reader, version_id: str, segment: Segment, row: int, offset: int, end: int
    ) -> AsyncGenerator[_Piece, None]:
        if offset >= end:
            return
        bytes_max = FIRST_PIECE_BYTES_MAX
        long = segment.entries.long_chunks.get(row)
        if long is None:
            digests, lengths = chunk_columns(segment.entries, (row,))
            for piece in _covering(_List(digests, array("Q", accumulate(lengths))), 0, offset, end, bytes_max):
                yield piece
            return
        size = segment.entries.sizes[row]
        async for part, start in self._parts(reader, (version_id, segment.entries.paths[row]), long, size, offset, end):
            for piece in _covering(part, start, offset, end, bytes_max):
                yield piece
                bytes_max = PIECE_BYTES_MAX

    async def _parts(
        self, reader: Reader, key: tuple[str, str], long: LongChunkList, size: int, offset: int, end: int
    ) -> AsyncGenerator[tuple[_List, int], None]:
        """Yields the parts of a long list that cover a range, with where they begin."""
        known = self._long_lists.setdefault(key, _LongList())
        self._long_lists.move_to_end(key)
        count = len(long.list_lengths)
        # All parts but the last list equally many chunks, so which of them reaches the end can be guessed well.
        guess = -(-end * count // size)
        while offset < end:
            number = bisect_right(known.ends, offset)
            if number not in known.parts:
                await self._load_parts(reader, key, long, known, range(number, max(number + 1, guess)), size)
                continue
            yield known.parts[number], known.ends[number - 1] if number else 0
            offset = known.ends[number]

    async def _load_parts(
        self, reader: Reader, key: tuple[str, str], long: LongChunkList, known: _LongList, wanted: range, size: int
    ) -> None:
        """Brings parts, the first of which is known or follows those that are; at most so many as are asked for at once."""
        count = len(long.list_lengths)
        wanted = range(wanted.start, min(wanted.stop, wanted.start + LISTS_AT_ONCE, count))
        digests = long.list_digests[DIGEST_BYTES * wanted.start : DIGEST_BYTES * wanted.stop]
        encoded = await self._packs.read(reader, key[1], digests, long.list_lengths[wanted.start : wanted.stop])
        for number, data in zip(wanted, encoded, strict=True):
            part_digests, lengths = decode_list(data, key[1])
            start = known.ends[number - 1] if number else 0
            ends = array("Q", (start + end for end in accumulate(lengths)))
            if ends[-1] > size or (number == count - 1 and ends[-1] != size):
                raise invalid_list(key[1])
            if number == len(known.ends):
                known.ends.append(ends[-1])
            self._keep_part(key, known, number, _List(part_digests, ends))
        self._trim_lists(key, known, wanted)

    def _keep_part(self, key: tuple[str, str], known: _LongList, number: int, part: _List) -> None:
        if number not in known.parts:
            known.parts[number] = part
            if (
                self._long_lists.get(key) is known
            ):  # else it had to make room while it was read, and is this reader's alone
                self._listed_chunks += len(part.ends)

    def _trim_lists(self, used: tuple[str, str], known: _LongList, in_use: range) -> None:
        while self._listed_chunks > LISTS_CHUNKS_MAX and next(iter(self._long_lists)) != used:
            _, dropped = self._long_lists.popitem(last=False)
            self._listed_chunks -= sum(len(part.ends) for part in dropped.parts.values())
        for number in [number for number in known.parts if number not in in_use]:
            if self._listed_chunks <= LISTS_CHUNKS_MAX:
                return
            self._listed_chunks -= len(known.parts.pop(number).ends)

    # --- their bytes --------------------------------------------------------------------------------------------------

    async def _ahead(
        self, reader: Reader, path: str, pieces: AsyncGenerator[_Piece, None]
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yields (where it begins, chunk); the next piece is on its way meanwhile."""
        coming: tuple[_Piece, asyncio.Task[list[bytes]]] | None = None
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    arrived, coming = coming, (piece, asyncio.create_task(self._bring(reader, path, piece)))
                    if arrived is not None:
                        for chunk in _placed(arrived[0], await arrived[1]):
                            yield chunk
                if coming is not None:
                    for chunk in _placed(coming[0], await coming[1]):
                        yield chunk
            finally:
                if coming is not None:
                    await stop(coming[1])

    async def _bring(self, reader: Reader, path: str, piece: _Piece) -> list[bytes]:
        column = _column(piece.digests)
        chunks = [self._chunk(digest) for digest in column]
        missing = [at for at, chunk in enumerate(chunks) if chunk is None]
        if missing:
            digests = b"".join(column[at] for at in missing)
            brought = await self._packs.read(reader, path, digests, [piece.lengths[at] for at in missing])
            for at, chunk in zip(missing, brought, strict=True):
                chunks[at] = chunk
            for at in missing if len(piece.digests) <= DIGEST_BYTES * CACHED_READ_CHUNKS_MAX else missing[-1:]:
                self._keep(column[at], chunks[at] or b"")
        return [chunk for chunk in chunks if chunk is not None]

    def _chunk(self, digest: bytes) -> bytes | None:
        found = self._chunks.get(digest)
        if found is not None:
            self._chunks.move_to_end(digest)
        return found

    def _keep(self, digest: bytes, chunk: bytes) -> None:
        if digest in self._chunks:
            return
        self._chunks[digest] = chunk
        self._chunks_bytes += len(chunk)
        while self._chunks_bytes > CHUNKS_BYTES_MAX:
            self._chunks_bytes -= len(self._chunks.popitem(last=False)[1])


def _row_of(segment: Segment | None, path: str) -> int | None:
    if segment is None:
        return None
    row = bisect_left(segment.entries.paths, path)
    return row if row < len(segment.entries.paths) and segment.entries.paths[row] == path else None


def _column(digests: bytes) -> list[bytes]:
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


def _small_messages(entries: Sequence[_Small], chunks: Mapping[bytes, bytes]) -> Iterator[list[tuple[int, bytes]]]:
    held: list[tuple[int, bytes]] = []
    held_bytes = 0
    for one in entries:
        data = b"".join(chunks[digest] for digest in one.digests)
        if held and held_bytes + len(data) > MESSAGE_DATA_BYTES:
            yield held
            held, held_bytes = [], 0
        held.append((one.number, data))
        held_bytes += len(data)
    if held:
        yield held


def _covering(part: _List, part_start: int, offset: int, end: int, bytes_max: int) -> Iterator[_Piece]:
    """Cuts what a list has of a range into pieces: the first of at most so many bytes (one chunk may be more)."""
    ends = part.ends
    first = bisect_right(ends, offset)
    start = ends[first - 1] if first else part_start
    while first < len(ends) and start < end:
        last = max(first + 1, min(bisect_right(ends, start + bytes_max), bisect_left(ends, end) + 1))
        lengths = [stop - begin for begin, stop in zip((start, *ends[first:last]), ends[first:last], strict=False)]
        yield _Piece(start, part.digests[DIGEST_BYTES * first : DIGEST_BYTES * last], lengths)
        first, start, bytes_max = last, ends[last - 1], PIECE_BYTES_MAX


def _placed(piece: _Piece, chunks: list[bytes]) -> Iterator[tuple[int, bytes]]:
    start = piece.start
    for chunk in chunks:
        yield start, chunk
        start += len(chunk)


async def _messages(
    chunks: AsyncGenerator[tuple[int, bytes], None], offset: int, end: int
) -> AsyncGenerator[bytes, None]:
    """Cuts chunks to the range and joins them to messages."""
    held: list[memoryview] = []
    held_bytes = 0
    async for start, chunk in chunks:
        data = memoryview(chunk)[max(offset - start, 0) : end - start]
        if held and held_bytes + len(data) > MESSAGE_DATA_BYTES:
            yield b"".join(held)
            held, held_bytes = [], 0
        held.append(data)
        held_bytes += len(data)
    if held:
        yield b"".join(held)
