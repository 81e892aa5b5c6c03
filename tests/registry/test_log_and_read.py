"""The way of a version through the registry, and reading it back."""

from __future__ import annotations

import grpc
import pytest

from holdfast_contract.digest import EMPTY_DIGEST, digest_of
from holdfastpb.common.v1.hello_pb2 import HelloRequest
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment, Reference
from holdfastpb.registry.v1.collection_pb2 import GetCollectionRequest, ListCollectionsRequest
from holdfastpb.registry.v1.pack_pb2 import LocateChunksRequest, ReadPackRequest
from holdfastpb.registry.v1.run_pb2 import (
    EDGE_KIND_LOGGED,
    EDGE_KIND_USED,
    GetRunRequest,
    ListRunVersionsRequest,
    ListVersionRunsRequest,
    RecordUseRequest,
    Run,
    UpsertRunRequest,
)
from holdfastpb.registry.v1.version_pb2 import (
    GetVersionRequest,
    ListManifestSegmentsRequest,
    ListVersionsRequest,
    ListVersionsResponse,
    ResolveVersionRequest,
    Version,
)
from registry.client import Client, content_of, content_of_segments, reason_of, segment_of


def resolve(client: Client, collection: str, alias: str) -> Version:
    request = ResolveVersionRequest(entity="team", project="vision", collection=collection, alias=alias)
    return client.call(client.versions.ResolveVersion, request).version


def list_versions(client: Client, collection: str, **fields: object) -> ListVersionsResponse:
    request = ListVersionsRequest(entity="team", project="vision", collection=collection, **fields)
    return client.call(client.versions.ListVersions, request)


def test_hello_agrees_on_a_protocol_and_tells_limits(client: Client) -> None:
    answer = client.call(client.hello, HelloRequest(protocol_min=1, protocol_max=7))
    assert answer.protocol == 1
    assert answer.limits.find_missing_digests_max == 65_536
    assert answer.chunking.algorithm == "fastcdc-2020"


def test_hello_refuses_a_protocol_that_it_does_not_speak(client: Client) -> None:
    request = HelloRequest(protocol_min=5, protocol_max=7, software_version="9.9")
    assert reason_of(lambda: client.call(client.hello, request)) == "PROTOCOL_MISMATCH"


def test_version_goes_from_begin_to_list(client: Client, collection: str) -> None:
    content = content_of({"a/b.txt": b"hello", "c": b"x" * 1000})
    begun = client.begin(collection)
    lease_id = begun.lease.lease_id
    assert begun.lease.ttl_s == 3600
    assert (begun.latest_digest, begun.latest_manifest_root) == ("", b"")
    assert client.missing_of(lease_id, content.chunks) == content.chunks
    assert client.bring(lease_id, content.chunks).live_chunks == len(content.chunks)
    assert client.missing_of(lease_id, content.chunks) == []
    answer = client.commit(begun, content, aliases=["best"], tags=["raw data"], metadata_json=b'{"a":1}')
    version = answer.version
    assert answer.created
    assert (version.version_index, version.digest) == (0, content.artifact_digest)
    assert (version.entry_count, version.size_bytes) == (2, 1005)
    assert list(version.aliases) == ["best", "latest"]
    assert list(version.tags) == ["raw data"]
    assert not version.has_description
    assert [listed.version_id for listed in list_versions(client, collection).versions] == [version.version_id]
    for alias in ("", "latest", "best", "v0", version.digest):
        assert resolve(client, collection, alias) == version
    assert client.call(client.versions.GetVersion, GetVersionRequest(version_id=version.version_id)).version == version


def test_manifest_is_read_back_as_it_was_written(client: Client, collection: str) -> None:
    first, second = segment_of({"a/1": b"1", "a/2": b"2"}), segment_of({"b/1": b"3", "c": b"4"})
    content = content_of_segments([first, second], [b"1", b"2", b"3", b"4"])
    version = client.log(collection, content).version
    request = ListManifestSegmentsRequest(version_id=version.version_id)
    page = client.call(client.versions.ListManifestSegments, request)
    assert [ManifestSegment.FromString(segment) for segment in page.segments] == [first, second]
    assert (page.entry_count, page.next_page_token) == (4, "")
    request = ListManifestSegmentsRequest(version_id=version.version_id, path_prefix="b/")
    assert list(client.call(client.versions.ListManifestSegments, request).segments) == [second.SerializeToString()]


