"""Digests of files, chunks and artifacts: BLAKE3-256, what `b3sum` prints."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Final

from blake3 import blake3

from holdfast_contract.errors import ContractError, ManifestError, ManifestPathError
from holdfast_contract.limits import DIGEST_BYTES

ARTIFACT_DIGEST_HEADER: Final = b"holdfast-manifest-v1\n"
"""First bytes of every artifact digest; another version of the rule gets another line."""

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
# A table look-up costs a third of struct.pack, and nearly every path and digest text is shorter than this.
_U32LE = tuple(struct.pack("<I", length) for length in range(1025))


def hasher() -> blake3:
    """Returns a fresh BLAKE3 state, for bytes that come in pieces."""
    return blake3()


def digest_of(data: bytes | bytearray | memoryview) -> bytes:
    """Returns the 32-byte digest of a chunk's bytes."""
    return blake3(data).digest()


def file_digest(data: bytes | bytearray | memoryview) -> bytes:
    """Returns the 32-byte digest of a file's whole content; a file of one chunk shares it with its chunk."""
    return blake3(data).digest()


EMPTY_DIGEST: Final = file_digest(b"")
"""Digest of the empty file, which has no chunk."""


def to_hex(digest: bytes) -> str:
    """Returns the text form of a digest: 64 lower-case hexadecimal digits.

    Raises:
        ContractError: not 32 bytes.
    """
    if len(digest) != DIGEST_BYTES:
        raise ContractError(f"A digest has {DIGEST_BYTES} bytes, not {len(digest)}; send the raw BLAKE3-256.")
    return digest.hex()


def from_hex(text: str) -> bytes:
    """Returns the 32 bytes of a digest's text form.

    Raises:
        ContractError: not exactly 64 lower-case hexadecimal digits (one digest has one text).
    """
    if not _HEX_DIGEST.fullmatch(text):
        raise ContractError(f"Not a digest: {text[:80]!r}; expected 64 lower-case hexadecimal digits.")
    return bytes.fromhex(text)


def _prefixes(values: Sequence[bytes]) -> Iterable[bytes]:
    lengths = list(map(len, values))
    if max(lengths, default=0) < len(_U32LE):
        return map(_U32LE.__getitem__, lengths)
    return map(struct.pack, repeat("<I"), lengths)


class ArtifactDigest:
    """Computes an artifact's digest from its entries, run by run, in the order of the manifest.

    The order is the caller's duty (`manifest_order.ManifestOrder` checks it). Nothing else enters.
    """

    __slots__ = ("_hasher",)

    def __init__(self) -> None:
        """Starts with no entries."""
        self._hasher = blake3(ARTIFACT_DIGEST_HEADER)

    def update(self, paths: Sequence[str], digest_texts: Sequence[str]) -> None:
        """Adds entries: each path with the hex digest of its file, or the digest text of its reference.

        Raises:
            ManifestError: the two columns differ in length.
            ManifestPathError: a path or digest text is not valid Unicode.
        """
        if len(paths) != len(digest_texts):
            raise ManifestError(
                f"The manifest has {len(paths)} paths and {len(digest_texts)} digests; each entry needs both."
            )
        try:
            path_bytes = list(map(str.encode, paths))
            text_bytes = list(map(str.encode, digest_texts))
        except UnicodeEncodeError as error:
            raise ManifestPathError(f"Not valid Unicode: {error.object[:200]!r}; rename it.") from error
        # One join and one update a call: four slices of a list cost far less than four calls an entry.
        parts = [b""] * (4 * len(path_bytes))
        parts[0::4] = _prefixes(path_bytes)
        parts[1::4] = path_bytes
        parts[2::4] = _prefixes(text_bytes)
        parts[3::4] = text_bytes
        self._hasher.update(b"".join(parts))

    def digest(self) -> bytes:
        """Returns the 32 bytes over all entries so far."""
        return self._hasher.digest()

    def hexdigest(self) -> str:
        """Returns the text form over all entries so far."""
        return self._hasher.hexdigest()


def split_digests(digests: bytes) -> list[bytes]:
    """Takes a column of digests, one after another as they travel, apart."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
