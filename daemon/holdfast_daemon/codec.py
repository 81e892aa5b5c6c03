"""zstd for chunk frames: compresses where that saves at least 5 %, and soon stops trying where it does not."""

import zstandard

from holdfast_contract.errors import PackDamagedError
from holdfast_contract.pack import Codec

LEVEL = 1
"""Level 1 runs at about 500 MB/s a core; level 3 halves that for a few per cent."""
SAVING_MIN = 0.05
SKIP_MAX = 32
"""After failures in a row the next trials are skipped, doubling up to this many chunks: weights and images stay raw for almost
nothing, and a text file behind them is noticed again."""
SAMPLE_BYTES = 4096
"""Chunks of four times this are tried on a piece from their middle first."""


class Compressor:
    """Encodes chunks; keeps in mind how the last ones went.  Not thread-safe: one for each worker or file."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL)
        self._skip = 0
        self._penalty = 0

    def encode(self, data: bytes | memoryview) -> tuple[bytes | memoryview, Codec]:
        """Returns what is stored of a chunk, and how it is encoded."""
        if self._skip:
            self._skip -= 1
            return data, Codec.RAW
        encoded = self._try(data)
        if encoded is None:
            self._penalty = min(SKIP_MAX, self._penalty * 2 or 1)
            self._skip = self._penalty
            return data, Codec.RAW
        self._penalty = 0
        return encoded, Codec.ZSTD

    def _try(self, data: bytes | memoryview) -> bytes | None:
        length = len(data)
        if length < 64:
            return None
        if length >= 4 * SAMPLE_BYTES:
            middle = (length - SAMPLE_BYTES) // 2
            sample = data[middle : middle + SAMPLE_BYTES]
            if len(self._zstd.compress(sample)) > SAMPLE_BYTES * (1 - SAVING_MIN):
                return None
        encoded = self._zstd.compress(data)
        return encoded if len(encoded) <= length * (1 - SAVING_MIN) else None


def decompress(data: bytes | memoryview, length_max: int) -> bytes:
    """Decodes one zstd frame into at most `length_max` bytes.

    Raises:
        PackDamagedError: not zstd, or longer than promised (a decompression bomb ends here).
    """
    try:
        if zstandard.frame_content_size(data) > length_max:  # the library would allocate what the frame claims
            raise PackDamagedError(f"a compressed chunk claims more than {length_max} bytes")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=length_max, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise PackDamagedError(f"a compressed chunk cannot be decoded: {error}") from error
