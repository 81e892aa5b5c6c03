"""Writes below one folder and nowhere else: every step goes by descriptor, and no symbolic link is ever followed.

Order of one file: temporary name in its own folder (exclusive), bytes, rename.  A crash leaves the old file, or none, or the
new one, and perhaps a `.*.holdfast-tmp`, which the next download into the folder removes.  Nothing is flushed: these are
copies of what the store keeps, as with `cp`.  Of a large file that comes over HTTP the next download goes on with what is there,
after it has looked at each chunk.
"""

import errno
import fcntl
import os
import stat
from collections import OrderedDict
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType

from blake3 import blake3

from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import LEFTOVER_SUFFIX, Target

FOLDERS_OPEN_MAX = 96
"""Descriptors kept: more than the deepest path (64) and, for a handful of tasks at once, far below the usual limit of 1,024."""
FILE_MODE = 0o644
"""Less the umask: what `cp` gives to an ordinary file."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ADOPT_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STAT_BLOCK_BYTES = 512
"""In which `st_blocks` counts: a file with holes frees what it takes, not its length."""
_NAME_CHARS_KEPT = 40
"""Of a file's name in its temporary name: at most 160 bytes of UTF-8, which leaves room for the rest within 255."""


class TargetTree:
    """One download's view of its folder.  Not thread-safe: one for each task."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folders: OrderedDict[str, int] = OrderedDict()
        self._count = 0
        # Of this tree alone: tasks of one run, and a repeated task, must not meet each other's temporary names.
        self._token = target.token + os.urandom(3).hex()
        self._root = os.open(target.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> "TargetTree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all descriptors."""
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders.clear()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def folder(self, path: str, *, make: bool) -> int:
        """Opens a folder of the tree; the descriptor is good until the next call.

        Raises:
            FileNotFoundError: it is not there (only without `make`).
            HoldfastError: INVALID_PATH: a symbolic link or a file stands on the way.
        """
        if not path:
            return self._root
        descriptor = self._folders.get(path)
        if descriptor is not None:
            self._folders.move_to_end(path)
            return descriptor
        parent, _, name = path.rpartition("/")
        descriptor = self._open_folder(self.folder(parent, make=make), name, path, make)
        self._folders[path] = descriptor
        if len(self._folders) > FOLDERS_OPEN_MAX:
            os.close(self._folders.popitem(last=False)[1])
        return descriptor

    def _open_folder(self, parent: int, name: str, path: str, make: bool) -> int:
        if make:
            with suppress(FileExistsError):  # what it is shows when it is opened
                os.mkdir(name, 0o777, dir_fd=parent)
        try:
            return os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise self._in_the_way(parent, name, path) from error
            raise

    def _in_the_way(self, parent: int, name: str, path: str) -> HoldfastError:
        try:
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            is_link = False  # removed in between; the next try will find out
        what = "is a symbolic link, which is not followed" if is_link else "is a file where the version has a folder"
        shown = self.shown(path)
        return HoldfastError(
            Reason.INVALID_PATH, f"{shown} {what}; remove it, or download to another folder", path=shown
        )

    def shown(self, path: str) -> str:
        """A path of the tree as the user knows it, for messages."""
        return os.path.join(os.fsdecode(self._target.root), path)

    def write_file(self, path: str, data: bytes | memoryview) -> None:
        """Puts a whole small file in place.

        Raises:
            OSError, HoldfastError: nothing of the file is left; what had its name is untouched.
        """
        folder, temporary, descriptor = self.create(path)
        try:
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            finally:
                os.close(descriptor)
            self._rename(folder, temporary, path)
        except BaseException:  # whatever ends this, no temporary file stays
            self._remove(folder, temporary)
            raise

    def create(self, path: str) -> tuple[int, str, int]:
        """Opens a temporary file beside `path`; returns folder, temporary name, descriptor."""
        parent, _, name = path.rpartition("/")
        folder = self.folder(parent, make=True)
        self._count += 1
        temporary = f".{name[:_NAME_CHARS_KEPT]}.{self._token}{self._count:x}{LEFTOVER_SUFFIX}"
        return folder, temporary, os.open(temporary, _CREATE_FLAGS, FILE_MODE, dir_fd=folder)

    def adopt(self, path: str, digest: bytes) -> tuple[str, int] | None:
        """Opens the temporary file that an earlier download of the same file has left beside `path`, or makes it.

        Returns:
            Its name and a descriptor, which holds its lock; None: somebody else is writing to it, or it is not ours alone.
        """
        folder = self.folder(path.rpartition("/")[0], make=True)
        temporary = partial_path(path, digest).rpartition("/")[2]
        try:
            descriptor = os.open(temporary, _ADOPT_FLAGS, FILE_MODE, dir_fd=folder)
        except OSError:
            return None  # a link, or another's file; a name of our own shows whether the folder can be written to
        try:
            if _is_ours(folder, temporary, descriptor):
                return temporary, descriptor
        except OSError:
            pass  # a file system without locks, or it was put in place meanwhile
        os.close(descriptor)
        return None

    def publish(self, temporary: str, path: str) -> None:
        """Gives a finished temporary file its name.

        Raises:
            HoldfastError: INVALID_PATH: a folder has that name.
        """
        self._rename(self.folder(path.rpartition("/")[0], make=False), temporary, path)

    def _rename(self, folder: int, temporary: str, path: str) -> None:
        failpoint("fetch.before_rename")
        try:
            os.rename(temporary, path.rpartition("/")[2], src_dir_fd=folder, dst_dir_fd=folder)
        except (IsADirectoryError, FileExistsError) as error:
            shown = self.shown(path)
            text = f"{shown} is a folder where the version has a file; remove it, or download to another folder"
            raise HoldfastError(Reason.INVALID_PATH, text, path=shown) from error

    def discard(self, temporary: str, path: str) -> None:
        """Removes a temporary file that will not be finished."""
        try:
            self._remove(self.folder(path.rpartition("/")[0], make=False), temporary)
        except (FileNotFoundError, HoldfastError):
            return  # its folder was taken away meanwhile, and the file with it

    def _remove(self, folder: int, temporary: str) -> None:
        try:
            os.unlink(temporary, dir_fd=folder)
        except FileNotFoundError:
            return

    def stat(self, path: str) -> os.stat_result | None:
        """State of what has this name (never of what a link points to); None when it is not there.

        Raises:
            HoldfastError: INVALID_PATH: a link or a file is in the place of one of its folders.
        """
        parent, _, name = path.rpartition("/")
        try:
            return os.stat(name, dir_fd=self.folder(parent, make=False), follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open_file(self, path: str) -> int:
        """Opens a file for reading, not through a link."""
        parent, _, name = path.rpartition("/")
        return os.open(name, _READ_FLAGS, dir_fd=self.folder(parent, make=False))

    def remove_leftovers(self, folders: Collection[str], before_ns: int, live_tokens: Collection[str]) -> None:
        """Removes temporary files of downloads that did not come to their end."""
        for path in folders:
            try:
                descriptor = self.folder(path, make=False)
            except (OSError, HoldfastError):
                continue  # not there, or in the way of the files: the write says so
            with os.scandir(descriptor) as found:
                names = [e.name for e in found if e.name.endswith(LEFTOVER_SUFFIX) and e.name[0] == "."]
            for name in names:
                if not any(f".{token}" in name for token in live_tokens):
                    self._remove_if_old(descriptor, name, before_ns)

    def _remove_if_old(self, folder: int, name: str, before_ns: int) -> None:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISREG(found.st_mode) and found.st_mtime_ns < before_ns:
            self._remove(folder, name)


def partial_mark(path: str, digest: bytes) -> str:
    """What names a file's temporary file in its folder: the same for each download of the same file to the same place."""
    name = path.rpartition("/")[2]
    return blake3(digest + name.encode()).hexdigest(length=12)


def partial_path(path: str, digest: bytes) -> str:
    """The temporary file that `TargetTree.adopt` opens for a file."""
    parent, slash, name = path.rpartition("/")
    return f"{parent}{slash}.{name[:_NAME_CHARS_KEPT]}.{partial_mark(path, digest)}{LEFTOVER_SUFFIX}"


def remove_partial(path: bytes) -> int | None:
    """Removes a temporary file that an interrupted download has left, unless somebody is writing to it.

    Args:
        path: as it was noted; the folders on the way may be others by now, so what is there must look like such a file.

    Returns:
        Bytes that were freed, 0 if it was gone; None: it has to stay.
    """
    parent, _, name = path.rpartition(b"/")
    try:
        folder = os.open(parent, _FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        return None
    try:
        return _remove_partial(folder, os.fsdecode(name))
    except FileNotFoundError:
        return 0
    except OSError:
        return None  # it is in use, or another's
    finally:
        os.close(folder)


def _remove_partial(folder: int, name: str) -> int | None:
    descriptor = os.open(name, os.O_RDWR | _READ_FLAGS, dir_fd=folder)
    try:
        if not name.endswith(LEFTOVER_SUFFIX) or not _is_ours(folder, name, descriptor):
            return None
        size = os.fstat(descriptor).st_blocks * _STAT_BLOCK_BYTES
        os.unlink(name, dir_fd=folder)
        return size
    finally:
        os.close(descriptor)


def _is_ours(folder: int, name: str, descriptor: int) -> bool:
    """Locks a temporary file; whether nobody else can have a hand in it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    found = os.fstat(descriptor)
    # Who held the lock before may have given the file its name by now.
    named = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_same = (named.st_dev, named.st_ino) == (found.st_dev, found.st_ino)
    return is_same and stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


def write_error(error: OSError, shown: str) -> HoldfastError:
    """What the user hears when a file cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"no space left to write {shown}; make room and download again, what is in place is kept"
        return HoldfastError(Reason.OUT_OF_SPACE, text, path=shown)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        text = f"{shown} cannot be written ({error.strerror}); change the folder's permissions"
        return HoldfastError(Reason.PERMISSION_DENIED, text, path=shown)
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        text = (
            f"{shown} cannot be written: something else stands there ({error.strerror}); move it or name another root"
        )
        return HoldfastError(Reason.PATH_COLLISION, text, path=shown)
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        text = f"{shown} cannot be held by this file system ({error.strerror}); download to another one"
        return HoldfastError(Reason.INVALID_PATH, text, path=shown)
    return HoldfastError(Reason.INTERNAL, f"{shown} cannot be written: {error.strerror or error}", path=shown)
