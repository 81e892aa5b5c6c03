"""Reads one whole small file so that what is hashed is what is packed, or says that it would not hold still."""

import errno
import os
import stat

from holdfast_contract.limits import RACY_WINDOW_NS
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError

READ_ATTEMPTS = 3
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Not O_NOFOLLOW: links in the user's own tree are followed, as W&B does. O_NONBLOCK: a FIFO must not hold us."""

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Say something of this machine at this moment, nothing of the file: the step is done again."""

Stat5 = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in nanoseconds: what must be equal for a file to count as unchanged."""


def stat5(found: os.stat_result) -> Stat5:
    """What identifies a state of a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_settled(state: Stat5, now_ns: int) -> bool:
    """Whether a later write to the file would surely change its times (git's rule for racy entries)."""
    return now_ns - max(state[3], state[4]) > RACY_WINDOW_NS


def open_regular(name: str | bytes, shown: str, dir_fd: int | None = None) -> tuple[int, os.stat_result]:
    """Opens a regular file for reading.

    Args:
        name: path, or name in `dir_fd`.
        shown: the path as the user knows it, for messages.
        dir_fd: folder that `name` is in.

    Raises:
        HoldfastError: FILE_MISSING, FILE_UNREADABLE or FILE_NOT_REGULAR.
    """
    try:
        descriptor = os.open(name, OPEN_FLAGS, dir_fd=dir_fd)
    except OSError as error:
        raise unreadable(error, shown) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise HoldfastError(
            Reason.FILE_NOT_REGULAR,
            f"{shown} is not a regular file (a device, socket or FIFO); leave it out.",
            path=shown,
        )
    return descriptor, found


def unreadable(error: OSError, shown: str) -> HoldfastError:
    """What the user hears when a file cannot be opened or read.

    Raises:
        OSError: the given one, if the machine is short of something.
    """
    if error.errno in SHORTAGES:
        raise error
    if isinstance(error, FileNotFoundError):
        text = f"{shown} does not exist (any more, or it is a broken link); put it back or leave it out."
        return HoldfastError(Reason.FILE_MISSING, text, path=shown)
    if isinstance(error, PermissionError):
        text = f"{shown} cannot be read by this user ({error.strerror}); change its permissions or leave it out."
        return HoldfastError(Reason.FILE_UNREADABLE, text, path=shown)
    text = f"{shown} cannot be read: {error.strerror or error}."
    return HoldfastError(Reason.FILE_UNREADABLE, text, path=shown)


def changed(shown: str) -> HoldfastError:
    """What the user hears when a file was written to while it was read."""
    text = f"{shown} was written to while it was being read; log it again when its writer has finished."
    return HoldfastError(Reason.FILE_CHANGED, text, path=shown)


def read_small(name: str | bytes, shown: str, bytes_max: int, dir_fd: int | None = None) -> tuple[Stat5, bytes | None]:
    """Reads a whole file of at most `bytes_max`.

    Returns:
        The state of the file and its bytes, which belong together; None instead of bytes when it is larger.

    Raises:
        HoldfastError: as `open_regular`; FILE_CHANGED when it did not hold still three times.
    """
    for _ in range(READ_ATTEMPTS):
        descriptor, before = open_regular(name, shown, dir_fd)
        try:
            size = before.st_size
            if size > bytes_max:
                return stat5(before), None
            data = os.read(descriptor, size + 1)
            after = os.fstat(descriptor)
        except OSError as error:
            raise unreadable(error, shown) from error
        finally:
            os.close(descriptor)
        state = stat5(before)
        if len(data) == size and stat5(after) == state:
            return state, data
    raise changed(shown)
