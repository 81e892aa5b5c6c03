"""Calls to the registry end, whatever happens to it, and are made again where that is harmless."""

import asyncio
import random
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.common.v1.hello_pb2 import HelloRequest, HelloResponse
from holdfastpb.registry.v1.registry_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server
from support.figures import figure

END_S_MAX = 0.01
"""About as long as a connection and a few calls take: most ends come while a call begins."""
PATIENCE_S = 30.0
CALLERS = 4


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


async def test_no_call_hangs_that_begins_while_the_registry_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # sockets need a short path
    rng = random.Random(11)
    for number in range(figure(100, 3000)):
        server = await serve(Registry(), f"unix:{number}")
        client = RegistryClient(f"unix:{number}")
        callers = [asyncio.create_task(call_until_it_fails(client)) for _ in range(CALLERS)]
        await asyncio.sleep(rng.uniform(0, END_S_MAX))
        await server.stop(None)
        assert set(await asyncio.wait_for(asyncio.gather(*callers), PATIENCE_S)) == {Reason.UNAVAILABLE}
        await client.close()


async def call_until_it_fails(client: RegistryClient) -> Reason:
    while True:
        try:
            await client.hello(deadline_s=PATIENCE_S)
        except HoldfastError as error:
            return error.reason
