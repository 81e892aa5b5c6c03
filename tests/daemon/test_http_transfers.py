"""Ranges of packs over HTTP: they arrive whole and once, also when connections break in the middle."""

import asyncio
import errno
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from holdfast_contract.limits import MIB
from holdfast_daemon.pipeline.http_gets import SILENCE_MAX_S
from holdfast_daemon.pipeline.http_transfers import PIECE_BYTES, HttpTransfers
from holdfast_daemon.pipeline.pacing import Share
from support.trees import random_bytes

NOBODY = Share("test", 1)


@dataclass
class Store:
    """Answers GETs of one object; the first answers are cut off after so many bytes."""

    body: bytes
    cuts: list[int] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    """(first byte, last byte) of each request."""
    targets: list[str] = field(default_factory=list)
    keeps: bool = False
    """Says that it keeps connections, and ends them all the same."""
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once an answer has gone as far as it goes."""
    silent_after: int | None = None
    """Sends no more than that, and holds the connection."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the client has hung up, which is waited for after a silence."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, and ends it: the client must not mind."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.targets.append(head.split(" ")[1])
        matched = re.search(r"Range: bytes=(\d+)-(\d+)", head)
        assert matched is not None
        first, last = int(matched[1]), int(matched[2])
        self.asked.append((first, last))
        data = self.body[first : last + 1]
        writer.write(
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(self.body)}\r\n"
            f"Content-Length: {len(data)}\r\nConnection: {'keep-alive' if self.keeps else 'close'}\r\n\r\n".encode()
        )
        writer.write(data[: self.cuts.pop(0)] if self.cuts else data[: self.silent_after])
        await writer.drain()
        self.sent.set()
        if self.silent_after is not None:
            await reader.read()
            self.ended.set()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def served(store: Store) -> AsyncIterator[str]:
    server = await asyncio.start_server(store.answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/pack"


@pytest.fixture
async def transfers() -> AsyncIterator[HttpTransfers]:
    http = HttpTransfers()
    yield http
    await http.close()


class Written:
    """What was handed on, by offset."""

    def __init__(self, size_bytes: int) -> None:
        self.bytes = bytearray(size_bytes)
        self.count = 0

    def write(self, block: memoryview, offset: int) -> None:
        self.bytes[offset : offset + len(block)] = block
        self.count += len(block)


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


async def test_connections_that_the_server_ended_while_they_were_idle_cost_no_attempt(transfers: HttpTransfers) -> None:
    store = Store(random_bytes(MIB), keeps=True)
    written = Written(MIB)
    async with served(store) as url:
        for first in range(0, MIB, MIB // 4):
            await transfers.get(url, {}, [(first, MIB // 4)], written.write, NOBODY)
    assert written.bytes == store.body
    assert len(store.asked) == 4


async def test_a_transfer_that_is_given_up_hangs_up_and_hands_nothing_on_any_more(transfers: HttpTransfers) -> None:
    store = Store(random_bytes(3 * MIB), silent_after=2 * MIB)
    written = Written(3 * MIB)
    async with served(store) as url:
        getting = asyncio.create_task(transfers.get(url, {}, [(0, 3 * MIB)], written.write, NOBODY))
        await store.sent.wait()
        getting.cancel()
        await asyncio.wait({getting}, timeout=SILENCE_MAX_S / 2)
        assert getting.cancelled()
        count = written.count
        await store.ended.wait()
    assert count <= 2 * MIB
    assert written.count == count


async def test_what_cannot_be_written_ends_the_transfer_as_itself(transfers: HttpTransfers) -> None:
    def write(block: memoryview, offset: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    store = Store(random_bytes(MIB))
    async with served(store) as url:
        with pytest.raises(OSError, match="no space left"):
            await transfers.get(url, {}, [(0, MIB)], write, NOBODY)
    assert len(store.asked) == 1


async def test_ranges_come_by_way_of_the_proxy_of_the_environment(
    transfers: HttpTransfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(random_bytes(MIB))
    written = Written(MIB)
    async with served(store) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        await transfers.get("http://store.invalid/pack?signed=1", {}, [(0, MIB)], written.write, NOBODY)
    assert written.bytes == store.body
    assert store.targets == ["http://store.invalid/pack?signed=1"]
