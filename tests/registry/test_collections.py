"""Collections: what can be changed of them and what not, what goes with them, and how they are found."""

from __future__ import annotations

import json

import pytest

from holdfastpb.registry.v1.collection_pb2 import (
    COLLECTION_KIND_PORTFOLIO,
    COLLECTION_KIND_SEQUENCE,
    Collection,
    ListTypesRequest,
)
from holdfastpb.registry.v1.version_pb2 import TTL_KIND_DURATION, Ttl
from registry.client import Client, content_of, new_request_id, reason_of


def test_collection_tells_what_it_is(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"12345"}, aliases=["best"])
    own = client.collection(collection)
    assert (own.kind, own.type, own.version_count, own.latest_version_index) == (
        COLLECTION_KIND_SEQUENCE,
        "dataset",
        1,
        0,
    )
    assert (list(own.aliases), own.has_description, own.latest_size_bytes) == (["best", "latest"], False, 5)
    assert client.collection("", id=own.collection_id) == own
    client.link(version.version_id, f"p-{collection}", aliases=["prod"])
    portfolio = client.collection(f"p-{collection}")
    assert (portfolio.kind, portfolio.version_count) == (COLLECTION_KIND_PORTFOLIO, 1)
    assert (portfolio.latest_version_index, portfolio.latest_size_bytes) == (0, 5)
    assert list(portfolio.aliases) == ["latest", "prod"]


def test_change_of_everything_is_seen(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"a"})
    own = client.collection(collection)
    ttl = Ttl(kind=TTL_KIND_DURATION, seconds=60)
    changed = client.update_collection(
        own.collection_id,
        new_name=f"new {collection}",
        new_type="model",
        set_description=True,
        description="words",
        tags_to_add=["a", "b b"],
        set_ttl=True,
        ttl=ttl,
    )
    assert (changed.name, changed.type, changed.description) == (f"new {collection}", "model", "words")
    assert (list(changed.tags), changed.ttl, changed.has_description) == (["a", "b b"], ttl, True)
    seen = client.resolve(f"new {collection}")
    assert (seen.version_id, seen.type) == (version.version_id, "model")
    assert seen.expires_at_ms == seen.created_at_ms + 60_000
    assert reason_of(lambda: client.resolve(collection)) == "NOT_FOUND"
    again = client.update_collection(
        own.collection_id, tags_to_remove=["a"], set_description=True, description_is_null=True
    )
    assert (list(again.tags), again.has_description, again.name) == (["b b"], False, f"new {collection}")


def test_what_cannot_be_changed_is_refused(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"a"})
    other = client.collection(client.log_files(f"o-{collection}", {"a": b"a"}).collection)
    client.link(version.version_id, f"p-{collection}")
    update = lambda collection_id, **fields: reason_of(  # noqa: E731
        lambda: client.update_collection(collection_id, **fields)
    )
    assert update(other.collection_id, new_name=collection) == "ALREADY_EXISTS"
    assert update(other.collection_id, new_name="a/b") == "INVALID_NAME"
    assert update(other.collection_id, new_type="job") == "TYPE_RESERVED"
    assert update(other.collection_id, new_type="a:b") == "INVALID_NAME"
    assert update(other.collection_id, tags_to_add=["bad/tag"]) == "INVALID_NAME"
    assert update("0" * 32, new_name="x") == "NOT_FOUND"
    assert update(client.collection(f"p-{collection}").collection_id, new_type="model") == "KIND_MISMATCH"
    client.log(f"j-{collection}", content_of({"a": b"j"}), type="job")
    assert update(client.collection(f"j-{collection}").collection_id, new_type="model") == "TYPE_RESERVED"
    assert client.collection(other.name) == other


def test_deleting_a_sequence_takes_versions_and_links_and_frees_the_name(client: Client, collection: str) -> None:
    versions = [client.log_files(collection, {"a": f"{collection}{number}".encode()}) for number in range(3)]
    kept = client.log_files(f"k-{collection}", {"a": b"k"})
    for version in (kept, *versions):
        client.link(version.version_id, f"p-{collection}")
    pending = client.begin(collection)
    own = client.collection(collection)
    assert client.delete_collection(own.collection_id) == 3
    assert reason_of(lambda: client.collection(collection)) == "NOT_FOUND"
    assert reason_of(lambda: client.collection("", id=own.collection_id)) == "NOT_FOUND"
    assert reason_of(lambda: client.delete_collection(own.collection_id)) == "NOT_FOUND"
    assert reason_of(lambda: client.get(versions[0].version_id)) == "NOT_FOUND"
    assert reason_of(lambda: client.find_missing(pending.lease.lease_id, [b"x"])) == "LEASE_EXPIRED"
    portfolio = client.resolve(f"p-{collection}")
    assert (portfolio.version_id, list(portfolio.link.aliases)) == (kept.version_id, ["latest"])
    assert client.list_versions(f"p-{collection}").total_count == 1
    again = client.log_files(collection, {"a": f"{collection}0".encode()})
    assert (again.version_index, client.collection(collection).collection_id != own.collection_id) == (0, True)


