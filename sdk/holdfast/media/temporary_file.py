"""Files that objects make for themselves, such as a video: gone with the object, at the latest when the process ends.

If it was killed, they go with the next one's first file.  A forked child never removes what is its parent's.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Callable

from holdfast.media.temporary_folder import process_folder


class TemporaryFile:
    """An empty file that is yet to be written; it goes when nobody has this object any more."""

    __slots__ = ("__weakref__", "path")

    def __init__(self, extension: str) -> None:
        """Makes the file, which only this user may read.

        Args:
            extension: the end of the name from its first dot on, such as ".png" or ".pts.json".

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        descriptor, self.path = tempfile.mkstemp(suffix=extension, dir=process_folder())
        os.close(descriptor)
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __reduce__(self) -> tuple[Callable[[str, bytes], TemporaryFile], tuple[str, bytes]]:
        """A copy, here or in another process, has a file of its own."""
        _, dot, extension = os.path.basename(self.path).partition(".")
        with open(self.path, "rb") as file:
            return _copied, (f"{dot}{extension}", file.read())

    def write(self, data: bytes) -> None:
        """Writes the file's content.

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        with open(self.path, "wb", buffering=0) as file:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]


def _copied(extension: str, data: bytes) -> TemporaryFile:
    file = TemporaryFile(extension)
    file.write(data)
    return file


def _remove(path: str, pid: int) -> None:
    if pid == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)
