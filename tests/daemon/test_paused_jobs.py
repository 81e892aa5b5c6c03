"""Jobs that are paused, cancelled or preferred, and limits of transfers: to a registry on TCP, whose packs go over a line."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from blake3 import blake3

from holdfast_contract.limits import KIB
from holdfastpb.daemon.v1 import control_pb2 as pb
from holdfastpb.daemon.v1.log_pb2 import (
    JOB_PRIORITY_HIGH,
    JOB_PRIORITY_LOW,
    JOB_PRIORITY_NORMAL,
    JOB_STATE_COMMITTED,
    JobPriority,
)
from support.log_client import LogClient, LogSession, bytes_record, file_record
from support.own_registry import OwnRegistry
from support.processes import Host, running_host
from support.trees import random_bytes

SLOW = 100_000
"""Bytes a second: a pack of some hundred KiB is on its way for seconds."""
LOOK_S = 0.1


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry")) as registry:
        registry.start()
        yield registry


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host"), registry.daemon_settings(), own_registry=False) as host:
        host.start()
        yield host


@pytest.fixture
def client(host: Host) -> Iterator[LogClient]:
    with LogClient(host.places) as client:
        yield client
        client.call(client.control.SetLimits, pb.SetLimitsRequest(up_bytes_per_s=0))


def limit_up(client: LogClient, bytes_per_s: int) -> None:
    answer = client.call(client.control.SetLimits, pb.SetLimitsRequest(up_bytes_per_s=bytes_per_s))
    assert answer.up_bytes_per_s == bytes_per_s


def pause(client: LogClient, *sessions: LogSession) -> list[str]:
    request = pb.PauseJobsRequest(job_ids=[session.session_id for session in sessions])
    return list(client.call(client.control.PauseJobs, request).job_ids)


def resume(client: LogClient, *sessions: LogSession) -> list[str]:
    request = pb.ResumeJobsRequest(job_ids=[session.session_id for session in sessions])
    return list(client.call(client.control.ResumeJobs, request).job_ids)


def job_of(client: LogClient, session: LogSession) -> pb.Job:
    jobs = client.call(client.control.ListJobs, pb.ListJobsRequest()).jobs
    found: pb.Job = next(job for job in jobs if job.progress.job_id == session.session_id)
    return found


def drafted(client: LogClient, name: str, content: bytes, priority: JobPriority = JOB_PRIORITY_NORMAL) -> LogSession:
    """A draft whose bytes are read; they are in its records."""
    session = LogSession(name)
    session.attach(client)
    request = pb.SetJobPriorityRequest(job_ids=[session.session_id], priority=priority)
    assert client.call(client.control.SetJobPriority, request).job_ids == [session.session_id]
    pieces = [content[at : at + 64 * KIB] for at in range(0, len(content), 64 * KIB)]
    for number, piece in enumerate(pieces):
        session.send([bytes_record(f"f{number}", piece)])
    session.until_ingested()
    return session


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to it"
        time.sleep(LOOK_S)


def arrived_bytes(registry: OwnRegistry) -> int:
    """Of packs that are on their way."""
    return sum(path.stat().st_size for path in registry.data_dir.rglob("incoming/*") if path.is_file())


def test_a_paused_job_says_so_holds_nobody_up_and_survives_the_daemon(host: Host, client: LogClient) -> None:
    paused = drafted(client, "rests", b"kept" * 100)
    assert pause(client, paused) == [paused.session_id]
    paused.finalize()
    said = next(client.progress(paused.session_id)).progress
    assert said.paused
    assert said.waiting_for.startswith("paused")
    behind = drafted(client, "rests", b"later" * 100)
    behind.finalize()
    assert client.wait(behind.session_id).version.version_index == 0
    host.restart()
    with LogClient(host.places) as again:
        assert job_of(again, paused).progress.paused
        assert again.call(again.control.GetStatus, pb.GetStatusRequest()).jobs_paused == 1
        assert resume(again) == [paused.session_id]
        committed = again.wait(paused.session_id).version
        assert again.entries(committed.version_id) == {"f0": blake3(b"kept" * 100).digest()}
        assert resume(again) == []


def test_nothing_of_a_paused_draft_is_read(host: Host, tmp_path: Path, client: LogClient) -> None:
    session = LogSession("unread")
    session.attach(client)
    pause(client, session)
    session.send([file_record(tmp_path / "later", "file")])
    session.finalize()
    assert job_of(client, session).progress.entries_read == 0
    (tmp_path / "later").write_bytes(b"made after the record")
    resume(client, session)
    committed = client.wait(session.session_id)
    assert client.entries(committed.version.version_id) == {"file": blake3(b"made after the record").digest()}


def test_a_pack_on_its_way_stops_with_a_pause_and_goes_on_where_it_was(
    registry: OwnRegistry, client: LogClient
) -> None:
    limit_up(client, SLOW)
    session = drafted(client, "stopped", random_bytes(1200 * KIB, seed=1))
    session.finalize()
    until(lambda: arrived_bytes(registry) > 0)
    pause(client, session)

    def stands_still() -> bool:
        before = arrived_bytes(registry)
        time.sleep(5 * LOOK_S)
        return before == arrived_bytes(registry)

    until(stands_still)
    assert 0 < arrived_bytes(registry) < 1200 * KIB
    limit_up(client, 0)
    assert job_of(client, session).progress.bytes_sent == 0
    resume(client, session)
    assert client.wait(session.session_id).HasField("version")


def test_a_cancelled_job_tells_who_waits_and_frees_its_spool_at_once(registry: OwnRegistry, client: LogClient) -> None:
    limit_up(client, SLOW)
    session = drafted(client, "given-up", random_bytes(2000 * KIB, seed=2))
    session.finalize()
    until(lambda: arrived_bytes(registry) > 0)
    request = pb.CancelJobsRequest(job_ids=[session.session_id])
    assert list(client.call(client.control.CancelJobs, request).job_ids) == [session.session_id]
    assert client.wait(session.session_id).error.reason == "CANCELLED"
    until(lambda: client.call(client.control.GetStatus, pb.GetStatusRequest()).spool_bytes == 0)


def test_a_job_of_high_priority_passes_one_that_is_being_sent(registry: OwnRegistry, client: LogClient) -> None:
    limit_up(client, 4 * SLOW)
    large = drafted(client, "large", random_bytes(4000 * KIB, seed=3), JOB_PRIORITY_LOW)
    large.finalize()
    until(lambda: arrived_bytes(registry) > 0)
    small = drafted(client, "small", random_bytes(300 * KIB, seed=4), JOB_PRIORITY_HIGH)
    small.finalize()
    assert client.wait(small.session_id).HasField("version")
    assert job_of(client, large).progress.state != JOB_STATE_COMMITTED
    limit_up(client, 0)
    assert client.wait(large.session_id).HasField("version")


def test_a_job_that_nobody_knows_changes_nothing_for_the_others(client: LogClient) -> None:
    session = drafted(client, "known", b"known")
    with pytest.raises(grpc.RpcError) as error:
        client.call(client.control.PauseJobs, pb.PauseJobsRequest(job_ids=[session.session_id, "0" * 32]))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    assert not job_of(client, session).progress.paused
    session.finalize()
    assert client.wait(session.session_id).HasField("version")
