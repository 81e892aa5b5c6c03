"""A replica that is killed in the middle of shared work is followed within a minute; one that only works long, or wakes up late, is not
followed, or harms nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast_registry.blobstore.epoch import DirectoryEpoch
from holdfast_registry.clock import RandomIds
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.gc_cycles import CycleLostError, GcCycleRepository
from holdfast_registry.database.postgresql import PostgresDatabase, open_database
from holdfast_registry.domain.duties import HOLD_MS
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.restore_epoch import RestoreEpoch
from holdfast_registry.heartbeat import BEAT_S
from registry.collecting import MovedClock
from support.postgres import Postgres

FOLLOWED_WITHIN_MS = 60_000


class Beats:
    """Time between two renewals, which passes when the test says so."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._due, self._waits = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def pause(self, seconds: float) -> None:
        self._waits.release()
        await self._due.acquire()
        self._clock.ahead_ms += round(seconds * 1000)

    async def one(self) -> None:
        """Lets one renewal happen."""
        await self._waits.acquire()
        self._due.release()
        await self._waits.acquire()
        self._waits.release()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def databases(postgres: Postgres) -> AsyncIterator[list[PostgresDatabase]]:
    url = postgres.new_database()
    opened = [await open_database(url, 2) for _ in range(2)]
    yield opened
    for database in opened:
        await database.aclose()


async def test_killed_collector_is_followed_and_changes_nothing_should_it_wake_up(
    databases: list[PostgresDatabase], clock: MovedClock
) -> None:
    one, other = (GcCycleRepository(database, clock, alone=False) for database in databases)
    cycle = await one.begin()
    assert cycle is not None
    assert await other.begin() is None
    clock.ahead_ms += HOLD_MS - 5000
    assert await other.begin() is None
    clock.ahead_ms += 10_000
    assert clock.ahead_ms <= FOLLOWED_WITHIN_MS
    next_one = await other.begin()
    assert next_one is not None
    for late in (
        one.purge(cycle, 0),
        one.settle(cycle),
        one.notice_deleted(cycle),
        one.announce_epoch(cycle, "late"),
        one.confirm_epoch(cycle, "late"),
        one.tell(cycle, "done", "{}", ended=True),
    ):
        with pytest.raises(CycleLostError):
            await late
    await other.tell(next_one, "done", "{}", ended=True)
    assert [record.phase for record in await other.last(2)] == ["done", "mark"]


async def test_collector_that_works_for_long_keeps_its_cycle(
    databases: list[PostgresDatabase], clock: MovedClock
) -> None:
    beats = Beats(clock)
    one = GcCycleRepository(databases[0], clock, alone=False, pause=beats.pause)
    other = GcCycleRepository(databases[1], clock, alone=False)
    cycle = await one.begin()
    assert cycle is not None
    async with one.held(cycle):
        for _ in range(round(3 * HOLD_MS / 1000 / BEAT_S)):
            await beats.one()
            assert await other.begin() is None
    assert clock.ahead_ms > 2 * HOLD_MS
    await one.purge(cycle, 0)


async def test_word_that_an_overtaken_collector_writes_late_is_known(
    databases: list[PostgresDatabase], clock: MovedClock, tmp_path: Path
) -> None:
    one, other = (GcCycleRepository(database, clock, alone=False) for database in databases)
    store, threads, ids = DirectoryEpoch(tmp_path), FileThreads(1), RandomIds()
    epochs = [RestoreEpoch(cycles, store, threads, ids) for cycles in (one, other)]
    stopped = await one.begin()
    assert stopped is not None
    await one.announce_epoch(stopped, "late")
    clock.ahead_ms += HOLD_MS + 1
    cycle = await other.begin()
    assert cycle is not None
    await epochs[1].rise(cycle)
    store.write("late")
    with pytest.raises(CycleLostError):
        await one.confirm_epoch(stopped, "late")
    assert await epochs[1].agree()
    await epochs[1].rise(cycle)
    assert await epochs[1].agree()
    store.write("from a backup")
    assert not await epochs[1].agree()
    threads.close()


async def test_duty_of_a_killed_registry_is_taken_over_and_one_that_is_at_work_keeps_it(
    databases: list[PostgresDatabase], clock: MovedClock
) -> None:
    one, other = (Duty(database, clock, "work", holder) for database, holder in zip(databases, "ab", strict=True))
    async with one.held(0) as is_ours:
        assert is_ours
        for _ in range(3):
            clock.ahead_ms += HOLD_MS - 1000
            assert await one.renew()
            async with other.held(0) as is_others:
                assert not is_others
        clock.ahead_ms += HOLD_MS + 1
        async with other.held(0) as is_others:
            assert is_others
            assert not await one.renew()
    async with other.held(0) as is_others:
        assert is_others, "what the first gave back in the end was not its own any more"
