"""The folder that a process keeps files of objects in: gone with the process, and if it was killed, with the next one's folder.

A folder is locked as long as a process has it, so one that can be locked is nobody's.  A forked child never removes what is its
parent's; while it lives the folder stays locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import time
import weakref

PREFIX = "holdfast-objects-"
GRACE_S = 60
"""Younger folders are left alone: whoever makes one needs a moment until it is locked."""

_has_swept = threading.Event()


class TemporaryFolder:
    """An empty folder that only this user may read; it goes when nobody has this object any more."""

    __slots__ = ("__weakref__", "path")

    def __init__(self) -> None:
        """Makes the folder; the first one of a process removes those of processes that were killed.

        Raises:
            OSError: the disk is full, or the like; TMPDIR chooses another one.
        """
        if not _has_swept.is_set():
            _has_swept.set()
            remove_abandoned(tempfile.gettempdir(), time.time())
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        # Where the file system has no locks, nobody can take the folder for abandoned either.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        weakref.finalize(self, _remove, self.path, descriptor, os.getpid())


class _ProcessFolder:
    """The one folder of this process, so that many objects cost one lock; a forked child makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[int, TemporaryFolder] | None = None
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )

    def path(self) -> str:
        with self._lock:
            if self._made is None or self._made[0] != os.getpid() or not os.path.isdir(self._made[1].path):
                self._made = os.getpid(), TemporaryFolder()
            return self._made[1].path


_process_folder = _ProcessFolder()


def process_folder() -> str:
    """Returns the path of the folder that all files of this process's objects share; it lasts as long as the process.

    Raises:
        OSError: the disk is full, or the like; TMPDIR chooses another one.
    """
    return _process_folder.path()


def remove_abandoned(parent: str, now: float) -> None:
    """Removes the folders of this user that no process has any more.

    Args:
        parent: where they are.
        now: in seconds since 1970.
    """
    with contextlib.suppress(OSError), os.scandir(parent) as found:
        for one in found:
            if one.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(one, now)


def _remove_if_abandoned(folder: os.DirEntry[str], now: float) -> None:
    state = folder.stat(follow_symlinks=False)
    if state.st_uid != os.getuid() or now - state.st_ctime < GRACE_S:
        return
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder.path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _remove(path: str, descriptor: int, pid: int) -> None:
    if pid == os.getpid():
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
