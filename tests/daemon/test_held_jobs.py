"""Held jobs: nothing of theirs leaves before a Sync, all of it does afterwards, once, and nobody else waits for them."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from blake3 import blake3

from holdfast_contract.limits import KIB, MIB
from holdfastpb.daemon.v1.control_pb2 import GetStatusRequest, ListJobsRequest
from holdfastpb.daemon.v1.log_pb2 import CancelArtifactRequest
from registry.client import Client
from support.log_client import ENTITY, LogClient, LogSession, bytes_record, file_record, tree_record
from support.processes import Host, running_host
from support.trees import random_bytes, write_tree


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path / "host") as host:
        host.start()
        yield host


@pytest.fixture
def client(host: Host) -> Iterator[LogClient]:
    with LogClient(host.places) as client:
        yield client


def held_session(client: LogClient, name: str, content: bytes, *, says_so_early: bool = True) -> LogSession:
    """A held job whose bytes exist nowhere but in the spool, and which rests."""
    session = LogSession(name, hold=says_so_early)
    session.attach(client)
    session.send([bytes_record("file", content)])
    session.until_ingested()
    session.finalize(hold=True)
    client.until_resting(session.session_id)
    return session


def committed_digest(client: LogClient, session: LogSession) -> bytes:
    ended = client.wait(session.session_id)
    assert ended.HasField("version"), ended.error.message
    return client.entries(ended.version.version_id)["file"]


def stored(host: Host, *contents: bytes) -> list[bool]:
    """Which chunks the registry has, asked under a lease of somebody else's."""
    assert host.registry is not None
    with Client(f"unix:{host.registry.socket}") as other:
        missing = other.missing_of(other.begin("other", entity=ENTITY).lease.lease_id, contents)
        return [content not in missing for content in contents]


def test_a_held_job_says_what_it_waits_for_and_is_committed_after_a_sync(host: Host, client: LogClient) -> None:
    session = held_session(client, "held", b"kept here" * 100)
    waiting = client.until_resting(session.session_id)
    assert waiting.held
    assert waiting.progress.waiting_for == "offline: `holdfast sync` sends it"
    (job,) = client.call(client.control.ListJobs, ListJobsRequest()).jobs
    assert job.held
    assert client.sync() == [session.session_id]
    assert committed_digest(client, session) == blake3(b"kept here" * 100).digest()
    assert client.sync() == []
    assert host.fsck() == ""


def test_one_job_can_be_let_go_alone_and_an_unknown_one_is_an_error(client: LogClient) -> None:
    first, second = (held_session(client, name, name.encode()) for name in ("one", "two"))
    assert client.sync(second.session_id) == [second.session_id]
    assert committed_digest(client, second) == blake3(b"two").digest()
    assert client.until_resting(first.session_id).held
    with pytest.raises(grpc.RpcError) as error:
        client.sync("0" * 32)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


@pytest.mark.parametrize("says_so_early", [True, False])
def test_nothing_of_a_held_job_is_sent_with_another_jobs_bytes(
    host: Host, client: LogClient, says_so_early: bool
) -> None:
    secret, public = random_bytes(50 * KIB), random_bytes(40 * KIB, seed=2)
    going = LogSession("going")
    going.attach(client)
    going.send([bytes_record("file", public)])
    going.until_ingested()
    held = held_session(client, "held", secret, says_so_early=says_so_early)
    going.finalize()
    assert committed_digest(client, going) == blake3(public).digest()
    assert stored(host, secret, public) == [False, True]
    client.sync()
    assert committed_digest(client, held) == blake3(secret).digest()
    assert stored(host, secret, public) == [True, True]
    assert host.fsck() == ""


def test_a_held_job_does_not_hold_up_the_next_one_of_its_client_and_released_ones_keep_their_order(
    client: LogClient,
) -> None:
    held = [held_session(client, "order", f"held {i}".encode()) for i in range(5)]
    going = LogSession("order")
    going.attach(client)
    going.send([bytes_record("file", b"going")])
    going.finalize()
    assert client.wait(going.session_id).version.version_index == 0
    client.sync()
    indexes = [client.wait(session.session_id).version.version_index for session in held]
    assert indexes == [1, 2, 3, 4, 5]


