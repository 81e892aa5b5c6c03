"""Compression of frames: undone with a bound on what comes out; done for the few chunks that the registry itself makes."""

from __future__ import annotations

import threading

import zstandard

from holdfast_contract.pack import Codec

LEVEL = 1
"""As the daemon's: 500 MB/s a core."""

_local = threading.local()


def decompress(stored: bytes | memoryview, length_max: int) -> bytes:
    """Returns the chunk in one zstd frame.

    Raises:
        ValueError: the frame says that it holds more than `length_max`; nothing was allocated for it.
        zstandard.ZstdError: it is not one whole zstd frame, or holds more.
    """
    announced = zstandard.frame_content_size(stored)
    if announced > length_max:
        raise ValueError(f"the frame holds {announced} bytes, at most {length_max} are allowed")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        # One for each thread: they keep state while they work.
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    chunk: bytes = decompressor.decompress(stored, max_output_size=length_max, allow_extra_data=False)
    return chunk


def compress(chunk: bytes) -> tuple[bytes, Codec]:
    """Returns what is stored of a chunk, and how: compressed where that makes it shorter."""
    encoded = zstandard.ZstdCompressor(level=LEVEL).compress(chunk)
    return (encoded, Codec.ZSTD) if len(encoded) < len(chunk) else (chunk, Codec.RAW)
