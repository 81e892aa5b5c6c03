"""The pack: one file format for the daemon's spool, its cache and the registry's store.

    magic "HFPACK01" . pack id (16) . reserved (8, zero)                       header, 32 bytes
    frame frame frame ...                                                      chunks, raw or zstd, no gaps
    digests n x 32 . stored lengths n x u32 . lengths n x u32 . codecs n x u8  columns, 41 n bytes
    BLAKE3 of header + columns (32) . n u32 . bytes of columns u32 . "HFPACKEN"   trailer, 48 bytes

Integers are little-endian. Columns and trailer together are the footer. A pack whose writer was interrupted
has no trailer and is *torn*; one that has a trailer and contradicts itself is *damaged*. Whatever bytes a
reader is given, it raises one of these two errors and allocates no more than the limits allow.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate, chain, compress, pairwise
from operator import ne
from typing import Final

from blake3 import blake3

from holdfast_contract.errors import PackDamagedError, PackError, PackTornError
from holdfast_contract.limits import (
    CHUNK_BYTES_MAX,
    DIGEST_BYTES,
    KIB,
    MIB,
    PACK_BYTES_MAX,
    PACK_CHUNKS_MAX,
)
from holdfast_contract.reasons import Reason

Bytes = bytes | memoryview
Decompress = Callable[[Bytes, int], bytes]
"""Undoes zstd: (stored bytes, most bytes to put out). Raises, or returns another number, if it cannot.

It must hold to the bound whatever the frame says of itself: `zstandard` ignores `max_output_size` for a frame
that names its content size, so that size has to be looked at first.
"""
PositionedRead = Callable[[int, int], bytes]
"""Reads: (offset, length). May return less only at the end of the pack."""
PositionedView = Callable[[int, int], Bytes]
"""As `PositionedRead`; what it returns is good until the next call."""

PACK_HEADER_BYTES: Final = 32
PACK_ID_BYTES: Final = 16
TRAILER_BYTES: Final = 48
COLUMN_BYTES: Final = DIGEST_BYTES + 4 + 4 + 1
"""Bytes of index for each frame."""
FRAME_BYTES_MAX: Final = CHUNK_BYTES_MAX + 8 * KIB
"""zstd's worst case for 1 MiB adds 4 KiB and a frame header."""

_HEADER_MAGIC = b"HFPACK01"
_TRAILER_MAGIC = b"HFPACKEN"
_RESERVED = bytes(8)
_TRAILER = struct.Struct("<32sII8s")
_FRAGMENT = struct.Struct("<16sI")
_READ_BYTES = 2 * MIB
_SWAP_BYTES = sys.byteorder == "big"


class Codec(IntEnum):
    """How a frame holds its chunk."""

    RAW = 0
    ZSTD = 1


_KNOWN_CODECS = bytes(Codec)
_RAW_SELECTORS = bytes(codec == Codec.RAW for codec in range(256))


def _u32_array() -> array[int]:
    return array("I")


def _pack_u32(column: array[int]) -> bytes:
    if _SWAP_BYTES:
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _unpack_u32(encoded: bytes | memoryview) -> array[int]:
    column = array("I")
    assert column.itemsize == 4, "this platform has no 32-bit array"
    column.frombytes(encoded)
    if _SWAP_BYTES:
        column.byteswap()
    return column