def test_chunks_are_located_and_their_pack_read_in_ranges(client: Client, collection: str) -> None:
    client.log_files(collection, {"a": b"first " + collection.encode(), "b": b"second " + collection.encode()})
    wanted = [digest_of(b"second " + collection.encode()), digest_of(b"first " + collection.encode())]
    located = client.call(client.packs.LocateChunks, LocateChunksRequest(entity="team", digests=b"".join(wanted)))
    assert len(located.packs) == 1
    with open(located.packs[0].filesystem.path, "rb") as file:
        file.seek(located.offsets[0])
        assert file.read(located.stored_lengths[0]) == b"second " + collection.encode()
    request = ReadPackRequest(
        entity="team",
        pack_id=located.packs[0].pack_id,
        offsets=list(located.offsets),
        lengths=list(located.stored_lengths),
    )
    data = b"".join(message.data for message in client.call(client.packs.ReadPack, request))
    assert data == b"second " + collection.encode() + b"first " + collection.encode()


def test_chunks_of_another_entity_are_not_to_be_found(client: Client, collection: str) -> None:
    chunk = b"secret " + collection.encode()
    client.log_files(collection, {"a": chunk})
    other = client.begin(collection, entity="others")
    assert client.missing_of(other.lease.lease_id, [chunk]) == [chunk]
    request = LocateChunksRequest(entity="others", digests=digest_of(chunk))
    with pytest.raises(grpc.RpcError) as refused:
        client.call(client.packs.LocateChunks, request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    located = client.call(client.packs.LocateChunks, LocateChunksRequest(entity="team", digests=digest_of(chunk)))
    stolen = ReadPackRequest(entity="others", pack_id=located.packs[0].pack_id, offsets=[0], lengths=[32])
    assert reason_of(lambda: list(client.call(client.packs.ReadPack, stolen))) == "NOT_FOUND"


def test_empty_artifact_and_empty_file_need_no_chunk(client: Client, collection: str) -> None:
    empty = client.log(collection, content_of({})).version
    assert (empty.entry_count, empty.manifest_root) == (0, EMPTY_DIGEST)
    request = ListManifestSegmentsRequest(version_id=empty.version_id)
    assert not client.call(client.versions.ListManifestSegments, request).segments
    assert client.log_files(collection, {"empty": b""}).size_bytes == 0


def test_references_keep_no_bytes(client: Client, collection: str) -> None:
    segment = ManifestSegment(
        paths=["far.bin"],
        digests=bytes(32),
        sizes=[12],
        references=[Reference(entry_index=0, uri="s3://bucket/far.bin", digest="etag-1")],
    )
    version = client.log(collection, content_of_segments([segment])).version
    assert (version.entry_count, version.size_bytes) == (1, 12)


def test_versions_are_listed_in_pages_newest_first(client: Client, collection: str) -> None:
    for number in range(5):
        client.log_files(collection, {"n": b"%d" % number}, tags=["odd"] if number % 2 else [])
    page = list_versions(client, collection, page_size=2)
    assert [version.version_index for version in page.versions] == [4, 3]
    assert page.total_count == 5
    page = list_versions(client, collection, page_size=2, page_token=page.next_page_token)
    assert [version.version_index for version in page.versions] == [2, 1]
    page = list_versions(client, collection, page_size=2, page_token=page.next_page_token)
    assert ([version.version_index for version in page.versions], page.next_page_token) == ([0], "")
    oldest = list_versions(client, collection, oldest_first=True, tags=["odd"])
    assert [version.version_index for version in oldest.versions] == [1, 3]


def test_page_of_versions_with_large_metadata_fits_a_message(client: Client, collection: str) -> None:
    metadata = b'{"text":"' + b"m" * 900_000 + b'"}'
    for number in range(5):
        client.log_files(collection, {"n": b"%d" % number}, metadata_json=metadata)
    seen, token = [], ""
    while True:
        page = list_versions(client, collection, page_token=token)
        seen += [version.version_index for version in page.versions]
        token = page.next_page_token
        if not token:
            break
    assert seen == [4, 3, 2, 1, 0]


def test_unknown_names_are_not_found(client: Client, collection: str) -> None:
    assert reason_of(lambda: list_versions(client, collection)) == "NOT_FOUND"
    client.log_files(collection, {"a": b"a"})
    for alias in ("v1", "v" + "9" * 30, "nobody", "0" * 64):
        assert reason_of(lambda alias=alias: resolve(client, collection, alias)) == "NOT_FOUND"
    assert reason_of(lambda: list_versions(client, collection, type="model")) == "NOT_FOUND"
    assert reason_of(lambda: client.call(client.versions.GetVersion, GetVersionRequest(version_id="x"))) == "NOT_FOUND"


def test_pending_version_is_invisible(client: Client, collection: str) -> None:
    begun = client.begin(collection)
    assert list_versions(client, collection).total_count == 0
    request = GetVersionRequest(version_id=begun.version_id)
    assert reason_of(lambda: client.call(client.versions.GetVersion, request)) == "NOT_FOUND"


def test_collections_of_a_project_are_listed_by_name(client: Client, collection: str) -> None:
    for name in ("b", "a", "c"):
        client.log_files(name, {"a": b"12345"}, project=collection)
    request = ListCollectionsRequest(entity="team", project=collection, page_size=2)
    page = client.call(client.collections.ListCollections, request)
    assert ([found.name for found in page.collections], page.total_count) == (["a", "b"], 3)
    request.page_token = page.next_page_token
    assert [found.name for found in client.call(client.collections.ListCollections, request).collections] == ["c"]
    unknown = ListCollectionsRequest(entity="team", project="nothing-here")
    assert not client.call(client.collections.ListCollections, unknown).collections
    one = client.call(
        client.collections.GetCollection, GetCollectionRequest(entity="team", project=collection, name="a")
    ).collection
    assert (one.type, one.version_count, one.latest_version_index, one.latest_size_bytes) == ("dataset", 1, 0, 5)


def test_lineage_tells_who_logged_and_who_used(client: Client, collection: str) -> None:
    logger = Run(entity="team", project="vision", run_id=f"log-{collection}", display_name="trainer")
    version = client.log_files(collection, {"a": b"a"}, run=logger, use_after_commit=True)
    assert version.logged_by_run_id == logger.run_id
    user = Run(entity="team", project="vision", run_id=f"use-{collection}")
    for _ in range(2):
        client.call(client.runs.RecordUse, RecordUseRequest(run=user, version_id=version.version_id))
    for kind, expected in (
        (EDGE_KIND_LOGGED, [logger.run_id]),
        (EDGE_KIND_USED, [logger.run_id, user.run_id]),
    ):
        request = ListVersionRunsRequest(version_id=version.version_id, kind=kind)
        assert [run.run_id for run in client.call(client.runs.ListVersionRuns, request).runs] == expected
    request = ListRunVersionsRequest(entity="team", project="vision", run_id=user.run_id, kind=EDGE_KIND_USED)
    assert list(client.call(client.runs.ListRunVersions, request).version_ids) == [version.version_id]


def test_run_keeps_what_an_update_leaves_empty(client: Client, collection: str) -> None:
    run = Run(entity="team", project="vision", run_id=collection, notes="kept", config_json=b'{"lr":1}', tags=["t"])
    made = client.call(client.runs.UpsertRun, UpsertRunRequest(run=run)).run
    update = Run(entity="team", project="vision", run_id=collection, state="finished")
    updated = client.call(client.runs.UpsertRun, UpsertRunRequest(run=update)).run
    made.state, made.updated_at_ms = "finished", updated.updated_at_ms
    assert updated == made
    request = GetRunRequest(entity="team", project="vision", run_id=collection)
    assert client.call(client.runs.GetRun, request).run == made
    bad = UpsertRunRequest(run=Run(entity="team", project="vision", run_id="a/b"))
    assert reason_of(lambda: client.call(client.runs.UpsertRun, bad)) == "INVALID_NAME"
