"""Pieces of work that any registry on a database could do: which one does it now, and when it was begun last.

A registry that has stopped in the middle loses its duty by time, so whatever is done under one may be done by two for a while and
must bear that.  On PostgreSQL times are the server's, which is one for all registries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy import Connection, bindparam, select, text, update

from holdfast_registry.clock import Clock, ServerClock, SystemClock
from holdfast_registry.database.database import Database
from holdfast_registry.database.schema import duty
from holdfast_registry.domain.duties import HOLD_MS, DutyState, may_take
from holdfast_registry.heartbeat import heartbeat

_ENSURE = text(
    "INSERT INTO duty (name, holder, held_until_ms, began_at_ms) VALUES (:name, '', 0, 0) ON CONFLICT (name) DO NOTHING"
)
_STATE = select(duty).where(duty.c.name == bindparam("duty_name"))
_SET = update(duty).where(duty.c.name == bindparam("duty_name"))
_SET_HELD = _SET.where(duty.c.holder == bindparam("held_by"))

SERVER_NOW_MS = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
"""PostgreSQL's clock."""


def hold_time(clock: Clock) -> Callable[[Connection], int]:
    """Returns what tells the time, in ms, that holds are compared by: the database server's, which all registries share.

    SQLite has one registry, and no clock of its own; a clock that a test has put in the system's place counts everywhere.
    """

    def now_ms(connection: Connection) -> int:
        if connection.dialect.name == "sqlite" or not isinstance(clock, SystemClock | ServerClock):
            return clock.now_ms()
        return int(connection.execute(SERVER_NOW_MS).scalar_one())

    return now_ms


class Duty:
    """One piece of work, for one registry."""

    def __init__(self, database: Database, clock: Clock, name: str, holder: str, hold_ms: int = HOLD_MS) -> None:
        """Names it.

        Args:
            database: that the registries share.
            clock: for its times, see `hold_time`.
            name: of the work.
            holder: this registry.
            hold_ms: after so long without `renew` another registry may take it.
        """
        self._database = database
        self._now_ms = hold_time(clock)
        self._name = name
        self._holder = holder
        self._hold_ms = hold_ms

    @asynccontextmanager
    async def held(self, every_ms: int) -> AsyncIterator[bool]:
        """Takes the duty as `take` does, renews it while the block runs and gives it back; says whether it was taken."""
        if not await self.take(every_ms):
            yield False
            return
        try:
            async with heartbeat(self.renew):
                yield True
        finally:
            await self.release()

    async def take(self, every_ms: int) -> bool:
        """Takes the duty if nobody has it and it is due; returns whether.

        Args:
            every_ms: from one beginning to the next.
        """
        # Most looks find that it is not due, and need no writer for that.
        if not await self._database.read(partial(self._may_take, every_ms=every_ms)):
            return False
        return await self._database.write(partial(self._take, every_ms=every_ms))

    def _may_take(self, connection: Connection, every_ms: int, *, lock: bool = False) -> bool:
        statement = _STATE.with_for_update() if lock else _STATE
        row = connection.execute(statement, {"duty_name": self._name}).first()
        if row is None:
            return True
        state = DutyState(
            is_ours=row.holder == self._holder, held_until_ms=row.held_until_ms, began_at_ms=row.began_at_ms
        )
        return may_take(state, self._now_ms(connection), hold_ms=self._hold_ms, every_ms=every_ms)

    def _take(self, connection: Connection, every_ms: int) -> bool:
        connection.execute(_ENSURE, {"name": self._name})
        if not self._may_take(connection, every_ms, lock=True):
            return False
        now_ms = self._now_ms(connection)
        values = {"holder": self._holder, "held_until_ms": now_ms + self._hold_ms, "began_at_ms": now_ms}
        connection.execute(_SET.values(values), {"duty_name": self._name})
        return True

    async def renew(self) -> bool:
        """Goes on with the duty; returns False when another registry has taken it."""
        return await self._hold_for(self._hold_ms)

    async def release(self) -> None:
        """Gives the duty back; when it was begun stays known."""
        await self._hold_for(0)

    async def _hold_for(self, hold_ms: int) -> bool:
        def unit(connection: Connection) -> bool:
            held_until_ms = self._now_ms(connection) + hold_ms if hold_ms else 0
            ours = {"duty_name": self._name, "held_by": self._holder}
            return bool(connection.execute(_SET_HELD.values(held_until_ms=held_until_ms), ours).rowcount)

        return await self._database.write(unit)
