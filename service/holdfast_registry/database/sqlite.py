"""SQLite as the registry's database: one connection that writes, and one that reads for each thread that wants to.

A *unit* is a plain function on a connection; it is one transaction, or it has not happened.  Units that wait for the
writer at the same moment share one COMMIT (and its fsync), each inside a savepoint, so one that fails takes no other along.
Only the writer changes or checkpoints the file: two connections that did could corrupt it in some releases of SQLite.

Write order of a batch:
  1. BEGIN IMMEDIATE, the units         crash after: none of them has happened
  2. COMMIT with synchronous=FULL       crash after: all have; a caller that got no answer repeats its request id
  3. the callers get their results      crash after: nothing to do
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from holdfast_contract.limits import NAME_CHARS_MAX
from holdfast_contract.os_layer import FILE_MODE, FsyncError
from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.database.database import DatabaseLoad, Unit
from holdfast_registry.database.filters import PATTERN_FUNCTION
from holdfast_registry.database.migrate import migrate, refuse_old
from holdfast_registry.database.read_only import marker_beside, read_only
from holdfast_registry.domain.patterns import compile_pattern
from holdfast_registry.errors import DatabaseError, RegistryError

T = TypeVar("T")

DATABASE_NAME = "registry.sqlite3"
"""In the data folder."""
BATCH_UNITS_MAX = 32
"""Units that share a COMMIT: more would delay the first of them, and one fsync for 32 is next to none."""
BUSY_TIMEOUT_MS = 5000
"""Nobody else writes; a backup or an fsck may hold the file for a moment."""
WRITER_CACHE_KIB = 64 * 1024
"""About a million rows of `chunk` stay in memory."""
NAMES_KEPT = 8192
"""Whether a pattern is in a name is kept for so many: all versions of a collection ask the same."""
READER_CACHE_KIB = 16 * 1024
"""Of each reader; what is not there comes from the page cache of the system."""

_FSYNC_ERRORS = frozenset({"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"})
_DAMAGE_ERRORS = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


def translate(error: DBAPIError) -> Exception:
    """Returns what a database error means for the caller."""
    translated = _meaning(error)
    translated.__cause__ = error
    return translated


def _meaning(error: DBAPIError) -> Exception:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name == "SQLITE_FULL":
        return RegistryError(
            Reason.OUT_OF_SPACE, "The disk of the registry's database is full; make space, then repeat."
        )
    if name in _FSYNC_ERRORS:
        return FsyncError(f"The database could not be brought to the disk: {error.orig}")
    if any(name.startswith(damage) for damage in _DAMAGE_ERRORS):
        return RegistryError(Reason.STORE_DAMAGED, f"The registry's database is damaged ({name}); run fsck.")
    return DatabaseError(f"{name}: {error.orig}")


def connect(path: Path, *, writable: bool) -> Connection:
    """Opens the database; nothing is read or changed yet.

    Args:
        path: of the file; made when absent and `writable`.
        writable: one connection at most may be.
    """
    if writable and not path.exists():
        # SQLite would make it with whatever the umask allows; its companion files take the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are ours, so that they are where we say
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    connection = engine.connect()
    for pragma in _pragmas(writable=writable):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    _driver(connection).create_function(PATTERN_FUNCTION, 2, _matches, deterministic=True)
    return connection


def _matches(pattern: str, text: object) -> bool:
    if not isinstance(text, str):
        return False
    return _name_matches(pattern, text) if len(text) <= NAME_CHARS_MAX else compile_pattern(pattern).is_in(text)


@lru_cache(maxsize=NAMES_KEPT)
def _name_matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).is_in(text)


def connect_read_only(path: Path) -> Connection:
    """Opens the database so that nothing is ever written, not even what a crash has left is cleaned up."""
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    connection = engine.connect()
    connection.exec_driver_sql("PRAGMA query_only=ON")
    return connection


def wait_for_writer(path: Path) -> None:
    """Returns when the transaction that another process has open has ended; changes nothing.

    That process must have the file open: whoever closes it last also checkpoints it.
    """
    connection = connect(path, writable=False)
    try:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        with transaction(connection, "BEGIN IMMEDIATE"):
            pass
    except DBAPIError as error:
        raise translate(error) from error
    finally:
        connection.close()


def save_online(path: Path, target: Path) -> None:
    """Writes a copy of the database as it is at one moment, while a registry goes on working with it.

    Args:
        path: of the database.
        target: of the copy, which must not exist.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    source = connect_read_only(path)
    try:
        with closing(sqlite3.connect(target)) as copied:
            # In one step: what is written meanwhile stays in the journal, and does not begin it anew.
            _driver(source).backup(copied, pages=-1)
    except sqlite3.Error as error:
        raise translate(DBAPIError("backup", None, error)) from error
    finally:
        source.close()


