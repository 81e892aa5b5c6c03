"""Retract takes back a failed record: the draft is as if it had never been sent, whatever dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.daemon.v1.log_pb2 import ListDraftEntriesRequest, Record, Retract
from support.log_client import LogClient, LogSession, bytes_record, file_record, tree_record
from support.processes import Host, running_host
from support.trees import write_tree


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path / "host") as made:
        made.start()
        yield made


def retract(seq: int) -> Record:
    return Record(retract=Retract(seq=seq))


def draft_paths(client: LogClient, session: LogSession) -> list[str]:
    listing = client.call(client.log.ListDraftEntries, ListDraftEntriesRequest(session_id=session.session_id))
    return [path for encoded in listing.segments for path in ManifestSegment.FromString(encoded).paths]


def test_a_draft_with_a_failed_record_is_committed_once_that_is_taken_back(host: Host, tmp_path: Path) -> None:
    with LogClient(host.places) as client:
        session = LogSession("c")
        session.attach(client)
        session.send([bytes_record("kept", b"k"), file_record(tmp_path / "absent", "gone")])
        session.until_ingested()
        assert list(session.failures) == [2]
        session.send([retract(2), bytes_record("later", b"l")])
        session.until_ingested()
        assert list(session.failures) == [2]
        session.finalize()
        answer = client.wait(session.session_id)
        assert answer.HasField("version"), answer.error.message
        expected = {"kept": digest_of(b"k"), "later": digest_of(b"l")}
        assert client.entries(answer.version.version_id) == expected


def test_what_a_folder_brought_before_it_failed_goes_with_it_and_stays_gone_after_a_kill(
    host: Host, tmp_path: Path
) -> None:
    tree = write_tree(tmp_path / "in", {f"f{i}": b"%d" % i for i in range(20)})
    (tree / "broken").symlink_to(tmp_path / "nowhere")
    session = LogSession("c")
    with LogClient(host.places) as client:
        session.attach(client)
        session.send([tree_record(tree, "tree"), bytes_record("kept", b"k")])
        session.until_ingested()
        assert list(session.failures) == [1]
        session.send([retract(1)])
        session.until_ingested()
        assert draft_paths(client, session) == ["kept"]
    host.restart()
    with LogClient(host.places) as client:
        session.failures.clear()
        session.attach(client)
        assert draft_paths(client, session) == ["kept"]
        session.finalize()
        answer = client.wait(session.session_id)
        assert client.entries(answer.version.version_id) == {"kept": digest_of(b"k")}
        assert not session.failures


def test_a_record_that_is_retracted_in_the_batch_that_brings_it_is_gone(host: Host, tmp_path: Path) -> None:
    with LogClient(host.places) as client:
        session = LogSession("c")
        session.attach(client)
        session.send([file_record(tmp_path / "absent", "gone"), retract(1), bytes_record("kept", b"k")])
        session.finalize()
        assert client.wait(session.session_id).HasField("version")


@pytest.mark.parametrize("target", [0, 1, 3, 4, 2**40], ids=["none", "good", "itself", "later", "far"])
def test_only_a_failed_record_can_be_taken_back(host: Host, tmp_path: Path, target: int) -> None:
    with LogClient(host.places) as client:
        session = LogSession("c")
        session.attach(client)
        session.send([bytes_record("kept", b"k"), file_record(tmp_path / "absent", "gone"), retract(target)])
        session.until_ingested()
        assert sorted(session.failures) == [2, 3]
        session.send([retract(2), retract(3)])
        session.finalize()
        assert client.wait(session.session_id).HasField("version")


def test_a_record_is_taken_back_once(host: Host, tmp_path: Path) -> None:
    with LogClient(host.places) as client:
        session = LogSession("c")
        session.attach(client)
        session.send([file_record(tmp_path / "absent", "gone"), retract(1)])
        session.until_ingested()
        session.send([retract(1)])
        session.until_ingested()
        assert sorted(session.failures) == [1, 3]
        session.finalize()
        assert client.wait(session.session_id).HasField("error")
