"""Where a fetched object goes: one file below a folder, written by descriptors that follow no link.

Order: a temporary name in the file's own folder (exclusive), bytes, rename.  A crash leaves the old file, or none, or the new one,
and perhaps a `.*.holdfast-tmp`, which the daemon's next download into the folder removes.  Nothing is flushed: these are copies.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator

from holdfast.errors import InvalidInputError, PathConflictError
from holdfast_contract.paths import check_path

FILE_MODE = 0o644
"""Less the umask, as of files that the daemon writes."""
READ_BYTES = 1 << 20
LEFTOVER_SUFFIX = ".holdfast-tmp"
"""As of the daemon, which removes old ones."""
_NAME_CHARS_KEPT = 40
"""Of a file's name in its temporary name: at most 160 bytes of UTF-8, which leaves room for the rest within 255."""

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TargetFile:
    """The place of one entry below a download's folder."""

    def __init__(self, root: str, entry_path: str, *, replace: bool = True) -> None:
        """Names the place; nothing is made yet.  Without `replace`, a file that is there stays, and writing fails.

        Raises:
            ManifestPathError: (a ValueError) the path would leave the folder.
        """
        check_path(entry_path)
        self._root = root
        self._entry_path = entry_path
        self._replace = replace

    @property
    def path(self) -> str:
        """The file's path on this machine."""
        return os.path.join(self._root, self._entry_path)

    def exists(self) -> bool:
        """Whether anything has this name."""
        return os.path.lexists(self.path)

    def holds(self, size: int, md5_hex: str) -> bool:
        """Whether a file with this content is in place already."""
        try:
            with self._folder(make=False) as folder:
                descriptor = os.open(self._name, _READ_FLAGS, dir_fd=folder)
        except (OSError, InvalidInputError):
            return False  # the write that follows names what is in the way
        with open(descriptor, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            return stat.S_ISREG(found.st_mode) and found.st_size == size and md5_of(file) == md5_hex

    @contextlib.contextmanager
    def writing(self) -> Iterator[io.FileIO]:
        """Opens a temporary file that gets the name when the block ends, and goes away when it fails.

        Raises:
            InvalidInputError: a link, a file or a folder stands in the way.
            PathConflictError: a file has the name, and is not to be replaced.
            OSError: the folder cannot be written.
        """
        with self._folder(make=True) as folder:
            if not self._replace and self.exists():
                raise PathConflictError(f"{self.path} is there already; pass overwrite=True to replace it.")
            temporary = f".{self._name[:_NAME_CHARS_KEPT]}.{os.urandom(8).hex()}{LEFTOVER_SUFFIX}"
            descriptor = os.open(temporary, _CREATE_FLAGS, FILE_MODE, dir_fd=folder)
            try:
                with io.FileIO(descriptor, "r+") as file:
                    yield file
                self._publish(folder, temporary)
            except BaseException:  # whatever ends this, no temporary file stays
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    @property
    def _name(self) -> str:
        return self._entry_path.rpartition("/")[2]

    def _publish(self, folder: int, temporary: str) -> None:
        try:
            os.rename(temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        except (IsADirectoryError, FileExistsError) as error:
            text = f"{self.path} is a folder where the version has a file; remove it, or download to another folder"
            raise InvalidInputError(text) from error

    @contextlib.contextmanager
    def _folder(self, *, make: bool) -> Iterator[int]:
        if make:
            os.makedirs(self._root, exist_ok=True)
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in self._entry_path.split("/")[:-1]:
                inner = self._open_folder(descriptor, name, make=make)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_folder(self, parent: int, name: str, *, make: bool) -> int:
        if make:
            with contextlib.suppress(FileExistsError):  # what it is shows when it is opened
                os.mkdir(name, 0o777, dir_fd=parent)
        try:
            return os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            text = f"{name!r} on the way to {self.path} is a file or a symbolic link, which is not followed"
            raise InvalidInputError(f"{text}; remove it, or download to another folder") from error


def md5_of(file: io.FileIO) -> str:
    """Returns the MD5 of a whole file in hex; what stores give as ETag of what came in one piece."""
    file.seek(0)
    state = hashlib.md5(usedforsecurity=False)
    while data := file.read(READ_BYTES):
        state.update(data)
    return state.hexdigest()


@contextlib.contextmanager
def temporary_target(name: str) -> Iterator[TargetFile]:
    """A place in a folder that goes when the process ends (at once, if the block fails)."""
    import tempfile  # 4 ms that most programs need not spend

    folder = tempfile.mkdtemp(prefix="holdfast-reference-")
    try:
        yield TargetFile(folder, name)
    except BaseException:  # whatever ends this, the folder goes
        shutil.rmtree(folder, ignore_errors=True)
        raise
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
