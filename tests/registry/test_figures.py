"""What metrics say of a database and of an S3 server is what happened there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_registry.blobstore.s3 import S3Store
from holdfast_registry.blobstore.s3_place import S3Place
from holdfast_registry.clock import SystemClock
from holdfast_registry.database.figures import FiguresRepository
from holdfast_registry.database.postgresql import open_database
from holdfast_registry.database.quotas import QuotaRepository
from holdfast_registry.domain.access import Scope
from holdfast_registry.domain.quotas import QuotaChange
from holdfast_registry.domain.records import PackState, VersionState
from registry.client import Client, content_of
from registry.processes import RegistryProcess
from support.postgres import Postgres
from support.s3_requests import REGION
from support.seaweedfs import SeaweedFS


async def test_figures_of_postgresql_are_true(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    with RegistryProcess(tmp_path, database_url=url) as registry, Client(registry.target) as client:
        client.log("a", content_of({"x": b"0123456789"}))
        client.log("b", content_of({"x": b"0123456789", "y": b"more"}))
        database = await open_database(url, 1)
        try:
            quotas = QuotaRepository(database, SystemClock())
            await quotas.set(Scope("team"), QuotaChange(bytes_max=10**6, requests_per_s=5.0))
            await quotas.set(Scope("team", "vision"), QuotaChange(versions_max=3))
            await quotas.set(Scope("other"), QuotaChange(requests_per_s=5.0))
            figures = await FiguresRepository(database, SystemClock()).stored()
            load = database.load
        finally:
            await database.aclose()
    packed = sum(path.stat().st_size for path in (tmp_path / "data" / "packs").rglob("*.pack"))
    assert figures.versions[VersionState.COMMITTED].count == 2
    assert figures.logical_bytes == 24
    assert figures.packs[PackState.LIVE].size_bytes == figures.stored_bytes == packed > 0
    assert [(str(one.scope), one.bytes_used, one.versions_used) for one in figures.quotas] == [
        ("team", packed, 0), ("team/vision", 0, 2)
    ]  # fmt: skip
    assert (figures.leases_active, figures.leases_overdue) == (0, 0)
    assert (load.connections_max, load.connections_in_use, load.waiting) == (1, 0, 0)


@pytest.fixture
def store(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    for name, value in seaweedfs.environ.items():
        monkeypatch.setenv(name, value)
    bucket = f"figures-{os.urandom(4).hex()}"
    seaweedfs.make_bucket(bucket)
    opened = S3Store(S3Place(bucket, "", seaweedfs.endpoint, None, REGION, True), SystemClock())
    yield opened
    opened.close()


def test_requests_to_the_s3_server_are_counted_by_outcome(store: S3Store) -> None:
    pack_id = os.urandom(16)
    store.put(pack_id, b"bytes")
    assert store.open_pack(pack_id) is not None
    assert store.open_incoming(os.urandom(16)) is None
    assert store.tally.requests == {("PutObject", "ok"): 1, ("HeadObject", "ok"): 1, ("GetObject", "NoSuchKey"): 1}
    assert not store.tally.retries
