"""Pieces of a large file: the next ones are under way while one is used, and all that was brought is let go of."""

import asyncio
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES
from holdfast_daemon.pipeline.bring_ahead import PIECES_AHEAD, brought_pieces
from holdfast_daemon.pipeline.bring_packs import BroughtPacks, Reader
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import TASK_BYTES_MAX, Located, trusted_entries
from holdfast_daemon.pipeline.straight import IntoFile
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment

CHUNKS_OF_A_PIECE = TASK_BYTES_MAX // CHUNK_BYTES_MAX
PIECES = 8


class Source:
    """Stands for the packs: brings at once what is not `late`, and knows what is in use."""

    def __init__(self, late: Sequence[int] = (), failing: int | None = None) -> None:
        self.late = late
        self.failing = failing
        self.begun = 0
        self.in_use: list[BroughtPacks] = []

    async def locate(self, reader: Reader, digests: bytes, lengths: Sequence[int]) -> tuple[tuple[Any, ...], Located]:
        column = array("I", lengths)
        numbers = array("I", range(len(lengths)))
        return (), Located(array("I", bytes(4 * len(lengths))), numbers, column, column, bytes(len(lengths)))

    async def bring(
        self, reader: Reader, grants: Sequence[Any], located: Located, into: IntoFile | None = None
    ) -> BroughtPacks:
        number = located.offsets[0] // CHUNKS_OF_A_PIECE
        self.begun += 1
        if number == self.failing:
            raise RuntimeError("it cannot be had")
        if number in self.late:
            await asyncio.Event().wait()
        brought = BroughtPacks(())
        self.in_use.append(brought)
        return brought

    async def release(self, brought: BroughtPacks) -> None:
        self.in_use = [other for other in self.in_use if other is not brought]


def one_large_file() -> EntryColumns:
    lengths = [CHUNK_BYTES_MAX] * (CHUNKS_OF_A_PIECE * PIECES)
    segment = ManifestSegment(
        paths=["large"],
        digests=bytes(DIGEST_BYTES),
        sizes=[sum(lengths)],
        chunked_entries=[0],
        chunk_counts=[len(lengths)],
        chunk_lengths=lengths,
        chunk_digests=bytes(DIGEST_BYTES * len(lengths)),
    )
    return trusted_entries(segment.SerializeToString())


def pieces_from(source: Source) -> Any:
    packs: Any = source
    return brought_pieces(packs, Reader("team"), one_large_file(), 0)


async def test_all_pieces_come_in_order_and_only_so_many_are_held() -> None:
    source = Source()
    firsts = []
    async with aclosing(pieces_from(source)) as pieces:
        async for piece in pieces:
            firsts.append(piece.located.offsets[0])
            assert len(piece.digests) == DIGEST_BYTES * len(piece.located)
            assert piece.brought in source.in_use
            assert len(source.in_use) <= PIECES_AHEAD + 1
    assert firsts == list(range(0, CHUNKS_OF_A_PIECE * PIECES, CHUNKS_OF_A_PIECE))
    assert not source.in_use


async def test_the_next_pieces_are_asked_for_before_the_first_is_used() -> None:
    source = Source(late=range(1, PIECES))
    async with aclosing(pieces_from(source)) as pieces:
        await anext(pieces)
        await asyncio.sleep(0)
        assert source.begun == PIECES_AHEAD + 1
    assert not source.in_use


async def test_whoever_stops_early_leaves_nothing_in_use() -> None:
    source = Source(late=[2])
    async with aclosing(pieces_from(source)) as pieces:
        await anext(pieces)
    assert not source.in_use


async def test_a_piece_that_cannot_be_had_ends_it_and_lets_go_of_the_others() -> None:
    source = Source(failing=2)
    async with aclosing(pieces_from(source)) as pieces:
        await anext(pieces)
        await anext(pieces)
        with pytest.raises(RuntimeError, match="cannot be had"):
            await anext(pieces)
    assert not source.in_use
