"""One SQLite file, one writer: a thread that owns the only writing connection and commits in groups, and one for reads.

Write order: every function that is waiting when the writer becomes free runs in a savepoint of its own inside one transaction
(`synchronous=FULL`); after the COMMIT all of them are told.  A crash before the COMMIT loses all of the group, and none of it had
been acknowledged; after it, none.  Only the writer checkpoints (SQLite 3.7.0 to 3.51.2 can corrupt a WAL that two connections reset).
"""

import asyncio
import errno
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from holdfast_contract import os_layer
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import MIB
from holdfast_contract.os_layer import EXIT_CODE_FSYNC
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.migrations import migrate

T = TypeVar("T")

GROUP_MAX = 256
"""Functions that share a transaction at the most: bounds how long the first of them waits for the last."""
BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 16 * 1024
BALLAST_BYTES = 16 * MIB
"""Held on the disk and given up when it is full, so that what fails can still be noted."""
BALLAST_RETRY_S = 30.0

_log = logging.getLogger(__name__)
_Job = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]


def open_connection(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Opens the file with the settings that every connection to it must have."""
    uri = f"file:{str(path).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
    connection = sqlite3.connect(
        f"{uri}?mode={'ro' if read_only else 'rwc'}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA mmap_size = 0")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return connection
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Database:
    """The journal's file.  `write` and `read` are called from the event loop, their functions run in threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        try:
            connection = open_connection(path, read_only=False)
            os.chmod(path, 0o600)
            migrate(connection, str(path))
        except sqlite3.DatabaseError as error:
            raise HoldfastError(
                Reason.STORE_DAMAGED,
                f"the journal {path} cannot be read ({error}); move it away to start with an empty one: artifacts that were "
                "not committed yet are lost with it, committed versions are not",
            ) from error
        self._ballast = _Ballast(path.with_name(path.name + ".ballast"))
        self._reader = open_connection(path, read_only=True)
        self._read_pool = ThreadPoolExecutor(1, "holdfast-journal-read")
        self._thread = threading.Thread(target=self._run, args=(connection,), name="holdfast-journal", daemon=True)
        self._thread.start()

    async def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function in a transaction of the writer; returns after the COMMIT, on stable storage.

        The function must be quick and must not commit.  An exception from it undoes its own changes only.

        Raises:
            OSError: ENOSPC: the disk is full, and the ballast is used up.
        """
        future: Future[T] = Future()
        self._queue.put((function, future))
        return await asyncio.wrap_future(future)

    async def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Runs one statement as `write` does."""

        def run(connection: sqlite3.Connection) -> None:
            # The cursor must not reach the event loop: it would be freed there while this thread uses the same cached statement.
            connection.execute(sql, parameters)

        await self.write(run)

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Runs one statement for each row as `write` does."""

        def run(connection: sqlite3.Connection) -> None:
            connection.executemany(sql, rows)

        await self.write(run)

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function on the reading connection; it sees all that was committed."""
        return await asyncio.wrap_future(self._read_pool.submit(function, self._reader))

    def close(self) -> None:
        """Finishes what is queued, checkpoints and closes."""
        self._queue.put(None)
        self._thread.join()
        self._read_pool.shutdown()
        self._reader.close()

    def _run(self, connection: sqlite3.Connection) -> None:
        while (job := self._queue.get()) is not None:
            group = [job]
            ended = False
            while len(group) < GROUP_MAX and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    ended = True
                    break
                group.append(following)
            self._commit_group(connection, group)
            self._ballast.restore()
            if ended:
                break
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def _commit_group(self, connection: sqlite3.Connection, group: list[_Job]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for function, future in group:
                outcomes.append((future, *_in_savepoint(connection, function)))
            failpoint("journal.before_commit")
            connection.execute("COMMIT")
            failpoint("journal.after_commit")
        except (sqlite3.Error, OSError) as error:
            self._fail_group(connection, group, error)
            return
        for future, result, problem in outcomes:
            if future.cancelled():
                continue
            if problem is None:
                future.set_result(result)
            else:
                future.set_exception(problem)

    def _fail_group(self, connection: sqlite3.Connection, group: list[_Job], error: Exception) -> None:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
            # SQLite could not write or flush: what it holds in memory may not be what the disk holds. Stop, replay after the start.
            _log.critical("the journal %s cannot be written: %s", self.path, error)
            os._exit(EXIT_CODE_FSYNC)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            if self._ballast.give_up():
                self._commit_group(connection, group)
                return
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        for _, future in group:
            if not future.cancelled():
                future.set_exception(error)


class _Ballast:
    """A file of zeros that is removed when the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tried_s = -BALLAST_RETRY_S
        self.restore()

    def give_up(self) -> bool:
        """Frees its space; returns whether there was any."""
        self._tried_s = time.monotonic()
        return os_layer.unlink_if_exists(self._path)

    def restore(self) -> None:
        """Takes the space again, if it was given up some time ago and the disk has room."""
        if time.monotonic() - self._tried_s < BALLAST_RETRY_S or self._path.exists():
            return
        self._tried_s = time.monotonic()
        room = os.statvfs(self._path.parent)
        if room.f_bavail * room.f_frsize < 4 * BALLAST_BYTES:
            return
        try:
            descriptor = os_layer.create_new(self._path)
        except OSError as error:
            _log.warning("no ballast: %s", error)
            return
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        except OSError as error:
            _log.warning("no ballast: %s", error)
            os_layer.unlink_if_exists(self._path)
        finally:
            os.close(descriptor)


def _in_savepoint(
    connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], T]
) -> tuple[T | None, BaseException | None]:
    connection.execute("SAVEPOINT one")
    try:
        result = function(connection)
        assert not isinstance(result, sqlite3.Cursor), "a cursor belongs to this thread"
    except Exception as error:  # noqa: BLE001  handed to whoever waits for this function; the others of the group go on
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, error
    connection.execute("RELEASE one")
    return result, None
