"""Packs: what is written is read; whatever is broken is found; nothing hostile costs memory."""

from __future__ import annotations

import struct
import tracemalloc
from array import array
from collections.abc import Callable

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_contract.digest import digest_of
from holdfast_contract.errors import PackDamagedError, PackError, PackTornError
from holdfast_contract.limits import CHUNK_BYTES_MAX, MIB, PACK_BYTES_MAX, PACK_CHUNKS_MAX
from holdfast_contract.pack import (
    FRAME_BYTES_MAX,
    PACK_HEADER_BYTES,
    TRAILER_BYTES,
    Codec,
    PackIndex,
    build_pack,
    decode_frame,
    encode_header,
    read_index,
    verify_frames,
)
from holdfast_contract.reasons import Reason

PACK_ID = bytes(range(16))
Frame = tuple[bytes, bytes, int, Codec]


def decompress(stored: bytes | memoryview, length_max: int) -> bytes:
    # A frame that names its size makes the library allocate so much and ignore `max_output_size`.
    if zstandard.frame_content_size(stored) > length_max:
        raise ValueError("the frame is larger than its chunk")
    return zstandard.ZstdDecompressor().decompress(stored, max_output_size=length_max, allow_extra_data=False)


def frame(chunk: bytes, codec: Codec = Codec.RAW) -> Frame:
    stored = chunk if codec is Codec.RAW else zstandard.ZstdCompressor().compress(chunk)
    return digest_of(chunk), stored, len(chunk), codec


def reader(pack: bytes) -> Callable[[int, int], bytes]:
    def pread(offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return pack[offset : offset + length]

    return pread


def forged(frames: bytes, columns: bytes, *, count: int | None = None, columns_bytes: int | None = None) -> bytes:
    """A pack with a right checksum over whatever it says."""
    header = encode_header(PACK_ID)
    checksum = blake3(header + columns).digest()
    count = len(columns) // 41 if count is None else count
    columns_bytes = len(columns) if columns_bytes is None else columns_bytes
    return header + frames + columns + checksum + struct.pack("<II8s", count, columns_bytes, b"HFPACKEN")


def columns_of(rows: list[tuple[bytes, int, int, int]]) -> bytes:
    return (
        b"".join(row[0] for row in rows)
        + b"".join(struct.pack("<I", row[1]) for row in rows)
        + b"".join(struct.pack("<I", row[2]) for row in rows)
        + bytes(row[3] for row in rows)
    )


SMALL = build_pack(PACK_ID, [frame(b"one"), frame(b"two" * 50, Codec.ZSTD), frame(b"3" * 100)])


def is_found(pack: bytes) -> bool:
    try:
        index = read_index(reader(pack), len(pack), pack_id=PACK_ID)
    except PackError:
        return True
    return bool(verify_frames(index, reader(pack), decompress))


CHUNKS = st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from(Codec)), max_size=20)


@settings(max_examples=100, deadline=None)
@given(CHUNKS, st.binary(min_size=16, max_size=16))
def test_what_was_written_is_read(chunks: list[tuple[bytes, Codec]], pack_id: bytes) -> None:
    pack = build_pack(pack_id, [frame(chunk, codec) for chunk, codec in chunks])
    index = read_index(reader(pack), len(pack), pack_id=pack_id)
    assert (len(index), index.pack_id, index.size_bytes) == (len(chunks), pack_id, len(pack))
    assert verify_frames(index, pack, decompress) == verify_frames(index, reader(pack), decompress) == []
    for position, offset in enumerate(index.offsets()):
        stored = memoryview(pack)[offset : offset + index.stored_lengths[position]]
        digest = index.digest_at(position)
        chunk = decode_frame(stored, index.codecs[position], index.lengths[position], digest, decompress)
        assert chunk == chunks[position][0]
        assert digest == digest_of(chunk)


def test_golden_pack_never_changes() -> None:
    pack = build_pack(PACK_ID, [frame(b"one"), frame(b"3" * 100)])
    assert pack[:35] == b"HFPACK01" + PACK_ID + bytes(8) + b"one"
    assert len(pack) == 32 + 103 + 2 * 41 + 48
    assert pack[-16:] == b"\x02\0\0\0\x52\0\0\0HFPACKEN"
    assert digest_of(pack).hex() == "6bb90fa4b4ce354df359a520aaa1c546e8d38979246ec1793be8151ac6ca590f"


def test_every_truncation_is_torn_or_damaged() -> None:
    for size in range(len(SMALL)):
        with pytest.raises(PackError):
            read_index(reader(SMALL[:size]), size, pack_id=PACK_ID)
        with pytest.raises(PackError):  # the size is known from elsewhere, the bytes are not there
            read_index(reader(SMALL[:size]), len(SMALL), pack_id=PACK_ID)


