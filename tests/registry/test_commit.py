"""What a commit decides: new version or none, aliases, numbers, missing chunks; and that it decides once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from holdfast_contract.digest import digest_of
from holdfastpb.registry.v1.run_pb2 import EDGE_KIND_LOGGED, ListVersionRunsRequest, Run
from holdfastpb.registry.v1.version_pb2 import (
    AbortVersionRequest,
    CommitVersionRequest,
    DeleteVersionRequest,
    GetVersionRequest,
    ListVersionsRequest,
    ResolveVersionRequest,
    UpdateVersionRequest,
    Version,
)
from registry.client import Client, content_of, error_of, new_request_id, reason_of
from registry.processes import RegistryProcess
from support.figures import figure


def get(client: Client, version_id: str) -> Version:
    return client.call(client.versions.GetVersion, GetVersionRequest(version_id=version_id)).version


def resolve(client: Client, collection: str, alias: str) -> Version:
    request = ResolveVersionRequest(entity="team", project="vision", collection=collection, alias=alias)
    return client.call(client.versions.ResolveVersion, request).version


def indexes(client: Client, collection: str) -> list[int]:
    request = ListVersionsRequest(entity="team", project="vision", collection=collection, oldest_first=True)
    return [version.version_index for version in client.call(client.versions.ListVersions, request).versions]


def update(client: Client, version_id: str, **fields: Any) -> Version:
    request = UpdateVersionRequest(request_id=new_request_id(), version_id=version_id, **fields)
    return client.call(client.versions.UpdateVersion, request).version


def delete(client: Client, version_id: str, *, delete_aliases: bool = False) -> Version:
    request = DeleteVersionRequest(request_id=new_request_id(), version_id=version_id, delete_aliases=delete_aliases)
    return client.call(client.versions.DeleteVersion, request).version


def test_another_type_is_refused_in_the_words_of_wandb(client: Client, collection: str) -> None:
    client.log_files(collection, {"a": b"a"})
    with pytest.raises(grpc.RpcError) as refused:
        client.begin(collection, type="model")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    detail = error_of(refused.value)
    assert detail.reason == "TYPE_MISMATCH"
    assert detail.message == (
        f"Artifact {collection} already exists with type 'dataset'; cannot create another with type 'model'"
    )


def test_bad_names_are_refused_before_anything_is_made(client: Client) -> None:
    for fields in ({"entity": "a b"}, {"project": "a/b"}, {"type": "a:b"}):
        assert reason_of(lambda fields=fields: client.begin("name", **fields)) == "INVALID_NAME"
    assert reason_of(lambda: client.begin("no/slash")) == "INVALID_NAME"


def test_missing_chunks_are_listed_and_nothing_is_committed(client: Client, collection: str) -> None:
    content = content_of({"a": b"1" + collection.encode(), "b": b"2" + collection.encode()})
    begun = client.begin(collection)
    request_id = new_request_id()
    answer = client.commit(begun, content, id=request_id)
    assert answer.missing_digests == content.root_digest
    client.bring(begun.lease.lease_id, [content.root])
    segment = content.chunks[-2]
    assert client.commit(begun, content, id=request_id).missing_digests == digest_of(segment)
    client.bring(begun.lease.lease_id, [segment, content.chunks[0]])
    assert client.commit(begun, content, id=request_id).missing_digests == digest_of(content.chunks[1])
    assert indexes(client, collection) == []
    client.bring(begun.lease.lease_id, [content.chunks[1]])
    assert client.commit(begun, content, id=request_id).created
    assert indexes(client, collection) == [0]


def test_equal_content_makes_no_version_but_records_names_and_lineage(client: Client, collection: str) -> None:
    content = content_of({"a": b"same"})
    first = client.log(collection, content).version
    begun = client.begin(collection)
    assert begun.latest_digest == content.artifact_digest
    run = Run(entity="team", project="vision", run_id=f"again-{collection}")
    answer = client.commit(begun, content, manifest_root=b"", aliases=["best"], tags=["seen"], run=run)
    assert not answer.created
    assert answer.version.version_id == first.version_id
    assert list(answer.version.aliases) == ["best", "latest"]
    assert list(answer.version.tags) == ["seen"]
    assert answer.version.etag != first.etag
    request = ListVersionRunsRequest(version_id=first.version_id, kind=EDGE_KIND_LOGGED)
    assert [found.run_id for found in client.call(client.runs.ListVersionRuns, request).runs] == [run.run_id]
    assert indexes(client, collection) == [0]
    assert reason_of(lambda: get(client, begun.version_id)) == "NOT_FOUND"
    assert reason_of(lambda: client.find_missing(begun.lease.lease_id, [b"x"])) == "LEASE_EXPIRED"


def test_expected_no_op_that_is_none_asks_for_the_manifest(client: Client, collection: str) -> None:
    client.log_files(collection, {"a": b"1"})
    content = content_of({"a": b"2" + collection.encode()})
    begun = client.begin(collection)
    request_id = new_request_id()
    assert client.commit(begun, content, id=request_id, manifest_root=b"").manifest_needed
    client.bring(begun.lease.lease_id, content.chunks)
    assert client.commit(begun, content, id=request_id).version.version_index == 1


def test_content_of_an_older_version_is_a_new_version(client: Client, collection: str) -> None:
    for text in (b"1", b"2", b"1"):
        client.log_files(collection, {"a": text})
    assert indexes(client, collection) == [0, 1, 2]


def test_aliases_move_and_latest_names_the_highest(client: Client, collection: str) -> None:
    first = client.log_files(collection, {"a": b"1"}, aliases=["best"])
    second = client.log_files(collection, {"a": b"2"}, aliases=["best", "latest"])
    assert list(second.aliases) == ["best", "latest"]
    stored = get(client, first.version_id)
    assert list(stored.aliases) == []
    assert stored.etag != first.etag
    update(client, first.version_id, aliases_to_add=["best", "old"], aliases_to_remove=["latest", "never"])
    assert resolve(client, collection, "best").version_id == first.version_id
    assert resolve(client, collection, "latest").version_id == second.version_id
    assert list(get(client, second.version_id).aliases) == ["latest"]


def test_aliases_that_users_may_not_give_are_refused(client: Client, collection: str) -> None:
    old = client.log_files(collection, {"a": b"1"})
    client.log_files(collection, {"a": b"2"})
    assert reason_of(lambda: update(client, old.version_id, aliases_to_add=["v7"])) == "INVALID_NAME"
    assert reason_of(lambda: update(client, old.version_id, aliases_to_add=["a/b"])) == "INVALID_NAME"
    assert reason_of(lambda: update(client, old.version_id, aliases_to_add=["latest"])) == "INVALID_ARGUMENT"
    assert reason_of(lambda: client.log_files(collection, {"a": b"3"}, aliases=["v7"])) == "INVALID_NAME"
    many = [f"alias-{number}" for number in range(100)]
    update(client, old.version_id, aliases_to_add=many)
    assert reason_of(lambda: update(client, old.version_id, aliases_to_add=["one-more"])) == "INVALID_NAME"


def test_update_changes_what_is_given_and_nothing_else(client: Client, collection: str) -> None:
    version = client.log_files(
        collection, {"a": b"1"}, description="first", has_description=True, metadata_json=b'{"a":1}', tags=["x", "y"]
    )
    changed = update(client, version.version_id, tags_to_add=["z"], tags_to_remove=["x"])
    assert list(changed.tags) == ["y", "z"]
    assert (changed.description, changed.metadata_json) == ("first", b'{"a":1}')
    changed = update(client, version.version_id, set_description=True, description_is_null=True)
    assert not changed.has_description
    changed = update(client, version.version_id, set_metadata=True, metadata_json=b'{"b":2}')
    assert changed.metadata_json == b'{"b":2}'
    bad = {"set_metadata": True, "metadata_json": b"[" * 1000}
    assert reason_of(lambda: update(client, version.version_id, **bad)) == "INVALID_METADATA"


def test_update_compares_the_etag(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"1"})
    changed = update(client, version.version_id, expected_etag=version.etag, tags_to_add=["one"])
    stale = {"expected_etag": version.etag, "tags_to_add": ["two"]}
    with pytest.raises(grpc.RpcError) as refused:
        update(client, version.version_id, **stale)
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert error_of(refused.value).reason == "ETAG_MISMATCH"
    assert get(client, version.version_id) == changed


def test_version_with_aliases_is_deleted_only_when_told(client: Client, collection: str) -> None:
    first = client.log_files(collection, {"a": b"1"})
    second = client.log_files(collection, {"a": b"2"}, aliases=["best"])
    assert reason_of(lambda: delete(client, second.version_id)) == "HAS_ALIASES"
    delete(client, second.version_id, delete_aliases=True)
    assert indexes(client, collection) == [0]
    assert resolve(client, collection, "latest").version_id == first.version_id
    for alias in ("best", "v1"):
        assert reason_of(lambda alias=alias: resolve(client, collection, alias)) == "NOT_FOUND"
    assert reason_of(lambda: get(client, second.version_id)) == "NOT_FOUND"
    assert reason_of(lambda: delete(client, second.version_id)) == "NOT_FOUND"


def test_numbers_are_never_given_twice(client: Client, collection: str) -> None:
    for text in (b"1", b"2"):
        version = client.log_files(collection, {"a": text})
        delete(client, version.version_id, delete_aliases=True)
    assert reason_of(lambda: resolve(client, collection, "latest")) == "NOT_FOUND"
    assert client.log_files(collection, {"a": b"2"}).version_index == 2


def test_aborted_version_cannot_be_committed(client: Client, collection: str) -> None:
    content = content_of({"a": b"1"})
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks)
    for _ in range(2):
        client.call(client.versions.AbortVersion, AbortVersionRequest(version_id=begun.version_id))
    assert reason_of(lambda: client.commit(begun, content)) == "VERSION_NOT_PENDING"
    client.call(client.versions.AbortVersion, AbortVersionRequest(version_id="unknown"))


def test_committed_version_cannot_be_committed_again(client: Client, collection: str) -> None:
    content = content_of({"a": b"1"})
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, content.chunks)
    client.commit(begun, content)
    assert reason_of(lambda: client.commit(begun, content)) == "VERSION_NOT_PENDING"


REPEATED: dict[str, Callable[[Client, str, str], object]] = {
    "begin": lambda client, collection, id: client.begin(collection, id=id),
    "commit": lambda client, collection, id: commit_once(client, collection, id),
    "update": lambda client, collection, id: client.call(
        client.versions.UpdateVersion,
        UpdateVersionRequest(
            request_id=id, version_id=resolve(client, collection, "v0").version_id, tags_to_add=["tag"]
        ),
    ),
    "delete": lambda client, collection, id: client.call(
        client.versions.DeleteVersion,
        DeleteVersionRequest(request_id=id, version_id=FIRST_IDS[collection], delete_aliases=True),
    ),
}
FIRST_IDS: dict[str, str] = {}
BEGUN: dict[str, Any] = {}


def commit_once(client: Client, collection: str, request_id: str) -> object:
    content = content_of({"a": collection.encode()})
    if collection not in BEGUN:
        BEGUN[collection] = client.begin(collection)
        client.bring(BEGUN[collection].lease.lease_id, content.chunks)
    return client.commit(BEGUN[collection], content, id=request_id)


@pytest.mark.parametrize("mutation", REPEATED)
def test_repeated_request_gets_the_first_answer(client: Client, collection: str, mutation: str) -> None:
    FIRST_IDS[collection] = client.log_files(collection, {"a": b"1"}).version_id
    act, request_id = REPEATED[mutation], new_request_id()
    first = act(client, collection, request_id)
    count = len(indexes(client, collection))
    assert [act(client, collection, request_id) for _ in range(3)] == [first] * 3
    assert len(indexes(client, collection)) == count


def test_request_id_with_other_content_is_refused(client: Client, collection: str) -> None:
    request_id = new_request_id()
    client.begin(collection, id=request_id)
    assert reason_of(lambda: client.begin(collection + "-other", id=request_id)) == "REQUEST_ID_REUSED"
    version = client.log_files(collection, {"a": b"1"})
    request = DeleteVersionRequest(request_id=request_id, version_id=version.version_id, delete_aliases=True)
    assert reason_of(lambda: client.call(client.versions.DeleteVersion, request)) == "REQUEST_ID_REUSED"


def test_malformed_requests_are_refused(client: Client, collection: str) -> None:
    begun = client.begin(collection)
    content = content_of({"a": b"1"})
    assert reason_of(lambda: client.commit(begun, content, manifest_root=b"short")) == "INVALID_ARGUMENT"
    assert reason_of(lambda: client.commit(begun, content, metadata_json=b"[1]")) == "INVALID_METADATA"
    assert reason_of(lambda: client.commit(begun, content, tags=["no/slash"])) == "INVALID_NAME"
    no_id = CommitVersionRequest(
        version_id=begun.version_id, lease_id=begun.lease.lease_id, artifact_digest=content.artifact_digest
    )
    assert reason_of(lambda: client.call(client.versions.CommitVersion, no_id)) == "INVALID_ARGUMENT"
    request = ListVersionsRequest(entity="team", project="vision", collection=collection, page_token="x")
    assert reason_of(lambda: client.call(client.versions.ListVersions, request)) == "INVALID_ARGUMENT"


def test_concurrent_commits_are_numbered_without_a_gap(registry: RegistryProcess, collection: str) -> None:
    writers, each = figure(8, 64), figure(10, 200)

    def write(writer: int) -> list[int]:
        with Client(registry.target) as own:
            return [
                own.log_files(collection, {"n": f"{writer}/{number}".encode()}).version_index for number in range(each)
            ]

    with ThreadPoolExecutor(writers) as pool:
        numbers = [number for mine in pool.map(write, range(writers)) for number in mine]
    assert sorted(numbers) == list(range(writers * each))


def test_concurrent_commits_of_one_content_make_one_version(registry: RegistryProcess, collection: str) -> None:
    def write(_: int) -> bool:
        with Client(registry.target) as own:
            return own.log(collection, content_of({"a": b"the same"})).created

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1