def make_portable(path: Path) -> None:
    """Makes one file of a database that nobody uses, which can be read where nothing can be written."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def integrity_problems(connection: Connection) -> list[str]:
    """Returns what SQLite itself finds wrong in its file and in the foreign keys."""
    problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        problems.append(f"row {row[1]} of {row[0]} points at a row of {row[2]} that is not there")
    return problems


def _pragmas(*, writable: bool) -> Sequence[str]:
    shared = ("foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}", "temp_store=MEMORY")
    if writable:
        durable = ("journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON")
        return (*shared, *durable, f"cache_size=-{WRITER_CACHE_KIB}")
    return (*shared, "query_only=ON", "wal_autocheckpoint=0", f"cache_size=-{READER_CACHE_KIB}")


@contextmanager
def transaction(connection: Connection, begin: str) -> Iterator[Connection]:
    """One transaction from `begin` to COMMIT, or to ROLLBACK when the block raises."""
    _control(connection, begin)
    try:
        yield connection
        _control(connection, "COMMIT")
    except BaseException:  # whatever ends the unit, nothing of it stays
        # A full disk makes SQLite roll back by itself.
        if _in_transaction(connection):
            _control(connection, "ROLLBACK")
        raise


def _control(connection: Connection, statement: str) -> None:
    """Runs a statement that has neither parameters nor rows, without the cost of those."""
    try:
        _driver(connection).execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError(statement, None, error) from error


def plain_rows(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """Returns rows as the driver's own tuples: for tens of thousands of them a third of the usual cost."""
    try:
        return _driver(connection).execute(statement, parameters).fetchall()
    except sqlite3.Error as error:
        raise DBAPIError(statement, None, error) from error


def _in_transaction(connection: Connection) -> bool:
    return _driver(connection).in_transaction


def _driver(connection: Connection) -> sqlite3.Connection:
    # Through SQLAlchemy's adapter: it is the plain connection for the driver that is in use here.
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection), "the engine is SQLite's"
    return driver


class _Job(Generic[T]):
    """One unit on its way through the writer."""

    __slots__ = ("_error", "_result", "_unit", "future")

    def __init__(self, unit: Unit[T]) -> None:
        self._unit = unit
        self._result: T | None = None
        self._error: BaseException | None = None
        self.future: Future[T] = Future()

    def run(self, connection: Connection) -> None:
        """Runs the unit; what it raises goes to its caller once the batch is through."""
        if not self.future.set_running_or_notify_cancel():
            return  # given up before it began: nothing has happened
        with _Savepoint(connection) as savepoint:
            self._result = self._unit(connection)
        self._error = savepoint.error

    def deliver(self) -> None:
        """Hands the outcome to the caller."""
        if self._error is not None:
            self.fail(self._error)
        elif self.future.running():
            self.future.set_result(self._result)  # type: ignore[arg-type]

    def fail(self, error: BaseException) -> None:
        """Tells the caller that nothing has happened."""
        if not self.future.cancelled():
            self.future.set_exception(translate(error) if isinstance(error, DBAPIError) else error)


