"""Semantic versions beside the numbers: given once, asked for by name, found by name and by range."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import grpc

from holdfast_registry.database.semantic_versions import ROWS_AT_ONCE
from holdfastpb.registry.v1.version_pb2 import (
    VERSION_BUMP_MINOR,
    VERSION_BUMP_PATCH,
    SemanticVersionWish,
    Version,
)
from registry.client import Client, content_of, error_of, reason_of
from registry.processes import RegistryProcess
from support.figures import figure

_numbers = itertools.count()


def log(client: Client, collection: str, exact: str = "", **wish: object) -> Version:
    content = content_of({"n": str(next(_numbers)).encode()})
    asked = SemanticVersionWish(exact=exact, **wish)  # type: ignore[arg-type]
    return client.log(collection, content, semantic_version=asked).version


def given(client: Client, collection: str) -> list[str]:
    found = client.list_versions(collection, oldest_first=True).versions
    return [version.semantic_version for version in found]


def found(client: Client, collection: str, *names: str, **more: bool) -> list[str]:
    return [client.resolve(collection, name, **more).semantic_version for name in names]


def test_first_version_is_1_0_0_and_each_further_one_raises_the_major(client: Client, collection: str) -> None:
    first = client.log_files(collection, {"a": b"a"})
    assert (first.version_index, first.semantic_version) == (0, "1.0.0")
    log(client, collection)
    assert given(client, collection) == ["1.0.0", "2.0.0"]


def test_bumps_rise_above_the_highest_ever_given(client: Client, collection: str) -> None:
    log(client, collection, "1.4.2")
    log(client, collection, "0.9.0")
    log(client, collection, bump=VERSION_BUMP_MINOR)
    log(client, collection, bump=VERSION_BUMP_PATCH)
    log(client, collection)
    assert given(client, collection) == ["1.4.2", "0.9.0", "1.5.0", "1.5.1", "2.0.0"]


def test_version_that_another_one_has_is_refused_and_nothing_is_committed(client: Client, collection: str) -> None:
    log(client, collection, "1.2.0+a")
    assert reason_of(lambda: log(client, collection, "1.2.0+a")) == "SEMVER_EXISTS"
    assert log(client, collection, "1.2.0").version_index == 1, "the build tells them apart"
    assert reason_of(lambda: log(client, collection, "1.2")) == "INVALID_NAME"
    assert reason_of(lambda: log(client, collection, bump=9)) == "INVALID_ARGUMENT"


def test_version_of_what_was_deleted_is_not_given_again_until_it_is_restored(client: Client, collection: str) -> None:
    log(client, collection)
    client.delete(log(client, collection, "5.0.0").version_id, delete_aliases=True)
    assert reason_of(lambda: log(client, collection, "5.0.0")) == "SEMVER_REUSED"
    assert reason_of(lambda: client.resolve(collection, "5.0.0")) == "NOT_FOUND"
    assert log(client, collection).semantic_version == "6.0.0"
    assert client.restore(collection, 1).semantic_version == "5.0.0"
    assert found(client, collection, "5.0.0", "^5") == ["5.0.0", "5.0.0"]


def test_equal_content_is_a_version_of_its_own_only_where_that_is_asked_for(client: Client, collection: str) -> None:
    content = content_of({"a": b"a"})
    assert client.log(collection, content).created
    for wish, created in (
        (SemanticVersionWish(bump=VERSION_BUMP_MINOR), False),
        (SemanticVersionWish(exact="1.0.0"), False),
        (SemanticVersionWish(exact="7.0.0", if_free=True), False),
        (SemanticVersionWish(exact="1.0.1"), True),
        (SemanticVersionWish(exact="1.0.1"), False),
        (SemanticVersionWish(always_new=True), True),
    ):
        assert client.log(collection, content, semantic_version=wish).created is created
    assert given(client, collection) == ["1.0.0", "1.0.1", "2.0.0"]
    begun = client.begin(collection)
    asked = client.commit(begun, content, manifest_root=b"", semantic_version=SemanticVersionWish(exact="1.0.2"))
    assert asked.manifest_needed


def test_carried_version_that_is_taken_gets_the_next_one(client: Client, collection: str) -> None:
    log(client, collection, "1.2.0", if_free=True)
    log(client, collection, "1.2.0", if_free=True)
    assert given(client, collection) == ["1.2.0", "2.0.0"]


def test_names_find_versions_by_precedence(client: Client, collection: str) -> None:
    for text in ("1.2.0", "1.10.0", "2.0.0-rc.1", "1.9.3", "0.3.0"):
        log(client, collection, text)
    assert found(client, collection, "1.2.0", "^1.2", "~1.9", "1.x", "1.2.*", ">=1.0,<1.10") == [
        *("1.2.0", "1.10.0", "1.9.3", "1.10.0", "1.2.0", "1.9.3")
    ]
    assert found(client, collection, "*", ">=2.0.0-rc.1", "2.0.0-rc.1", "Latest", "LATEST", "v3") == [
        *("1.10.0", "2.0.0-rc.1", "2.0.0-rc.1", "0.3.0", "0.3.0", "1.9.3")
    ]
    for name in ("2.0.0", "^2", "1", "1.2", "^1.11", "1.2.0+b"):
        assert reason_of(lambda name=name: client.resolve(collection, name)) == "NOT_FOUND"


def test_range_looks_past_any_number_of_prereleases(client: Client, collection: str) -> None:
    content = content_of({"a": b"a"})
    client.log(collection, content, semantic_version=SemanticVersionWish(exact="1.0.0"))
    for number in range(ROWS_AT_ONCE + 1):
        client.log(collection, content, semantic_version=SemanticVersionWish(exact=f"1.1.0-rc.{number}"))
    assert found(client, collection, "^1", ">=1.1.0-rc.3") == ["1.0.0", f"1.1.0-rc.{ROWS_AT_ONCE}"]


def test_alias_that_exists_wins_and_one_that_opens_a_range_is_refused(client: Client, collection: str) -> None:
    first = log(client, collection, "1.0.0")
    log(client, collection, "1.2.0")
    client.update(first.version_id, aliases_to_add=["1.3.0", "1.x"])
    log(client, collection, "1.3.0")
    assert found(client, collection, "1.3.0", "1.x", "^1") == ["1.0.0", "1.0.0", "1.3.0"]
    assert found(client, collection, "1.3.0", "1.x", "Latest", "v1", numbers_first=True) == [*["1.3.0"] * 3, "1.2.0"]
    for alias in ("^1.2", "~1", ">=1", "<2", "*"):
        assert reason_of(lambda alias=alias: client.update(first.version_id, aliases_to_add=[alias])) == "INVALID_NAME"


def test_alias_does_not_capture_a_number_that_somebody_asked_for(client: Client, collection: str) -> None:
    first, second = log(client, collection), log(client, collection)
    third = log(client, collection, "2.5.0")
    client.delete(log(client, collection, "2.6.0").version_id, delete_aliases=True)
    for alias in ("2.5.0", "2.6.0"):
        assert (
            reason_of(lambda alias=alias: client.update(first.version_id, aliases_to_add=[alias])) == "INVALID_ARGUMENT"
        )
        content = content_of({"a": alias.encode()})
        assert (
            reason_of(lambda content=content: client.log(collection, content, aliases=["2.5.0"])) == "INVALID_ARGUMENT"
        )
    client.update(third.version_id, aliases_to_add=["2.5.0"])
    client.update(first.version_id, aliases_to_add=["2.0.0", "9.9.9"])
    assert second.semantic_version == "2.0.0"
    assert found(client, collection, "2.0.0", "2.5.0") == ["1.0.0", "2.5.0"]
    assert found(client, collection, "2.0.0", "9.9.9", numbers_first=True) == ["2.0.0", "1.0.0"]


def test_latest_in_any_case_is_the_registrys_own(client: Client, collection: str) -> None:
    first = log(client, collection)
    content = content_of({"a": b"b"})
    assert client.log(collection, content, aliases=["Latest"]).version.aliases == ["latest"]
    assert reason_of(lambda: client.update(first.version_id, aliases_to_add=["LATEST"])) == "INVALID_ARGUMENT"


def test_portfolio_finds_linked_versions_by_their_own_version(client: Client, collection: str) -> None:
    shelf = f"{collection}-shelf"
    first, second, _ = (log(client, collection, text) for text in ("1.0.0", "1.5.0", "1.9.0"))
    client.link(second.version_id, shelf)
    client.link(first.version_id, shelf)
    by_range = client.resolve(shelf, "^1")
    assert (by_range.semantic_version, by_range.link.version_index) == ("1.5.0", 0)
    assert client.resolve(shelf, "1.0.0").link.version_index == 1
    assert reason_of(lambda: client.resolve(shelf, "1.9.0")) == "NOT_FOUND"
    log(client, f"{collection}-2", "1.5.0")
    client.link(client.resolve(f"{collection}-2").version_id, shelf)
    assert [client.resolve(shelf, name).link.version_index for name in ("^1", "1.5.0")] == [2, 2], "the newest link"


def test_lists_are_filtered_and_sorted_by_precedence(client: Client, collection: str) -> None:
    for text in ("1.10.0", "1.2.0", "1.2.0-rc.1", "2.0.0"):
        log(client, collection, text)

    def listed(**fields: object) -> list[str]:
        return [version.semantic_version for version in client.list_versions(collection, **fields).versions]

    assert listed(order="+semantic_version") == ["1.2.0-rc.1", "1.2.0", "1.10.0", "2.0.0"]
    page = client.list_versions(collection, order="-semantic_version", page_size=3)
    assert listed(order="-semantic_version", page_size=3, page_token=page.next_page_token) == ["1.2.0-rc.1"]
    between = '{"semantic_version": {"$gte": "1.2.0", "$lt": "2.0.0"}}'
    assert listed(filter_json=between, order="semantic_version") == ["1.2.0", "1.10.0"]
    assert listed(filter_json='{"semantic_version": {"$in": ["1.2.0", "3.0.0"]}}') == ["1.2.0"]
    assert reason_of(lambda: listed(filter_json='{"semantic_version": "^1.2"}')) == "INVALID_FILTER"


def test_distributed_version_gets_the_one_that_its_finish_asks_for(client: Client, collection: str) -> None:
    client.write_part(collection, "job", "writer", {"a": b"a"})
    wish = SemanticVersionWish(exact="3.1.0")
    finished = client.finish(collection, "job", semantic_version=wish).version
    assert finished.semantic_version == "3.1.0"
    assert client.write_part(collection, "next", "writer", {"a": b"b"}).semantic_version == ""
    assert reason_of(lambda: client.finish(collection, "next", semantic_version=wish)) == "SEMVER_EXISTS"
    assert client.finish(collection, "next").version.semantic_version == "4.0.0"


def test_begin_refuses_what_its_commit_would_refuse(client: Client, collection: str) -> None:
    def begin(exact: str, **more: object) -> None:
        wish = SemanticVersionWish(exact=exact, **more)  # type: ignore[arg-type]
        client.begin(collection, semantic_version=wish, origin_id=job)

    job = ""
    for text in ("1.0.0", "1.1.0", "1.2.0"):
        version = log(client, collection, text)
    client.delete(client.resolve(collection, "1.1.0").version_id)
    assert reason_of(lambda: begin("1.0.0")) == "SEMVER_EXISTS"
    assert reason_of(lambda: begin("1.1.0")) == "SEMVER_REUSED"
    assert reason_of(lambda: begin("1.2.0", always_new=True)) == "SEMVER_EXISTS"
    assert reason_of(lambda: begin("1.2")) == "INVALID_NAME"
    begin("1.2.0")  # perhaps with equal content
    begin("1.0.0", if_free=True)
    begin("1.3.0")
    job = version.version_id
    begin("1.0.0")  # a job that has come to a version gets that one, whatever it asks for
    begin_part = {"distributed_id": "job", "writer": "w", "origin_id": "0" * 32}
    client.begin(collection, semantic_version=SemanticVersionWish(exact="1.0.0"), **begin_part)


def test_concurrent_commits_never_share_a_version(registry: RegistryProcess, collection: str) -> None:
    writers, each = figure(6, 64), figure(4, 100)

    def write(writer: int) -> list[str]:
        with Client(registry.target) as own:
            wanted = "1.5.0" if writer % 2 else ""
            return [log(own, collection, wanted, if_free=True).semantic_version for _ in range(each)]

    with ThreadPoolExecutor(writers) as pool:
        everything = [text for mine in pool.map(write, range(writers)) for text in mine]
    assert len(set(everything)) == writers * each


def test_of_writers_who_demand_one_version_one_gets_it(registry: RegistryProcess, collection: str) -> None:
    def demand(_: int) -> str:
        with Client(registry.target) as own:
            try:
                return log(own, collection, "1.0.0").semantic_version
            except grpc.RpcError as refused:
                return error_of(refused).reason

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(demand, range(6))) == ["1.0.0", *["SEMVER_EXISTS"] * 5]
