"""Reads a range of one entry: only the chunks that hold it are brought and checked."""

from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterator
from itertools import accumulate

from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bring_packs import PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import chunk_lists
from holdfast_daemon.pipeline.manifest_pages import ManifestPages, Segment

PIECE_BYTES_MAX = 8 * MIB
"""Held at a time for one reader."""
MESSAGE_DATA_BYTES = 1 * MIB


class ReadEntry:
    """Reads entries; any number at the same time."""

    def __init__(self, manifests: ManifestPages, packs: PackSource) -> None:
        self._manifests = manifests
        self._packs = packs

    async def read(
        self, version_id: str, path: str, offset: int, length: int
    ) -> AsyncGenerator[bytes | memoryview, None]:
        """Yields the bytes of the range, at most 1 MiB at a time; a range beyond the end is cut.

        Args:
            version_id: a committed version.
            path: one of its entries.
            offset: first byte.
            length: bytes; 0: to the end.

        Raises:
            HoldfastError: NOT_FOUND; STORE_DAMAGED; INVALID_ARGUMENT for a reference.
        """
        version = await self._manifests.get_version(version_id)
        segment, row = await self._find(version_id, path)
        size = segment.entries.sizes[row]
        end = min(size, offset + length) if length else size
        reader = Reader(version.entity)
        list_start = 0
        async for digests, lengths in chunk_lists(self._packs, reader, segment.entries, row):
            for first, last, start in _covering(lengths, offset - list_start, end - list_start):
                piece_digests = digests[DIGEST_BYTES * first : DIGEST_BYTES * last]
                data = memoryview(await self._packs.read(reader, path, piece_digests, lengths[first:last]))
                piece_start = list_start + start
                data = data[max(offset - piece_start, 0) : end - piece_start]
                for at in range(0, len(data), MESSAGE_DATA_BYTES):
                    yield data[at : at + MESSAGE_DATA_BYTES]
            list_start += sum(lengths)
            if list_start >= end:
                return

    async def _find(self, version_id: str, path: str) -> tuple[Segment, int]:
        async for segment in self._manifests.segments(version_id, path):
            paths = segment.entries.paths
            row = bisect_left(paths, path)
            if row == len(paths) or paths[row] != path:
                continue
            if row in segment.entries.references:
                uri = segment.entries.references[row][0]
                text = f"{path} is a reference, its bytes are at {uri}; read them there"
                raise HoldfastError(Reason.INVALID_ARGUMENT, text, path=path, uri=uri)
            return segment, row
        raise HoldfastError(Reason.NOT_FOUND, f"version {version_id} has no entry {path!r}", path=path)


def _covering(lengths: list[int], offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields (first chunk, end chunk, offset of the first in the file): pieces of at most 8 MiB that cover a range."""
    if offset >= end:
        return
    ends = list(accumulate(lengths))
    first = next((index for index, stop in enumerate(ends) if stop > offset), len(lengths))
    while first < len(lengths) and ends[first] - lengths[first] < end:
        start = ends[first] - lengths[first]
        last = first + 1
        while last < len(lengths) and ends[last] - start <= PIECE_BYTES_MAX and ends[last - 1] < end:
            last += 1
        yield first, last, start
        first = last