@dataclass(slots=True)
class PackIndex:
    """What a pack holds, as columns: one entry a frame, in the order of the frames."""

    pack_id: bytes
    digests: bytes | bytearray = field(default_factory=bytearray)
    """32 bytes a frame: the digest of the chunk, after decompression."""
    stored_lengths: array[int] = field(default_factory=_u32_array)
    """Bytes of the frame in the pack."""
    lengths: array[int] = field(default_factory=_u32_array)
    """Bytes of the chunk."""
    codecs: bytes | bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        """Returns the number of frames."""
        return len(self.codecs)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames."""
        return sum(self.stored_lengths)

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole pack, header to trailer."""
        return PACK_HEADER_BYTES + self.stored_bytes + COLUMN_BYTES * len(self) + TRAILER_BYTES

    def offsets(self, first: int = PACK_HEADER_BYTES) -> array[int]:
        """Returns where each frame begins in the pack; `first` is that of the first frame, for a fragment."""
        offsets = array("Q", accumulate(chain((first,), self.stored_lengths)))
        offsets.pop()
        return offsets

    def digest_at(self, position: int) -> bytes:
        """Returns the digest of one chunk."""
        assert 0 <= position < len(self), f"no frame {position} in a pack of {len(self)}"
        return bytes(self.digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)])

    def append(self, digest: bytes, stored_length: int, length: int, codec: int) -> None:
        """Adds one frame."""
        assert len(digest) == DIGEST_BYTES, "a digest has 32 bytes"
        digests, codecs = self._growing()
        digests += digest
        self.stored_lengths.append(stored_length)
        self.lengths.append(length)
        codecs.append(codec)

    def extend(self, other: PackIndex) -> None:
        """Adds all frames of another index, for instance of the fragment that was written next."""
        digests, codecs = self._growing()
        digests += other.digests
        self.stored_lengths.extend(other.stored_lengths)
        self.lengths.extend(other.lengths)
        codecs += other.codecs

    def _growing(self) -> tuple[bytearray, bytearray]:
        """Returns the byte columns in a form that grows in place; adding to bytes would copy them."""
        if not isinstance(self.digests, bytearray):
            self.digests = bytearray(self.digests)
        if not isinstance(self.codecs, bytearray):
            self.codecs = bytearray(self.codecs)
        return self.digests, self.codecs

    def to_columns(self) -> bytes:
        """Returns the columns as they stand in the pack, 41 bytes a frame."""
        assert len(self.digests) == DIGEST_BYTES * len(self), "columns differ in length"
        assert len(self.stored_lengths) == len(self.lengths) == len(self), "columns differ in length"
        return b"".join((self.digests, _pack_u32(self.stored_lengths), _pack_u32(self.lengths), self.codecs))

    @classmethod
    def from_columns(cls, pack_id: bytes, columns: bytes) -> PackIndex:
        """Returns the index in columns of unknown origin.

        Raises:
            PackDamagedError: not whole, over a limit, or with lengths and codecs that no writer makes.
        """
        count, rest = divmod(len(columns), COLUMN_BYTES)
        if rest or count > PACK_CHUNKS_MAX or len(pack_id) != PACK_ID_BYTES:
            raise _damaged(pack_id, f"{len(columns)} bytes are no index of up to {PACK_CHUNKS_MAX} frames")
        view = memoryview(columns)
        stored_at = DIGEST_BYTES * count
        lengths_at = stored_at + 4 * count
        codecs_at = lengths_at + 4 * count
        index = cls(
            bytes(pack_id),
            bytes(view[:stored_at]),
            _unpack_u32(view[stored_at:lengths_at]),
            _unpack_u32(view[lengths_at:codecs_at]),
            bytes(view[codecs_at:]),
        )
        _check_frames(index)
        return index

    def encode_fragment(self) -> bytes:
        """Returns the frames of this index alone, for a journal: pack id, count, columns."""
        return _FRAGMENT.pack(self.pack_id, len(self)) + self.to_columns()

    @classmethod
    def decode_fragment(cls, fragment: bytes) -> PackIndex:
        """Returns the index that `encode_fragment` wrote.

        Raises:
            PackDamagedError: not what was written.
        """
        if len(fragment) < _FRAGMENT.size:
            raise _damaged(b"", f"a fragment of {len(fragment)} bytes is too short")
        pack_id, count = _FRAGMENT.unpack_from(fragment)
        columns = fragment[_FRAGMENT.size :]
        if len(columns) != COLUMN_BYTES * count:
            raise _damaged(pack_id, f"a fragment of {count} frames has {len(columns)} bytes of columns")
        return cls.from_columns(pack_id, columns)

    def encode_footer(self) -> bytes:
        """Returns what follows the last frame: columns and trailer."""
        columns = self.to_columns()
        checksum = _index_checksum(encode_header(self.pack_id), columns)
        return columns + _TRAILER.pack(checksum, len(self), len(columns), _TRAILER_MAGIC)


def _damaged(pack_id: bytes, what: str) -> PackDamagedError:
    name = pack_id.hex() or "without id"
    return PackDamagedError(f"Pack {name} is damaged: {what}; use another copy.")


def _torn(pack_id: bytes | None, what: str) -> PackTornError:
    name = pack_id.hex() if pack_id else "without id"
    return PackTornError(f"Pack {name} is torn: {what}; its writer was interrupted, write or send it again.")


def _index_checksum(header: bytes, columns: bytes) -> bytes:
    return blake3(header).update(columns).digest()


def encode_header(pack_id: bytes) -> bytes:
    """Returns the first 32 bytes of a pack."""
    assert len(pack_id) == PACK_ID_BYTES, "a pack id has 16 bytes"
    return _HEADER_MAGIC + pack_id + _RESERVED


