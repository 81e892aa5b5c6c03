"""Links: a portfolio's own numbers, aliases and latest; what unlinking and deleting leave; what is refused."""

from __future__ import annotations

import pytest

from holdfastpb.registry.v1.version_pb2 import Version
from registry.client import Client, new_request_id, reason_of


def log(client: Client, collection: str, text: str, **fields: object) -> Version:
    return client.log_files(collection, {"a": f"{collection} {text}".encode()}, **fields)


def names(version: Version) -> tuple[int, list[str]]:
    return version.link.version_index, list(version.link.aliases)


def test_portfolio_counts_and_names_by_itself(client: Client, collection: str) -> None:
    portfolio = f"p-{collection}"
    first, second = log(client, collection, "1", aliases=["own"]), log(client, collection, "2")
    linked = client.link(second.version_id, portfolio, aliases=["prod"])
    assert names(linked) == (0, ["latest", "prod"])
    assert (linked.version_id, linked.collection, linked.version_index) == (second.version_id, collection, 1)
    assert list(linked.aliases) == ["latest"]
    assert (linked.link.project, linked.link.collection) == ("vision", portfolio)
    assert names(client.link(first.version_id, portfolio, aliases=["prod"])) == (1, ["latest", "prod"])
    assert names(client.resolve(portfolio, "v0")) == (0, [])
    for alias in ("", "latest", "prod", "v1", first.digest):
        assert client.resolve(portfolio, alias).version_id == first.version_id
    assert reason_of(lambda: client.resolve(portfolio, "own")) == "NOT_FOUND"
    assert reason_of(lambda: client.resolve(portfolio, "v2")) == "NOT_FOUND"
    assert [names(seen) for seen in client.list_versions(portfolio).versions] == [(1, ["latest", "prod"]), (0, [])]
    own = client.resolve(collection, "own")
    assert (list(own.aliases), own.link_count, own.HasField("link")) == (["own"], 1, False)


def test_linking_again_keeps_the_link_and_moves_aliases(client: Client, collection: str) -> None:
    portfolio = f"p-{collection}"
    first, second = log(client, collection, "1"), log(client, collection, "2")
    link_id = client.link(first.version_id, portfolio, aliases=["a"]).link.link_id
    client.link(second.version_id, portfolio, aliases=["b"])
    again = client.link(first.version_id, portfolio, aliases=["b"])
    assert again.link.link_id == link_id
    assert names(again) == (0, ["a", "b"])
    assert names(client.resolve(portfolio, "latest")) == (1, ["latest"])


def test_repeated_request_links_once(client: Client, collection: str) -> None:
    version, request_id = log(client, collection, "1"), new_request_id()
    first = client.link(version.version_id, f"p-{collection}", id=request_id)
    client.unlink(first.link.link_id)
    assert client.link(version.version_id, f"p-{collection}", id=request_id) == first
    assert client.links_of(version.version_id) == []


def test_version_knows_all_its_links(client: Client, collection: str) -> None:
    version = log(client, collection, "1")
    for number in range(3):
        client.link(version.version_id, f"p{number}-{collection}", project=f"other-{collection}")
    links = client.links_of(version.version_id)
    assert [seen.link.collection for seen in links] == [f"p{number}-{collection}" for number in range(3)]
    assert client.get(version.version_id).link_count == 3


def test_unlinking_lets_latest_fall_and_never_reuses_a_number(client: Client, collection: str) -> None:
    portfolio = f"p-{collection}"
    versions = [log(client, collection, str(number)) for number in range(3)]
    linked = [client.link(version.version_id, portfolio, aliases=[f"n{at}"]) for at, version in enumerate(versions)]
    client.unlink(linked[2].link.link_id)
    assert names(client.resolve(portfolio)) == (1, ["latest", "n1"])
    assert reason_of(lambda: client.resolve(portfolio, "n2")) == "NOT_FOUND"
    assert client.resolve(collection).version_id == versions[2].version_id
    assert names(client.link(versions[2].version_id, portfolio)) == (3, ["latest"])
    client.unlink(linked[0].link.link_id)
    assert reason_of(lambda: client.unlink(linked[0].link.link_id)) == "NOT_FOUND"
    assert [names(seen)[0] for seen in client.list_versions(portfolio, oldest_first=True).versions] == [1, 3]


