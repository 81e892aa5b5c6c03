"""The record stream: batches, the window, and going on after the connection broke or the daemon was replaced."""

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from holdfast._log_session import ATTEMPTS_WITHOUT_PROGRESS_MAX, LogSession
from holdfast._process import this_process
from holdfast.artifact import Artifact
from holdfast.errors import DaemonStartError, Error, InvalidInputError, UnavailableError
from holdfast.runs import init
from holdfast_contract.limits import MIB, RECORDS_BATCH_BYTES_MAX, RECORDS_BATCH_MAX, UNACKED_BYTES_MAX
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import log_pb2
from support.fake_daemon import FakeDaemon, Refusal

RECORD = log_pb2.Record(remove=log_pb2.Remove(path="x"))


def new_session() -> LogSession:
    opening = log_pb2.Open(session_id=os.urandom(16).hex(), client_id="c", artifact_name="a", artifact_type="t")
    return LogSession(this_process().daemon, opening)


def finalize(session: LogSession) -> str:
    return session.finalize(log_pb2.Finalize(entity="local", project="p", collection="a", type="t"))


def received(daemon: FakeDaemon, session: LogSession) -> list[log_pb2.Record]:
    return daemon.state.sessions[session.session_id].records


def bytes_record(number: int, size: int = 0) -> log_pb2.Record:
    return log_pb2.Record(add_bytes=log_pb2.AddBytes(path=f"f{number}", data=b"x" * size, overwrite=True))


def test_nothing_is_sent_before_the_first_record(daemon: FakeDaemon) -> None:
    new_session()
    assert daemon.calls.streams_opened == 0


def test_records_arrive_in_order_in_batches_of_the_agreed_size(daemon: FakeDaemon) -> None:
    session = new_session()
    count = 2 * RECORDS_BATCH_MAX + 1
    for number in range(count):
        assert session.append(bytes_record(number), 20) == number + 1
    session.wait_ingested()
    assert [record.add_bytes.path for record in received(daemon, session)] == [f"f{n}" for n in range(count)]
    assert max(daemon.calls.batches) <= RECORDS_BATCH_MAX
    assert len(daemon.calls.batches) < 30


def test_batches_are_also_limited_by_bytes(daemon: FakeDaemon) -> None:
    session = new_session()
    daemon.faults.may_ack.clear()
    for number in range(40):
        session.append(bytes_record(number, 60_000), 60_000)
    daemon.faults.may_ack.set()
    session.wait_ingested()
    assert max(daemon.calls.batches) <= RECORDS_BATCH_BYTES_MAX // 60_000


def test_caller_blocks_while_8_mib_are_not_acknowledged(daemon: FakeDaemon) -> None:
    session = new_session()
    daemon.faults.may_ack.clear()
    appended = []

    def fill() -> None:
        for _ in range(20):
            appended.append(session.append(RECORD, 1 * MIB))

    thread = threading.Thread(target=fill)
    thread.start()
    while len(appended) < UNACKED_BYTES_MAX // MIB:
        assert thread.is_alive()
    thread.join(0.2)
    assert len(appended) == UNACKED_BYTES_MAX // MIB
    daemon.faults.may_ack.set()
    thread.join(30)
    assert len(appended) == 20


@pytest.mark.parametrize("drop_after", [1, 7, 1500])
def test_unacknowledged_records_are_sent_again_after_the_stream_broke(daemon: FakeDaemon, drop_after: int) -> None:
    session = new_session()
    daemon.faults.drop_stream_after_records = drop_after
    for number in range(2000):
        session.append(bytes_record(number), 20)
    job_id = finalize(session)
    assert job_id == session.session_id
    assert [record.add_bytes.path for record in received(daemon, session)] == [f"f{n}" for n in range(2000)]
    assert daemon.calls.streams_opened == 2


def test_session_goes_on_with_the_next_daemon(daemon: FakeDaemon) -> None:
    session = new_session()
    for number in range(3000):
        session.append(bytes_record(number), 20)
        if number in (500, 2000):
            daemon.restart()
    finalize(session)
    assert [record.add_bytes.path for record in received(daemon, session)] == [f"f{n}" for n in range(3000)]