def test_deleting_a_portfolio_leaves_the_versions(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"a"})
    client.link(version.version_id, f"p-{collection}", aliases=["x"])
    assert client.delete_collection(client.collection(f"p-{collection}").collection_id) == 0
    assert client.resolve(collection) == version
    assert reason_of(lambda: client.resolve(f"p-{collection}")) == "NOT_FOUND"


def test_portfolio_is_made_empty_and_once(client: Client, collection: str) -> None:
    request_id = new_request_id()
    made = client.create_portfolio(f"p {collection}", description="words", id=request_id)
    assert (made.kind, made.version_count, made.latest_version_index) == (COLLECTION_KIND_PORTFOLIO, 0, -1)
    assert client.create_portfolio(f"p {collection}", description="words", id=request_id) == made
    assert reason_of(lambda: client.create_portfolio(f"p {collection}")) == "ALREADY_EXISTS"
    assert reason_of(lambda: client.create_portfolio("x", type="job")) == "INVALID_NAME"


def names(found: list[Collection]) -> list[str]:
    return [one.name for one in found]


@pytest.fixture
def project(client: Client, collection: str) -> str:
    """A project with three sequences and a portfolio."""
    for name, type_name in (("cats", "dataset"), ("dogs", "dataset"), ("net", "model")):
        version = client.log_files(name, {"a": name.encode()}, project=collection, type=type_name)
    client.link(version.version_id, "best", project=collection)
    client.update_collection(
        client.collection("dogs", project=collection).collection_id,
        tags_to_add=["pets"],
        set_description=True,
        description="barking",
    )
    return collection


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"name": "cats"}, ["cats"]),
        ({"name": {"$regex": "^[cd]"}}, ["cats", "dogs"]),
        ({"type": "model", "isSequence": True}, ["net"]),
        ({"is_sequence": False}, ["best"]),
        ({"tags": "pets"}, ["dogs"]),
        ({"tag": {"$exists": False}, "type": "dataset"}, ["cats"]),
        ({"description": {"$contains": "bark"}}, ["dogs"]),
        ({"description": None, "type": "dataset"}, ["cats"]),
        ({"createdAt": {"$lt": "2001-01-01"}}, []),
        ({"$nor": [{"name": "cats"}, {"type": "model"}]}, ["dogs"]),
    ],
)
def test_collections_are_found_by_filters(
    client: Client, project: str, filter: dict[str, object], expected: list[str]
) -> None:
    page = client.list_collections(project=project, filter_json=json.dumps(filter))
    assert (names(page.collections), page.total_count) == (expected, len(expected))


def test_collections_are_listed_in_the_order_that_is_asked_for(client: Client, project: str) -> None:
    assert names(client.list_collections(project=project, order="-name").collections) == ["net", "dogs", "cats", "best"]
    first = client.list_collections(project=project, order="-created_at", page_size=3)
    assert names(first.collections) == ["best", "net", "dogs"]
    token = first.next_page_token
    rest = client.list_collections(project=project, order="-created_at", page_size=3, page_token=token)
    assert (names(rest.collections), rest.next_page_token) == (["cats"], "")
    assert reason_of(lambda: client.list_collections(project=project, order="size")) == "INVALID_FILTER"
    assert reason_of(lambda: client.list_collections(project=project, page_token=token)) == "INVALID_ARGUMENT"
    assert reason_of(lambda: client.list_collections(project=project, page_token="x y")) == "INVALID_ARGUMENT"


def test_types_of_a_project_are_counted(client: Client, project: str) -> None:
    types = client.call(client.collections.ListTypes, ListTypesRequest(entity="team", project=project)).types
    assert [(found.name, found.collection_count) for found in types] == [("dataset", 2), ("model", 2)]
    assert all(found.created_at_ms for found in types)
