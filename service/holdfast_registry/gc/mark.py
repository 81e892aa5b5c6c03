"""Mark: reads the manifests of all versions that are not purged, and remembers every chunk that they name.

Segments that many versions share are read once.  A manifest that cannot be read ends the cycle for its entity: what it names is not
known, so nothing may go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.reasons import Reason
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.domain.manifest import (
    CHUNKS_LISTED_MAX,
    parse_chunk_list,
    parse_root,
    parse_segment,
    split_digests,
)
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.gc.marks import MarkedDigests
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment

CHUNKS_AT_ONCE = 64
"""Roots or segments read together: about 50 MiB at most, usually 6."""

Told = Callable[[int], Awaitable[None]]
"""Is told how many manifests were marked since the last time."""


class Marker:
    """Marks one entity's chunks."""

    def __init__(self, reader: ChunkReader, threads: FileThreads) -> None:
        self._reader = reader
        self._threads = threads

    async def mark(self, entity_id: int, roots: Sequence[bytes], told: Told) -> MarkedDigests:
        """Returns what these manifests name, themselves included.

        Raises:
            RegistryError: STORE_DAMAGED: one cannot be read.
        """
        marks, seen = MarkedDigests(), set[bytes]()
        for group in _groups(roots):
            segments = await self._threads.run(self._mark_roots, entity_id, group, marks, seen)
            for some in _groups(segments):
                await self._threads.run(self._mark_segments, entity_id, some, marks)
            await told(len(group))
        return marks

    def _mark_roots(
        self, entity_id: int, roots: Sequence[bytes], marks: MarkedDigests, seen: set[bytes]
    ) -> list[bytes]:
        """Returns the segments that were not read before."""
        stored = [root for root in roots if root != EMPTY_DIGEST]  # no bytes have no chunk
        new: dict[bytes, None] = {}
        for encoded in self._read(entity_id, stored):
            new.update((segment.digest, None) for segment in parse_root(encoded).segments if segment.digest not in seen)
        seen.update(new)
        marks.add(stored)
        marks.add(new)
        return list(new)

    def _mark_segments(self, entity_id: int, segments: Sequence[bytes], marks: MarkedDigests) -> None:
        for encoded in self._read(entity_id, segments):
            segment = parse_segment(encoded)
            # Digests of references and of large files are no chunks', and marking those harms nobody.
            marks.add(split_digests(segment.digests))
            marks.add(split_digests(segment.chunk_digests))
            for lists in self._long_lists(entity_id, segment):
                marks.add(lists)
        marks.settle()

    def _long_lists(self, entity_id: int, segment: ManifestSegment) -> Iterator[list[bytes]]:
        for part in segment.long_chunk_lists:
            lists, rest = split_digests(part.list_digests), part.chunk_count
            yield lists
            for group in _groups(lists):
                for encoded in self._read(entity_id, group):
                    digests, _ = parse_chunk_list(encoded, min(rest, CHUNKS_LISTED_MAX))
                    rest -= len(digests)
                    yield digests

    def _read(self, entity_id: int, digests: Sequence[bytes]) -> Iterator[bytes]:
        for digest, encoded in zip(digests, self._reader.read(entity_id, digests), strict=True):
            if encoded is None:
                raise RegistryError(
                    Reason.STORE_DAMAGED,
                    f"Chunk {digest.hex()} of a manifest is lost, so nobody knows what that version needs; run fsck, "
                    "which names the version.",
                )
            yield encoded


def _groups(digests: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for first in range(0, len(digests), CHUNKS_AT_ONCE):
        yield digests[first : first + CHUNKS_AT_ONCE]
