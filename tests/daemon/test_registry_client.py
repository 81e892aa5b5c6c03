"""The connection to the registry: a call ends, whatever happens to the other side, and is made again where that is harmless."""

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.common.v1.hello_pb2 import HelloRequest, HelloResponse
from holdfastpb.registry.v1.pack_pb2 import ReadPackRequest, ReadPackResponse
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceServicer, add_PackServiceServicer_to_server
from holdfastpb.registry.v1.registry_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server
from support.figures import figure

END_S_MAX = 0.01
"""About as long as a connection and a few downloads take: most ends come while one begins."""
PATIENCE_S = 30.0
READERS = 4


class Registry(RegistryServiceServicer):
    """Cuts the first `cuts` calls off without a word."""

    def __init__(self, cuts: int = 0) -> None:
        self.cuts = cuts
        self.calls = 0

    async def Hello(self, request: HelloRequest, context: Any) -> HelloResponse:
        self.calls += 1
        if self.calls <= self.cuts:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection ends")
        return HelloResponse(protocol=1)


class Packs(PackServiceServicer):
    """Has every pack; all of them are short."""

    def ReadPack(self, request: ReadPackRequest, context: Any) -> Iterator[ReadPackResponse]:
        for _ in range(2):
            yield ReadPackResponse(data=b"x")


async def serve(registry: Registry, address: str) -> grpc.aio.Server:
    server = grpc.aio.server()
    add_RegistryServiceServicer_to_server(registry, server)
    server.add_insecure_port(address)
    await server.start()
    return server


async def test_a_call_that_meets_the_end_of_its_connection_is_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # sockets need a short path
    registry = Registry(cuts=1)
    server = await serve(registry, "unix:r")
    client = RegistryClient("unix:r")
    assert (await client.hello()).protocol == 1
    registry.calls, registry.cuts = 0, 2
    with pytest.raises(HoldfastError) as caught:
        await client.hello()
    assert (caught.value.reason, registry.calls) == (Reason.UNAVAILABLE, 2)
    await client.close()
    await server.stop(None)


async def test_no_download_hangs_that_begins_while_the_registry_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # sockets need a short path
    rng = random.Random(11)
    with ThreadPoolExecutor(READERS) as handlers:
        for number in range(figure(100, 3000)):
            server = grpc.server(handlers)  # in threads of its own: it ends in the middle of what the client does
            add_PackServiceServicer_to_server(Packs(), server)
            server.add_insecure_port(f"unix:{number}")
            server.start()
            end = threading.Timer(rng.uniform(0, END_S_MAX), server.stop, [None])
            client = RegistryClient(f"unix:{number}")
            readers = [asyncio.create_task(read_until_it_fails(client)) for _ in range(READERS)]
            end.start()
            assert set(await asyncio.wait_for(asyncio.gather(*readers), PATIENCE_S)) == {Reason.UNAVAILABLE}
            await client.close()
            end.join()


async def read_until_it_fails(client: RegistryClient) -> Reason:
    """Makes calls without a deadline, one after the other; returns why the last one failed."""
    while True:
        try:
            async for response in client.stream(client.packs.ReadPack, ReadPackRequest()):
                assert response.data == b"x"
        except HoldfastError as error:
            return error.reason
