"""Brings the chunks of a large file in pieces, the next ones while this one is used.

A file that is brought, checked and written one after the other leaves the line idle while it is written, and the disk while it is
brought; pieces that are under way keep both busy.  They are files in the cache, so being ahead takes no memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.pipeline.bring_packs import BroughtPacks, PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import chunk_lists
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import TASK_BYTES_MAX, Located
from holdfastpb.registry.v1.pack_pb2 import PackReadGrant

PIECES_AHEAD = 3
"""With the one that is used four packs at a time, which is what may be on its way at once."""


@dataclass(frozen=True, slots=True)
class BroughtPiece:
    """Consecutive chunks of a file, and the packs that hold them."""

    brought: BroughtPacks
    located: Located
    digests: bytes


async def brought_pieces(
    packs: PackSource, reader: Reader, entries: EntryColumns, row: int
) -> AsyncGenerator[BroughtPiece, None]:
    """Yields the pieces of a file in order; each is good until the next one is asked for.

    Raises:
        HoldfastError: as `PackSource.locate` and `PackSource.bring`; or the file's lists of chunks are not well formed.
    """
    coming: deque[asyncio.Task[BroughtPiece]] = deque()
    try:
        async with aclosing(_located_pieces(packs, reader, entries, row)) as located_pieces:
            async for grants, located, digests in located_pieces:
                coming.append(asyncio.create_task(_bring(packs, reader, grants, located, digests)))
                if len(coming) > PIECES_AHEAD:
                    yield await coming[0]
                    await _let_go(packs, (coming.popleft(),))
        while coming:
            yield await coming[0]
            await _let_go(packs, (coming.popleft(),))
    finally:
        await _let_go(packs, coming)


async def _located_pieces(
    packs: PackSource, reader: Reader, entries: EntryColumns, row: int
) -> AsyncGenerator[tuple[tuple[PackReadGrant, ...], Located, bytes], None]:
    async with aclosing(chunk_lists(packs, reader, entries, row)) as lists:
        async for digests, lengths in lists:
            grants, located = await packs.locate(reader, digests, lengths)
            for first, end in _pieces(located):
                yield grants, located.part(first, end), digests[DIGEST_BYTES * first : DIGEST_BYTES * end]


async def _bring(
    packs: PackSource, reader: Reader, grants: tuple[PackReadGrant, ...], located: Located, digests: bytes
) -> BroughtPiece:
    return BroughtPiece(await packs.bring(reader, grants, located), located, digests)


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
