"""A database that was lost is made anew from the store: names from the catalogue there, places of chunks from the packs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfast_registry.blobstore.open_store import open_store, records_of
from holdfast_registry.blobstore.records import FolderRecords, ObjectRecords, StoreRecords
from holdfast_registry.blobstore.s3 import S3Store
from holdfast_registry.blobstore.s3_place import S3Place
from holdfast_registry.catalogue_keeper import RECENT_SUFFIX, WHOLE_EVERY_MS, WHOLE_SUFFIX, CatalogueKeeper
from holdfast_registry.clock import RandomIds, SystemClock
from holdfast_registry.database.postgresql import open_database
from holdfast_registry.database.snapshot import snapshots_of
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.lifecycle import die_of_fsync
from holdfastpb.registry.v1.version_pb2 import SemanticVersionWish
from registry.client import Client, content_of
from registry.collecting import MovedClock, collect
from registry.kept import Kept, credentials
from registry.moving import FILES, Filled, command, seen
from registry.processes import RegistryProcess
from support.postgres import Postgres
from support.s3_requests import REGION
from support.seaweedfs import SeaweedFS

BUCKET = "registry-records"


def record(data_dir: Path, clock: MovedClock) -> str | None:
    """What a registry does each minute."""

    async def once() -> str | None:
        path, ids, threads = data_dir / DATABASE_NAME, RandomIds(), FileThreads(1)
        database = SqliteDatabase(path, 1)
        try:
            records, snapshots = FolderRecords(data_dir), snapshots_of(path, None)
            keeper = CatalogueKeeper(database, snapshots, records, threads, clock, ids, die_of_fsync)
            return await keeper.once(every_ms=0)
        finally:
            await database.aclose()
            threads.close()

    return asyncio.run(once())


def lose_database(data_dir: Path) -> None:
    for path in data_dir.glob(f"{DATABASE_NAME}*"):
        path.unlink()


def test_lost_database_comes_back_with_what_was_committed_before_and_after_the_whole_record(
    filled: Filled, tmp_path: Path
) -> None:
    data_dir, clock = filled.copied_to(tmp_path), MovedClock()
    assert (record(data_dir, clock) or "").endswith(WHOLE_SUFFIX)
    assert record(data_dir, clock) is None, "nothing has changed"
    process = RegistryProcess(tmp_path)
    with process, Client(process.target) as client:
        client.log_files("cats", FILES | {"new": os.urandom(1000)}, aliases=["prod"], tags=["late"])
        client.log_files("birds", {"b": b"bird"})
        gone = client.log("birds", content_of({"b": b"gone"}), semantic_version=SemanticVersionWish(exact="5.0.0"))
        client.delete(gone.version.version_id, delete_aliases=True)
        before = seen(client), client.list_versions("birds").versions
        process.stop()
    clock.ahead_ms = 120_000
    assert (record(data_dir, clock) or "").endswith(RECENT_SUFFIX)
    lose_database(data_dir)
    assert command("rebuild-index", "--data-dir", str(data_dir)) == 0
    assert "fsck" in asyncio.run(collect(data_dir)).problem
    assert command("fsck", "--deep", "--data-dir", str(data_dir)) == 0
    assert not asyncio.run(collect(data_dir)).problem
    with process, Client(process.target) as client:
        assert (seen(client), client.list_versions("birds").versions) == before
        assert client.log_files("cats", {"after": b"1"}).version_index == 3
        assert client.log_files("cats", FILES).version_index == 4
        assert client.log_files("birds", {"b": b"next"}).semantic_version == "6.0.0", "5.0.0 was given"


async def write_catalogue(kept: Kept) -> str | None:
    """What a registry does each minute, on PostgreSQL and S3."""
    assert kept.settings.database_url is not None
    threads, clock = FileThreads(2), SystemClock()
    database = await open_database(kept.settings.database_url, 2)
    opened = await open_store(kept.settings, kept.data_dir, threads, clock)
    try:
        records = records_of(kept.settings, kept.data_dir, opened.store)
        snapshots = snapshots_of(kept.data_dir, kept.settings.database_url)
        keeper = CatalogueKeeper(database, snapshots, records, threads, clock, RandomIds(), die_of_fsync)
        return await keeper.once(every_ms=0)
    finally:
        await asyncio.to_thread(threads.close)
        await asyncio.to_thread(opened.store.close)
        await database.aclose()


def test_lost_postgresql_comes_back_from_the_packs_and_the_catalogue_in_s3(
    postgres: Postgres, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path, postgres, seaweedfs)
    with credentials(kept):
        with kept.process() as process, Client(process.target) as client:
            first = client.log_files("cats", FILES, aliases=["prod"], tags=["checked"], metadata_json=b'{"n": 1}')
            client.log_files("cats", FILES | {"more": os.urandom(60_000)})
            client.link(first.version_id, "show", aliases=["best"])
            before = {name: client.list_versions(name).versions for name in ("cats", "show")}
            assert process.stop() == 0
        assert (asyncio.run(write_catalogue(kept)) or "").endswith(WHOLE_SUFFIX)
        lost_url, new_url = str(kept.settings.database_url), postgres.new_database()
        kept.settings = replace(kept.settings, database_url=new_url)
        place = ("--data-dir", str(kept.data_dir))
        monkeypatch.setenv("HOLDFAST_REGISTRY_DATABASE_URL", new_url)
        monkeypatch.setenv("HOLDFAST_REGISTRY_STORE_URL", str(kept.settings.store_url))
        assert command("rebuild-index", *place) == 0
        assert "fsck" in asyncio.run(collect(kept.data_dir, settings=kept.settings)).problem
        assert command("fsck", "--deep", *place) == 0
        assert not asyncio.run(collect(kept.data_dir, settings=kept.settings)).problem
        with kept.process() as process, Client(process.target) as client:
            assert {name: client.list_versions(name).versions for name in ("cats", "show")} == before
            content, begun = content_of(FILES), client.begin("dogs")
            assert client.missing_of(begun.lease.lease_id, content.chunks) == []
            assert client.commit(begun, content).version.version_index == 0
            assert client.log_files("cats", {"after": b"1"}).version_index == 2
        monkeypatch.setenv("HOLDFAST_REGISTRY_DATABASE_URL", lost_url)
        assert command("rebuild-index", *place) != 0, "only an empty place is filled"


def test_what_no_record_names_is_listed(filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_dir = filled.copied_to(tmp_path)
    record(data_dir, MovedClock())
    with RegistryProcess(tmp_path) as process, Client(process.target) as client:
        client.log_files("cats", {"forgotten": b"file"})
        process.stop()
    victim = next(path for path in (data_dir / "packs").rglob("*.pack") if b"other dog" in path.read_bytes())
    victim.unlink()
    lose_database(data_dir)
    assert command("rebuild-index", "--data-dir", str(data_dir)) == 1
    said = capsys.readouterr().err
    assert "1 files, 4 bytes, from 'forgotten'" in said
    assert f"pack {victim.stem}: it is not in the store" in said
    assert "team/vision/dogs:v1: its manifest is in no pack" in said


def test_packs_that_nobody_had_read_are_read_before_they_serve_everybody(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = filled.copied_to(tmp_path)
    bad, good = b"bad" * 1000, b"good" * 1000
    with RegistryProcess(tmp_path) as process, Client(process.target) as client:
        begun = client.begin("cats")
        client.bring(begun.lease.lease_id, [bad, good])
        process.stop()
    pack = next(path for path in (data_dir / "packs").rglob("*.pack") if bad in path.read_bytes())
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE pack SET unread_since_ms = 1 WHERE pack_id = ?", (bytes.fromhex(pack.stem),))
    record(data_dir, MovedClock())
    lose_database(data_dir)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes().replace(bad, bad[::-1]))
    assert command("rebuild-index", "--data-dir", str(data_dir)) == 1
    assert f"chunk {digest_of(bad).hex()}" in capsys.readouterr().err
    with RegistryProcess(tmp_path) as process, Client(process.target) as client:
        assert client.missing_of(client.begin("cats").lease.lease_id, [bad, good]) == [bad]


def test_store_without_a_catalogue_and_place_with_a_database_are_refused(filled: Filled, tmp_path: Path) -> None:
    data_dir = filled.copied_to(tmp_path)
    assert command("rebuild-index", "--data-dir", str(data_dir)) == 78
    lose_database(data_dir)
    assert command("rebuild-index", "--data-dir", str(data_dir)) == 78
    assert not (data_dir / DATABASE_NAME).exists()


def test_records_that_two_whole_ones_have_replaced_go(filled: Filled, tmp_path: Path) -> None:
    data_dir, clock = filled.copied_to(tmp_path), MovedClock()
    names = []
    for _ in range(3):
        names.append(record(data_dir, clock))
        clock.ahead_ms += WHOLE_EVERY_MS
        assert command("token", "create", "--data-dir", str(data_dir)) == 0  # something that is audited
    assert FolderRecords(data_dir).names() == names[1:]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_records_are_kept_listed_and_removed_by_name(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "folder":
        check_records(FolderRecords(tmp_path))
        return
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    server.make_bucket(BUCKET)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    place = S3Place(bucket=BUCKET, prefix="some/", endpoint_url=server.endpoint, region=REGION)
    with closing(S3Store(place, SystemClock())) as store:
        store.put(bytes(16), b"a pack")
        check_records(ObjectRecords(store))
        assert store.list_names().foreign == []


def check_records(records: StoreRecords) -> None:
    assert records.names() == []
    for name in ("b", "a"):
        records.write(name, name.encode())
    assert records.names() == ["a", "b"]
    assert records.read("a") == b"a"
    records.remove("a")
    records.remove("a")
    assert records.read("a") is None
    assert records.names() == ["b"]