def test_finalize_survives_a_restart_before_it_was_acknowledged(daemon: FakeDaemon) -> None:
    session = new_session()
    session.append(RECORD, 20)
    daemon.faults.may_finalize.clear()
    done = threading.Event()
    thread = threading.Thread(target=lambda: (finalize(session), done.set()))
    thread.start()
    assert not done.wait(0.2)
    daemon.restart()
    assert done.wait(30)
    thread.join()
    assert daemon.state.sessions[session.session_id].finalize is not None


def test_finalize_twice_is_one_job(daemon: FakeDaemon) -> None:
    session = new_session()
    assert finalize(session) == finalize(session)
    assert len(daemon.state.sessions) == 1


def test_refused_session_is_told_to_every_caller(daemon: FakeDaemon) -> None:
    daemon.faults.refusals["LogArtifact"] = [Refusal(Reason.INVALID_ARGUMENT, "no such session")]
    session = new_session()
    session.append(RECORD, 20)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="no such session"):
            session.wait_ingested()


def test_failed_record_does_not_hold_up_the_others(daemon: FakeDaemon) -> None:
    daemon.state.fail_paths["f1"] = Reason.FILE_CHANGED
    session = new_session()
    seqs = [session.append(bytes_record(number), 20) for number in range(3)]
    with pytest.raises(Error, match="f1 failed"):
        session.wait_ingested(seqs[1])
    session.wait_ingested(seqs[2])


def test_failed_record_whose_caller_was_told_is_taken_back(daemon: FakeDaemon) -> None:
    daemon.state.fail_paths["f1"] = Reason.FILE_CHANGED
    session = new_session()
    seqs = [session.append(bytes_record(number), 20) for number in range(3)]
    with pytest.raises(Error, match="f1 failed"):
        session.wait_ingested(seqs[1])
    daemon.restart()
    finalize(session)
    assert list(daemon.state.sessions[session.session_id].entries) == ["f0", "f2"]


def test_failed_record_that_nobody_asked_for_fails_the_whole(daemon: FakeDaemon) -> None:
    daemon.state.fail_paths["f1"] = Reason.FILE_CHANGED
    session = new_session()
    for number in range(3):
        session.append(bytes_record(number), 20)
    with pytest.raises(Error, match="f1 failed"):
        session.wait_ingested()
    with pytest.raises(Error, match="f1 failed"):
        finalize(session)


class Broken:
    """A transport that fails as it was told, and counts."""

    records_batch_max = RECORDS_BATCH_MAX

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.streams = 0

    def bidi_stream(self, method: str, requests: Iterator[Message], response_type: Any) -> Iterator[Any]:
        self.streams += 1
        raise self.error
        yield

    def unary(self, method: str, request: Message, response_type: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [DaemonStartError("cannot start"), PermissionError("not yours alone")])
def test_daemon_that_cannot_be_had_is_told_once_and_tried_again(error: Exception) -> None:
    transport = Broken(error)
    session = LogSession(transport, log_pb2.Open(session_id="s"))
    session.append(RECORD, 20)
    for tried in (1, 2):
        with pytest.raises(type(error), match=str(error)):
            session.wait_ingested()
        assert transport.streams == tried


def test_lost_daemon_is_given_up_after_some_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast._log_session.backoff_s", lambda attempt: 0.0)
    transport = Broken(UnavailableError("gone"))
    session = LogSession(transport, log_pb2.Open(session_id="s"))
    session.append(RECORD, 20)
    with pytest.raises(UnavailableError, match="gone"):
        session.wait_ingested()
    assert transport.streams == ATTEMPTS_WITHOUT_PROGRESS_MAX


def test_draft_that_nobody_has_any_more_is_cancelled(daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    [session] = daemon.state.sessions.values()
    del artifact
    gc.collect()
    while not session.cancelled:
        pass
    assert "CancelArtifact" in daemon.calls.methods


def test_logged_artifact_that_nobody_has_any_more_is_committed(daemon: FakeDaemon, tree: Path) -> None:
    run = init(project="p")
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    run.log_artifact(artifact)
    [session] = daemon.state.sessions.values()
    del artifact
    gc.collect()
    assert session.finalize is not None
    assert not session.cancelled


def test_draft_belongs_to_the_process_that_began_it(
    daemon: FakeDaemon, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = Artifact("a", "dataset")
    artifact.add_file(str(tree / "hello.txt"))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ValueError, match="make a new Artifact in the forked child"):
        artifact.add_file(str(tree / "empty"))
    monkeypatch.undo()
