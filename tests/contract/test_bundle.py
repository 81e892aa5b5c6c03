"""The bundle's frame: what is written is read, and whatever else is read is refused in bounded memory."""

import os
import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract import bundle
from holdfast_contract.bundle import BundleWriter, read_bundle_index, read_bundled_pack
from holdfast_contract.errors import PackDamagedError, PackError
from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec, verify_frames
from support.trees import random_bytes

BUNDLE_ID = bytes(range(16))


def written(chunks: list[bytes], versions: list[bytes]) -> bytes:
    file = bytearray()

    def write(buffers: object) -> None:
        for buffer in buffers:  # type: ignore[attr-defined]
            file.extend(buffer)

    writer = BundleWriter(write, BUNDLE_ID)
    for chunk in chunks:
        writer.append(blake3(chunk).digest(), chunk, len(chunk), Codec.RAW)
    assert writer.finish(versions) == len(file)
    return bytes(file)


def index_of(file: bytes) -> bundle.BundleIndex:
    return read_bundle_index(lambda offset, length: file[offset : offset + length], len(file))


def chunks_of(file: bytes) -> list[bytes]:
    found = []
    for pack in index_of(file).packs:
        index = read_bundled_pack(lambda offset, length: file[offset : offset + length], pack)
        for offset, length in zip(index.offsets(), index.lengths, strict=True):
            found.append(file[pack.offset + offset : pack.offset + offset + length])
        frames = file[pack.offset : pack.offset + pack.size_bytes]
        assert not verify_frames(index, frames, lambda data, length: bytes(data))
    return found


@given(st.lists(st.binary(min_size=1, max_size=300), unique=True), st.lists(st.binary(max_size=300)))
def test_chunks_and_versions_come_back(chunks: list[bytes], versions: list[bytes]) -> None:
    file = written(chunks, versions)
    assert index_of(file).bundle_id == BUNDLE_ID
    assert index_of(file).versions == tuple(versions)
    assert chunks_of(file) == chunks


def test_a_pack_that_is_full_is_followed_by_another() -> None:
    chunks = [random_bytes(MIB, seed=seed) for seed in range(66)]
    file = written(chunks, [b"one"])
    assert len(index_of(file).packs) == 2
    assert chunks_of(file) == chunks


def test_the_pack_of_a_chunk_is_known_while_writing() -> None:
    writer = BundleWriter(lambda buffers: None, BUNDLE_ID)
    digest = blake3(b"a").digest()
    assert writer.pack_of(digest) is None
    assert writer.append(digest, b"a", 1, Codec.RAW) == writer.pack_of(digest) == 0


def test_too_many_versions_are_refused_before_the_file_ends() -> None:
    with pytest.raises(PackError, match="export fewer"):
        written([], [b""] * (bundle.BUNDLE_VERSIONS_MAX + 1))
    with pytest.raises(PackError, match="export fewer"):
        written([], [bytes(bundle.BUNDLED_VERSION_BYTES_MAX + 1)])


SOUND = written([b"first", b"second" * 20], [b"version one", b"two"])


@given(st.integers(0, len(SOUND) - 1))
def test_a_cut_file_is_refused(size: int) -> None:
    with pytest.raises(PackDamagedError):
        index_of(SOUND[:size])


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing_that_is_read(at: int, change: int) -> None:
    file = SOUND[:at] + bytes([SOUND[at] ^ change]) + SOUND[at + 1 :]
    try:
        found = index_of(file)
        packs = [read_bundled_pack(lambda o, n: file[o : o + n], pack) for pack in found.packs]
    except PackDamagedError:
        return
    frames = [file[pack.offset : pack.offset + pack.size_bytes] for pack in found.packs]
    # What is left are bytes of frames, and four that say nothing.
    damaged = [verify_frames(index, data, lambda d, n: bytes(d)) for index, data in zip(packs, frames, strict=True)]
    assert any(damaged) or file[-12:-8] != bytes(4)
    assert found == index_of(SOUND)


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PackDamagedError):
        index_of(data)


def resealed(index: bytes, packs: int, versions: int, offset: int | None = None, length: int | None = None) -> bytes:
    """A file whose index has its checksum and says anything."""
    header = SOUND[: bundle.BUNDLE_HEADER_BYTES]
    checksum = blake3(header).update(index).digest()
    at = len(header) if offset is None else offset
    trailer = struct.pack(
        "<32sQIII4x8s", checksum, at, len(index) if length is None else length, packs, versions, b"HFBNDLEN"
    )
    return header + index + trailer


@pytest.mark.parametrize(
    "file",
    [
        resealed(b"", 0, 5),
        resealed(b"", 3, 0),
        resealed(b"more", 0, 0),
        resealed(struct.pack("<I", 2**32 - 1), 0, 1),
        resealed(b"", 2**32 - 1, 2**32 - 1),
        resealed(b"", 0, 0, length=2**32 - 1),
        resealed(b"", 0, 0, offset=2**64 - 1),
        resealed(struct.pack("<16sQQ", os.urandom(16), 32, 2**63), 1, 0),
        resealed(struct.pack("<16sQQ", os.urandom(16), 2**63, 100), 1, 0),
        resealed(struct.pack("<16sQQ", os.urandom(16), 32, 0) * 3, 3, 0),
    ],
)
def test_an_index_that_lies_is_refused(file: bytes) -> None:
    with pytest.raises(PackDamagedError):
        index_of(file)
