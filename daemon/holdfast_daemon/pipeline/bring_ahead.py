"""Brings the chunks of a large file in pieces, the next ones while this one is used.

A file that is brought, checked and written one after the other leaves the line idle while it is written, and the disk while it is
brought; pieces that are under way keep both busy.  They are files in the cache, or in the file itself already, so being ahead
takes no memory.
"""

import asyncio
from array import array
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.pipeline.bring_packs import BroughtPacks, PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import chunk_lists
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import TASK_BYTES_MAX, Located, PackFile
from holdfast_daemon.pipeline.seeds import Seeded
from holdfast_daemon.pipeline.straight import IntoFile
from holdfastpb.registry.v1.pack_pb2 import PackReadGrant

PIECES_AHEAD = 3
"""With the one that is used four packs at a time, which is what may be on its way at once."""


class FileInPlace(Protocol):
    """A large file that takes what comes over HTTP at its own offset."""

    async def find_seeds(self, digests: bytes, lengths: Sequence[int], offset: int) -> Seeded | None:
        """Returns which of consecutive chunks from `offset` on are in other files of this host."""

    async def begin(
        self, digests: bytes, lengths: Sequence[int], offset: int, *, from_http: bool, has_seeds: bool
    ) -> None:
        """Makes it ready for consecutive chunks from `offset` on; some of them come over HTTP, or from seeds, or none."""

    async def present(self, located: Located, digests: bytes, offset: int) -> bytearray:
        """Returns for each of consecutive chunks from `offset` on whether the file has it already."""

    def write(self, block: memoryview, offset: int) -> None:
        """Writes a block; is called in threads."""


@dataclass(frozen=True, slots=True)
class BroughtPiece:
    """Consecutive chunks of a file, and the packs that hold them."""

    brought: BroughtPacks
    located: Located
    digests: bytes
    offset: int
    """Of the first chunk in the file."""
    in_place: bytearray
    """For each chunk whether the file has it, so that no pack need be read."""


@dataclass(frozen=True, slots=True)
class _Piece:
    grants: tuple[PackReadGrant, ...]
    located: Located
    digests: bytes
    offset: int
    seeds: tuple[PackFile, ...] = ()


async def brought_pieces(
    packs: PackSource,
    reader: Reader,
    entries: EntryColumns,
    row: int,
    file: FileInPlace | None = None,
    *,
    straight: bool = False,
) -> AsyncGenerator[BroughtPiece, None]:
    """Yields the pieces of a file in order; each is good until the next one is asked for.

    Args:
        packs: has them.
        reader: for whom.
        entries: of a segment.
        row: of the file.
        file: what the file has already, or other files of this host have, is not brought.
        straight: whether what comes over HTTP may go into `file` at once, unchecked.

    Raises:
        HoldfastError: as `PackSource.locate` and `PackSource.bring`; or the file's lists of chunks are not well formed.
    """
    coming: deque[asyncio.Task[BroughtPiece]] = deque()
    try:
        async with aclosing(_located_pieces(packs, reader, entries, row, file)) as located_pieces:
            async for piece in located_pieces:
                coming.append(asyncio.create_task(_bring(packs, reader, piece, file, straight)))
                if len(coming) > PIECES_AHEAD:
                    yield await coming[0]
                    await _let_go(packs, (coming.popleft(),))
        while coming:
            yield await coming[0]
            await _let_go(packs, (coming.popleft(),))
    finally:
        await _let_go(packs, coming)


async def _located_pieces(
    packs: PackSource, reader: Reader, entries: EntryColumns, row: int, file: FileInPlace | None
) -> AsyncGenerator[_Piece, None]:
    offset = 0
    async with aclosing(chunk_lists(packs, reader, entries, row)) as lists:
        async for digests, lengths in lists:
            seeded = None if file is None else await file.find_seeds(digests, lengths, offset)
            grants, located = await _locate(packs, reader, digests, lengths, seeded)
            if file is not None:
                from_http = any(grant.WhichOneof("how") == "http" for grant in grants)
                await file.begin(digests, lengths, offset, from_http=from_http, has_seeds=seeded is not None)
            seeds = seeded.files if seeded else ()
            for first, end in _pieces(located):
                part = located.part(first, end)
                yield _Piece(grants, part, digests[DIGEST_BYTES * first : DIGEST_BYTES * end], offset, seeds)
                offset += sum(part.lengths)


async def _locate(
    packs: PackSource, reader: Reader, digests: bytes, lengths: Sequence[int], seeded: Seeded | None
) -> tuple[tuple[PackReadGrant, ...], Located]:
    """Asks for what is not on this host; the packs, and where all of the chunks are in these and then the seeds."""
    if seeded is None:
        return await packs.locate(reader, digests, lengths)
    absent = seeded.absent()
    wanted = b"".join(digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)] for position in absent)
    grants, located = await packs.locate(reader, wanted, [lengths[position] for position in absent])
    return grants, seeded.join(located, lengths, len(grants))


async def _bring(
    packs: PackSource, reader: Reader, piece: _Piece, file: FileInPlace | None, straight: bool
) -> BroughtPiece:
    located, digests, offset = piece.located, piece.digests, piece.offset
    into = None
    in_place = bytearray(len(located))
    if file is not None:
        in_place = await file.present(located, digests, offset)
        offsets = array("Q", list(accumulate(located.lengths, initial=offset))[:-1])
        into = IntoFile(offsets, in_place, file.write if straight else None)
    brought = await packs.bring(reader, piece.grants, located, into)
    brought.files += piece.seeds
    return BroughtPiece(brought, located, digests, offset, in_place)


async def _let_go(packs: PackSource, tasks: Iterable[asyncio.Task[BroughtPiece]]) -> None:
    """Ends the use of pieces, whether they have come or not."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)
    for task in ending:
        if not task.cancelled() and task.exception() is None:
            await packs.release(task.result().brought)


def _pieces(located: Located) -> Iterator[tuple[int, int]]:
    """Slices of at most `TASK_BYTES_MAX`."""
    first = size_bytes = 0
    for at, length in enumerate(located.lengths):
        if at > first and size_bytes + length > TASK_BYTES_MAX:
            yield first, at
            first, size_bytes = at, 0
        size_bytes += length
    if len(located):
        yield first, len(located)
