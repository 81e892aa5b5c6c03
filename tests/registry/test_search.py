"""Search over projects and registries, and what a deletion would give back."""

from __future__ import annotations

import json

import pytest

from holdfastpb.registry.v1.version_pb2 import SearchVersionsResponse
from registry.client import Client, content_of, reason_of


@pytest.fixture
def entity(client: Client, collection: str) -> str:
    """An entity with two projects and two registries."""
    entity = f"e-{collection}"
    logged = {}
    for project, name, type_name, count in (
        ("p", "cats", "dataset", 3),
        ("p", "net", "model", 2),
        ("q", "dogs", "dataset", 1),
    ):
        for number in range(count):
            logged[name, number] = client.log_files(
                name,
                {"a": f"{name} {number}".encode()},
                entity=entity,
                project=project,
                type=type_name,
                metadata_json=json.dumps({"number": number, "of": {"name": name}}).encode(),
                tags=["even"] if number % 2 == 0 else [],
            )
    link = lambda name, number, project, target, **fields: client.link(  # noqa: E731
        logged[name, number].version_id, target, project=f"wandb-registry-{project}", entity=entity, **fields
    )
    link("net", 0, "models", "best", aliases=["prod"])
    link("net", 1, "models", "best")
    link("dogs", 0, "data", "pets")
    return entity


def shown(found: SearchVersionsResponse) -> list[str]:
    return sorted(f"{version.collection}:v{version.version_index}" for version in found.versions)


@pytest.mark.parametrize(
    ("fields", "filter", "expected"),
    [
        ({}, {}, ["cats:v0", "cats:v1", "cats:v2", "dogs:v0", "net:v0", "net:v1"]),
        ({"project": "q"}, {}, ["dogs:v0"]),
        ({"type": "model"}, {}, ["net:v0", "net:v1"]),
        ({}, {"alias": "latest"}, ["cats:v2", "dogs:v0", "net:v1"]),
        ({}, {"tags": "even", "type": "dataset"}, ["cats:v0", "cats:v2", "dogs:v0"]),
        ({}, {"metadata.number": {"$gte": 1}}, ["cats:v1", "cats:v2", "net:v1"]),
        ({}, {"metadata.of.name": {"$regex": "o"}}, ["dogs:v0"]),
        ({}, {"version": "v1"}, ["cats:v1", "net:v1"]),
        ({}, {"collection": "cats", "version_index": {"$ne": 1}}, ["cats:v0", "cats:v2"]),
        ({}, {"state": "COMMITTED", "size": {"$lte": 5}}, ["net:v0", "net:v1"]),
        ({"collection_filter_json": '{"name": "net"}'}, {"$not": {"version": 0}}, ["net:v1"]),
    ],
)
def test_versions_are_found_over_all_projects(
    client: Client, entity: str, fields: dict[str, str], filter: dict[str, object], expected: list[str]
) -> None:
    found = client.search(entity=entity, filter_json=json.dumps(filter), **fields)
    assert (shown(found), found.total_count) == (expected, len(expected))


def test_registries_show_links_with_their_own_names(client: Client, entity: str) -> None:
    found = client.search(entity=entity, project="wandb-registry-models", filter_json='{"alias": "prod"}')
    (version,) = found.versions
    assert (version.link.collection, version.link.version_index, version.collection) == ("best", 0, "net")
    everywhere = client.search(entity=entity, only_registries=True, order="+name")
    assert [version.link.collection for version in everywhere.versions] == ["best", "best", "pets"]
    data = client.search(entity=entity, only_registries=True, registry_filter_json='{"name": {"$regex": "data$"}}')
    assert [version.link.collection for version in data.versions] == ["pets"]
    best = client.search(entity=entity, only_registries=True, collection_filter_json='{"name": "best"}')
    assert best.total_count == 2


def test_pages_of_a_search_stay_right_while_versions_come_and_go(client: Client, entity: str) -> None:
    first = client.search(entity=entity, page_size=4, order="+created_at")
    client.delete(first.versions[0].version_id, delete_aliases=True)
    client.log_files("zebras", {"a": b"z"}, entity=entity, project="p")
    rest = client.search(entity=entity, page_size=4, order="+created_at", page_token=first.next_page_token)
    assert (len(rest.versions), rest.next_page_token) == (3, "")
    assert len({version.version_id for version in [*first.versions, *rest.versions]}) == 7


@pytest.mark.parametrize("order", ["version_index", "-size", "+name", "-updated_at", "-createdAt"])
def test_every_order_pages_through_everything(client: Client, entity: str, order: str) -> None:
    seen, token = list[str](), ""
    while True:
        page = client.search(entity=entity, page_size=1, order=order, page_token=token)
        seen += [version.version_id for version in page.versions]
        if not (token := page.next_page_token):
            break
    assert len(seen) == len(set(seen)) == 6


def test_unknown_fields_are_refused_with_those_that_are_known(client: Client, entity: str) -> None:
    for filter in ({"colour": 1}, {"metadata": 1}, {"name": {"$near": 1}}, {"name.x": 1}, [1], {"$or": []}):
        assert reason_of(lambda filter=filter: client.search(entity=entity, filter_json=json.dumps(filter))) == (
            "INVALID_FILTER"
        )


def freed(client: Client, prefix: str, /, **filter: object) -> tuple[int, int]:
    wanted = json.dumps({"collection": {"$regex": f"^{prefix}"}, **filter})
    found = client.search(entity="team", page_size=0, filter_json=wanted)
    assert not found.versions
    return found.total_count, found.freed_bytes


def test_deletion_gives_back_what_no_other_version_names(client: Client, collection: str) -> None:
    shared, own = collection.encode() * 1000, collection.encode() * 50
    first = content_of({"shared": shared, "own": own})
    client.log(collection, first)
    client.log(f"{collection}-other", content_of({"shared": shared}))
    count, size = freed(client, collection, collection=collection)
    assert (count, size) == (1, len(own) + len(first.chunks[-1]) + len(first.chunks[-2]))
    everything = freed(client, collection)
    assert everything[0] == 2
    assert everything[1] > size + len(shared)
    assert freed(client, collection, version=7) == (0, 0)


def test_equal_versions_give_nothing_back_alone(client: Client, collection: str) -> None:
    content = content_of({"a": collection.encode()})
    client.log(collection, content)
    client.log(f"{collection}-copy", content)
    assert freed(client, collection, collection=collection) == (1, 0)
    assert freed(client, collection) == (2, sum(map(len, content.chunks)))
