"""Small files that objects make for themselves, many to one nameless file on disk: a file of its own for each costs more than a PNG.

A nameless file is gone with its last bytes' object, at the latest with the process.  A forked child reads what its parent has
written, and writes to files of its own.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable

SEGMENT_BYTES = 64 << 20
"""Of one nameless file: so much disk an object may keep that outlives its neighbours."""
WINDOW_BYTES = 1 << 20
"""Written and read at a time: a system call for each image cost as much as hashing it twice."""

_lock = threading.Lock()


class _Segment:
    """One nameless file, written at its end, by a mebibyte at a time; all with the lock held."""

    def __init__(self) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="holdfast-media-")
        os.unlink(path)
        self.pid = os.getpid()
        self._written = 0
        # What comes after it.  A child has its own copy, and its parent writes the original.
        self._unwritten = bytearray()
        # What was read last: most objects are read in the order in which they were made.
        self._window_start = 0
        self._window = b""

    @property
    def end(self) -> int:
        return self._written + len(self._unwritten)

    def append(self, data: bytes) -> int:
        """Returns where the bytes begin."""
        unwritten = self._unwritten
        start = self._written + len(unwritten)
        unwritten += data
        if len(unwritten) >= WINDOW_BYTES:
            left = memoryview(bytes(unwritten))
            while left:
                done = os.pwrite(self._descriptor, left, self.end - len(left))
                left = left[done:]
            self._written += len(unwritten)
            self._unwritten = bytearray()
        return start

    def read(self, start: int, size: int) -> bytes:
        if start >= self._written:
            return bytes(self._unwritten[start - self._written : start - self._written + size])
        if not self._window_start <= start <= start + size <= self._window_start + len(self._window):
            self._window = os.pread(self._descriptor, min(max(size, WINDOW_BYTES), self._written - start), start)
            self._window_start = start
        return self._window[start - self._window_start : start - self._window_start + size]

    # When the interpreter ends, modules may be gone before objects.
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._descriptor)


_current: _Segment | None = None


class SpooledBytes:
    """Bytes that were put aside."""

    __slots__ = ("_segment", "_start", "size")

    def __init__(self, data: bytes) -> None:
        """Takes them.

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        global _current
        with _lock:
            segment = _current
            if segment is None or segment.pid != os.getpid() or segment.end >= SEGMENT_BYTES:
                segment = _current = _Segment()
            self._start = segment.append(data)
        self._segment = segment
        self.size = len(data)

    def read(self) -> bytes:
        """Returns them."""
        with _lock:
            return self._segment.read(self._start, self.size)

    def __reduce__(self) -> tuple[type[SpooledBytes], tuple[bytes]]:
        """A copy, here or in another process, has bytes of its own."""
        return SpooledBytes, (self.read(),)


# A child forked while another thread writes would wait for that thread for ever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
