"""Runs: found by filters and in an order; their artifacts in pages; many uses at once."""

from __future__ import annotations

import json

import pytest

from holdfastpb.registry.v1.run_pb2 import EDGE_KIND_LOGGED, EDGE_KIND_USED, RecordUseRequest, RecordUsesRequest, Run
from holdfastpb.registry.v1.version_pb2 import ListRunArtifactsRequest, ListRunArtifactsResponse
from registry.client import Client, reason_of


@pytest.fixture
def project(client: Client, collection: str) -> str:
    """A project with three runs."""
    first = {"lr": 0.1, "deep": {"layers": 3}, "name": "älpha", "on": True}
    runs = (
        ("r1", {"group": "g", "job_type": "train", "tags": ["a", "b"], "state": "finished", "config": first}),
        ("r2", {"group": "g", "state": "failed", "host": "box", "config": {"lr": {"value": 0.5}, "on": False}}),
        ("r3", {"job_type": "eval", "display_name": "brave-lion-3", "tags": ["b"], "config": {"lr": None}}),
    )
    for number, (run_id, fields) in enumerate(runs):
        config = json.dumps(fields.pop("config")).encode()
        client.upsert_run(run_id, project=collection, config_json=config, created_at_ms=1000 + number, **fields)
    return collection


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, ["r3", "r2", "r1"]),
        ({"group": "g"}, ["r2", "r1"]),
        ({"group": None}, ["r3"]),
        ({"jobType": {"$in": ["train", "eval"]}}, ["r3", "r1"]),
        ({"job_type": {"$exists": False}}, ["r2"]),
        ({"tags": "b"}, ["r3", "r1"]),
        ({"tags": {"$in": ["a", "x"]}}, ["r1"]),
        ({"tags": {"$ne": "a"}}, ["r3", "r2"]),
        ({"state": "finished", "config.lr": {"$lt": 0.2}}, ["r1"]),
        ({"config.lr": {"$gte": 0.1}}, ["r1"]),
        ({"config.lr.value": {"$gte": 0.1}}, ["r2", "r1"]),
        ({"config.deep.layers": 3}, ["r1"]),
        ({"config.deep.layers.value": 3}, ["r1"]),
        ({"config.name": {"$regex": "^ä"}}, ["r1"]),
        ({"config.on": False}, ["r2"]),
        ({"config.lr": None}, ["r3"]),
        ({"config.missing": None}, ["r3", "r2", "r1"]),
        ({"displayName": {"$regex": "lion"}}, ["r3"]),
        ({"name": "r2"}, ["r2"]),
        ({"host": "box"}, ["r2"]),
        ({"$or": [{"name": "r1"}, {"$and": [{"tags": "b"}, {"job_type": "eval"}]}]}, ["r3", "r1"]),
        ({"createdAt": {"$gt": "1970-01-01T00:00:01.001Z"}}, ["r3"]),
    ],
)
def test_runs_are_found_by_filters(
    client: Client, project: str, filter: dict[str, object], expected: list[str]
) -> None:
    page = client.list_runs(project, filter_json=json.dumps(filter))
    assert ([run.run_id for run in page.runs], page.total_count) == (expected, len(expected))


def test_what_arrives_after_a_runs_end_does_not_begin_it_again(client: Client, collection: str) -> None:
    then = Run(entity="team", project=collection, run_id="r", state="running", config_json=b"{}", created_at_ms=1000)
    client.upsert_run("r", project=collection, state="finished", config_json=b'{"lr": 1}', created_at_ms=1000)
    version = client.log_files(collection, {"a": b"a"}, run=then)
    client.call(
        client.runs.RecordUses, RecordUsesRequest(uses=[RecordUseRequest(run=then, version_id=version.version_id)])
    )
    [found] = client.list_runs(collection).runs
    assert (found.state, found.config_json) == ("finished", b'{"lr": 1}')


def test_run_that_is_resumed_runs_again(client: Client, collection: str) -> None:
    ended = client.upsert_run("r", project=collection, state="failed")
    again = Run(entity="team", project=collection, run_id="r", state="running", created_at_ms=ended.updated_at_ms + 1)
    client.log_files(collection, {"a": b"a"}, run=again)
    assert [run.state for run in client.list_runs(collection).runs] == ["running"]


