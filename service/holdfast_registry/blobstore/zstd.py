"""Undoes the compression of a frame, with a bound on what comes out."""

from __future__ import annotations

import threading

import zstandard

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
