"""Keeps whole packs of a remote registry under a byte budget; what is used least recently goes first.

The folder is the only record: a pack is a file `<id>.pack` (0400), published by rename after every chunk of it was checked;
anything else in the folder is a transfer that was cut off, and goes at the next start.  Nothing is flushed: every
chunk is checked again when it is used, and a pack that does not hold what it should is dropped and fetched anew.
"""

import os
import threading
from collections import Counter, OrderedDict
from pathlib import Path

from holdfast_contract import os_layer

PACK_SUFFIX = ".pack"
PACK_MODE = 0o400
"""Nobody writes through a file of the cache by accident."""


class PackCache:
    """All methods are short; those that touch files say so and belong into a thread."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._pins: Counter[bytes] = Counter()
        self._bytes = 0

    @property
    def folder(self) -> Path:
        """Where the packs are; transfers write their temporary files here too."""
        return self._folder

    @property
    def bytes_max(self) -> int:
        """The budget."""
        return self._bytes_max

    @property
    def bytes_kept(self) -> int:
        """Bytes of all packs in the cache."""
        return self._bytes

    def open(self) -> None:
        """Reads the folder (files are touched): removes what was cut off, orders the packs by their last use."""
        os_layer.make_private_folder(self._folder)
        found: list[tuple[float, bytes, int]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                pack_id = _id_of(entry.name)
                if pack_id is None:
                    if entry.is_file(follow_symlinks=False):
                        os_layer.unlink_if_exists(Path(entry.path))
                    continue
                state = entry.stat(follow_symlinks=False)
                found.append((max(state.st_atime, state.st_mtime), pack_id, state.st_size))
        for _, pack_id, size in sorted(found):
            self._sizes[pack_id] = size
            self._bytes += size
        self.trim(self._bytes_max)

    def path_of(self, pack_id: bytes) -> Path:
        """Where a pack is, or would be."""
        return self._folder / f"{pack_id.hex()}{PACK_SUFFIX}"

    def has(self, pack_id: bytes) -> bool:
        """Whether a pack is here now."""
        with self._lock:
            return pack_id in self._sizes

    def pin(self, pack_id: bytes) -> Path | None:
        """Takes a pack into use: it stays until `unpin`.  None: it is not here."""
        with self._lock:
            if pack_id not in self._sizes:
                return None
            self._sizes.move_to_end(pack_id)
            self._pins[pack_id] += 1
            return self.path_of(pack_id)

    def unpin(self, pack_id: bytes) -> None:
        """Ends one use."""
        with self._lock:
            self._pins[pack_id] -= 1
            if self._pins[pack_id] <= 0:
                del self._pins[pack_id]

    def publish(self, pack_id: bytes, temporary: Path, size_bytes: int) -> None:
        """Takes in a checked pack (files are touched) and makes room for it."""
        os.chmod(temporary, PACK_MODE)
        os_layer.rename(temporary, self.path_of(pack_id))
        with self._lock:
            self._bytes += size_bytes - self._sizes.pop(pack_id, 0)
            self._sizes[pack_id] = size_bytes
            self._pins[pack_id] += 1
        try:
            self.trim(self._bytes_max)
        finally:
            self.unpin(pack_id)

    def drop(self, pack_id: bytes) -> None:
        """Removes a damaged pack (files are touched); who is reading it keeps his open file."""
        with self._lock:
            self._bytes -= self._sizes.pop(pack_id, 0)
        os_layer.unlink_if_exists(self.path_of(pack_id))

    def trim(self, bytes_max: int) -> int:
        """Evicts until at most `bytes_max` are kept, or all that is left is in use (files are touched).

        Returns:
            Bytes that were freed.
        """
        with self._lock:
            evicted: list[bytes] = []
            freed = 0
            for pack_id, size in self._sizes.items():
                if self._bytes - freed <= bytes_max:
                    break
                if pack_id not in self._pins:
                    evicted.append(pack_id)
                    freed += size
            for pack_id in evicted:
                del self._sizes[pack_id]
            self._bytes -= freed
        for pack_id in evicted:
            os_layer.unlink_if_exists(self.path_of(pack_id))
        return freed


def _id_of(name: str) -> bytes | None:
    stem, _, suffix = name.rpartition(".")
    if f".{suffix}" != PACK_SUFFIX or len(stem) != 32:
        return None
    try:
        return bytes.fromhex(stem)
    except ValueError:
        return None
