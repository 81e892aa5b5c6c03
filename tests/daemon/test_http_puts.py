"""PUTs of packs: a file arrives whole and once, whatever the server does before it has all of it, and none of it after its end."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast_contract.limits import MIB
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.http_transfers import AddressRefusedError, HttpTransfers
from holdfast_registry.certificates import make_certificates
from support.trees import random_bytes

SIZE = 24 * MIB
"""More than the buffers of both sides hold: who sends it all has been read from."""
DATA = random_bytes(SIZE)


@dataclass
class Store:
    """Takes PUTs; what it does with each is said before."""

    plan: list[str] = field(default_factory=list)
    """For each request: "take" (also afterwards), "412", "403", "503" before the body, "cut" in the middle, "silent" to an Expect."""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        self.hung_up.set()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        does = self.plan.pop(0) if self.plan else "take"
        if does.isdigit():
            writer.write(f"HTTP/1.1 {does} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return False
        if does == "cut":
            await reader.readexactly(MIB)
            writer.transport.abort()
            return False
        if "100-continue" in head and does != "silent":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.bodies.append(await reader.readexactly(SIZE))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def served(store: Store, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(store.answer, "127.0.0.1", 0, ssl=tls, limit=SIZE)
    port = server.sockets[0].getsockname()[1]
    yield f"{'https' if tls else 'http'}://localhost:{port}/packs/a%20b?X-Amz-Signature=1"
    server.close()


@pytest.fixture
async def transfers() -> AsyncIterator[HttpTransfers]:
    http = HttpTransfers()
    yield http
    await http.close()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "pack"
    path.write_bytes(DATA)
    return path


async def at_once(_: int) -> None:
    """No limit."""


async def put(transfers: HttpTransfers, url: str, pack: Path) -> None:
    await transfers.put(pack, SIZE, url, {"content-length": str(SIZE), "x-amz-checksum-sha256": "abc="}, at_once)


async def test_file_arrives_as_it_is_with_the_address_and_headers_as_they_were_signed(
    transfers: HttpTransfers, pack: Path
) -> None:
    store = Store()
    async with served(store) as url:
        await put(transfers, url, pack)
        await put(transfers, url, pack)
    assert store.bodies == [DATA] * 2
    assert store.connections == 1, "the second one goes over the first one's connection"
    lines = store.heads[0].splitlines()
    assert lines[0] == "PUT /packs/a%20b?X-Amz-Signature=1 HTTP/1.1"
    assert sorted(line.lower() for line in lines[1:] if line) == [
        f"content-length: {SIZE}",
        f"host: {url.split('/')[2]}",
        "x-amz-checksum-sha256: abc=",
    ]


async def test_server_that_has_the_pack_and_hangs_up_is_understood(transfers: HttpTransfers, pack: Path) -> None:
    # Its answer may be lost with the connection; the next try asks first, and hears it.
    store = Store(["412", "412"])
    async with served(store) as url:
        await put(transfers, url, pack)
    assert store.bodies == []
    assert all("expect" in head.lower() for head in store.heads[1:])


async def test_address_that_is_refused_is_the_callers(transfers: HttpTransfers, pack: Path) -> None:
    async with served(Store(["503", "403"])) as url:
        with pytest.raises(AddressRefusedError):
            await put(transfers, url, pack)


async def test_connection_that_breaks_in_the_middle_is_tried_again(transfers: HttpTransfers, pack: Path) -> None:
    store = Store(["cut", "take"])
    async with served(store) as url:
        await put(transfers, url, pack)
    assert store.bodies == [DATA]
    assert "100-continue" in store.heads[1]


async def test_server_that_does_not_answer_to_a_question_gets_the_file(transfers: HttpTransfers, pack: Path) -> None:
    store = Store(["cut", "silent"])
    async with served(store) as url:
        await put(transfers, url, pack)
    assert store.bodies == [DATA]


async def test_server_that_is_of_no_use_is_given_up(transfers: HttpTransfers, pack: Path) -> None:
    async with served(Store(["501", "501"])) as url:
        with pytest.raises(HoldfastError, match="no use as it is"):
            await put(transfers, url, pack)


async def test_nothing_goes_after_the_end_of_a_put_that_was_given_up(transfers: HttpTransfers, pack: Path) -> None:
    store, asked, never = Store(), asyncio.Event(), asyncio.Event()
    sent = 0

    async def allow(size_bytes: int) -> None:
        nonlocal sent
        if sent >= 2 * MIB:
            asked.set()
            await never.wait()
        sent += size_bytes

    async with served(store) as url:
        putting = asyncio.create_task(transfers.put(pack, SIZE, url, {"content-length": str(SIZE)}, allow))
        await asked.wait()
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        await store.hung_up.wait()
    assert store.bodies == []


async def test_file_arrives_over_tls_by_the_authorities_of_the_environment(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path, ["localhost"], [], 30)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server-key.pem")
    transfers, store = HttpTransfers(), Store(["cut", "412", "take"])
    try:
        async with served(store, context) as url:
            await put(transfers, url, pack)
            assert len(store.heads) == 2, "cut, and told on being asked that it is there"
            await put(transfers, url, pack)
    finally:
        await transfers.close()
    assert store.bodies == [DATA]