def _check_frames(index: PackIndex) -> None:
    """Refuses lengths and codecs that no writer makes; a few passes at C speed for any number of frames."""
    if not len(index):
        return
    if index.codecs.translate(None, _KNOWN_CODECS):
        raise _damaged(index.pack_id, "a frame has an unknown codec")
    if min(index.lengths) < 1 or max(index.lengths) > CHUNK_BYTES_MAX:
        raise _damaged(index.pack_id, f"a chunk is not of 1 to {CHUNK_BYTES_MAX} bytes")
    if min(index.stored_lengths) < 1 or max(index.stored_lengths) > FRAME_BYTES_MAX:
        raise _damaged(index.pack_id, f"a frame is not of 1 to {FRAME_BYTES_MAX} bytes")
    is_raw = index.codecs.translate(_RAW_SELECTORS)
    if any(compress(map(ne, index.stored_lengths, index.lengths), is_raw)):
        raise _damaged(index.pack_id, "a raw frame differs in length from its chunk")


def read_index(pread: PositionedView, size_bytes: int, *, pack_id: bytes | None = None) -> PackIndex:
    """Reads and checks the index of a pack: three reads, at most 2.6 MiB.

    The frames are not read; `verify_frames` checks them.

    Args:
        pread: reads (offset, length).
        size_bytes: size of the whole pack.
        pack_id: the id that it should have; None accepts any.

    Raises:
        PackTornError: too short, or without a trailer.
        PackDamagedError: anything else that is wrong with header or footer.
    """
    if size_bytes < PACK_HEADER_BYTES + TRAILER_BYTES:
        raise _torn(pack_id, f"it has {size_bytes} bytes")
    if size_bytes > PACK_BYTES_MAX:
        raise _damaged(pack_id or b"", f"it has {size_bytes} bytes, more than {PACK_BYTES_MAX}")
    trailer = bytes(_read_fully(pread, size_bytes - TRAILER_BYTES, TRAILER_BYTES))
    if len(trailer) != TRAILER_BYTES or not trailer.endswith(_TRAILER_MAGIC):
        raise _torn(pack_id, "it has no trailer")
    checksum, count, columns_bytes, _ = _TRAILER.unpack(trailer)
    frames_bytes = size_bytes - PACK_HEADER_BYTES - columns_bytes - TRAILER_BYTES
    if count > PACK_CHUNKS_MAX or columns_bytes != COLUMN_BYTES * count or frames_bytes < 0:
        raise _damaged(pack_id or b"", f"its trailer has {count} frames and {columns_bytes} bytes of index")
    header = bytes(_read_fully(pread, 0, PACK_HEADER_BYTES))
    found_id = _check_header(header, pack_id)
    columns = bytes(_read_fully(pread, size_bytes - TRAILER_BYTES - columns_bytes, columns_bytes))
    if len(columns) != columns_bytes or _index_checksum(header, columns) != checksum:
        raise _damaged(found_id, "its index does not have its checksum")
    index = PackIndex.from_columns(found_id, columns)
    if index.stored_bytes != frames_bytes:
        raise _damaged(found_id, f"its frames should have {index.stored_bytes} bytes and have {frames_bytes}")
    return index


def _check_header(header: bytes, expected_id: bytes | None) -> bytes:
    """Returns the pack id in the header."""
    found_id = header[len(_HEADER_MAGIC) : len(_HEADER_MAGIC) + PACK_ID_BYTES]
    if len(found_id) != PACK_ID_BYTES or header != encode_header(found_id):
        raise _damaged(expected_id or b"", "its header is not that of a pack")
    if expected_id is not None and found_id != expected_id:
        raise _damaged(expected_id, f"its header names pack {found_id.hex()}")
    return found_id


def _read_fully(pread: PositionedView, offset: int, length: int) -> Bytes:
    """Reads so many bytes, or what there is: one read may stop early, at a signal for instance."""
    data: Bytes = pread(offset, length) if length else b""
    if len(data) == length:
        return data
    parts = [bytes(data)]
    while data and (missing := length - sum(map(len, parts))) > 0:
        data = pread(offset + length - missing, missing)
        parts.append(bytes(data))
    return b"".join(parts)


def verify_frames(
    index: PackIndex, source: PositionedView | bytes | bytearray | memoryview, decompress: Decompress
) -> list[int]:
    """Checks every frame against the digest of its chunk.

    Reads up to 2 MiB at a time and holds no more than that and one chunk. A frame is damaged when it cannot
    be read or decompressed, or has other bytes.

    Args:
        index: what `read_index` returned.
        source: the whole pack, or what reads (offset, length) of it.
        decompress: see `Decompress`.

    Returns:
        Positions of the damaged frames, ascending; empty when all are sound.
    """
    offsets = index.offsets()
    view = None if callable(source) else memoryview(source)
    damaged: list[int] = []
    for first, end in _read_runs(index.stored_lengths):
        start = offsets[first]
        length = offsets[end - 1] + index.stored_lengths[end - 1] - start
        if view is not None:
            block = view[start : start + length]
        else:
            assert callable(source)
            block = memoryview(_read_fully(source, start, length))
        damaged.extend(_damaged_in_run(index, first, end, block, decompress))
    return damaged


