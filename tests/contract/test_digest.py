"""Digests are BLAKE3-256, byte-exact for ever."""

from __future__ import annotations

import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.digest import EMPTY_DIGEST, ArtifactDigest, digest_of, file_digest, from_hex, hasher, to_hex
from holdfast_contract.errors import ContractError, ManifestError, ManifestPathError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_golden_file_digests_are_what_b3sum_prints() -> None:
    assert to_hex(EMPTY_DIGEST) == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert to_hex(file_digest(b"hello")) == "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
    assert digest_of(memoryview(b"hello")) == file_digest(b"hello") == hasher().update(b"hello").digest()


def test_golden_artifact_digests_never_change() -> None:
    assert ArtifactDigest().hexdigest() == "220e006a248e8a3fe320ca6e805e56ab436c7fae8f32b9d602f4e8d6f1bb558b"
    one = ArtifactDigest()
    one.update(["file1.txt"], [to_hex(file_digest(b"hello"))])
    assert one.hexdigest() == "9808ba4db2e4f56c635c9679f51b8fe9966be1d4c7daaec7f340ed0378e38c25"
    mixed = ArtifactDigest()
    mixed.update(["data/ä.bin", "ref"], [to_hex(EMPTY_DIGEST), "s3://bucket/key?etag"])
    assert mixed.hexdigest() == "60f7216b2ca04acbbc41ba94e1da743d05c3bf9dda3776a51fe6b07860674a6b"


@given(st.lists(st.tuples(TEXTS, TEXTS)), st.integers(0, 10))
def test_artifact_digest_is_the_documented_bytes_however_the_runs_are_cut(
    entries: list[tuple[str, str]], cut: int
) -> None:
    expected = b"holdfast-manifest-v1\n"
    for entry in entries:
        for text in entry:
            expected += struct.pack("<I", len(text.encode())) + text.encode()
    found = ArtifactDigest()
    for run in (entries[:cut], entries[cut:]):
        found.update([path for path, _ in run], [text for _, text in run])
    assert found.digest() == blake3(expected).digest()


def test_length_prefixes_hold_beyond_the_table() -> None:
    found = ArtifactDigest()
    found.update(["a"], ["x" * 70_000])
    assert (
        found.digest()
        == blake3(b"holdfast-manifest-v1\n\x01\0\0\0a" + struct.pack("<I", 70_000) + b"x" * 70_000).digest()
    )


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ManifestError):
        ArtifactDigest().update(["a"], [])


def test_broken_unicode_is_a_contract_error() -> None:
    with pytest.raises(ManifestPathError):
        ArtifactDigest().update(["\ud800"], ["0"])


@pytest.mark.parametrize(
    "text", ["", "ab", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", " " + "0" * 63, "é" * 64]
)
def test_a_digest_has_one_text(text: str) -> None:
    with pytest.raises(ContractError):
        from_hex(text)


def test_hex_round_trip_and_wrong_size() -> None:
    assert from_hex(to_hex(EMPTY_DIGEST)) == EMPTY_DIGEST
    with pytest.raises(ContractError):
        to_hex(b"short")