def test_held_bytes_do_not_use_up_the_spool_of_the_others(tmp_path: Path) -> None:
    settings = {"HOLDFAST_DAEMON_SPOOL_BYTES_MAX": str(8 * MIB)}
    source = write_tree(tmp_path / "in", {f"{i}": random_bytes(3 * MIB, seed=i) for i in range(6)})
    with running_host(tmp_path / "host", settings) as host:
        host.start()
        with LogClient(host.places) as client:
            held = LogSession("large", hold=True)
            held.attach(client)
            held.send([tree_record(source)])
            held.finalize()
            client.until_resting(held.session_id)
            status = client.call(client.control.GetStatus, GetStatusRequest())
            assert status.spool_bytes == 0
            assert status.held_bytes > 18 * MIB
            assert status.jobs_held == 1
            going = LogSession("going")
            going.attach(client)
            going.send([tree_record(source)])
            going.finalize()
            assert client.wait(going.session_id).HasField("version")
            client.sync()
            assert client.wait(held.session_id).HasField("version")


def test_the_files_of_a_held_job_may_go_and_the_daemon_may_die(host: Host, tmp_path: Path) -> None:
    content = random_bytes(70 * MIB)
    (tmp_path / "file").write_bytes(content)
    session = LogSession("gone", hold=True)
    with LogClient(host.places) as client:
        session.attach(client)
        session.send([file_record(tmp_path / "file", "file")])
        session.finalize()
        client.until_resting(session.session_id)
    (tmp_path / "file").unlink()
    host.restart()
    with LogClient(host.places) as client:
        assert client.until_resting(session.session_id).held
        client.sync()
        assert committed_digest(client, session) == blake3(content).digest()
    assert host.fsck() == ""
    assert list(host.places.spool.iterdir()) == []


@pytest.mark.parametrize("place", ["sync.before_release", "sync.after_release", "sync.resting"])
def test_a_daemon_killed_around_a_sync_commits_once(host: Host, place: str) -> None:
    host.restart(f"{place}=kill_group@1")
    with LogClient(host.places) as client:
        session = LogSession("killed", hold=True)
        session.attach(client)
        session.send([bytes_record("file", place.encode())])
        session.until_ingested()
        session.finalize()
        with pytest.raises(grpc.RpcError):
            _rest_and_sync(client, session)
    host.restart()
    with LogClient(host.places) as client:
        client.sync()
        assert committed_digest(client, session) == blake3(place.encode()).digest()
        assert len(client.list_versions("killed")) == 1


def test_a_cancelled_held_job_leaves_nothing(host: Host, client: LogClient) -> None:
    session = held_session(client, "cancelled", b"not wanted")
    assert client.call(client.log.CancelArtifact, CancelArtifactRequest(job_id=session.session_id)).cancelled
    assert client.sync() == []
    deadline = time.monotonic() + 20
    while list(host.places.spool.iterdir()):
        assert time.monotonic() < deadline, "its pack stays"
        time.sleep(0.01)


def test_held_jobs_do_not_keep_an_idle_daemon_and_the_next_one_has_them(tmp_path: Path) -> None:
    with running_host(tmp_path / "host", {"HOLDFAST_DAEMON_IDLE_EXIT_S": "0.5"}) as host:
        host.start()
        with LogClient(host.places) as client:
            session = held_session(client, "idle", b"later")
        assert host.daemon.wait() == 0
        host.restart()
        with LogClient(host.places) as client:
            client.sync()
            assert committed_digest(client, session) == blake3(b"later").digest()


def test_a_sync_ends_the_pause_of_jobs_that_wait_for_the_registry(tmp_path: Path) -> None:
    with running_host(tmp_path / "host", {"HOLDFAST_DAEMON_RETRY_DELAY_MAX_S": "100000"}) as host:
        host.start()
        assert host.registry is not None
        host.registry.kill()
        with LogClient(host.places) as client:
            session = LogSession("hurried")
            session.attach(client)
            session.send([bytes_record("file", b"patient")])
            session.finalize()
            # Its pauses double: after some tries it would be a minute before the next one.
            waits = (r.progress.waiting_for for r in client.progress(session.session_id))
            reason = next(w for w in waits if _seconds(w) >= 4)
            assert f"the registry at unix:{host.registry.socket} does not answer" in reason
            host.registry.start()
            began = time.monotonic()
            while client.call(client.control.ListJobs, ListJobsRequest(active_only=True)).jobs:
                client.sync()
                assert time.monotonic() - began < 60
            assert committed_digest(client, session) == blake3(b"patient").digest()


def _rest_and_sync(client: LogClient, session: LogSession) -> None:
    client.until_resting(session.session_id)
    client.sync()


def _seconds(waiting_for: str) -> int:
    """The pause in "…; next try in 8 s"."""
    words = waiting_for.split()
    return int(words[-2]) if "next try in" in waiting_for else 0
