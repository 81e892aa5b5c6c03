"""One SQLite file, one writer: a thread that owns the only writing connection and commits in groups, and one for reads.

Write order: every function that is waiting when the writer becomes free runs in a savepoint of its own inside one transaction
(`synchronous=FULL`); after the COMMIT all of them are told.  A crash before the COMMIT loses all of the group, and none of it had
been acknowledged; after it, none.  Only the writer checkpoints (SQLite 3.7.0 to 3.51.2 can corrupt a WAL that two connections reset).
"""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from holdfast_contract.failpoints import failpoint
from holdfast_contract.os_layer import EXIT_CODE_FSYNC

from holdfast_daemon.journal.migrations import migrate

T = TypeVar("T")

GROUP_MAX = 256
"""Functions that share a transaction at the most: bounds how long the first of them waits for the last."""
BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 16 * 1024

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
        connection = open_connection(path, read_only=False)
        os.chmod(path, 0o600)
        migrate(connection, str(path))
        self._reader = open_connection(path, read_only=True)
        self._read_pool = ThreadPoolExecutor(1, "holdfast-journal-read")
        self._thread = threading.Thread(target=self._run, args=(connection,), name="holdfast-journal")
        self._thread.start()

    async def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function in a transaction of the writer; returns after the COMMIT, on stable storage.

        The function must be quick and must not commit.  An exception from it undoes its own changes only.
        """
        future: Future[T] = Future()
        self._queue.put((function, future))
        return await asyncio.wrap_future(future)

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
        for _, future in group:
            if not future.cancelled():
                future.set_exception(error)


def _in_savepoint(
    connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], T]
) -> tuple[T | None, BaseException | None]:
    connection.execute("SAVEPOINT one")
    try:
        result = function(connection)
    except Exception as error:  # noqa: BLE001  handed to whoever waits for this function; the others of the group go on
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, error
    connection.execute("RELEASE one")
    return result, None
