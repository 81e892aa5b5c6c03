"""Cycles of garbage collection: who may run one, what it has to wait for, how far it is; and the purge of deleted versions.

One row of `gc_state` names the cycle that may change anything.  Each transaction of a cycle locks that row first and looks at it in
the next statement, so a collector that was overtaken (it had stopped for a while, another replica has begun) changes nothing more.
A crash leaves a cycle that has not ended; the next one takes over what it had condemned, as that of any earlier cycle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, or_, select, text, update

from holdfast_contract.failpoints import failpoint
from holdfast_registry.clock import Clock
from holdfast_registry.database.database import Database
from holdfast_registry.database.duties import hold_time
from holdfast_registry.database.schema import (
    collection,
    entity,
    gc_awaited,
    gc_cycle,
    gc_state,
    lease,
    pack,
    project,
    version,
    version_tag,
)
from holdfast_registry.database.statements import AnyRow
from holdfast_registry.domain.duties import HOLD_MS, is_held
from holdfast_registry.domain.gc import announced_with, announced_without, deletable_stamp, next_age, next_stamp
from holdfast_registry.domain.records import LeaseState, PackState, VersionState
from holdfast_registry.heartbeat import Pause, heartbeat

CYCLES_KEPT = 100
"""Results that `gc status` can still show."""
PURGED_AT_ONCE = 200
"""Versions of one transaction."""

_HOLDING = (VersionState.COMMITTED.value, VersionState.PART.value, VersionState.DELETED.value)
_ENSURE_STATE = text(
    "INSERT INTO gc_state (id, age_ms, seen_at_ms, epoch, announced_epoch, held_until_ms) "
    "VALUES (1, 0, :now_ms, '', '', 0) ON CONFLICT (id) DO NOTHING"
)
_STATE = select(gc_state).where(gc_state.c.id == 1)
_LOCK_STATE = _STATE.with_for_update()
_SET_STATE = update(gc_state).where(gc_state.c.id == 1)
_SET_HELD = _SET_STATE.where(gc_state.c.cycle == bindparam("held_cycle"))
_SET_CYCLE = update(gc_cycle).where(gc_cycle.c.id == bindparam("cycle_row"))
_AWAIT = insert(gc_awaited).from_select(
    ["cycle", "lease_id"],
    select(bindparam("awaiting", type_=gc_cycle.c.id.type), lease.c.id).where(
        lease.c.state == LeaseState.ACTIVE.value,
        lease.c.id.not_in(select(gc_awaited.c.lease_id).where(gc_awaited.c.cycle == bindparam("awaiting"))),
    ),
)
_FORGET_ENDED = delete(gc_awaited).where(
    gc_awaited.c.lease_id.in_(select(lease.c.id).where(lease.c.state != LeaseState.ACTIVE.value))
)
_AWAITED_STAMPS = select(gc_cycle.c.stamp).where(gc_cycle.c.id.in_(select(gc_awaited.c.cycle)))
_UNSETTLED = select(gc_cycle.c.id).where(gc_cycle.c.settled.is_(False))
_LAST = select(gc_cycle).order_by(gc_cycle.c.id.desc()).limit(bindparam("count"))
_FORGET_CYCLES = delete(gc_cycle).where(
    gc_cycle.c.id <= bindparam("up_to"), gc_cycle.c.id.not_in(select(gc_awaited.c.cycle))
)
# What a compaction was writing when its process ended; a writer's own go with the end of their lease.
_DOOM_ABANDONED = (
    update(pack)
    .where(
        pack.c.state == PackState.UPLOADING.value,
        pack.c.lease_id.in_(select(lease.c.id).where(lease.c.state != LeaseState.ACTIVE.value)),
    )
    .values(state=PackState.DOOMED.value, doomed_at_ms=bindparam("now_ms"))
)
_RESTORABLE = (version.c.state == VersionState.DELETED.value, version.c.manifest_root.is_not(None))
_NOTICE = (
    update(version).where(*_RESTORABLE, version.c.deleted_age_ms.is_(None)).values(deleted_age_ms=bindparam("age_ms"))
)
_DUE = (*_RESTORABLE, version.c.deleted_age_ms <= bindparam("up_to_age_ms"))
_TO_PURGE = select(version.c.id).where(*_DUE).limit(PURGED_AT_ONCE)
_PURGE = (
    update(version)
    .where(version.c.id.in_(bindparam("version_ids", expanding=True)), *_DUE)
    .values(manifest_root=None, metadata_json=b"{}", description=None)
)
_DROP_TAGS = delete(version_tag).where(version_tag.c.version_id.in_(bindparam("version_ids", expanding=True)))
_ROOTS = (
    select(version.c.manifest_root)
    .join(collection, collection.c.id == version.c.collection_id)
    .join(project, project.c.id == collection.c.project_id)
    .where(
        project.c.entity_id == bindparam("entity_id"),
        version.c.state.in_(_HOLDING),
        version.c.manifest_root.is_not(None),
    )
    .distinct()
)
_ROOTS_AFTER_PURGE = _ROOTS.where(
    or_(
        version.c.state != VersionState.DELETED.value,
        # What no cycle has seen yet is as old as the registry is now.
        func.coalesce(version.c.deleted_age_ms, bindparam("age_ms")) > bindparam("up_to_age_ms"),
    )
)
_ENTITIES = select(entity.c.id, entity.c.name).order_by(entity.c.id)
_WAITING = select(func.count()).select_from(version).where(*_RESTORABLE)


class CycleLostError(Exception):
    """Another collector has taken over; nothing more may be changed."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle that runs."""

    row: int
    stamp: int
    deletable_stamp: int
    """Rows condemned with this stamp or a lower one may be deleted, unless they are marked."""
    age_ms: int
    """Of the registry, by its own count."""


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """A cycle as it is shown."""

    row: int
    phase: str
    started_at_ms: int
    ended_at_ms: int | None
    report_json: str


