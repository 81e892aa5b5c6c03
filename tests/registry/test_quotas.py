"""Quotas: bytes are charged before they are written, versions when they are committed, calls when they are made."""

from __future__ import annotations

import itertools
import math
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_registry.auth.call_limits import CallsAtOnce, RateLimits
from holdfast_registry.commands import main
from holdfast_registry.domain.access import Caller, Role, Scope, TokenRecord
from holdfast_registry.domain.quotas import Bucket, capacity
from holdfast_registry.errors import RegistryError
from holdfast_registry.quota_commands import parse_bytes
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.registry.v1 import access_pb2
from holdfastpb.registry.v1.version_pb2 import AbortVersionRequest
from registry.client import Client, content_of, error_of
from registry.permissions import ask
from registry.processes import RegistryProcess

MIB = 1024 * 1024


class Keeper:
    """Who sets quotas."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES])

    def set(self, entity: str, project: str = "", **limits: float) -> access_pb2.Quota:
        flags = {f"set_{name}": True for name in ("bytes", "versions") if f"{name}_max" in limits}
        request = access_pb2.SetQuotaRequest(entity=entity, project=project, **flags, **limits)
        answer = ask(self.channel, "AccessService/SetQuota", request, None)
        assert answer.reason == ""
        return answer.response.quota

    def get(self, entity: str, project: str = "") -> list[access_pb2.Quota]:
        request = access_pb2.GetQuotasRequest(entity=entity, project=project)
        return list(ask(self.channel, "AccessService/GetQuotas", request, None).response.quotas)


@pytest.fixture(scope="module")
def keeper(registry: RegistryProcess) -> Iterator[Keeper]:
    made = Keeper(registry.target)
    yield made
    made.channel.close()


@pytest.fixture
def entity() -> str:
    return f"e-{uuid.uuid4().hex[:12]}"


def refusal(caught: pytest.ExceptionInfo[grpc.RpcError]) -> ErrorDetail:
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return error_of(caught.value)


def log(client: Client, entity: str, name: str, project: str = "vision") -> str:
    content, begun = content_of({"a": os.urandom(64)}), client.begin(name, entity=entity, project=project)
    client.bring(begun.lease.lease_id, content.chunks)
    return client.commit(begun, content, metadata_json=b"{}").version.version_id


def test_pack_beyond_the_bytes_is_not_granted_until_there_is_more_room(
    client: Client, keeper: Keeper, entity: str
) -> None:
    keeper.set(entity, bytes_max=10 * MIB)
    lease = client.begin("cats", entity=entity).lease.lease_id
    first, second = os.urandom(16), os.urandom(16)
    client.grant(lease, first, 6 * MIB, 1)
    client.grant(lease, first, 6 * MIB, 1)  # again is not twice
    with pytest.raises(grpc.RpcError) as caught:
        client.grant(lease, second, 5 * MIB, 1)
    told = refusal(caught)
    assert (told.reason, told.retryable) == ("QUOTA_EXCEEDED", False)
    assert dict(told.metadata).items() >= {
        "quota": "bytes", "scope": entity, "limit": str(10 * MIB), "used": str(6 * MIB)
    }.items()  # fmt: skip
    assert f"ask an administrator of {entity}" in told.message
    keeper.set(entity, bytes_max=11 * MIB)
    client.grant(lease, second, 5 * MIB, 1)


def test_bytes_of_an_upload_that_was_given_up_are_free_again(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, bytes_max=10 * MIB)
    begun = client.begin("cats", entity=entity)
    client.grant(begun.lease.lease_id, os.urandom(16), 10 * MIB, 1)
    client.call(client.versions.AbortVersion, AbortVersionRequest(version_id=begun.version_id))
    client.grant(client.begin("cats", entity=entity).lease.lease_id, os.urandom(16), 10 * MIB, 1)


def test_project_is_charged_for_its_own_and_the_entity_for_all(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, bytes_max=10 * MIB)
    keeper.set(entity, "small", bytes_max=4 * MIB)
    small = client.begin("cats", entity=entity, project="small").lease.lease_id
    other = client.begin("cats", entity=entity, project="other").lease.lease_id
    client.grant(other, os.urandom(16), 5 * MIB, 1)
    client.grant(small, os.urandom(16), 3 * MIB, 1)
    with pytest.raises(grpc.RpcError) as caught:
        client.grant(small, os.urandom(16), 2 * MIB, 1)
    assert refusal(caught).metadata["scope"] == f"{entity}/small"
    with pytest.raises(grpc.RpcError) as caught:
        client.grant(other, os.urandom(16), 3 * MIB, 1)
    assert refusal(caught).metadata["scope"] == entity
    used = {quota.project: quota.bytes_used for quota in keeper.get(entity)}
    assert used == {"": 8 * MIB, "small": 3 * MIB}
    assert [quota.bytes_used for quota in keeper.get(entity, "other")] == [5 * MIB]


def test_version_beyond_the_number_is_not_committed_and_a_no_op_is(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, "vision", versions_max=2)
    first = log(client, entity, "cats")
    content, begun = content_of({"a": b"last"}), client.begin("dogs", entity=entity)
    client.bring(begun.lease.lease_id, content.chunks)
    early = client.begin("cats", entity=entity)
    client.bring(early.lease.lease_id, content_of({"b": b"one too many"}).chunks)
    assert client.commit(begun, content, metadata_json=b"{}").created
    with pytest.raises(grpc.RpcError) as caught:
        client.commit(early, content_of({"b": b"one too many"}), metadata_json=b"{}")
    assert refusal(caught).metadata["quota"] == "versions"
    with pytest.raises(grpc.RpcError) as caught:  # what cannot be committed need not be brought
        client.grant(client.begin("cats", entity=entity).lease.lease_id, os.urandom(16), 100, 1)
    assert refusal(caught).metadata["quota"] == "versions"
    assert not client.commit(client.begin("dogs", entity=entity), content, metadata_json=b"{}").created
    client.delete(first, delete_aliases=True)
    assert client.commit(early, content_of({"b": b"one too many"}), metadata_json=b"{}").created


def test_version_is_restored_only_where_one_more_may_be(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, "vision", versions_max=1)
    client.delete(log(client, entity, "cats"), delete_aliases=True)
    other = log(client, entity, "cats")
    with pytest.raises(grpc.RpcError) as caught:
        client.restore("cats", 0, entity=entity)
    assert refusal(caught).metadata.items() >= {"quota": "versions", "scope": f"{entity}/vision"}.items()
    client.restore("cats", 1, entity=entity)  # what is there already is none more
    client.delete(other, delete_aliases=True)
    assert client.restore("cats", 0, entity=entity).version_index == 0
    assert keeper.get(entity, "vision")[0].versions_used == 1


def test_packs_that_are_asked_for_at_once_share_what_room_there_is(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, bytes_max=10 * MIB)
    leases = [client.begin(f"c{number}", entity=entity).lease.lease_id for number in range(6)]

    refusals: list[str] = []

    def granted(lease: str) -> bool:
        try:
            client.grant(lease, os.urandom(16), 3 * MIB, 1)
        except grpc.RpcError as error:
            refusals.append(error_of(error).reason)
            return False
        return True

    with ThreadPoolExecutor(len(leases)) as pool:
        assert sum(pool.map(granted, leases)) == 3
    assert refusals == ["QUOTA_EXCEEDED"] * 3
    assert keeper.get(entity)[0].bytes_used == 9 * MIB


def test_limit_that_is_taken_away_limits_nothing(client: Client, keeper: Keeper, entity: str) -> None:
    keeper.set(entity, bytes_max=1, versions_max=1)
    shown = keeper.set(entity, bytes_max=0, versions_max=0)
    assert (shown.bytes_max, shown.versions_max) == (0, 0)
    log(client, entity, "cats")
    log(client, entity, "cats")
    assert keeper.get(entity)[0].versions_used == 2


@given(rate=st.floats(0.1, 1000), waits=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_bucket_lets_through_its_rate_and_one_burst_and_says_when_to_come_back(rate: float, waits: list[float]) -> None:
    now_s, passed = 0.0, 0
    bucket = Bucket.full(rate, now_s)
    for wait in waits:
        now_s += wait
        while (told_s := bucket.take(rate, now_s)) == 0:
            passed += 1
        assert passed <= capacity(rate) + rate * now_s + 1e-6
        now_s += math.ceil(told_s * 1000) / 1000 + 1e-6  # as it is said on the wire
        assert bucket.take(rate, now_s) == 0
        passed += 1


class SetClock:
    """Time that tests move."""

    s = 100.0

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


def test_two_replicas_together_let_a_token_make_the_calls_that_it_may() -> None:
    clock = SetClock()
    replicas = [RateLimits(clock, replicas=2), RateLimits(clock, replicas=2)]
    token = TokenRecord(7, "ci", Role.WRITER, Scope("team"), 0, requests_per_s=20.0)

    def may_call(limits: RateLimits) -> bool:
        try:
            limits.take(token)
        except RegistryError as error:
            refusals.append(error)
            return False
        return True

    def passed(limits: RateLimits) -> int:
        return sum(itertools.takewhile(bool, (may_call(limits) for _ in range(1000))))

    refusals: list[RegistryError] = []
    assert [passed(limits) for limits in replicas] == [50, 50]
    clock.s += 2
    assert [passed(limits) for limits in replicas] == [20, 20]
    told = [(error.reason, error.retryable, error.retry_after_ms) for error in refusals]
    assert told == [("RATE_LIMITED", True, 100)] * 4, "a tenth of a second brings the next call to each"


def test_calls_under_way_are_counted_for_each_token_and_for_all() -> None:
    calls = CallsAtOnce(per_token_max=1, all_max=2)
    first, second, third = (Caller(Role.READER, Scope("team"), number, f"t{number}") for number in (1, 2, 3))
    with calls.one(first):
        with pytest.raises(RegistryError, match="'t1' has 1 calls"), calls.one(first):
            pass
        with calls.one(second), pytest.raises(RegistryError, match="has 2 calls"), calls.one(third):
            pass
        with calls.one(third):
            pass
    with calls.one(first):
        pass


@pytest.mark.parametrize(
    ("text", "size"), [("2TB", 2 * 10**12), ("500GiB", 500 * 2**30), ("1.5 MB", 1_500_000), ("7", 7), ("none", 0)]
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert parse_bytes(text) == size


def test_commands_set_and_show_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--data-dir", str(tmp_path / "data")]
    assert main(["quota", "set", "team/vision", "--bytes", "1MB", "--versions", "5", "--rate", "2.5", *at]) == 0
    assert main(["quota", "set", "team/vision", "--versions", "none", *at]) == 0
    capsys.readouterr()
    assert main(["quota", "show", "team", *at]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "team  0 bytes, no limit  0 versions, no limit  no limit of calls",
        "team/vision  0 of 1000000 bytes (0%)  0 versions, no limit  2.5 calls/s a token",
    ]
    assert main(["quota", "set", "team", *at]) == 78
    assert main(["quota", "set", "team", "--bytes", "much", *at]) == 78
    assert "no size like 2TB" in capsys.readouterr().err
