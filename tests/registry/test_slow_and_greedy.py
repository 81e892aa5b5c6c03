"""Slow and greedy clients do not hurt others: who is slow is cut off, who wants too much is told when to come back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from holdfastpb.registry.v1 import access_pb2, pack_pb2, version_pb2
from registry.client import Client, content_of, error_of, pack_of
from registry.permissions import ask
from registry.processes import RegistryProcess, run_registry
from support.figures import figure
from support.own_registry import free_port

IDLE = figure(20, 200)
SLOW = figure(5, 50)
GREEDY = figure(2, 5)
HEALTHY_VERSIONS = figure(5, 50)
CALLS_PER_TOKEN_MAX = SLOW + 4
STREAM_IDLE_S = 2
RATE = 5.0
CALL_TIMEOUT_S = 60


class Port:
    """A registry on TCP with little patience."""

    def __init__(self, folder: Path) -> None:
        os.chmod(folder, 0o700)
        self.admin = run_registry("init", "--data-dir", str(folder / "data")).stdout.strip()
        self.address = f"127.0.0.1:{free_port()}"
        environment = {
            "HOLDFAST_REGISTRY_STREAM_IDLE_S": str(STREAM_IDLE_S),
            "HOLDFAST_REGISTRY_CALLS_PER_TOKEN_MAX": str(CALLS_PER_TOKEN_MAX),
        }
        self.process = RegistryProcess(folder, "--listen", self.address, environment=environment)
        self.channel = grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])

    def token(self, entity: str) -> str:
        request = access_pb2.CreateTokenRequest(name=entity, role="writer", entity=entity)
        return str(ask(self.channel, "AccessService/CreateToken", request, self.admin).response.secret)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    made = Port(tmp_path_factory.mktemp("port"))
    with made.process:
        yield made
    made.channel.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(SLOW + GREEDY + 4) as pool:
        yield pool


def refused(action: Callable[[], object]) -> str:
    """The reason with which a call ends."""
    try:
        action()
    except grpc.RpcError as error:
        return error_of(error).reason
    return "it went through"


def brings_a_byte_a_second(port: Port, token: str, name: str) -> str:
    with Client(port.address, token) as client:
        lease, pack_id = client.begin(name, entity="slow").lease.lease_id, os.urandom(16)
        client.grant(lease, pack_id, 1000, 1)
        ended = threading.Event()

        def messages() -> Iterator[pack_pb2.WritePackRequest]:
            for offset in range(1000):
                yield pack_pb2.WritePackRequest(lease_id=lease, pack_id=pack_id, offset=offset, data=b"x", finish=False)
                if ended.wait(1.0):
                    return

        try:
            return refused(lambda: client.call(client.packs.WritePack, messages()))
        finally:
            ended.set()


def log(client: Client, entity: str) -> None:
    assert client.log("cats", content_of({"a": os.urandom(100)}), entity=entity, metadata_json=b"{}").created


def asks_until_it_is_told_to_wait(port: Port, number: int) -> tuple[int, str]:
    """Returns how many calls went through first, and what the call after the wait that was asked for came to."""
    entity = f"greedy{number}"
    limit = access_pb2.SetQuotaRequest(entity=entity, set_rate=True, requests_per_s=RATE)
    assert ask(port.channel, "AccessService/SetQuota", limit, port.admin).reason == ""
    token = port.token(entity)
    for calls in range(10_000):
        answer = ask(port.channel, "AccessService/WhoAmI", access_pb2.WhoAmIRequest(), token)
        if answer.reason:
            assert answer.reason == "RATE_LIMITED"
            assert answer.detail is not None
            assert answer.detail.retry_after_ms > 0
            time.sleep(answer.detail.retry_after_ms / 1000)  # as clients do
            return calls, ask(port.channel, "AccessService/WhoAmI", access_pb2.WhoAmIRequest(), token).reason
    raise AssertionError("nothing was refused")


def test_healthy_clients_work_beside_idle_slow_and_greedy_ones(port: Port, threads: ThreadPoolExecutor) -> None:
    host, number = port.address.split(":")
    idle = [socket.create_connection((host, int(number)), timeout=CALL_TIMEOUT_S) for _ in range(IDLE)]
    slow_token = port.token("slow")
    slow: list[Future[str]] = [
        threads.submit(brings_a_byte_a_second, port, slow_token, f"c{number}") for number in range(SLOW)
    ]
    greedy = [threads.submit(asks_until_it_is_told_to_wait, port, number) for number in range(GREEDY)]
    with Client(port.address, port.token("team")) as client:
        for _ in range(HEALTHY_VERSIONS):
            log(client, "team")
        assert [future.result(CALL_TIMEOUT_S) for future in slow] == ["DEADLINE"] * SLOW
        told = [future.result(CALL_TIMEOUT_S) for future in greedy]
        assert all(calls >= RATE and after == "" for calls, after in told)
        log(client, "team")
    for connection in idle:
        connection.close()


def test_call_whose_message_does_not_come_is_cut_off(port: Port) -> None:
    ended = threading.Event()

    def nothing() -> Iterator[version_pb2.ResolveVersionRequest]:
        ended.wait()
        yield from ()

    path = "/holdfast.registry.v1.VersionService/ResolveVersion"
    call = port.channel.stream_unary(path, version_pb2.ResolveVersionRequest.SerializeToString)
    metadata = (("authorization", f"Bearer {port.admin}"),)
    assert refused(lambda: call(nothing(), timeout=CALL_TIMEOUT_S, metadata=metadata)) == "DEADLINE"
    ended.set()


def test_stranger_is_refused_before_its_message_is_read(port: Port) -> None:
    ended = threading.Event()

    def nothing() -> Iterator[version_pb2.ResolveVersionRequest]:
        ended.wait()
        yield from ()

    call = port.channel.stream_unary(
        "/holdfast.registry.v1.VersionService/ResolveVersion", version_pb2.ResolveVersionRequest.SerializeToString
    )
    assert refused(lambda: call(nothing(), timeout=CALL_TIMEOUT_S)) == "UNAUTHENTICATED"
    ended.set()


def test_reader_that_takes_nothing_is_cut_off(port: Port) -> None:
    with Client(port.address, port.admin) as client:
        lease = client.begin("large", entity="team").lease.lease_id
        pack_id, data = pack_of([os.urandom(1 << 20) for _ in range(16)])
        client.bring_pack(lease, pack_id, data, 16)
        request = pack_pb2.ReadPackRequest(entity="team", pack_id=pack_id, offsets=[0], lengths=[len(data)])
        stream = client.packs.ReadPack(
            request, timeout=CALL_TIMEOUT_S, metadata=(("authorization", f"Bearer {port.admin}"),)
        )
        next(stream)
        log_of = port.process.log
        deadline_s = time.monotonic() + CALL_TIMEOUT_S
        while "nothing was taken" not in log_of.read_text():
            assert time.monotonic() < deadline_s, "the registry waits for ever"
            threading.Event().wait(0.1)
        received = 1

        def rest() -> None:
            nonlocal received
            for _ in stream:
                received += 1

        assert refused(rest) == "DEADLINE"
        assert received < 16


def test_token_has_so_many_calls_under_way_and_others_are_served(port: Port, threads: ThreadPoolExecutor) -> None:
    held, path = threading.Event(), "/holdfast.registry.v1.VersionService/ResolveVersion"
    token = port.token("hoarder")
    metadata = (("authorization", f"Bearer {token}"),)

    def later() -> Iterator[version_pb2.ResolveVersionRequest]:
        held.wait()
        yield version_pb2.ResolveVersionRequest(entity="hoarder", project="p", collection="c")

    call = port.channel.stream_unary(path, version_pb2.ResolveVersionRequest.SerializeToString)
    calls = [call.future(later(), timeout=CALL_TIMEOUT_S, metadata=metadata) for _ in range(CALLS_PER_TOKEN_MAX + 3)]
    first_ended = threading.Event()
    for one in calls:
        one.add_done_callback(lambda _: first_ended.set())
    assert first_ended.wait(CALL_TIMEOUT_S)
    with Client(port.address, port.token("team")) as client:
        log(client, "team")
    held.set()
    reasons = [refused(one.result) for one in calls]
    assert 1 <= reasons.count("RATE_LIMITED") <= 3
    assert set(reasons) <= {"RATE_LIMITED", "NOT_FOUND", "DEADLINE"}
