"""A registry that must not be used gets no calls, and everybody is told why."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from holdfast_contract.reasons import Reason
from holdfast_daemon.configured_registry import ConfiguredRegistry, mismatch
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.rpc.control_service import own_chunking
from holdfastpb.common.v1.hello_pb2 import HelloRequest, HelloResponse
from holdfastpb.registry.v1.registry_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server
from holdfastpb.registry.v1.version_pb2 import GetVersionRequest


def hello(protocol: int = 1, chunk_bytes_avg: int | None = None) -> HelloResponse:
    chunking = own_chunking()
    chunking.chunk_bytes_avg = chunk_bytes_avg or chunking.chunk_bytes_avg
    return HelloResponse(
        protocol=protocol, protocol_min=protocol, protocol_max=protocol, software_version="9.9", chunking=chunking
    )


def test_a_registry_like_us_is_used() -> None:
    assert mismatch(hello(), "r") is None


@pytest.mark.parametrize(
    ("answer", "word"), [(hello(protocol=99), "protocols 99"), (hello(chunk_bytes_avg=1 << 20), "cut in another way")]
)
def test_another_protocol_or_another_cut_is_named(answer: HelloResponse, word: str) -> None:
    problem = mismatch(answer, "r")
    assert problem is not None
    assert (problem.reason, problem.may_pass) == (Reason.PROTOCOL_MISMATCH, True)
    assert word in problem.message
    assert "9.9" in problem.message


class OtherRegistry(RegistryServiceServicer):
    answer = hello(protocol=99)

    async def Hello(self, request: HelloRequest, context: Any) -> HelloResponse:
        return self.answer


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_RegistryServiceServicer_to_server(OtherRegistry(), server)
    server.add_insecure_port(f"unix:{tmp_path}/r")
    await server.start()
    yield f"unix:{tmp_path}/r"
    await server.stop(None)


async def test_calls_fail_with_the_reason_until_the_registry_is_mended(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast_daemon.configured_registry.CHECK_AGAIN_S", 0.01)
    client = RegistryClient(address)
    registry = ConfiguredRegistry(client)
    watching = asyncio.create_task(registry.watch())
    try:
        with pytest.raises(HoldfastError) as told:
            await client.call(client.versions.GetVersion, GetVersionRequest())
        assert told.value.reason is Reason.PROTOCOL_MISMATCH
        assert registry.problem == told.value.message
        OtherRegistry.answer = hello()
        while registry.problem:  # noqa: ASYNC110  what is tested polls, too, and tells nobody
            await asyncio.sleep(0)
        with pytest.raises(HoldfastError) as told:
            await client.call(client.versions.GetVersion, GetVersionRequest())
        assert told.value.reason is not Reason.PROTOCOL_MISMATCH  # it was asked, and has no such service
    finally:
        watching.cancel()
        await client.close()
