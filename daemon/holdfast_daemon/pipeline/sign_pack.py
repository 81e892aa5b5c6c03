"""The SHA-256 under which a pack goes straight to a store: of bytes that were seen to be its chunks'.

The store takes those bytes and no others, and the registry may read them back only after the commit; so whoever is told that a
version is committed is told so of chunks that lay on this disk with their digests.
"""

import hashlib
import os
from pathlib import Path

from holdfast_contract.limits import MIB
from holdfast_contract.pack import PACK_HEADER_BYTES, PackIndex, verify_frames
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import decompress
from holdfast_daemon.errors import HoldfastError

BUFFER_BYTES = 2 * MIB
"""Read at once, and looked at twice while the processor's cache has it."""


def sha256_of_sound(path: Path, index: PackIndex) -> bytes:
    """Reads a sealed pack once; returns its SHA-256.  Blocks.

    Args:
        path: of the pack.
        index: what it should hold.

    Raises:
        HoldfastError: CHUNK_DIGEST_MISMATCH: a chunk does not have the bytes of its digest any more.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        reader = _Reader(descriptor)
        reader.read(0, PACK_HEADER_BYTES)
        # Frames lie one after another behind the header, and are read in that order.
        damaged = verify_frames(index, reader.read, decompress)
        if damaged:
            raise HoldfastError(
                Reason.CHUNK_DIGEST_MISMATCH,
                f"{len(damaged)} chunks of a spooled pack do not have the bytes of their digests; check the disk of {path.parent}. "
                "Their files are read again",
            )
        at = PACK_HEADER_BYTES + index.stored_bytes
        while block := reader.read(at, BUFFER_BYTES):
            at += len(block)
        return reader.sha256.digest()
    finally:
        os.close(descriptor)


class _Reader:
    """Reads a file from its beginning to its end, and hashes it on the way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray(BUFFER_BYTES)
        self.sha256 = hashlib.sha256()

    def read(self, offset: int, length: int) -> memoryview:
        """Returns the next bytes, good until the next call; less at the end."""
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        block = memoryview(self._buffer)[:length]
        block = block[: os.preadv(self._descriptor, [block], offset)]
        self.sha256.update(block)
        return block