def test_a_pack_without_its_trailer_is_torn_and_may_be_sent_again() -> None:
    for size in (0, 31, 79, 100, len(SMALL) - 1):
        with pytest.raises(PackTornError) as caught:
            read_index(reader(SMALL[:size]), size)
        assert caught.value.reason is Reason.PACK_TORN
        assert caught.value.retryable


def test_a_truncation_behind_an_inner_pack_is_not_taken_for_a_whole_one() -> None:
    inner = build_pack(bytes(16), [frame(b"x")])
    outer = build_pack(PACK_ID, [frame(inner), frame(b"y")])
    end = PACK_HEADER_BYTES + len(inner)
    for pack_id in (None, PACK_ID, bytes(16)):
        with pytest.raises(PackDamagedError):
            read_index(reader(outer[:end]), end, pack_id=pack_id)


def test_every_flipped_bit_is_found_or_changes_no_chunk() -> None:
    zstd_start = PACK_HEADER_BYTES + len(b"one")
    zstd_end = read_index(reader(SMALL), len(SMALL)).offsets()[2]
    for position in range(len(SMALL)):
        for bit in range(8):
            flipped = bytearray(SMALL)
            flipped[position] ^= 1 << bit
            if zstd_start <= position < zstd_end and not is_found(bytes(flipped)):
                # zstd has bits without effect (unused flags, a larger window): then the chunk is still right.
                assert decompress(flipped[zstd_start:zstd_end], 150) == b"two" * 50
            else:
                assert is_found(bytes(flipped)), (position, bit)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_pack_error(junk: bytes) -> None:
    for pack in (junk, encode_header(PACK_ID) + junk, junk + SMALL[-48:]):
        with pytest.raises(PackError):
            read_index(reader(pack), len(pack))


def test_another_packs_id_is_refused() -> None:
    with pytest.raises(PackDamagedError, match="names pack 0001"):
        read_index(reader(SMALL), len(SMALL), pack_id=bytes(16))