@dataclass(frozen=True, slots=True)
class Epochs:
    """Of which time the database believes the store to be."""

    known: str
    announced: str


def hold(connection: Connection, cycle: Cycle) -> AnyRow:
    """Begins every transaction of a cycle; returns the row that it has locked.

    Raises:
        CycleLostError: the cycle was overtaken, or has ended.
    """
    state = connection.execute(_LOCK_STATE).first()
    if state is None or state.cycle != cycle.row:
        raise CycleLostError
    return state


class GcCycleRepository:
    """Begins, tells and ends."""

    def __init__(self, database: Database, clock: Clock, *, alone: bool, pause: Pause = asyncio.sleep) -> None:
        """Puts it together.

        Args:
            database: of the registry.
            clock: for what is shown, and for when another's cycle may be taken over.
            alone: no other process uses this database, so a cycle that has not ended is one that has crashed.
            pause: between two renewals of a cycle's hold.
        """
        self._database = database
        self._clock = clock
        self._hold_time = hold_time(clock)
        self._alone = alone
        self._pause = pause

    async def begin(self) -> Cycle | None:
        """Begins a cycle; None: another collector is at it.

        Which leases earlier cycles wait for is settled here, before anything is marked.
        """
        cycle = await self._database.write(self._begin)
        failpoint("gc.after_begin")
        return cycle

    def _begin(self, connection: Connection) -> Cycle | None:
        now_ms = self._clock.now_ms()
        connection.execute(_ENSURE_STATE, {"now_ms": now_ms})
        state = connection.execute(_LOCK_STATE).one()
        hold_ms = self._hold_time(connection)
        if state.cycle is not None and not self._alone and is_held(state.held_until_ms, hold_ms, HOLD_MS):
            return None
        for unsettled in connection.execute(_UNSETTLED).scalars().all():
            _settle(connection, unsettled)
        connection.execute(_FORGET_ENDED)
        connection.execute(_DOOM_ABANDONED, {"now_ms": now_ms})
        last = connection.execute(_LAST, {"count": 1}).first()
        stamp = next_stamp(now_ms, 0 if last is None else last.stamp)
        row = _insert_cycle(connection, stamp, now_ms)
        connection.execute(_FORGET_CYCLES, {"up_to": row - CYCLES_KEPT})
        age_ms = next_age(state.age_ms, state.seen_at_ms, now_ms)
        values = {"age_ms": age_ms, "seen_at_ms": now_ms, "cycle": row, "held_until_ms": hold_ms + HOLD_MS}
        connection.execute(_SET_STATE.values(values))
        awaited = frozenset(connection.execute(_AWAITED_STAMPS).scalars())
        return Cycle(row, stamp, deletable_stamp(stamp, awaited), age_ms)

    @asynccontextmanager
    async def held(self, cycle: Cycle) -> AsyncIterator[None]:
        """Keeps the cycle from being overtaken while the block runs, unless this process stands still."""
        if self._alone:
            yield
            return
        async with heartbeat(partial(self._renew, cycle), self._pause):
            yield

    async def _renew(self, cycle: Cycle) -> bool:
        def unit(connection: Connection) -> bool:
            held_until_ms = self._hold_time(connection) + HOLD_MS
            wanted = {"held_cycle": cycle.row}
            return bool(connection.execute(_SET_HELD.values(held_until_ms=held_until_ms), wanted).rowcount)

        return await self._database.write(unit)

    async def settle(self, cycle: Cycle) -> None:
        """Notes the leases that are ACTIVE now that the cycle has condemned; what it condemned waits for their end."""

        def unit(connection: Connection) -> None:
            hold(connection, cycle)
            _settle(connection, cycle.row)

        await self._database.write(unit)
        failpoint("gc.after_settle")

    async def tell(self, cycle: Cycle, phase: str, report_json: str, *, ended: bool = False) -> None:
        """Notes how far the cycle is.

        Raises:
            CycleLostError: it was.
        """

        def unit(connection: Connection) -> None:
            hold(connection, cycle)
            now_ms = self._clock.now_ms()
            values = {"phase": phase, "report_json": report_json, "ended_at_ms": now_ms if ended else None}
            connection.execute(_SET_CYCLE.values(values), {"cycle_row": cycle.row})
            if ended:
                connection.execute(_SET_STATE.values(cycle=None))

        await self._database.write(unit)

    async def last(self, count: int) -> list[CycleRecord]:
        """Returns the latest cycles, the newest first."""

        def unit(connection: Connection) -> list[CycleRecord]:
            return [_cycle_record(row) for row in connection.execute(_LAST, {"count": count})]

        return await self._database.read(unit)

    # --- the restore epoch --------------------------------------------------------------------------------------------

    async def epochs(self) -> Epochs:
        """Returns what the database knows of the store's epoch."""

        def unit(connection: Connection) -> Epochs:
            state = connection.execute(_STATE).first()
            return Epochs("", "") if state is None else Epochs(state.epoch, state.announced_epoch)

        return await self._database.read(unit)

    async def announce_epoch(self, cycle: Cycle, epoch: str) -> None:
        """Says which epoch the store is about to get."""
        await self._set_epochs(cycle, lambda announced: {"announced_epoch": announced_with(announced, epoch)})

    async def confirm_epoch(self, cycle: Cycle, epoch: str) -> None:
        """Says which epoch the store has got."""

        def confirmed(announced: str) -> dict[str, str]:
            return {"epoch": epoch, "announced_epoch": announced_without(announced, epoch)}

        await self._set_epochs(cycle, confirmed)

    async def _set_epochs(self, cycle: Cycle, changed: Callable[[str], dict[str, str]]) -> None:
        def unit(connection: Connection) -> None:
            state = hold(connection, cycle)
            connection.execute(_SET_STATE.values(changed(state.announced_epoch)))

        await self._database.write(unit)

    # --- versions -----------------------------------------------------------------------------------------------------

    async def notice_deleted(self, cycle: Cycle) -> int:
        """Lets the undelete window of versions begin that were deleted since the last cycle; returns how many can be restored."""

        def unit(connection: Connection) -> int:
            hold(connection, cycle)
            connection.execute(_NOTICE, {"age_ms": cycle.age_ms})
            return connection.execute(_WAITING).scalar_one()

        return await self._database.write(unit)

    async def purge(self, cycle: Cycle, undelete_ms: int) -> int:
        """Forgets the manifests of some versions whose undelete window has passed; 0: there are no more.

        The row stays for its number, its digest and its lineage.
        """
        return await self._database.write(partial(self._purge, cycle=cycle, up_to_age_ms=cycle.age_ms - undelete_ms))

    def _purge(self, connection: Connection, cycle: Cycle, up_to_age_ms: int) -> int:
        hold(connection, cycle)
        due = {"up_to_age_ms": up_to_age_ms}
        wanted = connection.execute(_TO_PURGE.with_for_update(), due).scalars().all()
        if not wanted:
            return 0
        purged: int = connection.execute(_PURGE, due | {"version_ids": wanted}).rowcount
        connection.execute(_DROP_TAGS, {"version_ids": wanted})
        failpoint("gc.before_purge")
        return purged

    async def entities(self) -> list[tuple[int, str]]:
        """Returns (row, name) of all entities."""

        def unit(connection: Connection) -> list[tuple[int, str]]:
            return [(row.id, row.name) for row in connection.execute(_ENTITIES)]

        return await self._database.read(unit)

    async def roots(self, entity_id: int) -> list[bytes]:
        """Returns the roots of all manifests that hold chunks, as they are at one moment."""
        return await self._roots(_ROOTS, {"entity_id": entity_id})

    async def roots_after_purge(self, entity_id: int, age_ms: int, undelete_ms: int) -> list[bytes]:
        """Returns those that would be left if versions whose undelete window has passed were purged now."""
        wanted = {"entity_id": entity_id, "age_ms": age_ms, "up_to_age_ms": age_ms - undelete_ms}
        return await self._roots(_ROOTS_AFTER_PURGE, wanted)

    async def _roots(self, statement: Select[Any], wanted: dict[str, int]) -> list[bytes]:
        def unit(connection: Connection) -> list[bytes]:
            return [bytes(root) for root in connection.execute(statement, wanted).scalars()]

        return await self._database.read(unit)

    async def age_ms(self) -> int:
        """Returns the registry's age as of now, without noting it."""

        def unit(connection: Connection) -> int:
            state = connection.execute(_STATE).first()
            return 0 if state is None else next_age(state.age_ms, state.seen_at_ms, self._clock.now_ms())

        return await self._database.read(unit)


def _insert_cycle(connection: Connection, stamp: int, now_ms: int) -> int:
    values = {"stamp": stamp, "settled": False, "phase": "mark", "started_at_ms": now_ms, "report_json": "{}"}
    return int(connection.execute(insert(gc_cycle).returning(gc_cycle.c.id), values).scalar_one())


def _settle(connection: Connection, cycle_row: int) -> None:
    connection.execute(_AWAIT, {"awaiting": cycle_row})
    connection.execute(_SET_CYCLE.values(settled=True), {"cycle_row": cycle_row})


def _cycle_record(row: AnyRow) -> CycleRecord:
    return CycleRecord(row.id, row.phase, row.started_at_ms, row.ended_at_ms, row.report_json)
