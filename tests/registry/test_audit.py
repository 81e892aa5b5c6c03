"""The reader of the audit log: filters, entries as they come, and how long they are kept."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_registry.audit_commands import OVERTAKEN_MS, follow_entries
from holdfast_registry.clock import RandomIds
from holdfast_registry.commands import main
from holdfast_registry.database.audit import AuditRepository
from holdfast_registry.database.current_call import AuditEntry
from holdfast_registry.database.maintenance import MaintenanceRepository
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase
from holdfast_registry.domain.access import EVERYTHING, Scope
from holdfastpb.registry.v1 import access_pb2

DAY_MS = 86_400_000


def entry(
    at_ms: int, *, token: int | None = 1, name: str = "ci", method: str = "VersionService/CommitVersion"
) -> AuditEntry:
    return AuditEntry(at_ms, token, name, "ipv4:1.2.3.4:5", method, "team", "vision", "version=v0", "OK")


@pytest.fixture
async def database(tmp_path: Path) -> SqliteDatabase:
    (tmp_path / "data").mkdir(mode=0o700)
    opened = SqliteDatabase(tmp_path / "data" / DATABASE_NAME, readers=1)
    log = AuditRepository(opened)
    await log.add(entry(1 * DAY_MS))
    await log.add(entry(2 * DAY_MS, token=2, name="robot", method="VersionService/DeleteVersion"))
    await log.add(entry(3 * DAY_MS, token=None, name="", method="CollectionService/DeleteCollection"))
    await log.add(entry(4 * DAY_MS, token=2, name="robot"))
    return opened


async def test_entries_are_found_by_actor_and_action(database: SqliteDatabase) -> None:
    log = AuditRepository(database)

    async def days(**wanted: str) -> list[int]:
        found = await log.list(EVERYTHING, since_ms=0, after_id=0, count=10, **wanted)
        return [one.at_ms // DAY_MS for one in found]

    assert await days(actor="robot") == await days(actor="2") == [2, 4]
    assert await days(action="Delete") == [2, 3]
    assert await days(actor="robot", action="VersionService/Delete") == [2]
    assert await days(action="%") == [], "no pattern"
    assert await days(actor="ci", action="Delete") == []
    assert await log.list(Scope("else"), since_ms=0, after_id=0, count=10) == []
    await database.aclose()


class SetClock:
    def now_ms(self) -> int:
        return 5 * DAY_MS

    def monotonic_s(self) -> float:
        return 0.0


@pytest.mark.parametrize(("kept_days", "left"), [(0, [1, 2, 3, 4]), (2, [3, 4])])
async def test_entries_are_kept_for_ever_or_as_long_as_is_set(
    database: SqliteDatabase, kept_days: int, left: list[int]
) -> None:
    kept_ms = kept_days * DAY_MS + 1 if kept_days else 0
    maintenance = MaintenanceRepository(database, SetClock(), RandomIds(), audit_kept_ms=kept_ms)
    while await maintenance.forget_audit():
        pass
    entries = await AuditRepository(database).list(EVERYTHING, since_ms=0, after_id=0, count=10)
    assert [one.at_ms // DAY_MS for one in entries] == left
    await database.aclose()


async def test_command_prints_one_object_a_line(
    database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.aclose()
    data = str(tmp_path / "data")
    # The command has a loop of its own.
    done = await asyncio.to_thread(
        main, ["audit", "--json", "--actor", "robot", "--action", "Delete", "--data-dir", data]
    )
    assert done == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["method"], shown["token_name"]) == ("VersionService/DeleteVersion", "robot")


def test_following_shows_each_entry_once_and_those_that_were_overtaken() -> None:
    """On PostgreSQL a transaction that commits later may have the lower number."""
    rounds: Iterator[list[int]] = iter([[1, 2, 4], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])
    at_ms = {number: 1_000_000 + number for number in range(1, 5)} | {
        5: 1_000_000 + 2 * OVERTAKEN_MS,
        6: 1_000_000 + 2 * OVERTAKEN_MS,
    }
    now: list[int] = []
    asked_after: list[int] = []

    def ask(after_id: int) -> list[access_pb2.AuditEntry]:
        asked_after.append(after_id)
        return [access_pb2.AuditEntry(entry_id=n, at_ms=at_ms[n]) for n in now if n > after_id]

    def sleep(seconds: float) -> None:
        now[:] = next(rounds)

    shown = [one.entry_id for one in itertools.islice(follow_entries(ask, sleep), 6)]
    assert shown == [1, 2, 4, 3, 5, 6]
    assert asked_after[-1] == 4, "what is settled is not asked for again"
