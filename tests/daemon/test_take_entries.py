"""AddEntry takes an entry over from a version or from another draft: no byte is read or sent, and the origin is kept."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from holdfast_contract.digest import digest_of
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.fetch_pb2 import ReadEntryRequest
from holdfastpb.daemon.v1.log_pb2 import (
    AddBase,
    AddEntry,
    AddReference,
    CancelArtifactRequest,
    ListDraftEntriesRequest,
    Record,
    Remove,
    Retract,
    WaitArtifactResponse,
)
from holdfastpb.registry.v1.version_pb2 import ListManifestSegmentsRequest
from support.log_client import LogClient, LogSession, bytes_record, file_record
from support.processes import Host, running_host

LARGE_BYTES = 3_000_000
KILLED_S = 60.0


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path / "host") as made:
        made.start()
        yield made


@pytest.fixture
def client(host: Host) -> Iterator[LogClient]:
    with LogClient(host.places) as made:
        yield made


def of_version(version_id: str, source: str, path: str = "", *, overwrite: bool = False) -> Record:
    taken = AddEntry(version_id=version_id, source_path=source, path=path or source, overwrite=overwrite)
    return Record(add_entry=taken)


def of_draft(draft: LogSession, source: str, path: str = "") -> Record:
    return Record(add_entry=AddEntry(session_id=draft.session_id, source_path=source, path=path or source))


def opened(client: LogClient, records: list[Record], collection: str = "", client_id: str = "") -> LogSession:
    """A draft with these records; those with their bytes inside have arrived, for others that take from it."""
    session = LogSession(collection or f"c{uuid.uuid4().hex[:8]}", client_id=client_id or uuid.uuid4().hex)
    session.attach(client)
    if records:
        session.send(records)
    if all(record.WhichOneof("what") == "add_bytes" for record in records):
        session.until_ingested()
    return session


def logged(client: LogClient, records: list[Record], **how: str) -> str:
    """Id of a version with these records."""
    session = opened(client, records, **how)
    session.finalize()
    answer = client.wait(session.session_id)
    assert answer.HasField("version"), answer.error.message
    return answer.version.version_id


def segments_of(client: LogClient, version_id: str) -> list[ManifestSegment]:
    page = client.patiently(client.versions.ListManifestSegments, ListManifestSegmentsRequest(version_id=version_id))
    return [ManifestSegment.FromString(encoded) for encoded in page.segments]


def origins_in(segments: list[ManifestSegment]) -> dict[str, str]:
    return {segment.paths[o.entry_index]: o.uri for segment in segments for o in segment.origins}


def draft_origins(client: LogClient, session: LogSession) -> dict[str, str]:
    listing = client.call(client.log.ListDraftEntries, ListDraftEntriesRequest(session_id=session.session_id))
    return origins_in([ManifestSegment.FromString(encoded) for encoded in listing.segments])


def read(client: LogClient, version_id: str, path: str) -> bytes:
    request = ReadEntryRequest(version_id=version_id, path=path)
    return b"".join(part.data for part in client.call(client.fetch.ReadEntry, request))


def until(client: LogClient, job_id: str, holds: Callable[[WaitArtifactResponse], bool]) -> None:
    """Returns when a job's progress says something."""
    stream = client.progress(job_id)
    assert any(holds(answer) for answer in stream)
    stream.close()  # type: ignore[attr-defined]


def waits_for(name: str) -> Callable[[WaitArtifactResponse], bool]:
    return lambda answer: name in answer.progress.waiting_for


