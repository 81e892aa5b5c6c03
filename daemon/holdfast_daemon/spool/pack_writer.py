"""Appends frames to spool packs, in worker processes and threads; the daemon's main process decides which pack.

A task gets one open pack for itself, from its end on.  Frames are written first, their index travels back as a fragment and becomes
durable with the entries that need it.  A crash in between leaves bytes behind the last journalled frame: the next writer begins there
and overwrites them.  When the pack is full the writer goes on in a new one (a random id), which the fragment makes known; a crash
before leaves a file that no row names, which the next start removes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.limits import PACK_BYTES_MAX, PACK_CHUNKS_MAX
from holdfast_contract.pack import (
    COLUMN_BYTES,
    PACK_HEADER_BYTES,
    PACK_ID_BYTES,
    TRAILER_BYTES,
    PackIndex,
    encode_header,
)

BUFFERED_BYTES_MAX = 1 << 20
"""Small frames are collected and written with one system call."""


@dataclass(frozen=True, slots=True)
class PackTarget:
    """An open pack, lent to one writer at a time."""

    folder: str
    pack_id: bytes
    offset: int
    """Where the next frame goes; 0: the file does not exist yet."""
    frames: int


def pack_path(folder: str | Path, pack_id: bytes) -> Path:
    """File of a pack in the spool."""
    return Path(folder) / f"{pack_id.hex()}.pack"


class PackWriter:
    """Appends frames to a target and, when that is full, to new packs.  Use as a context manager."""

    def __init__(self, target: PackTarget) -> None:
        """Nothing is opened before the first frame: most tasks over an unchanged tree write none."""
        self._folder = target.folder
        self._finished: list[bytes] = []
        self._created: list[bytes] = []
        self._descriptor: int | None = None
        self._buffers: list[bytes | memoryview] = []
        self._begin(target)

    def __enter__(self) -> "PackWriter":
        """The writer itself."""
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Closes the file; after a failure nothing counts, and packs begun here are removed."""
        self._close()
        if failure is not None:
            for pack_id in self._created:
                os_layer.unlink_if_exists(pack_path(self._folder, pack_id))

    @property
    def target(self) -> PackTarget:
        """Where the next frame goes."""
        return PackTarget(self._folder, self._index.pack_id, self._end, self._frames_before + len(self._index))

    def append(self, digest: bytes, stored: bytes | memoryview, length: int, codec: int) -> None:
        """Adds one frame.

        Raises:
            OSError: no space and the like; nothing of this task counts then.
        """
        size = len(stored)
        if not self._fits(size):
            self._finish_pack()
            self._begin(PackTarget(self._folder, os.urandom(PACK_ID_BYTES), 0, 0))
            self._created.append(self._index.pack_id)
        self._index.append(digest, size, length, codec)
        self._buffers.append(stored)
        self._buffered += size
        self._end += size
        if self._buffered >= BUFFERED_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Hands collected frames to the operating system; their buffers may be reused then."""
        if not self._buffers:
            return
        if self._descriptor is None:
            self._descriptor = self._open_file()
        os_layer.writev_all(self._descriptor, self._buffers)
        self._buffers, self._buffered = [], 0

    def fragments(self) -> list[bytes]:
        """Index of all frames appended, a fragment for each pack; ends the writing."""
        self._finish_pack()
        return [fragment for fragment in self._finished if fragment]

    def _fits(self, stored_bytes: int) -> bool:
        frames = self._frames_before + len(self._index) + 1
        footer_bytes = COLUMN_BYTES * frames + TRAILER_BYTES
        return frames <= PACK_CHUNKS_MAX and self._end + stored_bytes + footer_bytes <= PACK_BYTES_MAX

    def _begin(self, target: PackTarget) -> None:
        self._start = target.offset
        self._end = target.offset or PACK_HEADER_BYTES
        self._frames_before = target.frames
        self._index = PackIndex(target.pack_id)
        self._buffers = []
        self._buffered = 0

    def _open_file(self) -> int:
        path = pack_path(self._folder, self._index.pack_id)
        if self._start == 0:
            os_layer.unlink_if_exists(path)  # of a worker that died under a first try
            descriptor = os_layer.create_new(path)
            os_layer.write_all(descriptor, encode_header(self._index.pack_id))
        else:
            descriptor = os_layer.open_existing(path)
            os.lseek(descriptor, self._start, os.SEEK_SET)
        return descriptor

    def _finish_pack(self) -> None:
        self.flush()
        self._finished.append(self._index.encode_fragment() if len(self._index) else b"")
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def seal(folder: str, index: PackIndex) -> int:
    """Writes the footer behind the frames, cuts what lies behind it, and flushes the file.

    Returns:
        Bytes of the whole pack.

    Raises:
        FsyncError: the process must end.
        OSError: no space; the pack can be sealed again later.
    """
    end = PACK_HEADER_BYTES + index.stored_bytes
    footer = index.encode_footer()
    descriptor = os_layer.open_existing(pack_path(folder, index.pack_id))
    try:
        os_layer.pwrite_all(descriptor, footer, end)
        os_layer.truncate(descriptor, end + len(footer))
        os_layer.fsync(descriptor)
    finally:
        os.close(descriptor)
    return end + len(footer)


def flush_pack(folder: str, pack_id: bytes) -> None:
    """Brings an open pack's frames to stable storage.

    Raises:
        FsyncError: the process must end.
    """
    try:
        descriptor = os_layer.open_existing(pack_path(folder, pack_id))
    except FileNotFoundError:
        return  # sent in the meantime: its chunks are in the registry
    try:
        os_layer.fsync(descriptor)
    finally:
        os.close(descriptor)
