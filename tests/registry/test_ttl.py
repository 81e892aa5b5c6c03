"""Time to live: who says it, when it ends, and that the end really deletes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.clock import RandomIds
from holdfast_registry.database.commits import load_latest
from holdfast_registry.database.maintenance import EXPIRED_AT_ONCE, MaintenanceRepository
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase, connect, transaction
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.lifecycle import die_of_fsync
from holdfast_registry.maintenance import Maintenance
from holdfastpb.registry.v1.version_pb2 import TTL_KIND_DURATION, TTL_KIND_NONE, Ttl
from registry.client import Client, reason_of
from registry.processes import RegistryProcess


def of_seconds(seconds: int) -> Ttl:
    return Ttl(kind=TTL_KIND_DURATION, seconds=seconds)


def test_commit_keeps_the_ttl_and_says_when_the_version_expires(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"a"}, ttl=of_seconds(3600))
    assert version.ttl == of_seconds(3600)
    assert version.expires_at_ms == version.created_at_ms + 3_600_000
    never = client.log_files(collection, {"a": b"b"}, ttl=Ttl(kind=TTL_KIND_NONE))
    assert (never.ttl.kind, never.expires_at_ms) == (TTL_KIND_NONE, 0)
    assert client.log_files(collection, {"a": b"c"}).ttl == Ttl()


@pytest.mark.parametrize("ttl", [of_seconds(0), of_seconds(2**63), Ttl(kind=9)])
def test_ttl_that_means_nothing_is_refused(client: Client, collection: str, ttl: Ttl) -> None:
    assert reason_of(lambda: client.log_files(collection, {"a": b"a"}, ttl=ttl)) == "INVALID_ARGUMENT"


def test_first_that_says_something_decides(client: Client, collection: str) -> None:
    version = client.log_files("a", {"a": b"a"}, project=collection)
    project = client.project(collection).project_id
    sequence = client.collection("a", project=collection).collection_id

    def lived() -> int:
        expires_at_ms = client.get(version.version_id).expires_at_ms
        return expires_at_ms and expires_at_ms - version.created_at_ms

    assert lived() == 0
    client.update_project(project, set_ttl=True, ttl=of_seconds(3))
    assert lived() == 3000
    client.update_collection(sequence, set_ttl=True, ttl=of_seconds(200))
    assert lived() == 200_000
    assert client.update(version.version_id, set_ttl=True, ttl=of_seconds(4000)).etag != version.etag
    assert lived() == 4_000_000
    client.update(version.version_id, set_ttl=True, ttl=Ttl(kind=TTL_KIND_NONE))
    assert lived() == 0
    client.update(version.version_id, set_ttl=True, ttl=Ttl())
    client.update_collection(sequence, set_ttl=True, ttl=Ttl(kind=TTL_KIND_NONE))
    assert lived() == 0


class SetClock:
    """A clock that stands where it was set."""

    def __init__(self) -> None:
        self.time_ms = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


@asynccontextmanager
async def maintained(registry: RegistryProcess, clock: SetClock) -> AsyncIterator[Maintenance]:
    """The maintenance of a registry that does not run, by a clock of the test's own."""
    database = SqliteDatabase(registry.data_dir / DATABASE_NAME, readers=1)
    threads = FileThreads(1)
    repository = MaintenanceRepository(database, clock, RandomIds())
    try:
        yield Maintenance(repository, DirectoryStore(registry.data_dir), threads, clock, die_of_fsync)
    finally:
        await asyncio.to_thread(threads.close)
        await asyncio.to_thread(database.close)


async def test_expired_version_is_deleted_with_its_names_and_not_a_moment_before(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        kept = client.log_files("c", {"a": b"1"})
        doomed = client.log_files("c", {"a": b"2"}, ttl=of_seconds(3600), aliases=["best"])
    own_registry.stop()
    clock = SetClock()
    async with maintained(own_registry, clock) as maintenance:
        clock.time_ms = doomed.expires_at_ms - 1
        await maintenance.once()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.resolve("c").version_id == doomed.version_id
    own_registry.stop()
    async with maintained(own_registry, clock) as maintenance:
        clock.time_ms = doomed.expires_at_ms
        await maintenance.once()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.resolve("c").version_id == kept.version_id
        assert reason_of(lambda: client.get(doomed.version_id)) == "NOT_FOUND"
        assert reason_of(lambda: client.resolve("c", "best")) == "NOT_FOUND"
        assert client.log_files("c", {"a": b"2"}).version_index == 2


async def test_linked_version_does_not_expire_while_it_is_linked(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        version = client.log_files("c", {"a": b"1"}, ttl=of_seconds(60))
        linked = client.link(version.version_id, "p")
        assert linked.expires_at_ms == 0
    own_registry.stop()
    clock = SetClock()
    clock.time_ms = version.expires_at_ms + 1000
    async with maintained(own_registry, clock) as maintenance:
        await maintenance.once()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.resolve("p").version_id == version.version_id
        client.unlink(linked.link.link_id)
        assert client.get(version.version_id).expires_at_ms == version.expires_at_ms
    own_registry.stop()
    async with maintained(own_registry, clock) as maintenance:
        await maintenance.once()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert reason_of(lambda: client.resolve("c")) == "NOT_FOUND"


async def test_many_expire_in_one_round_in_small_transactions(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        for number in range(EXPIRED_AT_ONCE + 5):
            last = client.log_files("c", {"a": b"%d" % number}, ttl=of_seconds(60))
    own_registry.stop()
    clock = SetClock()
    clock.time_ms = last.expires_at_ms
    async with maintained(own_registry, clock) as maintenance:
        await maintenance.once()
    own_registry.start()
    with Client(own_registry.target) as client:
        assert client.list_versions("c").total_count == 0


def test_nothing_new_comes_to_a_version_whose_time_has_passed(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        version = client.log_files("c", {"a": b"1"}, ttl=of_seconds(60))
    own_registry.stop()
    connection = connect(own_registry.data_dir / DATABASE_NAME, writable=True)
    with transaction(connection, "BEGIN"):
        alive = load_latest(connection, version.version_id, version.expires_at_ms - 1)
        assert alive is not None
        assert alive.version_id == version.version_id
        assert load_latest(connection, version.version_id, version.expires_at_ms) is None
    connection.close()
