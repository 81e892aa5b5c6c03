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

_lock = threading.Lock()


class _Segment:
    """One nameless file, written at its end."""

    def __init__(self) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="holdfast-media-")
        os.unlink(path)
        self.pid = os.getpid()
        self.end = 0

    def write(self, data: bytes) -> int:
        """Appends bytes and returns where they begin; with the lock held."""
        start = self.end
        left = memoryview(data)
        while left:
            written = os.pwrite(self._descriptor, left, self.end)
            left = left[written:]
            self.end += written
        return start

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, start)

    # When the interpreter ends, modules may be gone before objects.
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._descriptor)


_current: _Segment | None = None


class SpooledBytes:
    """Bytes that were put aside."""

    __slots__ = ("_segment", "_start", "size")

    def __init__(self, data: bytes) -> None:
        """Writes them down.

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        global _current
        with _lock:
            segment = _current
            if segment is None or segment.pid != os.getpid() or segment.end >= SEGMENT_BYTES:
                segment = _current = _Segment()
            self._start = segment.write(data)
        self._segment = segment
        self.size = len(data)

    def read(self) -> bytes:
        """Returns them."""
        return self._segment.read(self._start, self.size)


# A child forked while another thread writes would wait for that thread for ever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
