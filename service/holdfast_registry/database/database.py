"""What the repositories ask of a database: units of work, each a transaction; SQLite and PostgreSQL both give that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from holdfast_registry.clock import Clock

T = TypeVar("T")
Unit = Callable[[Connection], T]
"""A plain function on a connection.  It may run more than once (only the last run counts), so it changes nothing but the database."""


class OvertakenError(Exception):
    """A unit found, with its locks in hand, that others had changed what it was going to lock; it is to run again."""


@dataclass(frozen=True, slots=True)
class DatabaseLoad:
    """How busy a database is with this process, as metrics show it."""

    connections_max: int
    connections_in_use: int
    waiting: int
    """Units that wait for a connection, on SQLite for the one that writes."""
    retries: Mapping[str, int]
    """Units that ran again since the start, by why: `lost_race`, `overtaken`, `connection`; and `pool_timeout`, which gave up."""
    is_there: bool = True
    """Whether it answers."""


class Database(Protocol):
    """Runs units."""

    async def write(self, unit: Unit[T]) -> T:
        """Runs a unit that may change things; returns when that is committed.  A caller that is cancelled does not undo it."""

    async def read(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """Runs a unit that only reads.

        Args:
            unit: sees all writes that were answered.
            one_state: of the database is seen by all its statements; otherwise each may see what was committed meanwhile, which
                saves two round trips and is enough for a unit of one statement.
        """

    def read_here(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """As `read`, from a thread that is not the event loop's; blocks."""


class OpenDatabase(Database, Protocol):
    """A database with whoever has opened it."""

    @property
    def load(self) -> DatabaseLoad:
        """How busy it is at the moment; may be asked from any thread."""

    async def watch(self, told: Callable[[bool], Awaitable[None]]) -> None:
        """Tells whether the database can be reached, whenever that changes, until it is cancelled; ends where it cannot change."""

    async def shared_clock(self, own: Clock) -> Clock:
        """Returns what tells the time for whoever uses this database.

        Args:
            own: this machine's clock; any but the system's was put in its place, and counts.
        """

    async def aclose(self) -> None:
        """Finishes what is queued and closes; no unit may run any more."""
