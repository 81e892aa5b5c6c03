"""PostgreSQL as the registry's database: a pool of connections, any number of registries at once.

A *unit* is a plain function on a connection, the same as on SQLite; it is one transaction, or it has not happened.  It runs in a
greenlet of the event loop on asyncpg, at READ COMMITTED: a unit that decides by what it read locks that row first and reads in the
next statement (`locks.py` has the order).  A unit that lost against another one, or whose connection died, runs again: what it
did is undone, or its request id says that it was done.

Write order: BEGIN, the unit, COMMIT, answer.  A crash before the COMMIT leaves nothing; after it the caller repeats its request.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock, SystemClock
from holdfast_registry.database.database import DatabaseLoad, OvertakenError, Unit
from holdfast_registry.database.migrate import migrate, refuse_old
from holdfast_registry.database.postgresql_watch import DatabaseWatch, Told
from holdfast_registry.database.read_only import READ_ONLY_STATE, read_only
from holdfast_registry.errors import DatabaseError, RegistryError

T = TypeVar("T")

STATEMENT_TIMEOUT_S = 30
"""A statement that takes longer is a defect or a stuck lock; calls themselves end after a minute at most."""
SILENCE_MAX_S = STATEMENT_TIMEOUT_S + 5
"""The server ends a statement before; one that is not answered by then has a connection that was lost without a word."""
CONNECT_TIMEOUT_S = 5
"""A server that takes a connection and then says nothing is as good as one that is away."""
AWAY_RETRY_MS = 1000
"""What calls are told while the database is away: it is asked twice in that time, see `postgresql_watch.py`."""
LOCK_TIMEOUT_S = 10
POOL_TIMEOUT_S = 15
CONNECTION_AGE_MAX_S = 1800
"""Connections are replaced, so that a pool finds its way to a new primary and balancers can drain."""
STATEMENTS_PREPARED_MAX = 500
"""Of each connection: more than there are, since one that has to be prepared again costs two round trips."""
ATTEMPTS_MAX = 8
RETRY_BASE_S = 0.01
RETRY_MAX_S = 1.0

_LOST_RACES = frozenset({"40001", "40P01", "55P03", "23505", "23503"})
"""Serialization failure, deadlock, lock not available, and since we looked: a unique key that another unit has written, a row that
it has deleted."""
_GONE = frozenset({"57P01", "57P02", "57P03", "25006", "08000", "08003", "08006"})
"""The server stops, starts, or is a standby by now; or the connection is broken."""
_FULL = frozenset({"53100", "53200"})
_SILENCE = "holdfast.silence"
"""Under this name a connection knows the timer that watches it."""


def sqlstate(error: DBAPIError) -> str:
    """Returns PostgreSQL's code of an error; empty when the error is the driver's own."""
    return str(getattr(error.orig, "sqlstate", "") or "")


def may_pass(error: DBAPIError) -> bool:
    """Whether the same unit may succeed when it runs again at once."""
    return error.connection_invalidated or sqlstate(error) in _LOST_RACES | _GONE


def translate(error: DBAPIError | PoolTimeoutError | OSError) -> Exception:
    """Returns what a database error means for the caller."""
    translated = _meaning(error)
    translated.__cause__ = error
    return translated


def _meaning(error: DBAPIError | PoolTimeoutError | OSError) -> Exception:
    if isinstance(error, PoolTimeoutError):
        return RegistryError(Reason.UNAVAILABLE, "All connections to the registry's database are in use; repeat it.")
    if isinstance(error, OSError):
        return _away(str(error) or "it does not answer")
    state = sqlstate(error)
    if state == READ_ONLY_STATE:
        return read_only()
    if state in _FULL:
        return RegistryError(
            Reason.OUT_OF_SPACE, "The disk of the registry's database is full; make space, then repeat."
        )
    if may_pass(error) or state == "57014":
        return RegistryError(Reason.UNAVAILABLE, f"The registry's database is busy or restarting ({state}); repeat it.")
    return DatabaseError(f"{state}: {error.orig}")


def _away(why: str) -> RegistryError:
    message = f"The registry's database cannot be reached ({why}); repeat it."
    return RegistryError(Reason.UNAVAILABLE, message, retry_after_ms=AWAY_RETRY_MS)


def make_engine(url: str, pool_size: int, *, is_patient: bool = False) -> AsyncEngine:
    """Makes the pool; nothing is connected yet.

    Args:
        url: `postgresql://…`; the driver is ours to choose.
        pool_size: connections of this process at most.
        is_patient: a transaction may take hours, as fsck's does while it reads packs.
    """
    timeout = "0" if is_patient else f"{STATEMENT_TIMEOUT_S}s"
    settings = {
        "application_name": "holdfast-registry",
        "statement_timeout": timeout,
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout": timeout,
        # Tables grow from nothing to millions of rows in minutes: a plan that was kept from their beginning reads them whole.
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        # With the price of a turning disk for each page that is looked up, asking for 65,536 of a million chunks reads the whole table,
        # with three processes, in three times the time.
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "0",
    }
    return create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=CONNECTION_AGE_MAX_S,
        # A ping would be two round trips more for each unit; one that meets a dead connection runs again on a new one.
        pool_pre_ping=False,
        isolation_level="READ COMMITTED",
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "server_settings": settings,
            "prepared_statement_cache_size": STATEMENTS_PREPARED_MAX,
        },
    )


def driver_url(url: str) -> str:
    """Returns a `postgresql://` or `postgres://` address with the driver that is used."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("the database's address begins with postgresql://")
    return f"postgresql+asyncpg://{rest}"


