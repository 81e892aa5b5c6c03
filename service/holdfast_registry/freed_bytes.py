"""How many bytes the deletion of some versions would give back: their chunks that no other version names.

Segments that another version shares are not even looked into; of the rest the chunks are collected, and those that the
other versions name are struck out, one group of segments after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.version_lists import StoredManifest, VersionListRepository, VersionQuery
from holdfast_registry.domain.manifest import (
    CHUNKS_LISTED_MAX,
    SegmentContent,
    parse_chunk_list,
    parse_root,
    parse_segment,
)
from holdfast_registry.file_threads import FileThreads

CHUNKS_AT_ONCE = 64
"""Segments read together: about 50 MiB at most, usually 6."""


class FreedBytes:
    """Counts."""

    def __init__(
        self, lists: VersionListRepository, reader: ChunkReader, packs: PackRepository, threads: FileThreads
    ) -> None:
        self._lists = lists
        self._reader = reader
        self._packs = packs
        self._threads = threads

    async def bytes_of(self, query: VersionQuery) -> int:
        """Returns what deleting every version that a query finds would give back.

        Raises:
            RegistryError: STORE_DAMAGED.
        """
        return await self.bytes_of_versions(query.entity, set(await self._lists.found(query)))

    async def bytes_of_versions(self, entity: str, doomed: Set[str]) -> int:
        """Returns what deleting these versions of an entity would give back.

        Raises:
            RegistryError: STORE_DAMAGED.
        """
        if not doomed:
            return 0
        manifests = await self._lists.manifests(entity)
        return await self._threads.run(self._count, entity, doomed, manifests)

    def _count(self, entity: str, doomed: Set[str], manifests: Sequence[StoredManifest]) -> int:
        entity_id = self._packs.entity_id(entity)
        assert entity_id is not None, "its versions were found"
        kept_roots = {one.root for one in manifests if one.version_id not in doomed}
        doomed_roots = {one.root for one in manifests if one.version_id in doomed} - kept_roots
        kept = self._segments(entity_id, kept_roots)
        freed = doomed_roots | (self._segments(entity_id, doomed_roots) - kept)
        for chunks in self._chunks(entity_id, freed - doomed_roots):
            freed |= chunks
        freed -= kept_roots | kept
        for chunks in self._chunks(entity_id, kept):
            freed -= chunks
            if not freed:
                break
        places = self._packs.places(entity_id, list(freed))
        return sum(place.stored_length for place in places if place is not None)

    def _segments(self, entity_id: int, roots: Iterable[bytes]) -> set[bytes]:
        wanted = [root for root in roots if root != EMPTY_DIGEST]
        found: set[bytes] = set()
        for encoded in self._read(entity_id, wanted):
            found.update(segment.digest for segment in parse_root(encoded).segments)
        return found

    def _chunks(self, entity_id: int, segments: Iterable[bytes]) -> Iterator[set[bytes]]:
        """Yields the chunks that each of these segments names, those of long lists included."""
        for encoded in self._read(entity_id, list(segments)):
            content = SegmentContent.of(parse_segment(encoded))
            yield set(content.chunks)
            for long_list in content.long_lists:
                rest = long_list.chunk_count
                for part in self._read(entity_id, long_list.part_digests):
                    digests, _ = parse_chunk_list(part, min(rest, CHUNKS_LISTED_MAX))
                    rest -= len(digests)
                    yield set(digests)

    def _read(self, entity_id: int, digests: Sequence[bytes]) -> Iterator[bytes]:
        for first in range(0, len(digests), CHUNKS_AT_ONCE):
            for encoded in self._reader.read(entity_id, digests[first : first + CHUNKS_AT_ONCE]):
                if encoded is not None:
                    yield encoded
