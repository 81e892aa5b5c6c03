"""Calls: what is repeated, what is not, tokens, drains, versions."""

import threading
from typing import Any

import pytest

from holdfast._daemon_client import ATTEMPTS_MAX, DaemonClient, backoff_s
from holdfast._daemon_launcher import DaemonLauncher
from holdfast._process import this_process
from holdfast.errors import (
    ConflictError,
    Error,
    NotFoundError,
    ProtocolMismatchError,
    UnavailableError,
)
from holdfast_contract.places import Places
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import control_pb2
from holdfastpb.registry.v1 import version_pb2
from support.fake_daemon import FakeDaemon, Refusal

STATUS = "/holdfast.daemon.v1.ControlService/GetStatus"
UPDATE = "/holdfast.registry.v1.VersionService/UpdateVersion"


@pytest.fixture
def client(places: Places) -> DaemonClient:
    launcher = DaemonLauncher(places, start_timeout_s=5, command=["false"])
    return DaemonClient(launcher, sleep=lambda seconds: None)


def status(client: DaemonClient) -> Any:
    return client.unary(STATUS, control_pb2.GetStatusRequest(), control_pb2.GetStatusResponse)


def test_call_carries_the_token(client: DaemonClient, daemon: FakeDaemon) -> None:
    assert status(client).software_version == "fake"
    assert daemon.calls.methods == ["Hello", "GetStatus"]


def test_unavailable_is_tried_again(client: DaemonClient, daemon: FakeDaemon) -> None:
    daemon.faults.refusals["GetStatus"] = [Refusal(Reason.UNAVAILABLE, "not now")] * (ATTEMPTS_MAX - 1)
    assert status(client).software_version == "fake"
    assert daemon.calls.methods.count("GetStatus") == ATTEMPTS_MAX


def test_unavailable_is_raised_after_some_attempts(client: DaemonClient, daemon: FakeDaemon) -> None:
    daemon.faults.refusals["GetStatus"] = [Refusal(Reason.UNAVAILABLE, "the registry does not answer")] * 99
    with pytest.raises(UnavailableError, match="the registry does not answer"):
        status(client)
    assert daemon.calls.methods.count("GetStatus") == ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("reason", "exception"), [(Reason.NOT_FOUND, NotFoundError), (Reason.ETAG_MISMATCH, ConflictError)]
)
def test_refusal_is_raised_at_once(
    client: DaemonClient, daemon: FakeDaemon, reason: Reason, exception: type[Exception]
) -> None:
    daemon.faults.refusals["GetStatus"] = [Refusal(reason, "no", path="x")]
    with pytest.raises(exception) as caught:
        status(client)
    assert caught.value.detail == {"path": "x"}  # type: ignore[attr-defined]
    assert daemon.calls.methods.count("GetStatus") == 1


def test_deadline_of_a_mutation_with_a_request_id_is_tried_again(client: DaemonClient, daemon: FakeDaemon) -> None:
    daemon.state.versions["v"] = version_pb2.Version(version_id="v")
    daemon.faults.refusals["UpdateVersion"] = [Refusal(Reason.DEADLINE, "late")]
    request = version_pb2.UpdateVersionRequest(version_id="v", request_id="r")
    assert client.unary(UPDATE, request, version_pb2.UpdateVersionResponse).version.version_id == "v"


def test_token_of_a_new_daemon_is_read_again(client: DaemonClient, daemon: FakeDaemon) -> None:
    status(client)
    daemon.restart()
    assert status(client).software_version == "fake"


def test_draining_daemon_is_waited_for_and_its_successor_is_used(client: DaemonClient, daemon: FakeDaemon) -> None:
    status(client)
    daemon.faults.draining = True

    def replace() -> None:
        daemon.faults.draining = False
        daemon.restart()

    timer = threading.Timer(0.3, replace)
    timer.start()
    assert status(client).software_version == "fake"
    timer.join()


def test_daemon_of_another_protocol_is_refused_with_both_versions(client: DaemonClient, daemon: FakeDaemon) -> None:
    daemon.faults.protocol = 99
    with pytest.raises(ProtocolMismatchError, match=r"This is Holdfast .* the running daemon is fake \(protocol 99\)"):
        status(client)


def test_daemons_own_refusal_of_our_protocol_is_passed_on(client: DaemonClient, daemon: FakeDaemon) -> None:
    message = "SDK 0.1.0 speaks protocol 1, daemon 9.0 speaks 7 to 9"
    daemon.faults.refusals["Hello"] = [Refusal(Reason.PROTOCOL_MISMATCH, message)]
    with pytest.raises(ProtocolMismatchError, match=r"daemon 9\.0"):
        status(client)


def test_socket_without_a_token_is_not_spoken_to(client: DaemonClient, daemon: FakeDaemon, places: Places) -> None:
    places.daemon_token.unlink()
    with pytest.raises(UnavailableError, match=r"daemon\.token is not there"):
        status(client)


def test_token_that_others_can_read_is_refused(client: DaemonClient, daemon: FakeDaemon, places: Places) -> None:
    places.daemon_token.chmod(0o644)
    with pytest.raises(PermissionError, match="not yours alone"):
        status(client)


def test_calls_wait_while_the_process_forks_and_go_on_after(client: DaemonClient, daemon: FakeDaemon) -> None:
    status(client)
    client.before_fork()
    answered = threading.Event()
    thread = threading.Thread(target=lambda: (status(client), answered.set()))
    thread.start()
    assert not answered.wait(0.2)
    client.after_fork_in_parent()
    assert answered.wait(20)
    thread.join()
    assert daemon.calls.methods.count("Hello") == 2


def test_closed_client_asks_no_daemon_any_more(client: DaemonClient, daemon: FakeDaemon) -> None:
    status(client)
    client.close()
    with pytest.raises(Error, match="The SDK was closed"):
        status(client)


def test_socket_may_lie_in_a_folder_of_any_name(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Places(places.data_dir, places.runtime_dir / "a %41#b?ü")
    with FakeDaemon(odd):
        client = DaemonClient(DaemonLauncher(odd, start_timeout_s=5, command=["false"]))
        assert status(client).software_version == "fake"
        client.close()


def test_pauses_grow_and_are_bounded() -> None:
    assert all(0 <= backoff_s(attempt) <= 0.1 * 2 ** (attempt - 1) for attempt in range(1, 9))
    assert all(backoff_s(100) <= 30 for _ in range(20))


def test_process_has_one_client(daemon: FakeDaemon) -> None:
    assert this_process().daemon is this_process().daemon
