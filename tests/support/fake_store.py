"""Stands for an S3 server before a fake registry's packs: ranged GETs, counted, that may be damaged or held back."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

BLOCK_BYTES = 64 * 1024


@dataclass
class FakeStore:
    """Serves the files of a folder."""

    folder: Path
    url: str = ""
    sent_bytes: int = 0
    flips_left: int = 0
    """So many answers have one byte changed in their middle."""
    hold_after_bytes: int | None = None
    """When so many bytes were sent in all, connections are held without a word."""
    is_holding: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[asyncio.StreamWriter] = field(default_factory=list)

    def break_connections(self) -> None:
        """Ends those that are held."""
        for writer in self.held:
            writer.transport.abort()
        self.held.clear()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        try:
            await self._answer_one((await reader.readuntil(b"\r\n\r\n")).decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has hung up
        finally:
            writer.close()

    async def _answer_one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        matched = re.search(r"Range: bytes=(\d+)-(\d+)", head)
        assert matched is not None
        first, last = int(matched[1]), int(matched[2])
        body = (self.folder / head.split(" ")[1].strip("/")).read_bytes()
        data = bytearray(body[first : last + 1])
        if self.flips_left:
            self.flips_left -= 1
            data[len(data) // 2] ^= 1
        lines = (
            "HTTP/1.1 206 Partial Content",
            f"Content-Range: bytes {first}-{last}/{len(body)}",
            f"Content-Length: {len(data)}",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode())
        for at in range(0, len(data), BLOCK_BYTES):
            if self.hold_after_bytes is not None and self.sent_bytes >= self.hold_after_bytes:
                self.held.append(writer)
                self.is_holding.set()
                await reader.read()
                raise ConnectionResetError
            block = data[at : at + BLOCK_BYTES]
            self.sent_bytes += len(block)
            writer.write(block)
            await writer.drain()


@asynccontextmanager
async def served_packs(folder: Path) -> AsyncIterator[FakeStore]:
    """A store on a port of this machine."""
    store = FakeStore(folder)
    server = await asyncio.start_server(store.answer, "127.0.0.1", 0)
    async with server:
        store.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield store
