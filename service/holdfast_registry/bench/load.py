"""Keeps many clients busy for a while: each does one thing after another, chosen by a mix of weights."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_contract.limits import MESSAGE_BYTES_MAX
from holdfast_registry.bench.client import CallFailedError, Client
from holdfast_registry.bench.content import new_content
from holdfast_registry.bench.timings import Summary, Timings

ACTIONS = ("log", "resolve", "alias", "list")
CLIENTS_OF_A_CHANNEL = 50
"""A registry answers 100 calls of one connection at once."""
FAILURES_SHOWN = 3
FAILURE_PAUSE_S = 0.1
"""So that a registry that is away is not asked as often as a machine can."""

_CHANNEL_OPTIONS = (
    NO_GRPC_RETRIES,
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Channels would share one connection otherwise, and its limit.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done."""

    entity: str
    project: str
    clients: int
    seconds: float
    mix: dict[str, int]
    """Action → weight."""
    collections: int
    files: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """A registry and how to reach it."""

    address: str
    token: str | None = None
    credentials: grpc.ChannelCredentials | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    took_s: float
    summaries: list[Summary]
    failed: int
    versions_deleted: int


async def drive(targets: Sequence[Target], load: Load, seed: int) -> Outcome:
    """Drives registries that share one database, or a single one; deletes afterwards what was logged.

    Raises:
        CallFailedError: not even the first version of a collection could be logged, or what was logged cannot be deleted.
    """
    async with AsyncExitStack() as stack:
        timings = Timings()
        clients = await _connect(stack, targets, load, timings, seed)
        for number in range(load.collections):  # there is something to look up from the start on
            first = random.Random(f"{seed} first {number}")
            await clients[0].log(_name(number), new_content(first, load.files, load.file_bytes))
        timings.begin_anew()
        started_s = time.perf_counter()
        busy = [
            _Busy(client, load, random.Random(f"{seed} {number}"), timings) for number, client in enumerate(clients)
        ]
        await asyncio.gather(*(one.run(started_s + load.seconds) for one in busy))
        took_s = time.perf_counter() - started_s
        summaries, failed = timings.summaries(took_s), timings.failed
        return Outcome(took_s, summaries, failed, await clients[0].delete_all())


async def _connect(
    stack: AsyncExitStack, targets: Sequence[Target], load: Load, timings: Timings, seed: int
) -> list[Client]:
    channels: list[tuple[grpc.aio.Channel, Target]] = []
    for number in range(max(len(targets), -(-load.clients // CLIENTS_OF_A_CHANNEL))):
        target = targets[number % len(targets)]
        channels.append((await stack.enter_async_context(_channel(target)), target))
    where = (load.entity, load.project)
    clients = []
    for number in range(load.clients):
        channel, target = channels[number % len(channels)]
        clients.append(Client(channel, target.token, where, timings, random.Random(f"{seed} client {number}")))
    return clients


def _channel(target: Target) -> grpc.aio.Channel:
    if target.credentials is None:
        return grpc.aio.insecure_channel(target.address, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target.address, target.credentials, options=_CHANNEL_OPTIONS)


def _name(number: int) -> str:
    return f"collection-{number}"


class _Busy:
    """One client at work."""

    def __init__(self, client: Client, load: Load, chance: random.Random, timings: Timings) -> None:
        self._timings = timings
        self._client = client
        self._load = load
        self._chance = chance

    async def run(self, until_s: float) -> None:
        """Goes on until the time has come; what has begun comes to its end."""
        actions, weights = list(self._load.mix), list(self._load.mix.values())
        while time.perf_counter() < until_s:
            try:
                await self._do(self._chance.choices(actions, weights)[0])
            except CallFailedError as error:
                self._show(error)
                await asyncio.sleep(FAILURE_PAUSE_S)

    async def _do(self, action: str) -> None:
        collection = _name(self._chance.randrange(self._load.collections))
        if action == "log":
            await self._client.log(collection, new_content(self._chance, self._load.files, self._load.file_bytes))
        elif action == "resolve":
            await self._client.resolve(collection)
        elif action == "list":
            await self._client.list(collection)
        else:
            await self._client.move_alias()

    def _show(self, error: CallFailedError) -> None:
        if self._timings.failed <= FAILURES_SHOWN:
            sys.stderr.write(f"holdfast bench: {error}\n")
