"""Distributed versions at the registry: parts of many writers become one version, once, and nothing of anyone's is lost."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.registry.v1.version_pb2 import (
    VERSION_STATE_COMMITTED,
    VERSION_STATE_PART,
    AbortVersionRequest,
    ListManifestSegmentsRequest,
    Version,
)
from registry.client import Client, content_of, error_of, new_request_id, reason_of
from registry.processes import RegistryProcess

ID = "epoch-7"


def digests_of(client: Client, version: Version) -> dict[str, str]:
    found: dict[str, str] = {}
    token = ""
    while True:
        request = ListManifestSegmentsRequest(version_id=version.version_id, page_token=token)
        page = client.call(client.versions.ListManifestSegments, request)
        for encoded in page.segments:
            segment = ManifestSegment.FromString(encoded)
            for at, path in enumerate(segment.paths):
                found[path] = segment.digests[32 * at : 32 * at + 32].hex()
        token = page.next_page_token
        if not token:
            return found


def expected(files: Mapping[str, bytes]) -> dict[str, str]:
    segment = ManifestSegment.FromString(content_of(files).chunks[len(set(files.values()))])
    return {path: segment.digests[32 * at : 32 * at + 32].hex() for at, path in enumerate(segment.paths)}


def test_parts_of_all_writers_become_one_version(client: Client, collection: str) -> None:
    parts = [{f"writer-{number}/{name}": f"{number}{name}".encode() for name in "abc"} for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        brought = list(
            pool.map(lambda n: client.write_part(collection, ID, f"host/pid {n}", parts[n]), range(len(parts)))
        )
    assert {version.state for version in brought} == {VERSION_STATE_PART}
    assert client.list_versions(collection).total_count == 0
    finished = client.finish(collection, ID, aliases=["best"], tags=["done"])
    assert (finished.created, finished.parts, finished.version.version_index) == (True, 5, 0)
    assert list(finished.version.aliases) == ["best", "latest"]
    assert finished.version.distributed_id == ID
    whole = {path: data for part in parts for path, data in part.items()}
    assert finished.version.digest == content_of(whole).artifact_digest
    assert digests_of(client, finished.version) == expected(whole)
    assert (finished.version.entry_count, finished.version.size_bytes) == (15, sum(map(len, whole.values())))


def test_same_content_as_the_latest_version_makes_no_new_one(client: Client, collection: str) -> None:
    files = {"a": b"1", "b": b"2"}
    first = client.log_files(collection, files)
    client.write_part(collection, ID, "w1", {"a": b"1"})
    client.write_part(collection, ID, "w2", {"b": b"2"})
    finished = client.finish(collection, ID, aliases=["again"])
    assert not finished.created
    assert finished.version.version_id == first.version_id
    assert "again" in finished.version.aliases


def test_one_path_with_two_contents_names_path_and_both_writers(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "north/pid 1/run a", {"same": b"1", "x": b"1"})
    client.write_part(collection, ID, "south/pid 2/run b", {"same": b"2", "y": b"1"})
    with pytest.raises(grpc.RpcError) as refused:
        client.finish(collection, ID)
    detail = error_of(refused.value)
    assert detail.reason == "PART_CONFLICT"
    found = dict(detail.metadata)
    assert found.pop("request_id")
    assert found == {"path": "same", "writer": "north/pid 1/run a", "other_writer": "south/pid 2/run b"}
    assert client.list_versions(collection).total_count == 0


def test_a_file_of_one_writer_and_a_folder_of_another_are_a_conflict(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "w1", {"a": b"1"})
    client.write_part(collection, ID, "w2", {"a.txt": b"1", "a/b": b"1"})
    with pytest.raises(grpc.RpcError) as refused:
        client.finish(collection, ID)
    detail = error_of(refused.value)
    assert (detail.reason, detail.metadata["path"]) == ("PART_CONFLICT", "a")
    assert {detail.metadata["writer"], detail.metadata["other_writer"]} == {"w1", "w2"}


def test_one_path_with_one_content_may_be_in_many_parts(client: Client, collection: str) -> None:
    for writer in range(4):
        client.write_part(collection, ID, f"w{writer}", {"shared": b"same", f"own-{writer}": b"1"})
    assert client.finish(collection, ID).version.entry_count == 5


def test_a_later_part_of_a_writer_replaces_its_own_earlier_entries(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "w", {"a": b"old", "b": b"kept"})
    client.write_part(collection, ID, "other", {"a": b"new"})
    client.write_part(collection, ID, "w", {"a": b"new"})
    version = client.finish(collection, ID).version
    assert version.digest == content_of({"a": b"new", "b": b"kept"}).artifact_digest


def test_finishing_again_gives_the_version_whoever_asks(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "w", {"a": b"1"})
    request_id = new_request_id()
    first = client.finish(collection, ID, id=request_id)
    assert client.finish(collection, ID, id=request_id) == first
    again = client.finish(collection, ID, aliases=["second"])
    assert (again.created, again.version.version_id) == (False, first.version.version_id)
    assert "second" in again.version.aliases
    client.log_files(collection, {"later": b"1"})
    third = client.finish(collection, ID)
    assert third.version.version_id == first.version.version_id
    assert "latest" not in third.version.aliases


def test_two_that_finish_at_once_make_one_version(client: Client, collection: str) -> None:
    for writer in range(3):
        client.write_part(collection, ID, f"w{writer}", {f"{writer}": b"1"})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.finish(collection, ID), range(4)))
    assert sum(answer.created for answer in answers) == 1
    assert len({answer.version.version_id for answer in answers}) == 1
    assert client.list_versions(collection).total_count == 1


def test_nobody_has_begun_it(client: Client, collection: str) -> None:
    client.log_files(collection, {"a": b"1"})
    assert reason_of(lambda: client.finish(collection, "unknown")) == "NOT_FOUND"
    assert reason_of(lambda: client.finish("no-such-collection", ID)) == "NOT_FOUND"


def test_a_finish_waits_for_parts_that_are_begun(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "early", {"a": b"1"})
    content, begun = content_of({"b": b"2"}), client.begin_part(collection, ID, "late/pid 9")
    request_id = new_request_id()
    answer = client.finish(collection, ID, id=request_id)
    assert list(answer.waiting_for) == ["late/pid 9"]
    assert not answer.HasField("version")
    client.bring(begun.lease.lease_id, content.chunks)
    assert client.add_part(begun, content).version.state == VERSION_STATE_PART
    assert client.finish(collection, ID, id=request_id).version.entry_count == 2


def test_a_part_that_comes_too_late_is_refused_unless_all_of_it_is_there(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "w", {"a": b"1", "b": b"2"})
    finished = client.finish(collection, ID).version
    late = client.write_part(collection, ID, "late", {"b": b"2"})
    assert (late.state, late.version_id) == (VERSION_STATE_COMMITTED, finished.version_id)
    for files in ({"b": b"other"}, {"c": b"3"}):
        refused = reason_of(lambda files=files: client.write_part(collection, ID, "late", files))
        assert refused == "DISTRIBUTED_FINISHED"
    assert client.get(finished.version_id).digest == finished.digest


def test_a_part_is_checked_as_a_commit_is(client: Client, collection: str) -> None:
    content, begun = content_of({"a": b"part " + collection.encode()}), client.begin_part(collection, ID, "w")
    request_id = new_request_id()
    assert client.add_part(begun, content, id=request_id).missing_digests == content.root_digest
    client.bring(begun.lease.lease_id, content.chunks)
    content.artifact_digest = "0" * 64
    assert reason_of(lambda: client.add_part(begun, content)) == "MANIFEST_DIGEST_MISMATCH"


def test_a_lost_writer_is_named_and_can_be_left_out(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "here", {"a": b"1"})
    begun = client.begin_part(collection, ID, "gone/pid 3/run x")
    client.call(client.versions.AbortVersion, AbortVersionRequest(version_id=begun.version_id))
    with pytest.raises(grpc.RpcError) as refused:
        client.finish(collection, ID)
    detail = error_of(refused.value)
    assert (detail.reason, detail.metadata["writers"]) == ("WRITER_LOST", "gone/pid 3/run x")
    assert client.finish(collection, ID, without_lost_writers=True).version.entry_count == 1


def test_a_part_that_is_withdrawn_is_missed_by_nobody(client: Client, collection: str) -> None:
    client.write_part(collection, ID, "here", {"a": b"1"})
    begun = client.begin_part(collection, ID, "changed its mind")
    client.call(client.versions.AbortVersion, AbortVersionRequest(version_id=begun.version_id, withdrawn=True))
    assert client.finish(collection, ID).version.entry_count == 1


def test_a_job_that_begins_again_replaces_what_it_had_begun(client: Client, collection: str) -> None:
    job = "a" * 32
    lost = client.begin_part(collection, ID, "w", origin_id=job)
    client.call(client.versions.AbortVersion, AbortVersionRequest(version_id=lost.version_id))
    content, begun = content_of({"a": b"1"}), client.begin_part(collection, ID, "w", origin_id=job)
    client.bring(begun.lease.lease_id, client.missing_of(begun.lease.lease_id, content.chunks) or content.chunks)
    brought = client.add_part(begun, content, origin_id=job).version
    # Brought a second time, by a copy of the journal say, it is the part that is there already.
    again = client.begin_part(collection, ID, "w", origin_id=job)
    assert client.add_part(again, content, origin_id=job).version.version_id == brought.version_id
    assert client.finish(collection, ID).parts == 1


def test_a_lease_that_ends_makes_its_writer_a_lost_one(tmp_path: Path) -> None:
    settings = {"HOLDFAST_REGISTRY_PART_LEASE_TTL_S": "1"}
    with RegistryProcess(tmp_path, environment=settings) as process, Client(process.target) as client:
        client.write_part("c", ID, "quick", {"a": b"1"})
        begun = client.begin_part("c", ID, "slow")
        assert begun.lease.ttl_s == 1
        request_id = new_request_id()
        while (answer := _finish_or_reason(client, request_id)) == ["slow"]:
            assert reason_of(lambda: client.finish("other", ID)) == "NOT_FOUND"
        assert answer == "WRITER_LOST"


def _finish_or_reason(client: Client, request_id: str) -> object:
    try:
        return list(client.finish("c", ID, id=request_id).waiting_for)
    except grpc.RpcError as error:
        return error_of(error).reason


def test_an_origin_is_answered_with_its_version_although_later_ones_came(client: Client, collection: str) -> None:
    job, content = "b" * 32, content_of({"a": b"first"})
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, client.missing_of(begun.lease.lease_id, content.chunks) or content.chunks)
    first = client.commit(begun, content, origin_id=job).version
    client.log_files(collection, {"a": b"second"})
    again = client.commit(client.begin(collection), content, origin_id=job, aliases=["moved"])
    assert (again.created, again.version.version_id) == (False, first.version_id)
    assert "moved" not in again.version.aliases
    assert client.list_versions(collection).total_count == 2


def test_a_commit_is_made_only_over_its_base(client: Client, collection: str) -> None:
    content = content_of({"a": b"1"})
    begun = client.begin(collection)
    client.bring(begun.lease.lease_id, client.missing_of(begun.lease.lease_id, content.chunks) or content.chunks)
    first = client.log_files(collection, {"other": b"1"})
    for base in ("none", "c" * 32):
        refused = client.commit(begun, content, base_version_id=base)
        assert (refused.base_changed, refused.latest_version_id) == (True, first.version_id)
        assert refused.latest_digest == first.digest
    assert client.commit(begun, content, base_version_id=first.version_id).created
