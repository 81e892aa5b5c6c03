"""Garbage collection on a real database and a real store: what is needed stays, everything else goes, and the figures are true."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from holdfast_registry.fsck import check_store
from holdfastpb.registry.v1.version_pb2 import SemanticVersionWish
from registry.client import Client, content_of, reason_of
from registry.collecting import AT_ONCE, MovedClock, collect, preview, stored_bytes
from registry.processes import RegistryProcess, run_registry

DAY_MS = 24 * 3600 * 1000
PACK_SLACK_BYTES = 4096
"""Of a pack: header, footer of some chunks, trailer."""


def files(count: int, size_bytes: int = 20_000) -> dict[str, bytes]:
    return {f"{number:04}": os.urandom(size_bytes) for number in range(count)}


def sound(data_dir: Path) -> None:
    report = check_store(data_dir, deep=True)
    assert report.is_clean, report.findings
    assert not report.notes, report.notes


async def test_deleted_version_gives_its_bytes_back_and_shared_ones_stay(own_registry: RegistryProcess) -> None:
    shared = files(50)
    with own_registry, Client(own_registry.target) as client:
        first = client.log_files("c", shared | files(50))
        client.log_files("c", shared)
        client.delete(first.version_id, delete_aliases=True)
        own_registry.stop()
    data_dir = own_registry.data_dir
    would = await preview(data_dir)
    reports = [await collect(data_dir) for _ in range(2)]
    assert all(not report.problem for report in reports)
    assert would.bytes_condemned == reports[0].bytes_condemned == reports[1].bytes_deleted
    assert reports[1].packs_compacted + reports[1].packs_doomed > 0
    assert stored_bytes(data_dir) <= sum(map(len, shared.values())) * 1.01 + 3 * PACK_SLACK_BYTES
    sound(data_dir)


async def test_nothing_goes_within_grace_and_undelete_window(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        version = client.log_files("c", files(5))
        begun = client.begin("c")
        client.bring(begun.lease.lease_id, [b"never committed"])
        client.delete(version.version_id, delete_aliases=True)
        own_registry.stop()
    for _ in range(3):
        report = await collect(own_registry.data_dir, grace_ms=DAY_MS, undelete_ms=7 * DAY_MS)
        assert (report.chunks_condemned, report.versions_purged, report.versions_restorable) == (0, 0, 1)
    report = await collect(own_registry.data_dir, undelete_ms=7 * DAY_MS)
    assert report.chunks_condemned == 1, "the chunk of the upload"


async def test_deleted_version_is_restored_within_its_window_and_not_after(own_registry: RegistryProcess) -> None:
    kept = files(5)
    with own_registry, Client(own_registry.target) as client:
        client.log_files("c", kept)
        newer = client.log_files("c", files(3), aliases=["best"])
        client.delete(newer.version_id, delete_aliases=True)
        assert client.resolve("c").version_index == 0
        own_registry.stop()
    for _ in range(3):
        await collect(own_registry.data_dir, undelete_ms=DAY_MS)
    with own_registry, Client(own_registry.target) as client:
        restored = client.restore("c", 1)
        assert (restored.version_id, list(restored.aliases)) == (newer.version_id, ["latest"])
        assert client.resolve("c").version_index == 1
        assert client.restore("c", 1).version_id == newer.version_id, "twice is once"
        client.delete(newer.version_id, delete_aliases=True)
        own_registry.stop()
    sound(own_registry.data_dir)
    await collect(own_registry.data_dir)
    with own_registry, Client(own_registry.target) as client:
        assert reason_of(lambda: client.restore("c", 1)) == "NOT_FOUND"
        assert reason_of(lambda: client.restore("c", 7)) == "NOT_FOUND"
        again = SemanticVersionWish(exact=newer.semantic_version)
        assert reason_of(lambda: client.log("c", content_of(kept), semantic_version=again)) == "SEMVER_REUSED"
        third = client.log_files("c", kept | {"new": b"1"})
        assert (newer.semantic_version, third.semantic_version, third.version_index) == ("2.0.0", "3.0.0", 2)
        own_registry.stop()
    sound(own_registry.data_dir)


async def test_clock_that_jumps_purges_and_removes_nothing(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        version = client.log_files("c", files(5))
        client.delete(version.version_id, delete_aliases=True)
        own_registry.stop()
    clock = MovedClock()
    weekly = {"undelete_ms": 7 * DAY_MS, "removal_delay_ms": 7 * DAY_MS}
    await collect(own_registry.data_dir, clock=clock, **weekly)
    clock.ahead_ms = 365 * DAY_MS
    report = await collect(own_registry.data_dir, clock=clock, **weekly)
    assert (report.versions_purged, report.versions_restorable) == (0, 1)
    for day in range(1, 7):
        clock.ahead_ms = (365 + day) * DAY_MS
        report = await collect(own_registry.data_dir, clock=clock, **weekly)
    assert report.versions_purged == 1, "seven days that really passed are enough"


async def test_chunk_that_an_open_lease_was_told_of_is_not_deleted(own_registry: RegistryProcess) -> None:
    chunk = os.urandom(3000)
    with own_registry, Client(own_registry.target) as client:
        version = client.log_files("c", {"a": chunk})
        client.delete(version.version_id, delete_aliases=True)
        lease_id = client.begin("c").lease.lease_id
        assert client.missing_of(lease_id, [chunk]) == []
        own_registry.stop()
    reports = [await collect(own_registry.data_dir) for _ in range(3)]
    assert [report.chunks_deleted for report in reports] == [0, 0, 0]
    assert reports[2].bytes_waiting > 3000
    with own_registry, Client(own_registry.target) as client:
        assert client.missing_of(lease_id, [chunk]) == [chunk], "who asks again is told to bring it"
        content = content_of({"b": chunk})
        assert client.log("c", content).version.version_index == 1
        own_registry.stop()
    reports = [await collect(own_registry.data_dir) for _ in range(3)]
    sound(own_registry.data_dir)


async def test_condemned_chunk_is_revived_by_whoever_brings_or_names_it(own_registry: RegistryProcess) -> None:
    named, brought = os.urandom(3000), os.urandom(3000)
    with own_registry, Client(own_registry.target) as client:
        version = client.log_files("c", {"a": named, "b": brought})
        client.delete(version.version_id, delete_aliases=True)
        own_registry.stop()
    await collect(own_registry.data_dir)
    with own_registry, Client(own_registry.target) as client:
        content = content_of({"n": named, "b": brought})
        begun = client.begin("d")
        client.bring(begun.lease.lease_id, [brought, *content.chunks[2:]])
        assert not client.commit(begun, content).missing_digests, "the chunk that was not brought is revived"
        own_registry.stop()
    for _ in range(3):
        assert not (await collect(own_registry.data_dir)).problem
    sound(own_registry.data_dir)


async def test_half_dead_packs_are_rewritten_into_one(own_registry: RegistryProcess) -> None:
    kept = files(12, 3000)
    with own_registry, Client(own_registry.target) as client:
        dropped = []
        for name, data in kept.items():
            dropped.append(client.log_files(f"c{name}", {"kept": data} | files(4, 3000)))
            client.log_files(f"c{name}", {"kept": data})
        for version in dropped:
            client.delete(version.version_id)
        own_registry.stop()
    reports = [await collect(own_registry.data_dir) for _ in range(3)]
    assert sum(report.packs_compacted for report in reports) == 12
    assert stored_bytes(own_registry.data_dir) < sum(map(len, kept.values())) + 12 * 2 * PACK_SLACK_BYTES
    sound(own_registry.data_dir)


async def test_restored_database_stops_collection_until_fsck_has_run(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        client.log_files("c", files(3))
        own_registry.stop()
    data_dir = own_registry.data_dir
    await collect(data_dir)
    backup = data_dir.parent / "backup.sqlite3"
    shutil.copy(data_dir / "registry.sqlite3", backup)
    await collect(data_dir)
    shutil.copy(backup, data_dir / "registry.sqlite3")
    report = await collect(data_dir)
    assert "backup" in report.problem
    assert report.manifests_marked == 0
    assert run_registry("fsck", "--data-dir", str(data_dir)).returncode == 0
    assert not (await collect(data_dir)).problem
    assert "Garbage" not in run_registry("fsck", "--data-dir", str(data_dir)).stderr


async def test_lost_manifest_stops_its_entity_only(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        for entity in ("hurt", "sound"):
            version = client.log("c", content_of(files(3)), entity=entity).version
            client.log("c", content_of(files(3)), entity=entity)
            client.delete(version.version_id)
        own_registry.stop()
    connection = sqlite3.connect(own_registry.data_dir / "registry.sqlite3")
    roots = connection.execute(
        "SELECT manifest_root FROM version v JOIN collection c ON c.id = v.collection_id JOIN project p "
        "ON p.id = c.project_id JOIN entity e ON e.id = p.entity_id WHERE e.name = 'hurt' AND v.state = 2"
    ).fetchall()
    assert connection.execute("DELETE FROM chunk WHERE digest = ?", roots[0]).rowcount == 1
    connection.commit()
    connection.close()
    report = await collect(own_registry.data_dir)
    assert report.problem.startswith("hurt: ")
    assert report.chunks_condemned == 5, "three files, a segment and a root of the other entity"


async def test_orphans_go_after_their_time_and_two_listings(own_registry: RegistryProcess) -> None:
    with own_registry, Client(own_registry.target) as client:
        client.log_files("c", files(3))
        own_registry.stop()
    folder = own_registry.data_dir / "packs" / "ab"
    folder.mkdir(exist_ok=True)
    orphan = folder / ("ab" * 16 + ".pack")
    orphan.write_bytes(b"nobody's")
    report = await collect(own_registry.data_dir)
    assert (report.orphans_seen, report.orphans_removed) == (1, 0)
    assert (await collect(own_registry.data_dir, orphan_ms=DAY_MS)).orphans_removed == 0
    assert (await collect(own_registry.data_dir)).orphans_removed == 1
    assert not orphan.exists()
    sound(own_registry.data_dir)


def test_wish_of_a_test_that_collects_at_once_waits_for_nothing() -> None:
    assert (AT_ONCE.grace_ms, AT_ONCE.undelete_ms, AT_ONCE.removal_delay_ms) == (0, 0, 0)


@pytest.mark.parametrize("cycles", [1, 4])
async def test_empty_registry_is_collected(own_registry: RegistryProcess, cycles: int) -> None:
    with own_registry:
        own_registry.stop()
    for _ in range(cycles):
        assert not (await collect(own_registry.data_dir)).problem
