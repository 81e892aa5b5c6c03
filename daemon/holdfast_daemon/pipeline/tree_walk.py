"""Finds what lies below a folder and does not belong to a version, in one pass along the manifest; may delete it."""

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class _Found:
    path: bytes
    folder: int
    """Descriptor of the folder it is in; good until the next one is asked for."""
    name: bytes
    is_folder: bool
    """A folder whose content was passed already."""


class ExtraFiles:
    """Walks in the order of the manifest, so that both are passed once and neither is held in memory.

    Symbolic links are entries like files, never followed.  Used from threads, one call at a time.
    """

    def __init__(self, root: bytes, *, delete: bool) -> None:
        """Touches nothing yet; with `delete`, what is extra is removed as it is found, and folders that are empty then."""
        self._delete = delete
        self._root_path = root
        self._root = -1
        self._walk: Generator[_Found, None, None] | None = None
        self._next: _Found | None = None

    def _open(self) -> Generator[_Found, None, None]:
        self._root = os.open(self._root_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._walk = _walk(self._root, b"")
        self._next = next(self._walk, None)
        return self._walk

    def take(self, paths: Sequence[str] | None) -> list[str]:
        """Returns the extra files up to the last of these paths, which are the manifest's next ones; None: all that are left."""
        walk = self._walk or self._open()
        wanted = frozenset(map(str.encode, paths or ()))
        last = paths[-1].encode() if paths else b""
        extra: list[str] = []
        while self._next is not None and (paths is None or self._next.path <= last):
            found = self._next
            if found.is_folder:
                self._remove_if_empty(found)
            elif found.path not in wanted:
                extra.append(os.fsdecode(found.path))
                if self._delete:
                    os.unlink(found.name, dir_fd=found.folder)
            self._next = next(walk, None)
        return extra

    def _remove_if_empty(self, found: _Found) -> None:
        if not self._delete:
            return
        try:
            os.rmdir(found.name, dir_fd=found.folder)
        except OSError:
            return  # something of the version is in it

    def close(self) -> None:
        """Closes what is open."""
        if self._walk is not None:
            self._walk.close()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1


def _walk(folder: int, prefix: bytes) -> Generator[_Found, None, None]:
    """All below a folder in the order of their paths' bytes; a folder itself comes after its content."""
    for name, is_folder in _listing(folder):
        path = prefix + name
        if not is_folder:
            yield _Found(path, folder, name, False)
            continue
        try:
            inner = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        except OSError:
            continue  # taken away or replaced while we walk, or not ours to look into
        try:
            yield from _walk(inner, path + b"/")
        finally:
            os.close(inner)
        yield _Found(path, folder, name, True)


def _listing(folder: int) -> list[tuple[bytes, bool]]:
    """Names of a folder, sorted as their paths are: a folder's begins with its name and a slash."""
    with os.scandir(folder) as found:
        names = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
    return sorted(names, key=lambda item: item[0] + b"/" if item[1] else item[0])


def make_root(path: bytes) -> tuple[bytes, bool]:
    """Makes the folder of a download and resolves the links in its own path.

    Returns:
        The resolved path, and whether nothing is in it.

    Raises:
        OSError: it cannot be made, or is not a folder.
    """
    os.makedirs(path, exist_ok=True)
    root = os.path.realpath(path)
    with os.scandir(root) as found:
        return root, next(found, None) is None
