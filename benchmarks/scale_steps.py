"""A large registry: ten million chunks and 100,000 versions, or a part of that; what its calls and a GC cycle take, with memory."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.copy_registry import copy_registry
from benchmarks.fill_registry import FILES, VERSIONS_OF_A_COLLECTION, Made, enter_versions, fill_store
from benchmarks.host import BenchmarkError, own_environment
from benchmarks.registry_steps import Writer, channel_to, database_settings
from benchmarks.results import Row, Target, Unit
from benchmarks.servers import RunningRegistry, postgres, running_registry
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX
from holdfast_registry.bench.client import Client
from holdfast_registry.bench.content import new_content
from holdfast_registry.bench.timings import Timings
from holdfast_registry.server import open_database
from holdfast_registry.settings import RegistrySettings

VERSIONS = 100_000
CALLS = 100
"""Of each kind, by one client: what a call takes when it waits for no other."""
FIND_MISSING_CALLS = 5
FIND_MISSING_MAX_S = 0.5
SHARED_BUFFERS = "1GB"
"""As much of the index as PostgreSQL would have in memory on a machine of its own."""
NO_CYCLES = {"HOLDFAST_REGISTRY_GC_INTERVAL_S": "0"}
"""Garbage is collected when that is measured, not beside the calls."""
MEMORY_POLL_S = 0.2

Say = Callable[[str], None]


def measure_scale(folder: Path, scale: float, say: Say) -> list[Row]:
    """Makes the registry on SQLite, copies it to PostgreSQL, and measures both.

    Args:
        folder: must not exist.
        scale: 1 is everything; 0.01 takes a minute.
        say: told how far it is.
    """
    folder.mkdir()
    versions = max(VERSIONS_OF_A_COLLECTION, int(VERSIONS * scale))
    on_sqlite, on_postgres = folder / "sqlite" / "data", folder / "postgresql-data"
    with running_registry(folder / "sqlite", NO_CYCLES) as registry:
        filled = asyncio.run(fill_store(registry, versions, say))
        token = registry.token_file.read_bytes()
    asyncio.run(_enter(on_sqlite, filled.made))
    with postgres(shared_buffers=SHARED_BUFFERS) as server:
        url = server.new_database()
        asyncio.run(copy_registry(on_sqlite, url, on_postgres, say))
        rows: list[Row] = []
        for database, data_dir, settings in (
            ("SQLite", on_sqlite, NO_CYCLES),
            ("PostgreSQL", on_postgres, {**NO_CYCLES, **database_settings(url)}),
        ):
            title = f"{versions:,} versions, {database}"
            say(f"scale: {title}: measuring")
            with running_registry(folder / database, settings, token, data_dir=data_dir) as registry:
                rows += asyncio.run(_calls(registry, title, versions // VERSIONS_OF_A_COLLECTION, filled.some_digests))
                rows.append(Row(title, "memory: registry after these", Unit.BYTES, [registry.memory_bytes()]))
            say(f"scale: {title}: collecting garbage")
            rows += _collect(data_dir, settings, title)
    return rows


async def _enter(data_dir: Path, made: list[Made]) -> None:
    database = await open_database(RegistrySettings(), data_dir)
    try:
        await enter_versions(database, made, int(time.time() * 1000))
    finally:
        await database.aclose()


async def _calls(registry: RunningRegistry, title: str, collections: int, stored: list[bytes]) -> list[Row]:
    timings = Timings()
    chance = random.Random(1)
    async with channel_to(registry) as channel:
        token = registry.token_file.read_text().strip()
        client = Client(channel, token, ("bench", "filled"), timings, chance)
        for number in range(CALLS):
            name = f"collection-{chance.randrange(collections)}"
            await client.log(name, new_content(random.Random(-1 - number), files=10, file_bytes=256))
            await client.resolve(name)
            await client.list(name)
        writer = Writer(channel, registry)
        absent_s = await _find_missing(writer, [os.urandom(32) for _ in range(FIND_MISSING_DIGESTS_MAX)])
        stored_s = await _find_missing(writer, stored)
    found = {one.what: one for one in timings.summaries(over_s=1.0)}
    target = Target(FIND_MISSING_MAX_S)
    rows = [
        Row(title, f"find-missing, {FIND_MISSING_DIGESTS_MAX:,} absent", Unit.SECONDS, absent_s, target=target),
        Row(title, f"find-missing, {len(stored):,} stored", Unit.SECONDS, stored_s, target=target),
    ]
    for what in ("commit", "resolve", "list"):
        rows.append(Row(title, f"{what}, p50", Unit.SECONDS, [found[what].p50_ms / 1000]))
        rows.append(Row(title, f"… p99 of {CALLS}", Unit.SECONDS, [found[what].p99_ms / 1000]))
    return rows


async def _find_missing(writer: Writer, digests: list[bytes]) -> list[float]:
    lease_id = await writer.begin("asking")
    samples = []
    for _ in range(FIND_MISSING_CALLS):
        random.shuffle(digests)
        started_s = time.perf_counter()
        await writer.find_missing(lease_id, b"".join(digests))
        samples.append(time.perf_counter() - started_s)
    return samples


def _collect(data_dir: Path, settings: dict[str, str], title: str) -> list[Row]:
    command = [sys.executable, "-P", "-m", "holdfast_registry", "gc", f"--data-dir={data_dir}"]
    started_s = time.perf_counter()
    collecting = psutil.Popen(command, env={**own_environment(), **settings}, stdout=subprocess.DEVNULL)
    peak_bytes = 0
    while True:
        try:
            code = collecting.wait(MEMORY_POLL_S)
            break
        except psutil.TimeoutExpired:
            peak_bytes = max(peak_bytes, int(collecting.memory_info().rss))
    if code:
        raise BenchmarkError(f"the collection of garbage ended with {code}")
    took_s = time.perf_counter() - started_s
    return [
        Row(title, f"GC cycle, {FILES} chunks a version", Unit.SECONDS, [took_s]),
        Row(title, "memory: GC cycle, peak", Unit.BYTES, [peak_bytes]),
    ]