def test_runs_are_listed_in_pages_and_orders(client: Client, project: str) -> None:
    page = client.list_runs(project, order="+name", page_size=2)
    assert ([run.run_id for run in page.runs], page.total_count) == (["r1", "r2"], 3)
    rest = client.list_runs(project, order="+name", page_size=2, page_token=page.next_page_token)
    assert ([run.run_id for run in rest.runs], rest.next_page_token) == (["r3"], "")
    assert [run.run_id for run in client.list_runs(project, order="-updatedAt").runs] != []
    assert reason_of(lambda: client.list_runs(project, order="loss")) == "INVALID_FILTER"
    assert not client.list_runs("nothing-here").runs


def test_config_that_is_no_sound_json_hides_no_run(client: Client, collection: str) -> None:
    client.upsert_run("odd", project=collection, config_json=b'{"lr": NaN}')
    client.upsert_run("none", project=collection)
    found = client.list_runs(collection, filter_json=json.dumps({"config.lr": {"$exists": False}})).runs
    assert sorted(run.run_id for run in found) == ["none", "odd"]


def test_page_of_runs_with_large_configs_fits_a_message(client: Client, collection: str) -> None:
    config = json.dumps({"text": "c" * 900_000}).encode()
    for number in range(5):
        client.upsert_run(f"r{number}", project=collection, config_json=config)
    seen, token = list[str](), ""
    while True:
        page = client.list_runs(collection, order="+name", page_token=token)
        seen += [run.run_id for run in page.runs]
        if not (token := page.next_page_token):
            break
    assert seen == [f"r{number}" for number in range(5)]


def test_change_of_a_run_is_dated(client: Client, collection: str) -> None:
    made = client.upsert_run("r", project=collection, created_at_ms=5)
    assert made.updated_at_ms > made.created_at_ms == 5
    assert client.upsert_run("r", project=collection) == made
    assert client.upsert_run("r", project=collection, state="finished").updated_at_ms >= made.updated_at_ms


def artifacts(client: Client, project: str, run_id: str, **fields: object) -> ListRunArtifactsResponse:
    request = ListRunArtifactsRequest(entity="team", project=project, run_id=run_id, **fields)
    return client.call(client.versions.ListRunArtifacts, request)


def test_artifacts_of_a_run_come_in_pages_oldest_first(client: Client, collection: str) -> None:
    run = Run(entity="team", project=collection, run_id="r")
    logged = [client.log_files(f"{collection}-{number}", {"a": b"a"}, run=run) for number in range(3)]
    page = artifacts(client, collection, "r", kind=EDGE_KIND_LOGGED, page_size=2)
    assert (list(page.versions), page.total_count) == (logged[:2], 3)
    rest = artifacts(client, collection, "r", kind=EDGE_KIND_LOGGED, page_size=2, page_token=page.next_page_token)
    assert (list(rest.versions), rest.next_page_token) == (logged[2:], "")
    client.delete(logged[0].version_id, delete_aliases=True)
    assert list(artifacts(client, collection, "r", kind=EDGE_KIND_LOGGED).versions) == logged[1:]
    assert not artifacts(client, collection, "r", kind=EDGE_KIND_USED).versions
    assert not artifacts(client, collection, "nobody", kind=EDGE_KIND_USED).versions


def test_many_uses_are_recorded_and_unknown_versions_told(client: Client, collection: str) -> None:
    versions = [client.log_files(f"{collection}-{number}", {"a": b"a"}) for number in range(3)]
    run = Run(entity="team", project=collection, run_id="r", display_name="user")
    uses = [RecordUseRequest(run=run, version_id=version.version_id) for version in versions]
    unknown = RecordUseRequest(run=run, version_id="f" * 32)
    for _ in range(2):
        answer = client.call(client.runs.RecordUses, RecordUsesRequest(uses=[unknown, *uses, unknown]))
        assert list(answer.unknown_version_ids) == ["f" * 32]
    assert list(artifacts(client, collection, "r", kind=EDGE_KIND_USED).versions) == versions
    too_many = RecordUsesRequest(uses=[unknown] * 1001)
    assert reason_of(lambda: client.call(client.runs.RecordUses, too_many)) == "INVALID_ARGUMENT"
