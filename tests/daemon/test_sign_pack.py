"""What a pack is signed with before it goes to a store: the SHA-256 of all of it, and only if every chunk is sound."""

import hashlib
import os
from pathlib import Path

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec, PackIndex, build_pack, read_index
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import Compressor
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.sign_pack import sha256_of_sound

SIZES = (1, 700, 64 * 1024, MIB, MIB, 300_000, MIB, 5)


def pack_of(path: Path, count: int = len(SIZES)) -> tuple[PackIndex, bytes]:
    """Some chunks as they are, and one that is compressed."""
    chunks = [os.urandom(size) for size in SIZES[:count]]
    frames = [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in chunks]
    stored, codec = Compressor().encode(b"abc" * 100_000)
    frames.append((digest_of(b"abc" * 100_000), bytes(stored), 300_000, codec))
    encoded = build_pack(b"p" * 16, frames)
    path.write_bytes(encoded)
    return read_index(lambda at, length: encoded[at : at + length], len(encoded)), encoded


@pytest.mark.parametrize("count", [0, 1, len(SIZES)])
def test_it_is_the_sha256_of_the_whole_file(tmp_path: Path, count: int) -> None:
    index, encoded = pack_of(tmp_path / "pack", count)
    assert sha256_of_sound(tmp_path / "pack", index) == hashlib.sha256(encoded).digest()


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_chunk_that_has_changed_on_the_disk_is_found_before_anything_is_signed(tmp_path: Path, share: float) -> None:
    index, encoded = pack_of(tmp_path / "pack")
    damaged = bytearray(encoded)
    damaged[24 + round(share * index.stored_bytes)] ^= 1
    (tmp_path / "pack").write_bytes(damaged)
    with pytest.raises(HoldfastError, match="check the disk") as caught:
        sha256_of_sound(tmp_path / "pack", index)
    assert caught.value.reason is Reason.CHUNK_DIGEST_MISMATCH


def test_pack_that_was_cut_off_is_found(tmp_path: Path) -> None:
    index, encoded = pack_of(tmp_path / "pack")
    (tmp_path / "pack").write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(HoldfastError):
        sha256_of_sound(tmp_path / "pack", index)