class _Savepoint:
    """Undoes a unit that raises, and keeps the error for the unit's caller."""

    __slots__ = ("_connection", "error")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.error: BaseException | None = None

    def __enter__(self) -> _Savepoint:
        _control(self._connection, "SAVEPOINT unit")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is not None:
            if not _in_transaction(self._connection):
                return False  # the database has undone the whole batch, which fails with this error
            self.error = error
            _control(self._connection, "ROLLBACK TO unit")
        _control(self._connection, "RELEASE unit")
        return isinstance(error, Exception)


def _open_writer(path: Path, *, migrates: bool) -> Connection:
    connection = connect(path, writable=True)
    try:
        with transaction(connection, "BEGIN IMMEDIATE"):
            if migrates:
                migrate(connection)
            else:
                refuse_old(connection)
    except BaseException:  # whatever it is, nobody else can close it
        connection.close()
        raise
    return connection


class SqliteDatabase:
    """Runs units: `write` one after another, `read` several at once, each on one snapshot."""

    def __init__(self, path: Path, readers: int, *, migrates: bool = True) -> None:
        """Opens the database and brings it to the current schema.

        Args:
            path: of the file.
            readers: threads that read.
            migrates: otherwise an older schema is refused.

        Raises:
            StartError: the schema is newer than this software, or older.
            RegistryError, DatabaseError: the file is damaged, or no database.
        """
        self._path = path
        self._marker = os.fspath(marker_beside(path))
        try:
            self._writer = _open_writer(path, migrates=migrates)
        except DBAPIError as error:
            raise translate(error) from error
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._writer_thread = threading.Thread(target=self._write_batches, name="database-writer", daemon=True)
        self._writer_thread.start()
        self._is_writing = False
        self._local = threading.local()
        self._opened: list[Connection] = []
        self._readers = ThreadPoolExecutor(readers, "database-reader")

    async def write(self, unit: Unit[T]) -> T:
        """Runs a unit that may change things; returns when that is on the disk.

        A caller that is cancelled does not cancel its unit.
        """
        job = _Job(unit)
        self._jobs.put(job)
        return await asyncio.wrap_future(job.future)

    async def read(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """Runs a unit that only reads; it always sees one state of the database, with all writes that were answered."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_here, unit)

    def read_here(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """As `read`, in the calling thread, which gets a connection of its own; blocks."""
        try:
            with transaction(self._reader(), "BEGIN") as connection:
                return unit(connection)
        except DBAPIError as error:
            raise translate(error) from error

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, writable=False)
            self._opened.append(connection)
        return connection

    @property
    def load(self) -> DatabaseLoad:
        """Of the writer; nobody waits for long to read."""
        return DatabaseLoad(1, int(self._is_writing), self._jobs.qsize(), {})

    async def watch(self, told: Callable[[bool], Awaitable[None]]) -> None:
        """A file is always there."""

    async def shared_clock(self, own: Clock) -> Clock:
        """There is one registry, on this machine."""
        return own

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Finishes what is queued, writes everything into the main file, and closes; blocks.

        No thread may read any more.
        """
        self._readers.shutdown(wait=True)
        for connection in self._opened:
            connection.close()
        self._jobs.put(None)
        self._writer_thread.join()
        self._writer.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()

    def _write_batches(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            stopping = self._add_waiting(batch)
            self._is_writing = True
            self._write_batch(batch)
            self._is_writing = False
            if stopping:
                return

    def _add_waiting(self, batch: list[_Job[Any]]) -> bool:
        """Adds the jobs that wait; returns whether the end of the queue was among them."""
        while len(batch) < BATCH_UNITS_MAX:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return False
            if job is None:
                return True
            batch.append(job)
        return False

    def _write_batch(self, batch: Sequence[_Job[Any]]) -> None:
        try:
            with transaction(self._writer, "BEGIN IMMEDIATE"):
                # Looked for within the transaction: whoever has put the marker there waits for the transaction that is under way.
                if os.path.exists(self._marker):
                    raise read_only()
                for job in batch:
                    job.run(self._writer)
        except (DBAPIError, RegistryError) as error:
            for job in batch:
                job.fail(error)
        else:
            for job in batch:
                job.deliver()