D = digest_of(b"a")
HOSTILE = {
    "count beyond the limit": forged(b"", b"", count=PACK_CHUNKS_MAX + 1, columns_bytes=41 * (PACK_CHUNKS_MAX + 1)),
    "count of 4 G": forged(b"", b"", count=2**32 - 1, columns_bytes=2**32 - 1),
    "count larger than the file": forged(b"a", b"", count=1000, columns_bytes=41_000),
    "columns do not fit the count": forged(b"a", columns_of([(D, 1, 1, 0)]), count=2),
    "count zero with columns": forged(b"a", columns_of([(D, 1, 1, 0)]), count=0, columns_bytes=0),
    "length zero": forged(b"a", columns_of([(D, 1, 0, 1)])),
    "stored length zero": forged(b"", columns_of([(D, 0, 1, 1)])),
    "raw lengths differ": forged(b"a", columns_of([(D, 1, 2, 0)])),
    "unknown codec": forged(b"a", columns_of([(D, 1, 1, 2)])),
    "codec 255": forged(b"a", columns_of([(D, 1, 1, 255)])),
    "chunk over the limit": forged(b"a", columns_of([(D, 1, CHUNK_BYTES_MAX + 1, 1)])),
    "chunk of 4 GiB": forged(b"a", columns_of([(D, 1, 2**32 - 1, 1)])),
    "frame over the limit": forged(b"a" * (FRAME_BYTES_MAX + 1), columns_of([(D, FRAME_BYTES_MAX + 1, 1, 1)])),
    "sum beyond the file": forged(b"a", columns_of([(D, 1, 1, 0), (D, 1, 1, 0)])),
    "sum below the file": forged(b"aaa", columns_of([(D, 1, 1, 0)])),
    "sums that overflow 32 bits": forged(b"a", columns_of([(D, FRAME_BYTES_MAX, 9, 1)] * 5000)),
    "bytes between header and frames": encode_header(PACK_ID) + b"?" + SMALL[32:],
    "reserved bytes in use": encode_header(PACK_ID)[:-1] + b"\1" + SMALL[32:],
    "magic of another version": b"HFPACK02" + SMALL[8:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_footers_are_damage_and_cost_no_memory(name: str) -> None:
    pack = HOSTILE[name]
    tracemalloc.start()
    with pytest.raises(PackDamagedError):
        read_index(reader(pack), len(pack))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2 * MIB


def test_a_pack_over_the_size_limit_is_refused_unread() -> None:
    def pread(offset: int, length: int) -> bytes:
        raise AssertionError(f"read {length} at {offset}")

    with pytest.raises(PackDamagedError):
        read_index(pread, PACK_BYTES_MAX + 1)


def test_an_unreadable_file_stays_an_os_error() -> None:
    def pread(offset: int, length: int) -> bytes:
        raise OSError(5, "EIO")

    with pytest.raises(OSError, match="EIO"):
        read_index(pread, 1000)


def test_short_reads_are_completed() -> None:
    def pread(offset: int, length: int) -> bytes:
        return SMALL[offset : offset + min(length, 7)]

    index = read_index(pread, len(SMALL))
    assert verify_frames(index, pread, decompress) == []


@pytest.mark.parametrize("with_size", [True, False])
def test_a_decompression_bomb_stops_at_the_length_that_was_promised(with_size: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=with_size).compress(bytes(64 * MIB))
    pack = build_pack(PACK_ID, [(D, bomb, 1000, Codec.ZSTD), frame(b"b")])
    index = read_index(reader(pack), len(pack))
    tracemalloc.start()
    assert verify_frames(index, pack, decompress) == [0]
    with pytest.raises(PackDamagedError):
        decode_frame(bomb, Codec.ZSTD, 1000, D, decompress)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * MIB


def test_damaged_frames_are_named_by_position() -> None:
    chunks = [bytes([number]) * (700 * 1024) for number in range(1, 31)]  # 20 MiB: three reads
    codecs = [Codec.ZSTD if number % 7 == 3 else Codec.RAW for number in range(30)]
    pack = bytearray(build_pack(PACK_ID, [frame(*pair) for pair in zip(chunks, codecs, strict=True)]))
    index = read_index(reader(bytes(pack)), len(pack))
    offsets = index.offsets()
    for position in (0, 3, 11, 12, 29):
        pack[offsets[position] + index.stored_lengths[position] // 2] ^= 1
    assert verify_frames(index, pack, decompress) == [0, 3, 11, 12, 29]
    assert verify_frames(index, reader(bytes(pack)), decompress) == [0, 3, 11, 12, 29]


def test_frames_that_are_not_there_are_damaged() -> None:
    index = read_index(reader(SMALL), len(SMALL))
    assert verify_frames(index, SMALL[: index.offsets()[1] + 5], decompress) == [1, 2]
    assert verify_frames(index, reader(SMALL[:32]), decompress) == [0, 1, 2]


def test_a_wrong_chunk_is_told_from_a_wrong_frame() -> None:
    with pytest.raises(PackDamagedError) as caught:
        decode_frame(b"b", Codec.RAW, 1, D, decompress)
    assert caught.value.reason is Reason.CHUNK_DIGEST_MISMATCH
    assert decode_frame(b"b", Codec.RAW, 1, D, decompress, verify=False) == b"b"
    for stored, codec, length in ((b"ab", 0, 1), (b"a", 7, 1), (b"junk", 1, 1)):
        with pytest.raises(PackDamagedError) as damaged:
            decode_frame(stored, codec, length, D, decompress, verify=False)
        assert damaged.value.reason is Reason.PACK_DAMAGED


def test_fragments_joined_are_the_index() -> None:
    whole = read_index(reader(SMALL), len(SMALL))
    joined = PackIndex(PACK_ID)
    for position in range(len(whole)):
        part = PackIndex(PACK_ID)
        part.append(
            whole.digest_at(position),
            whole.stored_lengths[position],
            whole.lengths[position],
            whole.codecs[position],
        )
        joined.extend(PackIndex.decode_fragment(part.encode_fragment()))
    assert joined.encode_footer() == whole.encode_footer() == SMALL[whole.offsets()[-1] + 100 :]
    whole.append(D, 1, 1, Codec.RAW)
    assert (len(whole), whole.digest_at(3), whole.stored_bytes) == (4, D, joined.stored_bytes + 1)
    assert joined.offsets(100)[0] == 100
    assert PackIndex.from_columns(PACK_ID, joined.to_columns()).encode_footer() == joined.encode_footer()


def test_a_broken_fragment_is_damage() -> None:
    fragment = read_index(reader(SMALL), len(SMALL)).encode_fragment()
    for size in range(len(fragment)):
        with pytest.raises(PackDamagedError):
            PackIndex.decode_fragment(fragment[:size])
    with pytest.raises(PackDamagedError):
        PackIndex.decode_fragment(fragment + bytes(41))
    with pytest.raises(PackDamagedError):
        PackIndex.from_columns(b"short", b"")


def test_an_empty_pack_is_whole() -> None:
    pack = build_pack(PACK_ID, [])
    index = read_index(reader(pack), len(pack))
    assert (len(index), len(pack), index.offsets()) == (0, PACK_HEADER_BYTES + TRAILER_BYTES, array("Q"))
    assert verify_frames(index, pack, decompress) == []


def test_a_pack_that_no_reader_accepts_is_not_built() -> None:
    with pytest.raises(PackError):
        build_pack(PACK_ID, [(D, b"", 0, Codec.RAW)])
    with pytest.raises(PackError) as caught:
        build_pack(PACK_ID, [(D, bytes(MIB), MIB, Codec.RAW)] * 64)
    assert caught.value.reason is Reason.TOO_LARGE
