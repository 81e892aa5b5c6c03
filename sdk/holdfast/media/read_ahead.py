"""Small media files of an artifact, read many at a time: whoever looks into one after another gets the next ones with it.

A table notes the files of a column in the order of its rows.  The first that somebody looks into is fetched alone; as long as they go
on in this order, each request asks for twice as many as the one before.  Nothing is fetched for who looks into none.  What was fetched
is kept in memory, the latest of the whole process up to a bound; whatever goes wrong is left to the reading of the single file.
"""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from holdfast.errors import Error
from holdfast_contract.limits import MIB

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

FILE_BYTES_MAX = 1 * MIB
"""As the daemon's: of larger files, the bytes cost more than a request."""
WINDOW_FILES_MAX = 512
WINDOW_BYTES_MAX = 8 * MIB
"""Of one request; a file whose size nobody knows counts as the largest."""
NEAR_FILES = 16
"""So far from where the last request ended a look still goes on there: threads do not come in order."""
HELD_BYTES_MAX = 32 * MIB
"""In one process, for all tables."""

_Key = tuple[str, str]


class _Held:
    """Contents that were fetched, by version and path; the oldest make room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: OrderedDict[_Key, bytes] = OrderedDict()
        self._bytes = 0
        # A child forked while another thread is in here would wait for that thread for ever.
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )

    def get(self, key: _Key) -> bytes | None:
        with self._lock:
            found = self._contents.get(key)
            if found is not None:
                self._contents.move_to_end(key)
            return found

    def has(self, key: _Key) -> bool:
        with self._lock:
            return key in self._contents

    def put(self, key: _Key, data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._contents.pop(key, b""))
            self._contents[key] = data
            while self._bytes > HELD_BYTES_MAX:
                self._bytes -= len(self._contents.popitem(last=False)[1])


_held = _Held()


class MediaOrder:
    """Files of one kind in the order in which they are likely to be looked into."""

    def __init__(self, artifact: Artifact) -> None:
        """Makes an empty order of files of a logged artifact."""
        self._artifact = artifact
        self._paths: list[str] = []
        self._sizes = array("q")
        self._left_out: set[str] = set()
        self._lock = threading.Lock()
        self._lock_pid = os.getpid()
        self._expected = 0
        self._window = 1

    def add(self, path: str, size: int | None) -> int:
        """Puts a file at the end and returns its number.

        Args:
            path: of the file in the artifact.
            size: in bytes; None: nobody knows.
        """
        self._paths.append(path)
        self._sizes.append(FILE_BYTES_MAX if size is None else size)
        return len(self._paths) - 1

    def read(self, number: int) -> bytes | None:
        """Returns the bytes of a file; None: it has to be read by itself."""
        if not self._may_come(number):
            return None
        version_id = self._artifact.id or ""
        key = version_id, self._paths[number]
        found = _held.get(key)
        if found is not None:
            return found
        with self._own_lock():
            found = _held.get(key)  # another thread may have brought it meanwhile
            if found is not None:
                return found
            numbers = self._next_window(number, version_id)
            paths = list(dict.fromkeys(self._paths[one] for one in numbers))
            try:
                contents = self._artifact._read_small(paths)
            except Error:  # which the reading of the file alone meets again, if it is this one's
                self._window = 1
                return None
            for path, data in contents.items():
                _held.put((version_id, path), data)
            self._left_out.update(path for path in paths if path not in contents)
            return contents.get(key[1])

    def _may_come(self, number: int) -> bool:
        return self._sizes[number] <= FILE_BYTES_MAX and self._paths[number] not in self._left_out

    def _own_lock(self) -> threading.Lock:
        if self._lock_pid != os.getpid():
            # Whoever held it when this process was forked is not here.
            self._lock, self._lock_pid = threading.Lock(), os.getpid()
        return self._lock

    def _next_window(self, number: int, version_id: str) -> list[int]:
        goes_on = self._expected and abs(number - self._expected) <= NEAR_FILES
        self._window = min(2 * self._window, WINDOW_FILES_MAX) if goes_on else 1
        numbers = [number]
        room = WINDOW_BYTES_MAX - self._sizes[number]
        last = number
        while len(numbers) < self._window and last + 1 < len(self._paths):
            following = last + 1
            if self._may_come(following) and not _held.has((version_id, self._paths[following])):
                room -= self._sizes[following]
                if room < 0:
                    break
                numbers.append(following)
            last = following
        self._expected = last + 1
        return numbers


_orders: ContextVar[dict[str, MediaOrder] | None] = ContextVar("holdfast_media_orders", default=None)


@contextlib.contextmanager
def noting_order() -> Generator[None, None, None]:
    """Media that are made meanwhile are likely to be looked into in this order."""
    if _orders.get() is not None:  # of what this object lies in
        yield
        return
    token = _orders.set({})
    try:
        yield
    finally:
        _orders.reset(token)


def current_order(kind: str, artifact: Artifact) -> MediaOrder | None:
    """Returns the order of the files of one kind of objects; None: no table is being read.

    Args:
        kind: such as "Image", which is looked into without its masks.
        artifact: that has them.
    """
    orders = _orders.get()
    if orders is None:
        return None
    order = orders.get(kind)
    if order is None:
        order = orders[kind] = MediaOrder(artifact)
    return order