def _note_statement(connection: Connection, *_: object) -> None:
    """Silence counts from the last statement on."""
    watched = connection.info.get(_SILENCE)
    if watched is not None:
        silence, silence_max_s = watched
        silence.reschedule(asyncio.get_running_loop().time() + silence_max_s)


class PostgresDatabase:
    """Runs units: any number at once, each in a transaction of its own."""

    def __init__(
        self,
        engine: AsyncEngine,
        loop: asyncio.AbstractEventLoop,
        connections_max: int,
        silence_max_s: float = SILENCE_MAX_S,
        watch: DatabaseWatch | None = None,
    ) -> None:
        """Wraps a pool whose schema is up to date; use `open_database`.

        Args:
            engine: the pool.
            loop: that units run in.
            connections_max: of the pool.
            silence_max_s: that a statement may take before its connection counts as lost.
            watch: knows when the server is away.
        """
        self._watch = watch
        self._under_way: set[asyncio.Timeout] = set()
        self._silence_max_s = silence_max_s
        event.listen(engine.sync_engine, "before_cursor_execute", _note_statement)
        if watch is not None:
            event.listen(engine.sync_engine, "after_cursor_execute", lambda *_: watch.note_answer())
        self._connections_max = connections_max
        self._engine = engine
        self._loop = loop
        self._running = 0
        self._retries: Counter[str] = Counter()

    async def write(self, unit: Unit[T]) -> T:
        """Runs a unit that may change things; returns when that is committed.

        Raises:
            RegistryError: UNAVAILABLE: it lost against others too often, or the database is away; OUT_OF_SPACE.
            DatabaseError: a defect.
        """
        return await self._with_patience(unit, "READ COMMITTED", read_only=False)

    async def read(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """Runs a unit that only reads; without `one_state` in no transaction, so that BEGIN and COMMIT are saved."""
        isolation = "REPEATABLE READ" if one_state else "AUTOCOMMIT"
        return await self._with_patience(unit, isolation, read_only=one_state)

    def read_here(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """As `read`, from a thread that is not the event loop's; blocks."""
        return asyncio.run_coroutine_threadsafe(self.read(unit, one_state=one_state), self._loop).result()

    async def _with_patience(self, unit: Unit[T], isolation: str, *, read_only: bool) -> T:
        attempt = 0
        while True:
            if self._is_away:
                raise _away("it does not answer")
            try:
                return await self._once(unit, isolation, read_only=read_only)
            except DBAPIError as error:
                attempt += 1
                if not may_pass(error) or attempt == ATTEMPTS_MAX:
                    raise translate(error) from error
                self._retries["lost_race" if sqlstate(error) in _LOST_RACES else "connection"] += 1
            except OvertakenError as error:
                attempt += 1
                if attempt == ATTEMPTS_MAX:
                    raise RegistryError(
                        Reason.UNAVAILABLE, "Others change the same things all the time; repeat it."
                    ) from error
                self._retries["overtaken"] += 1
            except (PoolTimeoutError, OSError) as error:
                self._retries["pool_timeout"] += isinstance(error, PoolTimeoutError)
                raise translate(error) from error
            # Full jitter: those that met once are not to meet again.
            await asyncio.sleep(random.uniform(0, min(RETRY_MAX_S, RETRY_BASE_S * 2**attempt)))

    async def _once(self, unit: Unit[T], isolation: str, *, read_only: bool) -> T:
        self._running += 1
        silence = asyncio.timeout(self._silence_max_s)
        try:
            async with silence:
                self._under_way.add(silence)
                # Being cancelled, the driver lets go of the connection instead of asking over it for a rollback.
                async with self._engine.connect() as connection:
                    (await connection.get_raw_connection()).info[_SILENCE] = (silence, self._silence_max_s)
                    await connection.execution_options(isolation_level=isolation, postgresql_readonly=read_only)
                    async with connection.begin():
                        return await connection.run_sync(unit)
        finally:
            self._running -= 1
            self._under_way.discard(silence)

    @property
    def _is_away(self) -> bool:
        return self._watch is not None and self._watch.is_away

    @property
    def load(self) -> DatabaseLoad:
        """Of the pool."""
        in_use = min(self._running, self._connections_max)
        return DatabaseLoad(
            self._connections_max, in_use, self._running - in_use, dict(self._retries), is_there=not self._is_away
        )

    async def watch(self, told: Told) -> None:
        """Looks whether the server answers until it is cancelled; units are refused, and given up, as soon as it does not.

        Units that were given up may have been committed, as with every connection that breaks: request ids tell.
        """
        if self._watch is None:
            return

        async def changed(is_there: bool) -> None:
            if not is_there:
                for silence in self._under_way:
                    if not silence.expired():
                        silence.reschedule(self._loop.time())
            await told(is_there)

        await self._watch.run(changed)

    async def shared_clock(self, own: Clock) -> Clock:
        """Returns the server's clock, by which all registries on it agree, if `own` is the system's."""
        if self._watch is None or not isinstance(own, SystemClock):
            return own
        try:
            return await self._watch.clock(own)
        except (DBAPIError, OSError) as error:
            raise translate(error) from error

    async def aclose(self) -> None:
        """Closes all connections; no unit may run any more."""
        await self._engine.dispose()
        if self._watch is not None:
            await self._watch.aclose()


async def open_database(url: str, pool_size: int, *, migrates: bool = True) -> PostgresDatabase:
    """Connects, and brings the schema up to date while no other registry does.

    Args:
        url: see `make_engine`.
        pool_size: connections of this process at most.
        migrates: otherwise an older schema is refused.

    Raises:
        StartError: the schema is newer than this software, or older.
        RegistryError: UNAVAILABLE.
    """
    engine = make_engine(url, pool_size)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate if migrates else refuse_old)
    except (DBAPIError, OSError) as error:
        await engine.dispose()
        raise translate(error) from error
    except BaseException:  # a cancellation, too: nobody else can close it
        await engine.dispose()
        raise
    loop = asyncio.get_running_loop()
    return PostgresDatabase(engine, loop, pool_size, watch=DatabaseWatch(make_engine(url, 1), loop))
