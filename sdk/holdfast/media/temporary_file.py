"""Files that objects make for themselves, such as an image's PNG: gone with the object, at the latest when the process ends.

All files of a process lie in one folder.  A forked child makes a folder of its own, and never removes what is its parent's.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable

_lock = threading.Lock()
_folder: tuple[int, str] | None = None
"""Process and path."""
_numbers = itertools.count()


class TemporaryFile:
    """A name for a file that is yet to be written; the file goes when nobody has this object any more."""

    __slots__ = ("__weakref__", "path")

    def __init__(self, extension: str) -> None:
        """Takes a new name.

        Args:
            extension: the end of the name from its first dot on, such as ".png" or ".pts.json".
        """
        self.path = os.path.join(_this_process_folder(), f"{next(_numbers):x}{extension}")
        # At exit the folder goes as a whole.
        weakref.finalize(self, _remove, self.path, os.getpid()).atexit = False

    def __reduce__(self) -> tuple[Callable[[str, bytes], TemporaryFile], tuple[str, bytes]]:
        """A copy, here or in another process, has a file of its own."""
        _, dot, extension = os.path.basename(self.path).partition(".")
        with open(self.path, "rb") as file:
            return _copied, (f"{dot}{extension}", file.read())

    def write(self, data: bytes | memoryview) -> None:
        """Makes the file with these bytes, once.

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)


def _copied(extension: str, data: bytes) -> TemporaryFile:
    file = TemporaryFile(extension)
    file.write(data)
    return file


def _this_process_folder() -> str:
    global _folder
    with _lock:
        if _folder is None or _folder[0] != os.getpid():
            _folder = os.getpid(), tempfile.mkdtemp(prefix="holdfast-media-")
            atexit.register(_remove_folder, *_folder)
        return _folder[1]


def _remove(path: str, pid: int) -> None:
    if pid == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def _remove_folder(pid: int, path: str) -> None:
    if pid == os.getpid():
        shutil.rmtree(path, ignore_errors=True)


# A child forked while another thread makes the folder would wait for that thread for ever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
