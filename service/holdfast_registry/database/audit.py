"""The audit log: an entry is written in the transaction of what it records, or not at all.

A crash before the COMMIT leaves neither the change nor its entry; after it, both.  Refusals, which change nothing, have
transactions of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, bindparam, insert, or_, select

from holdfast_registry.database.current_call import AuditEntry, CurrentCall, current_call
from holdfast_registry.database.database import Database, Unit
from holdfast_registry.database.locks import is_alone
from holdfast_registry.database.schema import audit
from holdfast_registry.domain.access import Scope

T = TypeVar("T")

ID_DIGITS_MAX = 18
"""Of a token's row, within 63 bits."""
FORGOTTEN_AT_ONCE = 500
"""Of one transaction, so that nobody waits for long."""

_INSERT = insert(audit)
_OLD = select(audit.c.id).where(audit.c.at_ms < bindparam("before_ms")).order_by(audit.c.id).limit(FORGOTTEN_AT_ONCE)


def write_entry(connection: Connection, entry: AuditEntry) -> None:
    """Adds an entry to the log."""
    connection.execute(
        _INSERT,
        {
            "at_ms": entry.at_ms,
            "token_id": entry.token_id,
            "token_name": entry.token_name,
            "peer": entry.peer,
            "method": entry.method,
            "entity": entry.entity,
            "project": entry.project,
            "object": entry.object,
            "outcome": entry.outcome,
        },
    )


class AuditedDatabase:
    """A database whose changes are guarded and recorded as the call wants that makes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, unit: Unit[T]) -> T:
        """Runs a unit that may change things, with the guards before it and the audit entry behind it."""
        call = current_call()
        if call is None or not (call.guards or call.entry_of):
            return await self._database.write(unit)
        result, recorded = await self._database.write(partial(_guarded, unit=unit, call=call))
        call.is_recorded = call.is_recorded or recorded
        return result

    async def read(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """Runs a unit that only reads."""
        return await self._database.read(unit, one_state=one_state)

    def read_here(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """As `read`, from a thread that is not the event loop's; blocks."""
        return self._database.read_here(unit, one_state=one_state)


def _guarded(connection: Connection, unit: Callable[[Connection], T], call: CurrentCall) -> tuple[T, bool]:
    for guard in call.guards:
        guard(connection)
    result = unit(connection)
    entry = call.entry_of(result) if call.entry_of is not None and not call.is_recorded else None
    if entry is not None:
        write_entry(connection, entry)
    return result, entry is not None


class AuditRepository:
    """Writes what no transaction of a change has written, and reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entry: AuditEntry) -> None:
        """Adds an entry."""
        await self._database.write(partial(write_entry, entry=entry))

    async def note_call(self) -> None:
        """Records the call that runs, for one whose work is done by transactions that are not its own."""
        call = current_call()
        if call is not None and call.entry_of is not None and (entry := call.entry_of(None)) is not None:
            await self.add(entry)
            call.is_recorded = True

    async def list(
        self, scope: Scope, *, since_ms: int, after_id: int, count: int, actor: str = "", action: str = ""
    ) -> list[AuditEntry]:
        """Returns the oldest entries of a scope after a time and an entry.

        Args:
            scope: where it happened.
            since_ms: the earliest time.
            after_id: only entries after this one.
            count: at most so many.
            actor: only of the token with this id or name; empty: of all.
            action: only of methods that have this in their names; empty: of all.
        """
        wanted = select(audit).where(audit.c.at_ms >= since_ms, audit.c.id > after_id)
        if actor:
            by_id = actor.isascii() and actor.isdecimal() and len(actor) <= ID_DIGITS_MAX
            ids = [audit.c.token_id == int(actor)] if by_id else []
            wanted = wanted.where(or_(audit.c.token_name == actor, *ids))
        if action:
            wanted = wanted.where(audit.c.method.contains(action, autoescape=True))
        if scope.entity:
            wanted = wanted.where(audit.c.entity == scope.entity)
        if scope.project:
            wanted = wanted.where(audit.c.project == scope.project)

        def unit(connection: Connection) -> list[AuditEntry]:
            rows = connection.execute(wanted.order_by(audit.c.id).limit(count)).mappings()
            return [_entry(dict(row)) for row in rows]

        return await self._database.read(unit)


def forget_entries(connection: Connection, before_ms: int) -> int:
    """Removes some entries that are older, the oldest first; returns how many, none when there are no more."""
    if not is_alone(connection):
        return 0
    old = connection.execute(_OLD, {"before_ms": before_ms}).scalars().all()
    if old:
        connection.execute(audit.delete().where(audit.c.id.in_(old)))
    return len(old)


def _entry(columns: dict[str, object]) -> AuditEntry:
    return AuditEntry(entry_id=columns.pop("id"), **columns)  # type: ignore[arg-type]  # the columns are its fields
