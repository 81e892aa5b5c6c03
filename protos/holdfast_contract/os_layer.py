"""The only place that changes files which must survive: every write, flush, rename, link and unlink of daemon and registry.

Being one place it is the seam of the crash tests: each operation passes a failpoint `os.<operation>` before it is done, and
a recorder can be put in front (`observe`) that rebuilds the directory as a crash between any two operations would leave it.

Durable write of a whole file: temporary name in the same folder (exclusive, 0600), write, fsync, rename, fsync of the folder.
A crash leaves the old file, or none, or the new one; never a part of it under its name.
A failed fsync is not repeated: the kernel may have dropped the pages. `FsyncError` ends the process (exit code 74).
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import MIB

EXIT_CODE_FSYNC = 74
"""The process could not make its data durable and stopped before it acknowledged anything (EX_IOERR)."""

FILE_MODE = 0o600
FOLDER_MODE = 0o700
WRITE_BYTES_MAX = 1 * MIB
"""Of one system call.  For longer ones Linux looks for pages that lie together, up to 4 MiB; where these are rare, or come from a
virtual machine's host first, that may cost several times what the writing does."""
_BUFFERS_MAX = 1024
"""That one system call takes."""

Observer = Callable[[str, tuple[object, ...]], None]
_observer: Observer | None = None


class FsyncError(OSError):
    """The operating system could not bring written data to the disk; nothing after it may be acknowledged."""


def observe(observer: Observer | None) -> None:
    """Reports each operation, before it is done, to `observer`; `None` ends that.  For crash tests."""
    global _observer
    _observer = observer


def _before(operation: str, *arguments: object) -> None:
    failpoint(f"os.{operation}")
    if _observer is not None:
        _observer(operation, arguments)


def create_new(path: Path | str, mode: int = FILE_MODE, *, dir_fd: int | None = None) -> int:
    """Opens a file that must not exist, for writing and reading; never through a symbolic link.

    Returns:
        File descriptor, close-on-exec; the file has exactly `mode` whatever the umask.

    Raises:
        FileExistsError: there is something of that name.
    """
    _before("create", path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
    os.fchmod(descriptor, mode)
    return descriptor


def open_existing(path: Path | str) -> int:
    """Opens an existing file for writing at its place and reading; never through a symbolic link."""
    _before("open", path)
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Writes all of `data` at the descriptor's position.

    Raises:
        OSError: nothing or a part was written (ENOSPC, EDQUOT, EIO …); what lies behind the position is undefined.
    """
    _before("write", descriptor, data)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:WRITE_BYTES_MAX]) :]


def pwrite_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Writes all of `data` at `offset`."""
    _before("pwrite", descriptor, data, offset)
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view[:WRITE_BYTES_MAX], offset)
        view, offset = view[written:], offset + written


def writev_all(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Writes all buffers one after another at the descriptor's position."""
    _before("writev", descriptor, buffers)
    for part in _parts(buffers):
        expected = sum(map(len, part))
        written = os.writev(descriptor, part)
        if written != expected:
            rest = b"".join(part)[written:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def _parts(buffers: Sequence[bytes | memoryview]) -> Iterator[Sequence[bytes | memoryview]]:
    """Cuts a sequence of buffers into those of one system call each."""
    first = size_bytes = 0
    for at, buffer in enumerate(buffers):
        if at > first and (at - first == _BUFFERS_MAX or size_bytes + len(buffer) > WRITE_BYTES_MAX):
            yield buffers[first:at]
            first, size_bytes = at, 0
        size_bytes += len(buffer)
    if buffers:
        yield buffers[first:]


def truncate(descriptor: int, size_bytes: int) -> None:
    """Cuts or extends a file."""
    _before("truncate", descriptor, size_bytes)
    os.ftruncate(descriptor, size_bytes)


def fsync(descriptor: int) -> None:
    """Brings a file's data to stable storage.

    Raises:
        FsyncError: it did not get there, and a second try could only pretend.
    """
    try:
        _before("fsync", descriptor)
        os.fsync(descriptor)
    except OSError as error:
        raise FsyncError(error.errno, f"fsync failed: {error.strerror}") from error


def fsync_folder(path: Path | str) -> None:
    """Brings a folder's entries (creations, renames, deletions) to stable storage.

    Raises:
        FsyncError: as `fsync`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _before("fsync_folder", path)
        os.fsync(descriptor)
    except OSError as error:
        raise FsyncError(error.errno, f"fsync of {path} failed: {error.strerror}") from error
    finally:
        os.close(descriptor)


def rename(source: Path | str, target: Path | str) -> None:
    """Renames over whatever has the target's name; atomic, durable after `fsync_folder`."""
    _before("rename", source, target)
    os.rename(source, target)


def link(source: Path | str, target: Path | str) -> None:
    """Gives a file a second name.

    Raises:
        FileExistsError: the target exists.
        OSError: EXDEV, EPERM or EMLINK where links are not possible; copy then.
    """
    _before("link", source, target)
    os.link(source, target, follow_symlinks=False)


def unlink(path: Path | str, *, dir_fd: int | None = None) -> None:
    """Removes a file's name; absent is an error (FileNotFoundError)."""
    _before("unlink", path)
    os.unlink(path, dir_fd=dir_fd)


def unlink_if_exists(path: Path | str) -> bool:
    """Removes a file's name; returns whether there was one."""
    try:
        unlink(path)
    except FileNotFoundError:
        return False
    return True


def make_private_folder(path: Path) -> None:
    """Makes a folder (and its parents) that only its owner can enter; an existing one must be so already.

    Raises:
        PermissionError: it is a symbolic link, somebody else's, or open to others; nothing was changed.
    """
    if not path.exists() and not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        _before("mkdir", path)
        try:
            os.mkdir(path, FOLDER_MODE)
            os.chmod(path, FOLDER_MODE)
        except FileExistsError:
            pass  # another process made it in between; it is checked like any other
    check_private_folder(path)


def check_private_folder(path: Path) -> None:
    """Makes sure that a folder is ours alone; used before a socket or a token in it is trusted.

    Raises:
        PermissionError: not a folder, a symbolic link, another owner, or a mode other than 0700.
        FileNotFoundError: it is not there.
    """
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{path} is not a folder (a link or a file stands there); remove it")
    if found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to user {found.st_uid}, not to you; Holdfast will not use it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{path} is open to other users; run: chmod 700 {path}")


def make_folder(path: Path) -> None:
    """Makes one folder inside a private one; existing is fine."""
    _before("mkdir", path)
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        return
    os.chmod(path, FOLDER_MODE)


def write_durably(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Puts a whole file in place, atomically and durably; replaces an older one.

    Raises:
        FsyncError: see the module.
        OSError: no space and the like; the older file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    descriptor = create_new(temporary, mode)
    try:
        write_all(descriptor, data)
        fsync(descriptor)
    except OSError:
        os.close(descriptor)
        os.unlink(temporary)
        raise
    os.close(descriptor)
    rename(temporary, path)
    fsync_folder(path.parent)
