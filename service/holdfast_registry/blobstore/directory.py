"""Packs as files of one folder.

    incoming/<32 hex>         brought under a FILESYSTEM grant, or finished
    incoming/<32 hex>.part    being streamed
    packs/ab/<32 hex>.pack    serving (ab: the first two digits)

Write order of a pack:
  1. it lies in incoming, was opened once and checked    crash after: it is checked again, or discarded with its lease
  2. fsync of the file                                   crash after: as before
  3. rename to packs                                     crash after: one of the two names; the seal is repeated
  4. fsync of packs/ab                                   crash after: durable, but no row names it; the seal is repeated
  5. the database's transaction (elsewhere)              crash after: it serves
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast_contract import os_layer
from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.store import StoredNames
from holdfast_registry.errors import RegistryError

PACKS_FOLDER = "packs"
INCOMING_FOLDER = "incoming"
PACK_SUFFIX = ".pack"
PART_SUFFIX = ".part"
_PACK_NAME = re.compile(f"([0-9a-f]{{32}}){re.escape(PACK_SUFFIX)}")
_INCOMING_NAME = re.compile(f"([0-9a-f]{{32}})({re.escape(PART_SUFFIX)})?")
SPACE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT})


class DirectoryPack:
    """An opened pack file."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Takes over the descriptor of a regular file."""
        self.path = path
        self.descriptor = descriptor
        self._size_bytes = os.fstat(descriptor).st_size
        self._memory = bytearray()

    @property
    def size_bytes(self) -> int:
        """Size when it was opened."""
        return self._size_bytes

    def pread(self, offset: int, length: int) -> bytes:
        """Reads; less than asked for only at the end."""
        return os.pread(self.descriptor, length, offset)

    def view(self, offset: int, length: int) -> memoryview:
        """As `pread`; good until the next call."""
        if len(self._memory) < length:
            self._memory = bytearray(length)
        wanted = memoryview(self._memory)[:length]
        return wanted[: os.preadv(self.descriptor, [wanted], offset)]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Reads several ranges (offset, length)."""
        return [os.pread(self.descriptor, length, offset) for offset, length in ranges]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.descriptor)


class IncomingFile(DirectoryPack):
    """A pack file that is to be checked and published."""

    def __init__(self, descriptor: int, path: Path, target: Path, store: DirectoryStore) -> None:
        """Takes over the descriptor; `target` is the final name."""
        super().__init__(descriptor, path)
        self._target = target
        self._store = store

    def publish(self) -> None:
        """Makes it durable under its final name.

        Raises:
            RegistryError: GRANT_INVALID: it was given up meanwhile.
        """
        os_layer.fsync(self.descriptor)
        self._store.ensure_folder(self._target.parent)
        if self.path != self._target:
            self._move()
        os_layer.fsync_folder(self._target.parent)
        failpoint("seal.after_rename")

    def _move(self) -> None:
        try:
            os_layer.rename(self.path, self._target)
        except FileNotFoundError:
            # Another registry on this folder was asked for the same seal, and has moved the file that we have opened; or the
            # lease ended meanwhile, and the pack was given up.
            if not self._is_moved():
                text = f"Pack {self._target.stem} was given up while it was checked; bring it again under a lease that lives."
                raise RegistryError(Reason.GRANT_INVALID, text) from None

    def _is_moved(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(self._target))
        except FileNotFoundError:
            return False


class DirectoryStore:
    """Packs below one private folder."""

    vouches = False
    late_writes_s = 0.0
    """What is linked or streamed to a pack that was given up is removed by whoever gave it up."""

    def __init__(self, root: Path) -> None:
        """Knows where everything lies; makes nothing."""
        self._root = root
        self._packs = root / PACKS_FOLDER
        self._incoming = root / INCOMING_FOLDER
        self._durable_folders: set[Path] = set()

    def prepare(self) -> None:
        """Makes the folders that are absent, durably."""
        for folder in (self._packs, self._incoming):
            os_layer.make_folder(folder)
        os_layer.fsync_folder(self._root)

    def incoming_path(self, pack_id: bytes) -> Path:
        """Where a process of the same user puts a pack."""
        return self._incoming / pack_id.hex()

    def pack_path(self, pack_id: bytes) -> Path:
        """Where a process of the same user reads a pack."""
        name = pack_id.hex()
        return self._packs / name[:2] / f"{name}{PACK_SUFFIX}"

    def received_bytes(self, pack_id: bytes) -> int:
        """Tells how much of a pack that comes over the wire has arrived."""
        for path in (self._part_path(pack_id), self.incoming_path(pack_id), self.pack_path(pack_id)):
            try:
                return os.lstat(path).st_size
            except FileNotFoundError:
                continue
        return 0

    def write(self, pack_id: bytes, offset: int, data: bytes) -> int:
        """Adds to a pack that comes over the wire; returns how much has arrived.

        Raises:
            RegistryError: GRANT_INVALID: `offset` is not where it ends (metadata `expected` has that), OUT_OF_SPACE.
        """
        received = self.received_bytes(pack_id)
        if offset != received:
            raise RegistryError(
                Reason.GRANT_INVALID,
                f"Pack {pack_id.hex()} ends at byte {received}, not at {offset}; go on from there.",
                {"expected": str(received), "found": str(offset)},
            )
        path = self._part_path(pack_id)
        try:
            descriptor = os_layer.open_existing(path) if path.exists() else os_layer.create_new(path)
            try:
                os_layer.pwrite_all(descriptor, data, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._as_space_error(error, path, received) from error
        return received + len(data)

    def _as_space_error(self, error: OSError, path: Path, received: int) -> Exception:
        if error.errno not in SPACE_ERRORS:
            return error
        if path.exists():
            os.truncate(path, received)  # what was written of this message is sent again
        return RegistryError(Reason.OUT_OF_SPACE, "The disk of the registry's packs is full; make space, then go on.")

    def put(self, pack_id: bytes, encoded: bytes) -> None:
        """Brings a whole pack that this process has made."""
        self.write(pack_id, 0, encoded)
        self.finish(pack_id)

    def finish(self, pack_id: bytes) -> None:
        """Ends the writing of a pack; it can be opened now."""
        if self._part_path(pack_id).exists():
            os_layer.rename(self._part_path(pack_id), self.incoming_path(pack_id))

    def open_incoming(self, pack_id: bytes) -> IncomingFile | None:
        """Opens a pack that was brought, or that a crash left between its rename and its row."""
        target = self.pack_path(pack_id)
        for path in (self.incoming_path(pack_id), target):
            descriptor = _open_regular(path)
            if descriptor is not None:
                return IncomingFile(descriptor, path, target, self)
        return None

    def open_ends(self, pack_id: bytes, size_bytes: int, end_bytes: int) -> IncomingFile | None:
        """As `open_incoming`: what is not read costs nothing here."""
        return self.open_incoming(pack_id)

    def open_pack(self, pack_id: bytes, *, whole: bool = False) -> DirectoryPack | None:
        """Opens a pack that serves."""
        path = self.pack_path(pack_id)
        descriptor = _open_regular(path)
        return None if descriptor is None else DirectoryPack(descriptor, path)

    def discard(self, pack_id: bytes) -> None:
        """Removes what there is of a pack that never served."""
        for path in (self._part_path(pack_id), self.incoming_path(pack_id), self.pack_path(pack_id)):
            os_layer.unlink_if_exists(path)

    def list_names(self) -> StoredNames:
        """Returns everything that lies in the two folders."""
        names = StoredNames()
        for folder in _entries(self._packs):
            for path in _entries(folder) if folder.is_dir() else [folder]:
                matched = _PACK_NAME.fullmatch(path.name)
                if matched and folder.name == path.name[:2]:
                    names.packs.add(bytes.fromhex(matched[1]))
                else:
                    names.foreign.append(str(path.relative_to(self._root)))
        for path in _entries(self._incoming):
            matched = _INCOMING_NAME.fullmatch(path.name)
            if matched:
                names.incoming.add(bytes.fromhex(matched[1]))
            else:
                names.foreign.append(str(path.relative_to(self._root)))
        return names

    def close(self) -> None:
        """Does nothing: no folder is kept open."""

    def free_bytes(self) -> int:
        """How much can be written."""
        found = os.statvfs(self._packs)
        return found.f_bavail * found.f_frsize

    def _part_path(self, pack_id: bytes) -> Path:
        return self._incoming / f"{pack_id.hex()}{PART_SUFFIX}"

    def ensure_folder(self, folder: Path) -> None:
        """Makes a folder of packs, durably."""
        if folder not in self._durable_folders:
            os_layer.make_folder(folder)
            os_layer.fsync_folder(self._packs)
            self._durable_folders.add(folder)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _open_regular(path: Path) -> int | None:
    try:
        # A pipe of that name would block for ever without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_a_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def _not_a_file(path: Path) -> RegistryError:
    return RegistryError(
        Reason.GRANT_INVALID, f"{path.name} is not a regular file; link, rename or copy the pack itself to it."
    )
