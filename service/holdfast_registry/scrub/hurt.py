"""Which versions a lost chunk hurts: their manifests are read, each shared segment once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import groupby

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.errors import ContractError
from holdfast_registry.blobstore.store import StoreUnavailableError
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.database.scrubs import Hurt, NamedManifest, ScrubRepository
from holdfast_registry.domain.manifest import (
    CHUNKS_LISTED_MAX,
    SegmentContent,
    parse_chunk_list,
    parse_root,
    parse_segment,
    paths_of_chunks,
)
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.fsck_report import MANIFEST_PATH

logger = logging.getLogger(__name__)


class HurtVersions:
    """Finds and keeps them."""

    def __init__(self, scrubs: ScrubRepository, reader: ChunkReader, threads: FileThreads) -> None:
        self._scrubs = scrubs
        self._reader = reader
        self._threads = threads

    async def note_new(self) -> None:
        """Notes the versions that chunks hurt which were lost since the last time, and logs their names."""
        lost = await self._scrubs.lost()
        for entity_id, chunks in groupby(lost, key=lambda chunk: chunk.entity_id):
            digests = {chunk.digest for chunk in chunks if not chunk.versions_known}
            if not digests:
                continue
            manifests = await self._scrubs.manifests(entity_id)
            hurts = await self._threads.run(self._find, entity_id, manifests, frozenset(digests))
            await self._scrubs.note_hurt(entity_id, sorted(digests), hurts)
            names = {manifest.version_id: manifest.name for manifest in manifests}
            for hurt in hurts:
                logger.error(
                    "version is hurt version=%s path=%s chunk=%s", names[hurt.version_id], hurt.path, hurt.digest.hex()
                )

    def _find(self, entity_id: int, manifests: list[NamedManifest], lost: frozenset[bytes]) -> list[Hurt]:
        known: dict[bytes, dict[bytes, str]] = {}
        hurts = list[Hurt]()
        for manifest in manifests:
            found: dict[bytes, str] = {}
            for digest, path in self._needed(entity_id, manifest.root, lost, known):
                found.setdefault(digest, path)
            hurts += [Hurt(manifest.version_id, digest, path) for digest, path in sorted(found.items())]
        return hurts

    def _needed(
        self, entity_id: int, root: bytes, lost: frozenset[bytes], known: dict[bytes, dict[bytes, str]]
    ) -> Iterator[tuple[bytes, str]]:
        """Yields (lost chunk, path) of one manifest."""
        if root in lost:
            yield root, MANIFEST_PATH
        encoded = self._read(entity_id, root)
        if encoded is None:
            return
        for segment in parse_root(encoded).segments:
            if segment.digest in lost:
                yield segment.digest, MANIFEST_PATH
            if segment.digest not in known:
                known[segment.digest] = dict(self._needed_by_segment(entity_id, segment.digest, lost))
            yield from known[segment.digest].items()

    def _needed_by_segment(self, entity_id: int, digest: bytes, lost: frozenset[bytes]) -> Iterator[tuple[bytes, str]]:
        encoded = self._read(entity_id, digest)
        if encoded is None:
            return
        segment = parse_segment(encoded)
        content = SegmentContent.of(segment)
        if not lost.isdisjoint(content.chunks):
            yield from ((chunk, path) for path, chunk in paths_of_chunks(segment) if chunk in lost)
        for long_list in content.long_lists:
            rest = long_list.chunk_count
            for part in long_list.part_digests:
                if part in lost:
                    yield part, long_list.path
                encoded, count = self._read(entity_id, part), min(rest, CHUNKS_LISTED_MAX)
                rest -= count
                if encoded is not None:
                    chunks, _ = parse_chunk_list(encoded, count)
                    yield from ((chunk, long_list.path) for chunk in chunks if chunk in lost)

    def _read(self, entity_id: int, digest: bytes) -> bytes | None:
        """Returns a chunk of a manifest; None: it is lost, which is noted for the chunk itself."""
        if digest == EMPTY_DIGEST:
            return b""
        try:
            return self._reader.read(entity_id, [digest])[0]
        except StoreUnavailableError:
            raise
        except (RegistryError, ContractError) as error:
            logger.error("chunk of a manifest cannot be read chunk=%s error=%s", digest.hex(), error)
            return None