def test_linked_version_is_deleted_only_with_its_links(client: Client, collection: str) -> None:
    portfolio = f"p-{collection}"
    first, second = log(client, collection, "1"), log(client, collection, "2")
    for version in (first, second):
        client.link(version.version_id, portfolio)
    assert reason_of(lambda: client.delete(first.version_id)) == "HAS_ALIASES"
    client.delete(second.version_id, delete_aliases=True)
    assert names(client.resolve(portfolio)) == (0, ["latest"])
    assert reason_of(lambda: client.resolve(portfolio, "v1")) == "NOT_FOUND"
    assert reason_of(lambda: client.links_of(second.version_id)) == "NOT_FOUND"
    assert client.list_versions(portfolio).total_count == 1


def test_aliases_through_a_link_are_the_portfolios_and_the_rest_the_versions_own(
    client: Client, collection: str
) -> None:
    portfolio = f"p-{collection}"
    version = log(client, collection, "1", aliases=["own"])
    linked = client.link(version.version_id, portfolio)
    changed = client.update(
        version.version_id,
        link_id=linked.link.link_id,
        expected_etag=linked.etag,
        aliases_to_add=["prod"],
        aliases_to_remove=["own"],
    )
    assert names(changed) == (0, ["latest", "prod"])
    assert client.get(version.version_id).etag == version.etag
    assert list(client.get(version.version_id).aliases) == ["latest", "own"]
    stale = {"link_id": linked.link.link_id, "expected_etag": linked.etag, "aliases_to_remove": ["prod"]}
    assert reason_of(lambda: client.update(version.version_id, **stale)) == "ETAG_MISMATCH"
    client.update(version.version_id, link_id=linked.link.link_id, tags_to_add=["seen"])
    own = client.get(version.version_id)
    assert (list(own.tags), own.etag != version.etag) == (["seen"], True)


def test_link_of_another_version_is_not_found(client: Client, collection: str) -> None:
    first, second = log(client, collection, "1"), log(client, collection, "2")
    link_id = client.link(first.version_id, f"p-{collection}").link.link_id
    assert reason_of(lambda: client.update(second.version_id, link_id=link_id, aliases_to_add=["x"])) == "NOT_FOUND"


def test_latest_of_a_portfolio_is_not_moved_by_hand(client: Client, collection: str) -> None:
    first, second = log(client, collection, "1"), log(client, collection, "2")
    client.link(first.version_id, f"p-{collection}")
    client.link(second.version_id, f"p-{collection}")
    again = lambda: client.link(first.version_id, f"p-{collection}", aliases=["latest"])  # noqa: E731
    assert reason_of(again) == "INVALID_ARGUMENT"


def test_what_cannot_be_linked_is_refused(client: Client, collection: str) -> None:
    version = log(client, collection, "1")
    portfolio = f"p-{collection}"
    client.link(version.version_id, portfolio)
    link = lambda target, **fields: reason_of(lambda: client.link(version.version_id, target, **fields))  # noqa: E731
    assert link(collection) == "KIND_MISMATCH"
    assert link(portfolio, entity="others") == "INVALID_ARGUMENT"
    assert link("a/b") == "INVALID_NAME"
    assert link(portfolio, aliases=["v3"]) == "INVALID_NAME"
    assert reason_of(lambda: client.link("0" * 32, portfolio)) == "NOT_FOUND"
    assert reason_of(lambda: client.begin(portfolio)) == "KIND_MISMATCH"
    model = client.begin(f"m-{collection}", type="model")
    assert reason_of(lambda: client.link(model.version_id, portfolio)) == "NOT_FOUND"


def test_portfolio_has_one_type(client: Client, collection: str) -> None:
    client.link(log(client, collection, "1").version_id, f"p-{collection}")
    model = client.log_files(f"m-{collection}", {"a": b"m"}, type="model")
    assert reason_of(lambda: client.link(model.version_id, f"p-{collection}")) == "TYPE_MISMATCH"


def test_registry_is_made_by_its_first_link_and_takes_nothing_else(client: Client, collection: str) -> None:
    registry = f"wandb-registry-{collection}"
    version = log(client, collection, "1")
    assert names(client.link(version.version_id, "best models", project=registry)) == (0, ["latest"])
    assert client.resolve("best models", project=registry).version_id == version.version_id
    assert reason_of(lambda: client.begin("x", project=registry)) == "KIND_MISMATCH"


@pytest.mark.parametrize("alias", ["", "latest", "v0"])
def test_empty_portfolio_resolves_nothing(client: Client, collection: str, alias: str) -> None:
    linked = client.link(log(client, collection, "1").version_id, f"p-{collection}")
    client.unlink(linked.link.link_id)
    assert client.list_versions(f"p-{collection}").total_count == 0
    assert reason_of(lambda: client.resolve(f"p-{collection}", alias)) == "NOT_FOUND"
