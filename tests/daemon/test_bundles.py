"""Bundles: jobs and versions leave one daemon in a file and arrive at another, with the same digests, once each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from blake3 import blake3

from holdfast_contract.limits import KIB, MIB
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1.bundle_pb2 import (
    DescribeBundleRequest,
    DescribeBundleResponse,
    ExportBundleRequest,
    ImportBundleRequest,
)
from support.log_client import LogClient, LogSession, bytes_record, file_record, tree_record
from support.processes import Host, running_host
from support.trees import random_bytes, write_tree

TREE = {
    "empty": b"",
    "small": b"few bytes",
    "folder/medium": random_bytes(300 * KIB, seed=1),
    "large": random_bytes(3 * MIB, seed=2),
}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path / "one") as host:
        host.start()
        yield host


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path / "other") as host:
        host.start()
        yield host


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", TREE)


def export(host: Host, path: Path, *, jobs: tuple[str, ...] = (), versions: tuple[str, ...] = ()) -> Any:
    with LogClient(host.places) as client:
        request = ExportBundleRequest(local_path=str(path).encode(), job_ids=jobs, version_ids=versions)
        return list(client.call(client.bundles.ExportBundle, request))[-1]


def import_(host: Host, path: Path, **overrides: str) -> list[str]:
    with LogClient(host.places) as client:
        request = ImportBundleRequest(local_path=str(path).encode(), **overrides)
        return list(client.call(client.bundles.ImportBundle, request).job_ids)


def describe(host: Host, path: Path) -> DescribeBundleResponse:
    with LogClient(host.places) as client:
        request = DescribeBundleRequest(local_path=str(path).encode())
        answer: DescribeBundleResponse = client.call(client.bundles.DescribeBundle, request)
        return answer


def logged(host: Host, name: str, source: Path, *, hold: bool = False) -> LogSession:
    session = LogSession(name, hold=hold)
    with LogClient(host.places) as client:
        session.attach(client)
        session.send([tree_record(source)])
        session.finalize("chosen")
        if hold:
            client.until_resting(session.session_id)
        else:
            assert client.wait(session.session_id).HasField("version")
    return session


def committed(host: Host, job_id: str) -> tuple[Any, dict[str, bytes]]:
    with LogClient(host.places) as client:
        ended = client.wait(job_id)
        assert ended.HasField("version"), ended.error.message
        return ended, client.entries(ended.version.version_id)


def reason_of(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    trailer = dict(error.value.trailing_metadata())  # type: ignore[attr-defined]
    return ErrorDetail.FromString(trailer["holdfast-error-bin"]).reason


DIGESTS = {path: blake3(data).digest() for path, data in TREE.items()}


def test_a_held_job_is_carried_to_another_host_and_has_the_digest_it_would_have_had(
    one: Host, other: Host, source: Path, tmp_path: Path
) -> None:
    held = logged(one, "carried", source, hold=True)
    done = export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    assert (done.done, done.versions) == (True, 1)
    assert done.bytes_done == done.bytes_total == sum(map(len, TREE.values()))
    [described] = describe(other, tmp_path / "b.hfb").versions
    assert (described.collection, described.version, described.entry_count) == ("carried", "", len(TREE))
    [job] = import_(other, tmp_path / "b.hfb")
    (tmp_path / "b.hfb").unlink()
    ended, entries = committed(other, job)
    assert entries == DIGESTS
    assert sorted(ended.version.aliases) == ["chosen", "latest"]
    with LogClient(one.places) as client:
        client.sync()
    directly, _ = committed(one, held.session_id)
    assert directly.version.digest == ended.version.digest == described.digest
    assert (one.fsck(), other.fsck()) == ("", "")


def test_committed_versions_share_their_chunks_in_a_bundle(
    one: Host, other: Host, source: Path, tmp_path: Path
) -> None:
    first = logged(one, "shared", source)
    write_tree(source, {"small": b"changed"})
    second = logged(one, "shared", source)
    versions = tuple(committed(one, session.session_id)[0].version.version_id for session in (first, second))
    export(one, tmp_path / "b.hfb", versions=versions)
    assert (tmp_path / "b.hfb").stat().st_size < 1.1 * sum(map(len, TREE.values()))
    described = describe(one, tmp_path / "b.hfb").versions
    assert [(v.version, v.semantic_version) for v in described] == [("v0", "1.0.0"), ("v1", "2.0.0")]
    jobs = import_(other, tmp_path / "b.hfb", entity="team", project="elsewhere")
    found = [committed(other, job) for job in jobs]
    assert [ended.version.version_index for ended, _ in found] == [0, 1]
    assert {(ended.version.entity, ended.version.project) for ended, _ in found} == {("team", "elsewhere")}
    assert [entries for _, entries in found] == [DIGESTS, {**DIGESTS, "small": blake3(b"changed").digest()}]
    assert other.fsck() == ""


def test_committed_versions_keep_their_semantic_versions_where_these_are_free(
    one: Host, other: Host, source: Path, tmp_path: Path
) -> None:
    versions = []
    for text in (b"1", b"2", b"3"):
        write_tree(source, {"small": text})
        versions.append(committed(one, logged(one, "named", source).session_id)[0].version.version_id)
    export(one, tmp_path / "b.hfb", versions=tuple(versions[1:]))
    import_(other, tmp_path / "b.hfb", project="empty")
    logged(other, "named", write_tree(tmp_path / "own", {"own": b"1"}))
    logged(other, "named", write_tree(tmp_path / "own", {"own": b"2"}))

    def given(project: str) -> list[str]:
        jobs = import_(other, tmp_path / "b.hfb", project=project)
        return [committed(other, job)[0].version.semantic_version for job in jobs]

    assert (given("empty"), given("")) == (["2.0.0", "3.0.0"], ["3.0.0", "4.0.0"])


def test_an_import_that_is_repeated_finds_its_job(one: Host, other: Host, source: Path, tmp_path: Path) -> None:
    held = logged(one, "twice", source, hold=True)
    export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    first = import_(other, tmp_path / "b.hfb")
    committed(other, first[0])
    assert import_(other, tmp_path / "b.hfb") == first
    with LogClient(other.places) as client:
        assert len(client.list_versions("twice")) == 1


def test_an_artifact_without_files_can_be_carried(one: Host, other: Host, tmp_path: Path) -> None:
    session = LogSession("nothing", hold=True)
    with LogClient(one.places) as client:
        session.attach(client)
        session.finalize()
        client.until_resting(session.session_id)
    export(one, tmp_path / "b.hfb", jobs=(session.session_id,))
    [job] = import_(other, tmp_path / "b.hfb")
    ended, entries = committed(other, job)
    assert (ended.version.entry_count, entries) == (0, {})


def test_chunks_that_only_the_registry_has_are_fetched(one: Host, other: Host, source: Path, tmp_path: Path) -> None:
    logged(one, "known", source)
    held = logged(one, "again", source, hold=True)  # every file is known, nothing is in the spool
    export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    [job] = import_(other, tmp_path / "b.hfb")
    assert committed(other, job)[1] == DIGESTS


def test_without_the_registry_they_are_read_from_the_files_and_missing_ones_are_named(
    one: Host, other: Host, source: Path, tmp_path: Path
) -> None:
    logged(one, "known", source)
    held = logged(one, "again", source, hold=True)
    assert one.registry is not None
    one.registry.kill()
    export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    [job] = import_(other, tmp_path / "b.hfb")
    assert committed(other, job)[1] == DIGESTS
    (source / "large").unlink()
    with pytest.raises(grpc.RpcError) as error:
        export(one, tmp_path / "c.hfb", jobs=(held.session_id,))
    assert reason_of(error) == "BLOBS_MISSING"
    assert "'large'" in str(error.value)
    assert not list(tmp_path.glob("*c.hfb*"))
    one.registry.start()
    with LogClient(one.places) as client:
        client.sync()
    assert committed(one, held.session_id)[1] == DIGESTS


def test_a_bundle_is_not_written_over_another_file(one: Host, source: Path, tmp_path: Path) -> None:
    held = logged(one, "there", source, hold=True)
    (tmp_path / "b.hfb").write_bytes(b"mine")
    with pytest.raises(grpc.RpcError) as error:
        export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    assert reason_of(error) == "ALREADY_EXISTS"
    assert (tmp_path / "b.hfb").read_bytes() == b"mine"


def test_what_cannot_be_exported_is_said(one: Host, tmp_path: Path) -> None:
    for jobs, versions in (((), ()), (("0" * 32,), ()), ((), ("0" * 32,))):
        with pytest.raises(grpc.RpcError) as error:
            export(one, tmp_path / "b.hfb", jobs=jobs, versions=versions)
        assert reason_of(error) in ("INVALID_ARGUMENT", "NOT_FOUND")
    draft = LogSession("draft")
    with LogClient(one.places) as client:
        draft.attach(client)
        draft.send([bytes_record("file", b"1")])
        draft.until_ingested()
        with pytest.raises(grpc.RpcError) as error:
            export(one, tmp_path / "b.hfb", jobs=(draft.session_id,))
    assert reason_of(error) == "INVALID_ARGUMENT"
    assert list(tmp_path.glob("*.hfb*")) == []


@pytest.mark.parametrize("place", ["bundle.before_name", "bundle.after_name", "os.writev"])
def test_a_daemon_killed_during_an_export_leaves_a_whole_bundle_or_none(
    one: Host, other: Host, source: Path, tmp_path: Path, place: str
) -> None:
    held = logged(one, "killed", source, hold=True)
    one.restart(f"{place}=kill_group@1")
    with pytest.raises(grpc.RpcError):
        export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    one.restart()
    if not (tmp_path / "b.hfb").exists():
        assert place != "bundle.after_name"
        export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    assert committed(other, import_(other, tmp_path / "b.hfb")[0])[1] == DIGESTS
    assert [path for path in one.places.spool.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    "place",
    ["bundle.before_read", "bundle.after_pack", "bundle.before_finalize", "ingest.after_store", "commit.after_call"],
)
def test_a_daemon_killed_during_an_import_makes_one_version(
    one: Host, other: Host, source: Path, tmp_path: Path, place: str
) -> None:
    held = logged(one, "killed", source, hold=True)
    export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    other.restart(f"{place}=kill_group@1")
    with pytest.raises(grpc.RpcError):
        committed(other, import_(other, tmp_path / "b.hfb")[0])
    other.restart()
    assert committed(other, import_(other, tmp_path / "b.hfb")[0])[1] == DIGESTS
    with LogClient(other.places) as client:
        assert len(client.list_versions("killed")) == 1
    assert other.fsck() == ""


def test_an_import_that_lost_its_bundle_can_be_done_again(one: Host, other: Host, source: Path, tmp_path: Path) -> None:
    held = logged(one, "lost", source, hold=True)
    export(one, tmp_path / "b.hfb", jobs=(held.session_id,))
    other.restart("bundle.after_pack=kill_group@1")
    with pytest.raises(grpc.RpcError):
        import_(other, tmp_path / "b.hfb")
    (tmp_path / "b.hfb").rename(tmp_path / "away")
    other.restart()
    with pytest.raises(grpc.RpcError) as error:
        import_(other, tmp_path / "b.hfb")
    assert reason_of(error) == "FILE_MISSING"
    (tmp_path / "away").rename(tmp_path / "b.hfb")
    assert committed(other, import_(other, tmp_path / "b.hfb")[0])[1] == DIGESTS


def test_a_file_with_a_long_list_of_chunks_is_carried(one: Host, other: Host, tmp_path: Path) -> None:
    # More than 4,096 chunks: their list is chunks of its own. Few distinct ones, so that little is written.
    block = random_bytes(64 * MIB, seed=3)
    with (tmp_path / "long").open("wb") as file:
        for _ in range(20):
            file.write(block)
    sessions = []
    with LogClient(one.places) as client:
        for name, hold in (("committed", False), ("held", True)):
            session = LogSession(name, hold=hold)
            session.attach(client)
            session.send([file_record(tmp_path / "long", "long")])
            session.finalize()
            sessions.append(session)
        client.until_resting(sessions[1].session_id)
        version = client.wait(sessions[0].session_id).version
    export(one, tmp_path / "b.hfb", jobs=(sessions[1].session_id,), versions=(version.version_id,))
    assert (tmp_path / "b.hfb").stat().st_size < 80 * MIB
    for job in import_(other, tmp_path / "b.hfb"):
        ended, _ = committed(other, job)
        assert ended.version.digest == version.digest
    assert other.fsck() == ""
