"""Policies of retention carried out by a registry that runs, and garbage collected on demand; on both databases."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import Connection, insert, update

from holdfast_registry.clock import RandomIds, SystemClock
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.retention import RetentionRepository
from holdfast_registry.database.schema import alias, entity, link, project
from holdfast_registry.database.schema import collection as collection_table
from holdfast_registry.database.schema import version as version_table
from holdfast_registry.domain.records import CollectionKind, VersionState
from holdfast_registry.errors import EXIT_CODE_LOCKED
from holdfast_registry.server import open_database
from holdfast_registry.settings import RegistrySettings
from holdfastpb.registry.v1 import access_pb2, access_pb2_grpc, admin_pb2, admin_pb2_grpc
from registry.client import Client, new_request_id, reason_of
from registry.processes import RegistryProcess, run_registry

ENVIRONMENT = {
    "HOLDFAST_REGISTRY_RETENTION_INTERVAL_S": "0.3",
    "HOLDFAST_REGISTRY_GC_INTERVAL_S": "0",
    "HOLDFAST_REGISTRY_UNDELETE_WINDOW_S": "0",
    "HOLDFAST_REGISTRY_GC_REMOVAL_DELAY_S": "0",
}
PATIENCE_S = 30
POLL_S = 0.05


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, database_url: str | None) -> Iterator[RegistryProcess]:
    folder = tmp_path_factory.mktemp("registry")
    with RegistryProcess(folder, environment=ENVIRONMENT, database_url=database_url) as process:
        yield process


class Desk:
    """AdminService as a test calls it, for one collection."""

    def __init__(self, client: Client, registry: RegistryProcess, collection: str) -> None:
        self.client = client
        self.collection = collection
        self._channel = grpc.insecure_channel(registry.target)
        self.admin = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.access = access_pb2_grpc.AccessServiceStub(self._channel)

    def place(self, **other: str) -> dict[str, str]:
        return {"entity": "team", "project": "vision", "collection": self.collection} | other

    def set(self, policy: dict[str, Any] | None, *, id: str = "", **place: str) -> admin_pb2.Retention:
        request = admin_pb2.SetRetentionRequest(
            request_id=id or new_request_id(),
            policy_json="" if policy is None else json.dumps(policy),
            **self.place(**place),
        )
        return self.client.call(self.admin.SetRetention, request).retention

    def get(self, **place: str) -> admin_pb2.Retention:
        return self.client.call(self.admin.GetRetention, admin_pb2.GetRetentionRequest(**self.place(**place))).retention

    def preview(self, policy: dict[str, Any] | None = None, **place: str) -> admin_pb2.PreviewRetentionResponse:
        request = admin_pb2.PreviewRetentionRequest(
            policy_json="" if policy is None else json.dumps(policy), **self.place(**place)
        )
        return self.client.call(self.admin.PreviewRetention, request)

    def gc(self, **wish: bool) -> list[admin_pb2.RunGcResponse]:
        return list(self.client.call(self.admin.RunGc, admin_pb2.RunGcRequest(**wish)))

    def log(self, count: int, **fields: Any) -> None:
        for _ in range(count):
            self.client.log_files(self.collection, {"a": uuid.uuid4().bytes * 100}, **fields)

    def numbers(self) -> list[int]:
        return [version.version_index for version in self.client.list_versions(self.collection).versions]

    def until(self, holds: Callable[[], bool]) -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < give_up_s, self.numbers()
            time.sleep(POLL_S)

    def deletions(self) -> list[access_pb2.AuditEntry]:
        entries = self.client.call(self.access.ListAudit, access_pb2.ListAuditRequest()).entries
        return [entry for entry in entries if entry.method.startswith("Retention/") and self.collection in entry.object]

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def desk(client: Client, registry: RegistryProcess, collection: str) -> Iterator[Desk]:
    made = Desk(client, registry, collection)
    yield made
    made.close()


def test_what_no_rule_keeps_goes_as_by_its_user_with_the_policy_in_the_audit_log(desk: Desk) -> None:
    desk.log(1, aliases=["best"])
    desk.log(1, tags=["checked"])
    desk.log(1, metadata_json=b'{"val": {"loss": 0.1}}')
    desk.log(1, metadata_json=b'{"val": {"loss": "none"}}')
    desk.log(1, metadata_json=b'{"val": {"loss": 7}}')
    desk.log(1)
    desk.client.link(desk.client.resolve(desk.collection).version_id, f"{desk.collection}-shown")
    desk.log(2)
    policy = {"keep_last": 2, "keep_tagged": ["checked"], "keep_best": "metadata.val.loss:min"}
    stored = desk.set(policy)
    assert (stored.source, json.loads(stored.policy_json)) == (
        admin_pb2.RETENTION_SOURCE_COLLECTION,
        policy | {"keep_best": ["metadata.val.loss:min"]},
    )
    desk.until(lambda: desk.numbers() == [7, 6, 5, 2, 1, 0])
    assert desk.preview().version_count == 0
    gone = desk.deletions()
    assert [(entry.token_name, entry.token_id, entry.outcome) for entry in gone] == [("retention", "", "OK")] * 2
    assert "version=v3 rule=keep_last policy_of=collection" in gone[0].object


def test_version_that_is_brought_back_stays(desk: Desk) -> None:
    desk.log(2)
    desk.set({"keep_last": 1})
    desk.until(lambda: desk.numbers() == [1])
    desk.client.restore(desk.collection, 0)
    assert desk.preview().version_count == 0
    desk.log(1)
    desk.until(lambda: desk.numbers() == [2, 0])


def test_policy_of_a_collection_wins_over_its_projects(desk: Desk) -> None:
    project = desk.collection
    for name in ("own", "heir"):
        for step in range(3):
            desk.client.log_files(name, {"a": bytes([step])}, project=project)
    own, whole = {"project": project, "collection": "own"}, {"project": project, "collection": ""}
    assert desk.get(**own).source == admin_pb2.RETENTION_SOURCE_NONE
    assert desk.set({}, **own).policy_json == "{}"
    assert desk.preview({"keep_last": 2}, **whole).version_count == 1, "the heir's"
    desk.set({"keep_last": 1}, **whole)

    def numbers(name: str) -> list[int]:
        return [version.version_index for version in desk.client.list_versions(name, project=project).versions]

    desk.until(lambda: numbers("heir") == [2])
    assert numbers("own") == [2, 1, 0]
    assert desk.get(project=project, collection="heir").source == admin_pb2.RETENTION_SOURCE_PROJECT
    desk.set(None, **own)
    desk.until(lambda: numbers("own") == [2])
    assert desk.set(None, **whole).policy_json == ""


def test_preview_says_what_would_go_why_and_what_that_frees_and_changes_nothing(desk: Desk) -> None:
    desk.log(4)
    sizes = [version.size_bytes for version in desk.client.list_versions(desk.collection).versions]
    found = desk.preview({"max_bytes": sum(sizes[:2])})
    assert [(one.version_index, one.reason, one.collection) for one in found.versions] == [
        (index, admin_pb2.RETENTION_REASON_MAX_BYTES, desk.collection) for index in (0, 1)
    ]
    assert (found.version_count, found.kept_count) == (2, 2)
    filter_json = json.dumps({"collection": desk.collection, "version_index": {"$lte": 1}})
    assert found.freed_bytes == desk.client.search(filter_json=filter_json, page_size=0).freed_bytes > 0
    assert desk.numbers() == [3, 2, 1, 0]
    assert desk.get().policy_json == ""


def test_protected_alias_keeps_a_version_from_every_policy(desk: Desk) -> None:
    desk.log(1, aliases=["production"])
    protect = access_pb2.SetProtectedAliasesRequest(**desk.place(), aliases=["production"])
    desk.client.call(desk.access.SetProtectedAliases, protect)
    desk.log(1, aliases=["mine"])
    desk.log(1)
    assert desk.preview({"keep_last": 1}).version_count == 0
    assert [one.version_index for one in desk.preview({"keep_last": 1, "keep_aliased": False}).versions] == [1]


def test_policies_are_refused_where_they_mean_nothing(desk: Desk) -> None:
    desk.client.create_portfolio(desk.collection, project="vision", type="dataset")
    assert reason_of(lambda: desk.set({"keep_last": 1})) == "KIND_MISMATCH"
    assert reason_of(lambda: desk.preview({"keep_last": 1})) == "KIND_MISMATCH"
    for call in (desk.get, desk.preview, lambda **place: desk.set({"keep_last": 1}, **place)):
        assert reason_of(lambda call=call: call(collection="nowhere")) == "NOT_FOUND"
        assert reason_of(lambda call=call: call(project="nowhere", collection="")) == "NOT_FOUND"
    assert reason_of(lambda: desk.set({"keep_newest": 1})) == "INVALID_ARGUMENT"


def test_repeated_request_sets_a_policy_once(desk: Desk) -> None:
    desk.log(1)
    once = new_request_id()
    first = desk.set({"keep_last": 5}, id=once)
    desk.set({"keep_last": 6})
    assert desk.set({"keep_last": 5}, id=once) == first
    assert json.loads(desk.get().policy_json) == {"keep_last": 6}
    assert reason_of(lambda: desk.set({"keep_last": 7}, id=once)) == "REQUEST_ID_REUSED"


def test_garbage_is_collected_while_the_registry_runs(desk: Desk) -> None:
    desk.log(2)
    desk.client.delete(desk.client.resolve(desk.collection, "v0").version_id)
    would = desk.gc(dry_run=True, now=True)[-1]
    assert (would.ended, json.loads(would.report_json)["bytes_condemned"] > 0) == (True, True)
    runs = [desk.gc(now=True) for _ in range(2)]
    assert all(run[-1].ended and run[-1].phase == "done" for run in runs)
    assert not any(step.ended for run in runs for step in run[:-1])
    assert json.loads(runs[1][-1].report_json)["bytes_deleted"] > 0
    cycles = desk.client.call(desk.admin.GetGcStatus, admin_pb2.GetGcStatusRequest(cycle_count=2)).cycles
    assert [cycle.phase for cycle in cycles] == ["done", "done"]
    assert cycles[0].cycle > cycles[1].cycle
    assert [cycle.report_json for cycle in reversed(cycles)] == [run[-1].report_json for run in runs]
    assert reason_of(lambda: desk.client.restore(desk.collection, 0)) == "NOT_FOUND"


def test_command_asks_the_registry_at_an_address(desk: Desk, registry: RegistryProcess) -> None:
    if registry.database_url is not None:
        pytest.skip("a command knows nothing of the database behind an address")
    desk.log(1)
    counted = run_registry("gc", "run", "--dry-run", "--address", registry.target, "--json")
    assert (counted.returncode, json.loads(counted.stdout)["manifests_marked"] > 0) == (0, True), counted.stderr
    refused = run_registry("gc", "--data-dir", str(registry.data_dir))
    assert (refused.returncode, "say --address" in refused.stderr) == (EXIT_CODE_LOCKED, True)


def six_versions(connection: Connection) -> None:
    """A collection that keeps the two newest, and a portfolio."""
    connection.execute(insert(entity), {"id": 1, "name": "team", "chunk_epoch": 0, "created_at_ms": 0})
    connection.execute(insert(project), {"id": 1, "entity_id": 1, "name": "vision", "created_at_ms": 0})
    common = {"project_id": 1, "type": "t", "description": "", "created_at_ms": 0, "updated_at_ms": 0}
    for row, (kind, policy) in enumerate(
        [(CollectionKind.SEQUENCE, '{"keep_last": 2}'), (CollectionKind.PORTFOLIO, None)]
    ):
        own = {"id": row, "public_id": f"c{row}", "name": f"c{row}", "kind": kind.value, "retention_json": policy}
        connection.execute(
            insert(collection_table), common | own | {"next_version_index": 6, "latest_version_id": "v5"}
        )
    version = {"collection_id": 0, "state": VersionState.COMMITTED.value, "size_bytes": 1, "entry_count": 1}
    times = {"metadata_json": b"{}", "created_at_ms": 0, "updated_at_ms": 0, "commit_hash": "", "etag": "first"}
    numbered = [{"id": f"v{index}", "version_index": index, "digest": bytes(32)} for index in range(6)]
    connection.execute(insert(version_table), [version | times | own for own in numbered])


async def test_what_was_named_or_linked_after_the_look_stays(tmp_path: Path, own_database_url: str | None) -> None:
    def name(connection: Connection) -> None:
        connection.execute(insert(alias), {"collection_id": 0, "name": "mine", "version_id": "v1"})
        connection.execute(update(version_table).where(version_table.c.id == "v1").values(etag="second"))

    def show(connection: Connection) -> None:
        row = {"id": "l", "collection_id": 1, "version_id": "v2", "version_index": 0, "created_at_ms": 0}
        connection.execute(insert(link), row)

    database = await open_database(RegistrySettings(database_url=own_database_url), tmp_path)
    repository = RetentionRepository(database, SystemClock(), RandomIds())
    try:
        await database.write(six_versions)
        [policed] = await repository.policed()
        plan = await repository.plan(policed)
        assert [one.version.version_id for one in plan.doomed] == ["v0", "v1", "v2", "v3"]

        async def delete(*version_ids: str) -> list[str]:
            return [one.version.version_id for one in await repository.delete(plan, frozenset(version_ids))]

        assert await delete("v0") == ["v0"]
        await database.write(show)
        assert await delete("v2") == [], "it is linked"
        await database.write(name)
        assert await delete("v1", "v2", "v3", "v4") == ["v3"]
    finally:
        await database.aclose()


async def test_duty_is_one_registrys_at_a_time(tmp_path: Path, own_database_url: str | None) -> None:
    class SetClock:
        time_ms = 1_000_000

        def now_ms(self) -> int:
            return self.time_ms

        def monotonic_s(self) -> float:
            return self.time_ms / 1000

    clock = SetClock()
    database = await open_database(RegistrySettings(database_url=own_database_url), tmp_path)
    one, other = (Duty(database, clock, "sweep", holder, hold_ms=1000) for holder in ("one", "other"))
    try:
        assert await one.take(every_ms=0)
        assert not await other.take(every_ms=0)
        assert await one.renew()
        clock.time_ms += 1001
        assert await other.take(every_ms=0), "the first has stopped"
        assert not await one.renew()
        await one.release()
        assert await other.renew(), "who has lost a duty cannot give it away"
        await other.release()
        assert not await one.take(every_ms=5000), "it is not due"
        clock.time_ms += 5000
        assert await one.take(every_ms=5000)
    finally:
        await database.aclose()
