"""What a registry takes: find-missing of many digests, commits and lookups a second, one and two replicas."""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc

from benchmarks.results import Row, Target, Unit
from benchmarks.servers import RunningRegistry, postgres, running_registry
from holdfast_contract.digest import digest_of
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX, MESSAGE_BYTES_MAX
from holdfast_contract.pack import Codec, build_pack
from holdfast_registry.bench.load import Load, drive
from holdfast_registry.bench.load import Target as Replica
from holdfastpb.registry.v1 import pack_pb2, pack_pb2_grpc, version_pb2, version_pb2_grpc

DIGESTS = 100_000
"""Asked for in as few calls as a call may have; half of them are stored."""
FIND_MISSING_TARGET = Target(0.5)
CLIENTS = 32
SECONDS = 10.0
CHUNK_BYTES = 32

Say = Callable[[str], None]


def measure_find_missing(folder: Path, repeat: int, say: Say) -> list[Row]:
    """Asks for 100,000 digests, on both databases."""
    rows = []
    folder.mkdir()
    with postgres() as server:
        for database, settings in (("SQLite", {}), ("PostgreSQL", database_settings(server.new_database()))):
            with running_registry(folder / database, settings) as registry:
                samples = asyncio.run(_find_missing(registry, repeat))
            say(f"find_missing: {database}: {statistics.median(samples):.2f} s")
            title = f"{DIGESTS:,} digests on {database}"
            rows.append(Row("find-missing", title, Unit.SECONDS, samples, target=FIND_MISSING_TARGET))
    return rows


async def _find_missing(registry: RunningRegistry, repeat: int) -> list[float]:
    chunks = [random.Random(number).randbytes(CHUNK_BYTES) for number in range(DIGESTS)]
    digests = [digest_of(chunk) for chunk in chunks]
    async with channel_to(registry) as channel:
        writer = Writer(channel, registry)
        lease_id = await writer.begin("filled")
        for first in range(0, DIGESTS // 2, FIND_MISSING_DIGESTS_MAX):
            await writer.bring(lease_id, chunks[first : min(first + FIND_MISSING_DIGESTS_MAX, DIGESTS // 2)])
        samples = []
        for _ in range(repeat + 1):
            started_s = time.perf_counter()
            for first in range(0, DIGESTS, FIND_MISSING_DIGESTS_MAX):
                await writer.find_missing(lease_id, b"".join(digests[first : first + FIND_MISSING_DIGESTS_MAX]))
            samples.append(time.perf_counter() - started_s)
        return samples[1:]  # the first has warmed caches up


def measure_registry(folder: Path, repeat: int, say: Say) -> list[Row]:
    """Commits of versions of ten files, and resolves: one kind at a time, on SQLite, and on PostgreSQL with one and two replicas."""
    rows = []
    folder.mkdir()
    with postgres() as server:
        for title, count in (("SQLite", 1), ("PostgreSQL", 1), ("PostgreSQL, 2 replicas", 2)):
            url = server.new_database() if title != "SQLite" else None
            with _replicas(folder / title.replace(", ", "-"), url, count) as replicas:
                targets = [Replica(one.address, one.token_file.read_text().strip()) for one in replicas]
                for action, what in (("log", "commit"), ("resolve", "resolve")):
                    load = Load("bench", f"bench-{action}", CLIENTS, SECONDS, {action: 1}, 16, files=10, file_bytes=256)
                    outcomes = [asyncio.run(drive(targets, load, seed)) for seed in range(repeat)]
                    found = [one for outcome in outcomes for one in outcome.summaries if one.what == what]
                    rows.append(
                        Row(title, f"{what}s of {CLIENTS} clients", Unit.PER_SECOND, [one.per_s for one in found])
                    )
                    rows.append(Row(title, f"… {what}, p99", Unit.SECONDS, [one.p99_ms / 1000 for one in found]))
                    say(f"registry: {title}: {what}: {statistics.median(one.per_s for one in found):.0f} / s")
    return rows


@contextmanager
def _replicas(folder: Path, url: str | None, count: int) -> Iterator[list[RunningRegistry]]:
    settings = {} if url is None else {**database_settings(url), "HOLDFAST_REGISTRY_STORE_DIR": str(folder / "packs")}
    with ExitStack() as stack:
        replicas: list[RunningRegistry] = []
        for number in range(count):
            token = replicas[0].token_file.read_bytes() if replicas else None
            replicas.append(stack.enter_context(running_registry(folder / str(number), settings, token)))
        yield replicas


def database_settings(url: str) -> dict[str, str]:
    """Settings of a registry on PostgreSQL."""
    return {"HOLDFAST_REGISTRY_DATABASE_URL": url}


def channel_to(registry: RunningRegistry) -> grpc.aio.Channel:
    """A channel to a registry."""
    options = [
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ]
    return grpc.aio.insecure_channel(registry.address, options=options)


class Writer:
    """Brings chunks that no version names."""

    def __init__(self, channel: grpc.aio.Channel, registry: RunningRegistry) -> None:
        self._versions = version_pb2_grpc.VersionServiceStub(channel)
        self._packs = pack_pb2_grpc.PackServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {registry.token_file.read_text().strip()}"),)

    async def begin(self, collection: str) -> str:
        """Opens a lease."""
        request = version_pb2.BeginVersionRequest(
            request_id=os.urandom(16).hex(), entity="bench", project="filled", collection=collection, type="dataset"
        )
        return str((await self._versions.BeginVersion(request, metadata=self._metadata)).lease.lease_id)

    async def bring(self, lease_id: str, chunks: list[bytes]) -> bytes:
        """Brings one pack; returns its id."""
        pack_id = os.urandom(16)
        pack = build_pack(pack_id, [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in chunks])
        intent = pack_pb2.PackIntent(pack_id=pack_id, size_bytes=len(pack), chunk_count=len(chunks))
        grants = pack_pb2.GrantPacksRequest(lease_id=lease_id, packs=[intent])
        await self._packs.GrantPacks(grants, metadata=self._metadata)
        await self._packs.WritePack(iter(_messages(lease_id, pack_id, pack)), metadata=self._metadata)
        seal = pack_pb2.SealPackRequest(lease_id=lease_id, pack_id=pack_id, size_bytes=len(pack))
        await self._packs.SealPack(seal, metadata=self._metadata)
        return pack_id

    async def find_missing(self, lease_id: str, digests: bytes) -> None:
        """Asks which digests are stored."""
        request = pack_pb2.FindMissingRequest(lease_id=lease_id, digests=digests)
        await self._packs.FindMissing(request, metadata=self._metadata)


def _messages(lease_id: str, pack_id: bytes, pack: bytes) -> list[pack_pb2.WritePackRequest]:
    piece = 1 << 20
    return [
        pack_pb2.WritePackRequest(
            lease_id=lease_id, pack_id=pack_id, offset=at, data=pack[at : at + piece], finish=at + piece >= len(pack)
        )
        for at in range(0, len(pack), piece)
    ]
