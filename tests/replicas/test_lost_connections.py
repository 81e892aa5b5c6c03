"""A bad network between registry and PostgreSQL only delays: what was asked for happens once, and nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from holdfast_contract.reasons import Reason
from holdfast_registry.database.postgresql import PostgresDatabase, make_engine
from holdfast_registry.errors import RegistryError
from registry.client import Client, content_of
from registry.processes import RegistryProcess
from replicas.cluster import StubbornClient
from support.figures import figure
from support.postgres import SUPERUSER, Postgres
from support.tcp_proxy import Fault, TcpProxy

CUTS_AT = figure((1, 9, 60, 400, 2000), (1, 5, 8, 9, 13, 30, 60, 100, 200, 400, 700, 1000, 2000, 4000, 8000))
"""Bytes: within the first message's length, between two messages, within one."""


class Wire:
    """A database that is reached over a network that can be broken."""

    def __init__(self, postgres: Postgres) -> None:
        direct = postgres.new_database()
        self.proxy = TcpProxy(f"{postgres.folder}/.s.PGSQL.5432")
        name = direct.partition("?")[0].rpartition("/")[2]
        self.url = f"postgresql://{SUPERUSER}@{self.proxy.address}/{name}"


@pytest.fixture(scope="module")
def wire(postgres: Postgres) -> Iterator[Wire]:
    wire = Wire(postgres)
    yield wire
    wire.proxy.close()


@pytest.fixture(scope="module")
def registry(wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    with RegistryProcess(tmp_path_factory.mktemp("registry"), database_url=wire.url) as process:
        yield process


def faults() -> list[Fault]:
    cuts = [Fault(cut_after_bytes=at, of_replies=replies, cuts=3) for at in CUTS_AT for replies in (False, True)]
    closed = [Fault(cut_after_bytes=at, of_replies=True, half_close=True, cuts=3) for at in CUTS_AT]
    return [*cuts, *closed, Fault(delay_s=0.005), Fault(segment_bytes=1), Fault(refuse=True)]


def test_versions_are_made_once_over_a_network_that_breaks_and_stalls(wire: Wire, registry: RegistryProcess) -> None:
    client = StubbornClient(lambda _: Client(registry.target), 0)
    for number, fault in enumerate(faults()):
        wire.proxy.set_fault(fault)
        if fault.refuse:
            with pytest.raises(AssertionError, match="no replica answered"):
                client.insist(lambda caller: caller.begin("c"), attempts=3)
            wire.proxy.set_fault(Fault())
        assert client.log("c", content_of({"n": b"%d" % number})).version.version_index == number
    wire.proxy.set_fault(Fault())
    with Client(registry.target) as caller:
        assert caller.list_versions("c").total_count == len(faults())


async def test_a_connection_that_is_lost_without_a_word_is_given_up(wire: Wire) -> None:
    database = PostgresDatabase(make_engine(wire.url, 1), asyncio.get_running_loop(), 1, silence_max_s=0.5)

    async def ask() -> int:
        return await database.read(lambda connection: int(connection.execute(text("SELECT 1")).scalar_one()))

    try:
        wire.proxy.set_fault(Fault())
        assert await ask() == 1
        wire.proxy.set_fault(Fault(cut_after_bytes=1, of_replies=True, swallow=True, cuts=1000))
        with pytest.raises(RegistryError) as refused:
            await ask()
        assert refused.value.reason is Reason.UNAVAILABLE
        wire.proxy.set_fault(Fault())
        assert await ask() == 1
    finally:
        wire.proxy.set_fault(Fault())
        await database.aclose()


async def test_statements_that_are_answered_may_be_many(wire: Wire) -> None:
    """Silence counts from the last statement: a unit as a whole may take longer."""
    wire.proxy.set_fault(Fault())
    database = PostgresDatabase(make_engine(wire.url, 1), asyncio.get_running_loop(), 1, silence_max_s=1.0)
    try:
        slow = text("SELECT 1 FROM pg_sleep(0.3)")
        assert await database.read(lambda c: sum(int(c.execute(slow).scalar_one()) for _ in range(5))) == 5
    finally:
        await database.aclose()
