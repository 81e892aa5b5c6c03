"""Reads files of the user's for a draft: small ones whole, and only for comparison any others."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from holdfast.errors import FileChangedError, FileUnreadableError
from holdfast_contract.digest import hasher
from holdfast_contract.limits import INLINE_BYTES_MAX

READ_TRIES_MAX = 3
"""Of a small file that changes while it is read: a writer that is done within two tries costs nobody an error."""

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file that was there and readable when it was looked at."""

    path: str
    """Absolute."""
    size_bytes: int


def find_file(local_path: str | os.PathLike[str]) -> LocalFile:
    """Looks at a file (or where links lead to).

    Raises:
        ValueError: no regular file.
        FileUnreadableError: it may not be read.
    """
    path = os.path.abspath(os.fspath(local_path))
    try:
        found = os.stat(path)
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise ValueError(f"Path is not a file: {os.fspath(local_path)!r}")
    if not os.access(path, os.R_OK):
        raise FileUnreadableError(f"{path} may not be read by you; change its mode or leave it out.")
    return LocalFile(path, found.st_size)


def read_small(file: LocalFile) -> bytes | None:
    """Returns a file's bytes as they were at one moment, or None when it is too large for a record.

    Raises:
        FileChangedError: it is written to all the time.
        FileUnreadableError: it cannot be read.
    """
    try:
        for _ in range(READ_TRIES_MAX):
            data, unchanged = _read_once(file.path)
            if len(data) > INLINE_BYTES_MAX:
                return None
            if unchanged:
                return data
    except OSError as error:
        raise FileUnreadableError(f"{file.path} cannot be read: {error.strerror}.") from error
    raise FileChangedError(f"{file.path} is written to while it is read; add it again when its writer is done.")


def _read_once(path: str) -> tuple[bytes, bool]:
    # Not blocking: should a pipe have taken the file's place, opening it must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        data = os.read(descriptor, INLINE_BYTES_MAX + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    same = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return data, same and len(data) == min(after.st_size, INLINE_BYTES_MAX + 1)


def digest_of_file(file: LocalFile) -> str:
    """Returns the digest of a file's bytes; for the rare cases in which it must be known before the file is added.

    Raises:
        FileUnreadableError: it cannot be read.
    """
    state = hasher()
    try:
        with open(file.path, "rb", buffering=0) as opened:
            while data := opened.read(_READ_BYTES):
                state.update(data)
    except OSError as error:
        raise FileUnreadableError(f"{file.path} cannot be read: {error.strerror}.") from error
    return state.hexdigest()
