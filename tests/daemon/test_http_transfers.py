"""Ranges of packs over HTTP: they arrive whole and once, also when connections break in the middle."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from holdfast_contract.limits import MIB
from holdfast_daemon.pipeline.http_transfers import PIECE_BYTES, HttpTransfers
from holdfast_daemon.pipeline.pacing import Share
from holdfast_daemon.workers import Workers
from support.trees import random_bytes

NOBODY = Share("test", 1)


@dataclass
class Store:
    """Answers GETs of one object; the first answers are cut off after so many bytes."""

    body: bytes
    cuts: list[int] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    """(first byte, last byte) of each request."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, and ends it: the client must not mind."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        matched = re.search(r"Range: bytes=(\d+)-(\d+)", head)
        assert matched is not None
        first, last = int(matched[1]), int(matched[2])
        self.asked.append((first, last))
        data = self.body[first : last + 1]
        writer.write(
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(self.body)}\r\n"
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()
        )
        writer.write(data[: self.cuts.pop(0)] if self.cuts else data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def served(store: Store) -> AsyncIterator[str]:
    server = await asyncio.start_server(store.answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/pack"


@pytest.fixture
async def transfers() -> AsyncIterator[HttpTransfers]:
    workers = Workers(processes=1)
    http = HttpTransfers(workers)
    yield http
    await http.close()
    workers.close()


class Written:
    """What was handed on, by offset."""

    def __init__(self, size_bytes: int) -> None:
        self.bytes = bytearray(size_bytes)
        self.count = 0

    def write(self, blocks: "list[bytes] | tuple[bytes, ...]", offset: int) -> None:
        data = b"".join(blocks)
        self.bytes[offset : offset + len(data)] = data
        self.count += len(data)


async def test_ranges_arrive_at_their_offsets_and_nothing_between_them(transfers: HttpTransfers) -> None:
    store = Store(random_bytes(3 * MIB))
    written = Written(3 * MIB)
    ranges = [(10, 100_000), (MIB, 2 * MIB)]
    async with served(store) as url:
        await transfers.get(url, {}, ranges, written.write, NOBODY)
    assert written.count == sum(length for _, length in ranges)
    for offset, length in ranges:
        assert written.bytes[offset : offset + length] == store.body[offset : offset + length]


async def test_of_a_range_that_broke_off_only_the_rest_is_asked_for(transfers: HttpTransfers) -> None:
    store = Store(random_bytes(PIECE_BYTES), cuts=[3 * MIB, 0])
    written = Written(PIECE_BYTES)
    async with served(store) as url:
        await transfers.get(url, {}, [(0, PIECE_BYTES)], written.write, NOBODY)
    assert written.bytes == store.body
    assert written.count == PIECE_BYTES, "each byte was handed on once"
    assert len(store.asked) == 3
    (first, _), (second, _), (third, last) = store.asked
    assert first == 0
    assert 2 * MIB <= second == third <= 3 * MIB
    assert last == PIECE_BYTES - 1
