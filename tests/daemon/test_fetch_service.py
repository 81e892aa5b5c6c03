"""FetchService as a caller sees it: over a socket, behind the guard, with errors by reason."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from holdfast_contract.limits import MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.registry_client import ERROR_KEY
from holdfast_daemon.rpc.fetch_service import FetchService
from holdfast_daemon.rpc.guard import Guard
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.fetch_pb2 import DownloadRequest, ReadEntriesRequest, ReadEntryRequest, VerifyRequest
from holdfastpb.daemon.v1.fetch_pb2_grpc import FetchServiceStub, add_FetchServiceServicer_to_server
from support.fetching import Reading, reading, tree_of

TOKEN = (("authorization", "Bearer token"),)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


@asynccontextmanager
async def service(tmp_path: Path, workers: Workers) -> AsyncIterator[tuple[Any, Reading]]:
    async with reading(tmp_path, workers) as side:
        server = grpc.aio.server(interceptors=[Guard("token")], options=(("grpc.so_reuseport", 0),))
        add_FetchServiceServicer_to_server(FetchService(side.fetch, side.verify, side.read_entry), server)
        with tempfile.TemporaryDirectory(prefix="hf-") as folder:
            server.add_insecure_port(f"unix:{folder}/d.sock")
            await server.start()
            async with grpc.aio.insecure_channel(f"unix:{folder}/d.sock") as channel:
                yield FetchServiceStub(channel), side
            await server.stop(None)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    trailers = dict(error.trailing_metadata() or ())
    return ErrorDetail.FromString(bytes(trailers[ERROR_KEY])).reason


async def test_download_verify_and_read_over_the_wire(tmp_path: Path, workers: Workers) -> None:
    tree = {"a/b": b"1", "large": os.urandom(9 * MIB)}
    root = os.fsencode(tmp_path / "out")
    async with service(tmp_path, workers) as (stub, side):
        version = side.registry.add_version(tree, {"s3": ("s3://b/k", "etag", 7)})
        request = DownloadRequest(version_id=version, root=root)
        messages = [message async for message in stub.Download(request, metadata=TOKEN)]
        assert [message.done for message in messages] == [False] * (len(messages) - 1) + [True]
        assert list(messages[-1].unresolved_references) == ["s3"]
        assert tree_of(tmp_path / "out") == tree
        found = [m async for m in stub.Verify(VerifyRequest(version_id=version, root=root), metadata=TOKEN)][-1]
        assert (found.done, found.entries_done, found.references_skipped) == (True, 3, 1)
        read = ReadEntryRequest(version_id=version, path="large", offset=5, length=3 * MIB)
        parts = [message.data async for message in stub.ReadEntry(read, metadata=TOKEN)]
        assert b"".join(parts) == tree["large"][5 : 5 + 3 * MIB]
        assert max(map(len, parts)) <= MIB
        many = ReadEntriesRequest(version_id=version, paths=["large", "a/b"])
        entries = [one async for message in stub.ReadEntries(many, metadata=TOKEN) for one in message.entries]
        assert [(one.number, one.data) for one in entries] == [(1, b"1")]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(stub.ReadEntries(ReadEntriesRequest(paths=["f"] * 1001), metadata=TOKEN)))
        assert reason_of(caught.value) == Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"version_id": "0" * 32}, Reason.NOT_FOUND),
        ({"root": b"relative"}, Reason.INVALID_ARGUMENT),
        ({"root": b"/nul\0"}, Reason.INVALID_ARGUMENT),
        ({"paths": [f"p{i}" for i in range(1001)]}, Reason.TOO_LARGE),
        ({"paths": ["absent"]}, Reason.NOT_FOUND),
    ],
)
async def test_bad_requests_are_answered_by_reason(
    tmp_path: Path, workers: Workers, request_fields: dict[str, Any], reason: Reason
) -> None:
    async with service(tmp_path, workers) as (stub, side):
        version = side.registry.add_version({"f": b"1"})
        fields = {"version_id": version, "root": os.fsencode(tmp_path / "out"), **request_fields}
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.Download(DownloadRequest(**fields), metadata=TOKEN):
                pass
        assert reason_of(caught.value) == reason


async def test_cancelled_call_stops_its_download(tmp_path: Path, workers: Workers) -> None:
    async with service(tmp_path, workers) as (stub, side):
        gate = asyncio.Event()
        entered, ended = asyncio.Event(), asyncio.Event()
        segments = side.fetch.manifests.segments

        async def slow_segments(*args: Any) -> AsyncIterator[Any]:
            entered.set()
            try:
                await gate.wait()
            finally:
                ended.set()
            async for segment in segments(*args):
                yield segment

        side.fetch.manifests.segments = slow_segments  # type: ignore[method-assign, assignment]
        version = side.registry.add_version({"f": b"1"})
        call = stub.Download(DownloadRequest(version_id=version, root=os.fsencode(tmp_path / "out")), metadata=TOKEN)
        await entered.wait()
        assert side.fetch.live_tokens
        call.cancel()
        await ended.wait()
        assert tree_of(tmp_path / "out") == {}
