"""P15 on two replicas: clocks that jump apart by days lose nothing that was committed; those of machines count for nothing."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import grpc.aio
import pytest

from holdfast_registry.blobstore.open_store import open_for_reading
from holdfast_registry.clock import SystemClock
from holdfast_registry.fsck import check_store
from holdfast_registry.fsck_report import FsckReport
from holdfast_registry.settings import RegistrySettings
from holdfastpb.registry.v1 import version_pb2
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceStub
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceStub
from races.test_lease_clock import Writer
from support.figures import figure
from support.one_registry import FakeClock, MachineClock, registry_in_process
from support.postgres import Postgres
from support.registry_writer import Content

COMMITS = figure(12, 2000)
COMMITS_OF_WRONG_CLOCKS = figure(4, 500)
DAYS_APART_S = 20 * 86_400
FILES = 6
MAINTENANCE_S = 0.05
"""Of both, in one process: several rounds beside each commit, and time left for the commits."""


def shared_settings(folder: Path, postgres: Postgres) -> RegistrySettings:
    """Of both replicas."""
    return RegistrySettings(
        database_url=postgres.new_database(),
        store_dir=str(folder / "store"),
        gc_interval_s=0.5,
        gc_grace_s=0,
        gc_pause_s=0,
        maintenance_interval_s=MAINTENANCE_S,
    )


async def test_clocks_that_jump_apart_lose_no_commit(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = shared_settings(tmp_path, postgres)
    writers: list[Writer] = []
    async with AsyncExitStack() as stack:
        runtime_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-")))
        for name in ("a", "b"):
            clock, socket = FakeClock(), runtime_dir / f"{name}.sock"
            serving = registry_in_process(tmp_path / name, socket, clock, monkeypatch, settings)
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(await stack.enter_async_context(serving))
            )
            writers.append(Writer(VersionServiceStub(channel), PackServiceStub(channel), Random(name), clock))
        numbers = []
        for number in range(COMMITS):
            # Most chunks come again, at the other replica, by the clock of another day.
            content = Content.of({f"f{n}": f"{number // FILES} {n}".encode() for n in range(number % FILES + 1)})
            version = await writers[number % 2].commit(content)
            numbers.append(version.version_index)
            found = await writers[1 - number % 2].versions.GetVersion(
                version_pb2.GetVersionRequest(version_id=version.version_id)
            )
            assert found.version.digest == content.digest
    assert numbers == list(range(COMMITS))
    assert sum(writer.expired for writer in writers) > 0, "no jump has ended a lease, so nothing was shown"
    report = await asyncio.to_thread(check, settings, tmp_path / "a")
    assert report.is_clean, report.findings


async def test_replicas_agree_on_the_time_however_their_machines_clocks_are_set(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = shared_settings(tmp_path, postgres)
    async with AsyncExitStack() as stack:
        runtime_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-")))
        channels, clocks = [], [MachineClock(-DAYS_APART_S), MachineClock(DAYS_APART_S)]
        for number, clock in enumerate(clocks):
            serving = registry_in_process(
                tmp_path / str(number), runtime_dir / f"{number}.sock", clock, monkeypatch, settings
            )
            address = await stack.enter_async_context(serving)
            channels.append(await stack.enter_async_context(grpc.aio.insecure_channel(address)))
        # Each lease is begun and used up at the one replica, and its chunks are brought at the other.
        begins, brings = VersionServiceStub(channels[0]), PackServiceStub(channels[1])
        writer = Writer(begins, brings, Random(1), clocks[1])
        began_ms = SystemClock().now_ms()
        versions = [
            await writer.commit_once(Content.of({"f": f"{number}".encode()}))
            for number in range(COMMITS_OF_WRONG_CLOCKS)
        ]
        ended_ms = SystemClock().now_ms()
    for version in versions:
        # The server's clock is read beside this one, over a connection.
        assert began_ms - 1000 <= version.created_at_ms <= ended_ms + 1000


def check(settings: RegistrySettings, data_dir: Path) -> FsckReport:
    store = open_for_reading(settings, data_dir, SystemClock())
    try:
        return check_store(data_dir, store, deep=True, database_url=settings.database_url)
    finally:
        store.close()
