"""What one replica ends or limits counts at the other within the minute that is promised, without a word between them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from holdfast_registry.auth.call_limits import RateLimits
from holdfast_registry.auth.tokens import BELIEVED_S, TokenHolders, token_digest
from holdfast_registry.database.postgresql import open_database
from holdfast_registry.database.quotas import QuotaRepository
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.domain.access import NewToken, Role, Scope
from holdfast_registry.domain.quotas import QuotaChange
from holdfast_registry.errors import RegistryError
from holdfastpb.registry.v1 import access_pb2
from registry.permissions import Answer, ask
from registry.processes import RegistryProcess, run_registry
from support.own_registry import free_port
from support.postgres import Postgres

REVOKED_WITHIN_S = 60


class SetClock:
    """Time that tests move, the same for both."""

    def __init__(self) -> None:
        self.s = 1_000_000.0

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


class Replica:
    """As much of a registry as knows tokens."""

    def __init__(self, tokens: TokenRepository, quotas: QuotaRepository, clock: SetClock) -> None:
        self.tokens = tokens
        self.quotas = quotas
        self.holders = TokenHolders(tokens, RateLimits(clock, replicas=2), clock)

    async def reason(self, secret: str) -> str:
        """Why a call with a token is refused; empty: it is not."""
        try:
            await self.holders.caller(f"Bearer {secret}")
        except RegistryError as error:
            return error.reason.value
        return ""


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def replicas(postgres: Postgres, clock: SetClock) -> AsyncIterator[list[Replica]]:
    url = postgres.new_database()
    databases = [await open_database(url, 2) for _ in range(2)]
    yield [Replica(TokenRepository(one), QuotaRepository(one, clock), clock) for one in databases]
    for database in databases:
        await database.aclose()


async def test_revocation_and_rotation_count_at_the_other_replica_within_half_a_minute(
    replicas: list[Replica], clock: SetClock
) -> None:
    here, there = replicas
    wanted = NewToken("ci", Role.WRITER, Scope("team"))
    first = await here.tokens.add(wanted, token_digest("first"), clock.now_ms())
    other = await here.tokens.add(wanted, token_digest("other"), clock.now_ms())
    assert first is not None
    assert other is not None
    assert [await there.reason("first"), await there.reason("other")] == ["", ""]
    await here.tokens.revoke(first.token_id, clock.now_ms())
    await here.tokens.rotate(other.token_id, token_digest("next"), clock.now_ms(), grace_s=10)
    assert await there.reason("next") == "", "a successor is good everywhere at once"
    clock.s += BELIEVED_S
    assert [await there.reason("first"), await there.reason("other")] == ["UNAUTHENTICATED"] * 2
    assert await there.reason("next") == ""


async def test_rate_that_is_set_at_one_replica_holds_at_the_other_within_half_a_minute(
    replicas: list[Replica], clock: SetClock
) -> None:
    here, there = replicas
    await here.tokens.add(NewToken("ci", Role.WRITER, Scope("team", "vision")), token_digest("ci"), clock.now_ms())
    assert await there.reason("ci") == ""
    await here.quotas.set(Scope("team"), QuotaChange(requests_per_s=100.0))
    await here.quotas.set(Scope("team", "vision"), QuotaChange(requests_per_s=8.0))
    clock.s += BELIEVED_S
    reasons = [await there.reason("ci") for _ in range(30)]
    assert reasons == [""] * 20 + ["RATE_LIMITED"] * 10, "four a second, for five seconds: its half of the tighter one"


@pytest.mark.long
def test_revoked_token_is_refused_by_both_replicas_within_a_minute(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    settings = {"HOLDFAST_REGISTRY_DATABASE_URL": url, "HOLDFAST_REGISTRY_STORE_DIR": str(tmp_path / "store")}
    admin = run_registry("init", "--data-dir", str(tmp_path / "init"), environment=settings).stdout.strip()
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    channels = [grpc.insecure_channel(address) for address in addresses]

    def who(number: int, secret: str) -> Answer:
        return ask(channels[number], "AccessService/WhoAmI", access_pb2.WhoAmIRequest(), secret)

    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        os.chmod(folder, 0o700)
    first, second = (
        RegistryProcess(folder, "--listen", address, environment=settings)
        for folder, address in zip(folders, addresses, strict=True)
    )
    with first, second:
        made = ask(
            channels[0], "AccessService/CreateToken", access_pb2.CreateTokenRequest(name="x", role="reader"), admin
        ).response
        assert [who(0, made.secret).reason, who(1, made.secret).reason] == ["", ""]
        ask(
            channels[0], "AccessService/RevokeToken", access_pb2.RevokeTokenRequest(token_id=made.token.token_id), admin
        )
        revoked_s = time.monotonic()
        assert who(0, made.secret).reason == "UNAUTHENTICATED"
        while who(1, made.secret).reason == "":
            assert time.monotonic() - revoked_s < REVOKED_WITHIN_S
            threading.Event().wait(0.5)
    for channel in channels:
        channel.close()