def _read_runs(stored_lengths: array[int]) -> Iterator[tuple[int, int]]:
    """Yields runs of whole frames of at most 2 MiB together."""
    first = 0
    run_bytes = 0
    for position, stored_length in enumerate(stored_lengths):
        if run_bytes + stored_length > _READ_BYTES and position > first:
            yield first, position
            first, run_bytes = position, 0
        run_bytes += stored_length
    if first < len(stored_lengths):
        yield first, len(stored_lengths)


def _damaged_in_run(
    index: PackIndex,
    first: int,
    end: int,
    block: memoryview,
    decompress: Decompress,
) -> Iterator[int]:
    bounds = accumulate(chain((0,), index.stored_lengths[first:end]))
    pieces: Iterable[Bytes] = [block[start:stop] for start, stop in pairwise(bounds)]
    if any(index.codecs[first:end]):
        lengths = index.lengths[first:end]
        pieces = (
            _chunk_or_nothing(piece, codec, length, decompress)
            for piece, codec, length in zip(pieces, index.codecs[first:end], lengths, strict=True)
        )
    found = b"".join([blake3(piece).digest() for piece in pieces])
    expected = index.digests[DIGEST_BYTES * first : DIGEST_BYTES * end]
    if found == expected:
        return
    for position in range(end - first):
        at = DIGEST_BYTES * position
        if found[at : at + DIGEST_BYTES] != expected[at : at + DIGEST_BYTES]:
            yield first + position


def _chunk_or_nothing(piece: Bytes, codec: int, length: int, decompress: Decompress) -> Bytes:
    """Returns a frame's chunk, or nothing (which has no chunk's digest) when it cannot be decompressed."""
    try:
        return _decoded(piece, codec, length, decompress)
    except PackError:
        return b""


def _decoded(stored: Bytes, codec: int, length: int, decompress: Decompress) -> Bytes:
    if codec == Codec.RAW:
        return stored
    if codec != Codec.ZSTD:
        raise PackDamagedError(f"A frame has the unknown codec {codec}; use another copy of the pack.")
    try:
        chunk = decompress(stored, length)
    except MemoryError:
        raise
    except Exception as error:
        # The decompressor is passed in, so its exception types are unknown; whatever it objects to is damage.
        raise PackDamagedError(f"A frame cannot be decompressed: {error!s:.200}; use another one.") from error
    if len(chunk) != length:
        raise PackDamagedError(f"A frame gives {len(chunk)} bytes instead of {length}; use another copy.")
    return chunk


def decode_frame(
    stored: bytes | memoryview,
    codec: int,
    length: int,
    digest: bytes,
    decompress: Decompress,
    *,
    verify: bool = True,
) -> bytes | memoryview:
    """Returns the chunk in one frame; for a raw frame it is `stored` itself.

    Args:
        stored: the bytes of the frame.
        codec: a `Codec`.
        length: bytes of the chunk, the most that is ever decompressed.
        digest: what the chunk must have.
        decompress: see `Decompress`.
        verify: False where the bytes are checked elsewhere.

    Raises:
        PackDamagedError: PACK_DAMAGED (length, codec, zstd) or CHUNK_DIGEST_MISMATCH.
    """
    chunk = _decoded(stored, codec, length, decompress)
    if len(chunk) != length:
        raise PackDamagedError(f"A frame has {len(chunk)} bytes instead of {length}; use another copy.")
    if verify and blake3(chunk).digest() != digest:
        raise PackDamagedError(
            f"The bytes of chunk {digest.hex()} do not have its digest; use another copy.",
            Reason.CHUNK_DIGEST_MISMATCH,
        )
    return chunk


def build_pack(pack_id: bytes, frames: Iterable[tuple[bytes, bytes, int, Codec]]) -> bytes:
    """Returns a whole pack in memory, from (digest, stored bytes, length, codec); for tests and tiny packs.

    Raises:
        PackError: a frame that no reader would accept, or a pack over a limit.
    """
    index = PackIndex(pack_id)
    parts = [encode_header(pack_id)]
    for digest, stored, length, codec in frames:
        index.append(digest, len(stored), length, codec)
        parts.append(stored)
    _check_frames(index)
    if len(index) > PACK_CHUNKS_MAX or index.size_bytes > PACK_BYTES_MAX:
        raise PackError(
            f"A pack of {len(index)} frames and {index.size_bytes} bytes is over the limits; begin another.",
            Reason.TOO_LARGE,
        )
    parts.append(index.encode_footer())
    return b"".join(parts)
