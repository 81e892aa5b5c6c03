"""The bundle: versions with all their chunks in one file, to be carried to another machine.

    magic "HFBNDL01" . bundle id (16) . reserved (8, zero)                                     header, 32 bytes
    pack pack pack ...                                                                         whole packs, no gaps
    table of packs: n x (pack id (16) . offset u64 . bytes u64) . versions: m x (bytes u32 . CarriedVersion)   index
    BLAKE3 of header + index (32) . index offset u64 . index bytes u32 . n u32 . m u32 . zero (4) . "HFBNDLEN"  trailer, 64 bytes

Integers are little-endian. A version is an encoded `holdfast.common.v1.CarriedVersion`, which this module does not look into.
Each chunk is in the file once, and each pack has its own index with the digests of its chunks. Whatever bytes a reader is given, it
raises `PackDamagedError` and allocates no more than the limits allow.

Writing goes from front to back and holds no more than one pack's index and 1 MiB of frames. Where the bytes go, and when they are
durable, is the caller's business: a file gets its name only when it is whole.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from holdfast_contract.errors import PackDamagedError, PackError
from holdfast_contract.limits import MIB, PACK_BYTES_MAX, PACK_CHUNKS_MAX
from holdfast_contract.pack import (
    COLUMN_BYTES,
    PACK_HEADER_BYTES,
    PACK_ID_BYTES,
    TRAILER_BYTES,
    PackIndex,
    PositionedRead,
    encode_header,
    read_index,
)
from holdfast_contract.reasons import Reason

BUNDLE_HEADER_BYTES: Final = 32
BUNDLE_TRAILER_BYTES: Final = 64
BUNDLE_PACKS_MAX: Final = 262_144
"""Of 64 MiB each: 16 TiB; their table has 8 MiB."""
BUNDLE_VERSIONS_MAX: Final = 4096
"""What describes them all still fits a message of 4 MiB."""
BUNDLED_VERSION_BYTES_MAX: Final = 2 * MIB
"""1 MiB of metadata, and the same again for everything else."""
INDEX_BYTES_MAX: Final = 64 * MIB
"""Read in one piece: the whole table, and 4,096 versions of 14 KiB."""

_HEADER_MAGIC = b"HFBNDL01"
_TRAILER_MAGIC = b"HFBNDLEN"
_RESERVED = bytes(8)
_TRAILER = struct.Struct("<32sQIII4x8s")
_TABLE_ROW = struct.Struct("<16sQQ")
_LENGTH = struct.Struct("<I")
_BUFFERED_BYTES_MAX = 1 * MIB
_PACK_BYTES_MIN = PACK_HEADER_BYTES + TRAILER_BYTES


@dataclass(frozen=True, slots=True)
class BundledPack:
    """Where a pack is in the file."""

    pack_id: bytes
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """What a bundle holds."""

    bundle_id: bytes
    packs: tuple[BundledPack, ...]
    versions: tuple[bytes, ...]
    """Encoded."""


class BundleWriter:
    """Writes a bundle from front to back; each chunk once."""

    def __init__(self, write: Callable[[Sequence[bytes | memoryview]], None], bundle_id: bytes) -> None:
        """Begins the file.

        Args:
            write: appends buffers to the file, all of them or it raises; they may be reused afterwards.
            bundle_id: 16 random bytes.
        """
        assert len(bundle_id) == PACK_ID_BYTES, "a bundle id has 16 bytes"
        self._write = write
        self._header = _HEADER_MAGIC + bundle_id + _RESERVED
        self._packs: list[BundledPack] = []
        self._index: PackIndex | None = None
        self._start = self._end = BUNDLE_HEADER_BYTES
        self._buffers: list[bytes | memoryview] = [self._header]
        self._buffered = 0
        self._pack_of: dict[bytes, int] = {}

    def pack_of(self, digest: bytes) -> int | None:
        """Returns the number of the pack that has a chunk, None while there is none.

        What it knows takes about 100 bytes a chunk: 400 MB for a TiB of large files.
        """
        return self._pack_of.get(digest)

    def append(self, digest: bytes, stored: bytes | memoryview, length: int, codec: int) -> int:
        """Adds a chunk that is not in the bundle yet; `stored` must stay as it is until `flush`.

        Returns:
            The number of its pack.

        Raises:
            PackError: TOO_LARGE: the bundle is full.
        """
        assert digest not in self._pack_of, "each chunk is in a bundle once"
        if self._index is not None and not self._fits(len(stored)):
            self._end_pack()
        if self._index is None:
            self._begin_pack()
        assert self._index is not None, "a pack has just begun"
        self._index.append(digest, len(stored), length, codec)
        self._pack_of[digest] = len(self._packs)
        self._put(stored)
        return len(self._packs)

    def flush(self) -> None:
        """Hands what is collected to the file."""
        if self._buffers:
            self._write(self._buffers)
        self._buffers, self._buffered = [], 0

    def finish(self, versions: Sequence[bytes]) -> int:
        """Ends the file.

        Returns:
            Its bytes.

        Raises:
            PackError: TOO_LARGE: more than a reader takes.
        """
        if self._index is not None:
            self._end_pack()
        if len(versions) > BUNDLE_VERSIONS_MAX or any(len(v) > BUNDLED_VERSION_BYTES_MAX for v in versions):
            raise _too_large(f"{len(versions)} versions, or one of them with too much metadata,")
        table = [_TABLE_ROW.pack(pack.pack_id, pack.offset, pack.size_bytes) for pack in self._packs]
        listed = [part for version in versions for part in (_LENGTH.pack(len(version)), version)]
        index = b"".join([*table, *listed])
        if len(index) > INDEX_BYTES_MAX:
            raise _too_large(f"an index of {len(index)} bytes")
        checksum = blake3(self._header).update(index).digest()
        offset = self._end
        trailer = _TRAILER.pack(checksum, offset, len(index), len(self._packs), len(versions), _TRAILER_MAGIC)
        self._put(index)
        self._put(trailer)
        self.flush()
        return self._end

    def _fits(self, stored_bytes: int) -> bool:
        assert self._index is not None, "asked of an open pack"
        frames = len(self._index) + 1
        size = self._end - self._start + stored_bytes + COLUMN_BYTES * frames + TRAILER_BYTES
        return frames <= PACK_CHUNKS_MAX and size <= PACK_BYTES_MAX

    def _begin_pack(self) -> None:
        if len(self._packs) == BUNDLE_PACKS_MAX:
            raise _too_large(f"more than {BUNDLE_PACKS_MAX} packs")
        self._index = PackIndex(os.urandom(PACK_ID_BYTES))
        self._start = self._end
        self._put(encode_header(self._index.pack_id))

    def _end_pack(self) -> None:
        assert self._index is not None, "only an open pack ends"
        self._put(self._index.encode_footer())
        self._packs.append(BundledPack(self._index.pack_id, self._start, self._end - self._start))
        self._index = None

    def _put(self, data: bytes | memoryview) -> None:
        self._buffers.append(data)
        self._buffered += len(data)
        self._end += len(data)
        if self._buffered >= _BUFFERED_BYTES_MAX:
            self.flush()


def read_bundle_index(pread: PositionedRead, size_bytes: int) -> BundleIndex:
    """Reads and checks what a file says it holds; the packs are not read.

    Args:
        pread: reads (offset, length).
        size_bytes: size of the whole file.

    Raises:
        PackDamagedError: it is no bundle, or not a whole one.
    """
    if size_bytes < BUNDLE_HEADER_BYTES + BUNDLE_TRAILER_BYTES:
        raise _damaged(f"it has only {size_bytes} bytes")
    header = _read(pread, 0, BUNDLE_HEADER_BYTES)
    bundle_id = header[len(_HEADER_MAGIC) : len(_HEADER_MAGIC) + PACK_ID_BYTES]
    if header != _HEADER_MAGIC + bundle_id + _RESERVED:
        raise _damaged("it does not begin as a bundle does")
    trailer = _read(pread, size_bytes - BUNDLE_TRAILER_BYTES, BUNDLE_TRAILER_BYTES)
    if not trailer.endswith(_TRAILER_MAGIC):
        raise _damaged("its end is missing")
    checksum, offset, index_bytes, packs, versions, _ = _TRAILER.unpack(trailer)
    if index_bytes > INDEX_BYTES_MAX or packs > BUNDLE_PACKS_MAX or versions > BUNDLE_VERSIONS_MAX:
        raise _damaged(f"it says that it has {packs} packs, {versions} versions and {index_bytes} bytes of index")
    if offset + index_bytes + BUNDLE_TRAILER_BYTES != size_bytes or packs * _TABLE_ROW.size > index_bytes:
        raise _damaged("its index is not where it should be")
    index = _read(pread, offset, index_bytes)
    if blake3(header).update(index).digest() != checksum:
        raise _damaged("its index does not have its checksum")
    table = tuple(BundledPack(*row) for row in _TABLE_ROW.iter_unpack(index[: packs * _TABLE_ROW.size]))
    _check_table(table, offset)
    return BundleIndex(bundle_id, table, tuple(_versions(index, packs * _TABLE_ROW.size, versions)))


def read_bundled_pack(pread: PositionedRead, pack: BundledPack) -> PackIndex:
    """Reads and checks the index of one of a bundle's packs; its frames begin at the offsets of the index, counted from the pack's.

    Raises:
        PackDamagedError: it is not the pack that the bundle's index names.
    """
    try:
        return read_index(
            lambda offset, length: pread(pack.offset + offset, length), pack.size_bytes, pack_id=pack.pack_id
        )
    except PackError as error:
        raise _damaged(error.message) from error


def _check_table(packs: Sequence[BundledPack], end: int) -> None:
    expected = BUNDLE_HEADER_BYTES
    for pack in packs:
        if pack.offset != expected or not _PACK_BYTES_MIN <= pack.size_bytes <= PACK_BYTES_MAX:
            raise _damaged("its packs do not follow each other")
        expected += pack.size_bytes
    if expected != end:
        raise _damaged("its packs do not end where its index begins")


def _versions(index: bytes, at: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        if at + _LENGTH.size > len(index):
            raise _damaged("its index has fewer versions than it says")
        (length,) = _LENGTH.unpack_from(index, at)
        at += _LENGTH.size
        if length > BUNDLED_VERSION_BYTES_MAX or at + length > len(index):
            raise _damaged("its index has fewer versions than it says")
        yield index[at : at + length]
        at += length
    if at != len(index):
        raise _damaged("its index has more than it says")


def _read(pread: PositionedRead, offset: int, length: int) -> bytes:
    data = pread(offset, length)
    while len(data) < length and (more := pread(offset + len(data), length - len(data))):
        data += more
    if len(data) != length:
        raise _damaged("it ends too early")
    return data


def _damaged(what: str) -> PackDamagedError:
    return PackDamagedError(f"This is no whole bundle: {what}; copy or export it again.")


def _too_large(what: str) -> PackError:
    return PackError(f"{what} does not fit one bundle; export fewer versions at a time.", Reason.TOO_LARGE)