def large_file(folder: Path) -> Path:
    file = folder / "large"
    file.write_bytes(digest_of(b"seed") * (LARGE_BYTES // 32) + uuid.uuid4().bytes)
    return file


def test_a_files_digest_size_and_chunks_are_taken_over_without_a_byte(client: LogClient, tmp_path: Path) -> None:
    large = large_file(tmp_path)
    data = large.read_bytes()
    first = logged(client, [file_record(large, "deep/large"), bytes_record("small", b"s"), bytes_record("empty", b"")])
    large.unlink()
    session = opened(client, [of_version(first, p, f"taken/{p}") for p in ("small", "deep/large", "empty")])
    session.finalize()
    answer = client.wait(session.session_id)
    version = answer.version
    assert (version.entry_count, version.size_bytes) == (3, len(data) + 1)
    assert client.entries(version.version_id) == {
        "taken/deep/large": digest_of(data),
        "taken/small": digest_of(b"s"),
        "taken/empty": digest_of(b""),
    }
    assert read(client, version.version_id, "taken/deep/large") == data
    assert origins_in(segments_of(client, version.version_id)) == {
        f"taken/{path}": f"holdfast-artifact://{first}/{path}" for path in ("small", "deep/large", "empty")
    }
    assert answer.progress.bytes_sent < 2000, "the manifest is all that was sent"


def test_the_origin_is_that_of_the_first_artifact_and_outlives_new_drafts(client: LogClient) -> None:
    first = logged(client, [bytes_record("a", b"a")])
    second = logged(client, [of_version(first, "a", "b")])
    third = logged(client, [of_version(second, "b", "c"), bytes_record("other", b"o")])
    fourth = logged(client, [Record(add_base=AddBase(version_id=third)), bytes_record("a new one", b"n")])
    assert origins_in(segments_of(client, third)) == {"c": f"holdfast-artifact://{first}/a"}
    assert origins_in(segments_of(client, fourth)) == {"c": f"holdfast-artifact://{first}/a"}


def test_a_reference_is_copied_as_that_reference(client: LogClient) -> None:
    reference = AddReference(path="far", uri="s3://bucket/key", digest="etag", size=7, extra_json=b'{"versionID":"1"}')
    first = logged(client, [Record(add_reference=reference)])
    second = logged(client, [of_version(first, "far", "copied")])
    (segment,) = segments_of(client, second)
    assert list(segment.paths) == ["copied"]
    assert [(r.uri, r.digest) for r in segment.references] == [("s3://bucket/key", "etag")]
    assert [extra.json for extra in segment.extras] == [b'{"versionID":"1"}']
    assert (list(segment.sizes), list(segment.origins)) == ([7], [])


def test_what_is_not_there_fails_its_own_record_and_says_what(client: LogClient) -> None:
    first = logged(client, [bytes_record("a", b"a")])
    session = opened(
        client,
        [
            of_version(first, "absent"),
            of_version(first, "a"),
            of_version("f" * 32, "a", "x"),
            of_version(first, "a", "../up"),
            Record(add_entry=AddEntry(source_path="a", path="neither")),
            Record(add_entry=AddEntry(session_id="f" * 32, source_path="a", path="no draft")),
            of_draft(opened(client, [bytes_record("b", b"b")]), "gone"),
        ],
    )
    session.until_ingested()
    assert sorted(session.failures) == [1, 3, 4, 5, 6, 7]
    assert first in session.failures[1]
    assert "'absent'" in session.failures[1]
    assert "f" * 32 in session.failures[3]
    assert "'gone'" in session.failures[7]
    session.send([Record(retract=Retract(seq=seq)) for seq in (1, 3, 4, 5, 6, 7)])
    session.finalize()
    assert client.wait(session.session_id).version.entry_count == 1


def test_a_path_that_is_taken_needs_overwrite(client: LogClient) -> None:
    first = logged(client, [bytes_record("a", b"new")])
    refused = opened(client, [bytes_record("a", b"old"), of_version(first, "a")])
    refused.finalize()
    assert "twice" in client.wait(refused.session_id).error.message
    second = logged(client, [bytes_record("a", b"old"), of_version(first, "a", overwrite=True)])
    assert client.entries(second) == {"a": digest_of(b"new")}


def test_a_draft_waits_for_the_one_it_takes_from_and_gets_its_version_as_origin(
    client: LogClient, tmp_path: Path
) -> None:
    large = large_file(tmp_path)
    data = large.read_bytes()
    source = opened(client, [bytes_record("a", b"a"), file_record(large, "large")], "source")
    taker = opened(client, [of_draft(source, "large", "mine"), of_draft(source, "a")])
    taker.until_ingested()
    assert draft_origins(client, taker) == {
        "mine": f"holdfast-client-artifact://{source.session_id}/large",
        "a": f"holdfast-client-artifact://{source.session_id}/a",
    }
    taker.finalize()
    until(client, taker.session_id, waits_for("source"))
    source.finalize()
    first = client.wait(source.session_id).version.version_id
    second = client.wait(taker.session_id).version.version_id
    assert read(client, second, "mine") == data
    assert origins_in(segments_of(client, second)) == {
        "mine": f"holdfast-artifact://{first}/large",
        "a": f"holdfast-artifact://{first}/a",
    }


def test_who_takes_from_a_held_draft_says_that_it_waits_for_a_sync(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a")], "source")
    taker = opened(client, [of_draft(source, "a")])
    taker.until_ingested()
    taker.finalize()
    until(client, taker.session_id, waits_for("source"))
    source.finalize(hold=True)
    until(client, taker.session_id, waits_for("`holdfast sync`"))
    client.sync()
    assert client.wait(taker.session_id).HasField("version")


def test_a_draft_is_taken_from_as_it_is_now(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a"), bytes_record("b", b"b"), Record(remove=Remove(path="b"))])
    source.until_ingested()
    taker = opened(client, [of_draft(source, "a"), of_draft(source, "b")])
    taker.until_ingested()
    assert list(taker.failures) == [2]


def test_a_chain_of_drafts_is_committed_from_its_end(client: LogClient) -> None:
    first = opened(client, [bytes_record("a", b"a")])
    second = opened(client, [of_draft(first, "a", "b")])
    third = opened(client, [of_draft(second, "b", "c")])
    for session in (third, second, first):
        session.finalize()
    versions = [client.wait(session.session_id).version.version_id for session in (first, second, third)]
    assert all(versions)
    origin = f"holdfast-artifact://{versions[0]}/a"
    assert origins_in(segments_of(client, versions[1])) == {"b": origin}
    assert origins_in(segments_of(client, versions[2])) == {"c": origin}


def test_a_draft_that_ended_before_is_taken_from_as_its_version(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a")])
    source.finalize()
    first = client.wait(source.session_id).version.version_id
    second = logged(client, [of_draft(source, "a")])
    assert origins_in(segments_of(client, second)) == {"a": f"holdfast-artifact://{first}/a"}


def test_the_same_client_may_log_the_taker_first_into_the_same_collection(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a")], "shared", "one")
    taker = opened(client, [of_draft(source, "a"), bytes_record("b", b"b")], "shared", "one")
    taker.until_ingested()
    taker.finalize()
    source.finalize()
    assert client.wait(source.session_id).version.version_index == 0
    assert client.wait(taker.session_id).version.version_index == 1


def test_a_source_that_is_cancelled_fails_its_taker(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a")], "source")
    taker = opened(client, [of_draft(source, "a")])
    taker.until_ingested()
    taker.finalize()
    client.call(client.log.CancelArtifact, CancelArtifactRequest(job_id=source.session_id))
    error = client.wait(taker.session_id).error
    assert error.reason == "CANCELLED"
    assert "source" in error.message
    late = opened(client, [of_draft(source, "a")])
    late.until_ingested()
    assert "source" in late.failures[1]


def test_a_source_that_fails_fails_its_taker(client: LogClient, tmp_path: Path) -> None:
    source = opened(client, [bytes_record("a", b"a")], "source")
    taker = opened(client, [of_draft(source, "a")])
    taker.until_ingested()
    taker.finalize()
    source.send([file_record(tmp_path / "absent", "absent")])
    source.finalize()
    assert client.wait(source.session_id).HasField("error")
    error = client.wait(taker.session_id).error
    assert error.reason == "FILE_MISSING"
    assert "source" in error.message


def test_a_draft_with_a_failed_record_is_not_taken_from(client: LogClient, tmp_path: Path) -> None:
    source = opened(client, [bytes_record("a", b"a"), file_record(tmp_path / "absent", "absent")], "source")
    taker = opened(client, [of_draft(source, "a")])
    taker.until_ingested()
    assert "absent" in taker.failures[1]
    assert "source" in taker.failures[1]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_drafts_that_take_from_each_other_in_a_circle_fail_where_it_closes(client: LogClient, length: int) -> None:
    drafts = [opened(client, [bytes_record("own", b"%d" % at)], f"d{at}") for at in range(length)]
    for at, draft in enumerate(drafts):
        draft.until_ingested()
        draft.send([of_draft(drafts[(at + 1) % length], "own", "taken")])
        draft.until_ingested()
    assert [sorted(draft.failures) for draft in drafts] == [[]] * (length - 1) + [[2]]
    assert "neither could be committed first" in drafts[-1].failures[2]
    drafts[-1].send([Record(retract=Retract(seq=2))])
    for draft in drafts:
        draft.finalize()
    for draft in drafts:
        assert client.wait(draft.session_id).HasField("version")


def test_a_record_that_is_taken_back_leaves_nothing_to_wait_for(client: LogClient) -> None:
    source = opened(client, [bytes_record("a", b"a")])
    taker = opened(client, [bytes_record("own", b"o"), of_draft(source, "absent")])
    taker.until_ingested()
    taker.send([Record(retract=Retract(seq=2))])
    taker.finalize()
    assert client.wait(taker.session_id).HasField("version")


def test_chunks_are_not_shared_between_entities(client: LogClient) -> None:
    first = logged(client, [bytes_record("a", b"a")])
    session = opened(client, [of_version(first, "a")])
    session.finalize(entity="others")
    error = client.wait(session.session_id).error
    assert error.reason == "INVALID_ARGUMENT"
    assert "others" in error.message
    assert first in error.message


@pytest.mark.parametrize("finalized", [False, True])
def test_a_killed_daemon_still_knows_who_waits_for_whom(host: Host, finalized: bool) -> None:
    with LogClient(host.places) as client:
        source = opened(client, [bytes_record("a", b"a")], "source")
        taker = opened(client, [of_draft(source, "a"), bytes_record("b", b"b")])
        taker.until_ingested()
        if finalized:
            taker.finalize()
    host.restart()
    with LogClient(host.places) as client:
        if not finalized:
            taker.attach(client)
            taker.finalize()
        until(client, taker.session_id, waits_for("source"))
        source.attach(client)
        source.finalize()
        first = client.wait(source.session_id).version.version_id
        second = client.wait(taker.session_id).version.version_id
        assert origins_in(segments_of(client, second)) == {"a": f"holdfast-artifact://{first}/a"}


def test_a_kill_between_the_sources_end_and_the_takers_leaves_the_taker_its_version(host: Host) -> None:
    host.restart("commit.after_result=kill_group@1")
    with LogClient(host.places) as client:
        source = opened(client, [bytes_record("a", b"a")])
        taker = opened(client, [of_draft(source, "a"), bytes_record("b", b"b")])
        taker.until_ingested()
        taker.finalize()
        source.finalize()
        with pytest.raises(grpc.RpcError):
            client.wait(taker.session_id)
    assert host.daemon.wait() < 0
    host.restart()
    with LogClient(host.places) as client:
        first = client.wait(source.session_id).version.version_id
        second = client.wait(taker.session_id).version.version_id
        assert origins_in(segments_of(client, second)) == {"a": f"holdfast-artifact://{first}/a"}


@pytest.mark.parametrize("place", ["take.before_sources", "take.after_sources", "take.before_store"])
def test_a_kill_while_an_entry_is_taken_from_a_draft_loses_nothing(host: Host, place: str) -> None:
    host.restart(f"{place}=kill_group@1")
    with LogClient(host.places) as client:
        source = opened(client, [bytes_record("a", b"a")])
        taker = opened(client, [bytes_record("b", b"b")])
        taker.until_ingested()
        taker.send([of_draft(source, "a")])
        with pytest.raises(grpc.RpcError):
            taker.until_ingested()
    assert host.daemon.wait() < 0
    host.restart()
    with LogClient(host.places) as client:
        source.attach(client)
        taker.attach(client)
        taker.finalize()
        source.finalize()
        first = client.wait(source.session_id).version.version_id
        second = client.wait(taker.session_id).version.version_id
        assert client.entries(second) == {"a": digest_of(b"a"), "b": digest_of(b"b")}
        assert origins_in(segments_of(client, second)) == {"a": f"holdfast-artifact://{first}/a"}


def test_many_entries_are_taken_in_one_batch(client: LogClient, tmp_path: Path) -> None:
    tree = tmp_path / "many"
    tree.mkdir()
    for at in range(900):
        (tree / f"f{at:04}").write_bytes(b"%d" % at)
    first = logged(client, [file_record(tree / f"f{at:04}", f"f{at:04}") for at in range(900)])
    shutil.rmtree(tree)
    second = logged(client, [of_version(first, f"f{at:04}", f"g{899 - at:04}") for at in range(900)])
    assert client.entries(second) == {f"g{899 - at:04}": digest_of(b"%d" % at) for at in range(900)}
