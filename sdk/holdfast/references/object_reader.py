"""Reads a referenced object of a cloud where it lies: only what is asked for, and only while it is the recorded one."""

from __future__ import annotations

import io
from collections.abc import Callable

READ_AHEAD_BYTES = 1 << 20
"""Of small reads one after another: a request costs tens of milliseconds, a MiB about ten."""


class ObjectReader(io.RawIOBase):
    """A file of a known size whose bytes come in spans."""

    def __init__(self, size: int, read_span: Callable[[int, int], bytes]) -> None:
        """Opens it at its begin; `read_span` gets the first byte and the one after the last."""
        super().__init__()
        self._size = size
        self._read_span = read_span
        self._position = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place; as of any file.

        Raises:
            ValueError: it lies before the begin, or `whence` is none of the three.
        """
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence)
        if begin is None or begin + offset < 0:
            raise ValueError(f"Cannot seek to {offset} from {whence} in a file of {self._size} bytes")
        self._position = begin + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fills a buffer as far as the file goes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            return 0
        data = self._read_span(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def buffered(size: int, read_span: Callable[[int, int], bytes]) -> io.BufferedReader:
    """Returns a reader that serves small reads from what it has read ahead."""
    return io.BufferedReader(ObjectReader(size, read_span), READ_AHEAD_BYTES)
