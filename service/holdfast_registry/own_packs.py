"""Packs that the registry itself makes, of chunks that no writer has brought; they are stored the way every pack takes.

A crash leaves a pack that nothing names, or one in `incoming` that goes with its lease.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast_contract.digest import digest_of
from holdfast_contract.limits import MIB
from holdfast_contract.pack import Codec, build_pack
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.blobstore.zstd import compress
from holdfast_registry.clock import IdSource
from holdfast_registry.database.packs import PackIntent, PackRepository
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.pack_intake import PackIntake

FRAMES_BYTES = 16 * MIB
"""Of one pack, which is built in memory."""
LOOKUP_BYTES = 4 * MIB
"""Chunks that are looked up together; those that are stored already are not written."""


@dataclass(frozen=True, slots=True)
class BuiltPack:
    """A pack on its way into the store."""

    pack_id: bytes
    encoded: bytes
    chunk_count: int


class OwnPacks:
    """Stores chunks."""

    def __init__(
        self, packs: PackRepository, intake: PackIntake, store: BlobStore, threads: FileThreads, ids: IdSource
    ) -> None:
        self._packs = packs
        self._intake = intake
        self._store = store
        self._threads = threads
        self._ids = ids

    async def store(self, entity_id: int, lease_id: str, chunks: Iterator[bytes]) -> None:
        """Stores those chunks that are not stored yet.

        Args:
            entity_id: whose chunks they are.
            lease_id: under which they are kept until a version names them.
            chunks: is asked for the next one in file threads, so it may read and compute.
        """
        built = self._built(entity_id, chunks)
        while (pack := await self._threads.run(lambda: next(built, None))) is not None:
            await self._bring(lease_id, pack)

    def _built(self, entity_id: int, chunks: Iterator[bytes]) -> Iterator[BuiltPack]:
        frames: list[tuple[bytes, bytes, int, Codec]] = []
        for group in _groups(chunks):
            frames += self._frames(entity_id, group)
            if sum(len(stored) for _, stored, _, _ in frames) >= FRAMES_BYTES:
                yield self._pack(frames)
                frames = []
        if frames:
            yield self._pack(frames)

    def _frames(self, entity_id: int, chunks: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, int, Codec]]:
        by_digest = {digest_of(chunk): chunk for chunk in chunks if chunk}
        stored = self._packs.lengths(entity_id, list(by_digest))
        for digest, chunk in by_digest.items():
            if stored.get(digest, -1) < 0:  # condemned: it may be deleted before this merge is committed
                frame, codec = compress(chunk)
                yield digest, frame, len(chunk), codec

    def _pack(self, frames: Sequence[tuple[bytes, bytes, int, Codec]]) -> BuiltPack:
        pack_id = bytes.fromhex(self._ids.new_id())
        return BuiltPack(pack_id, build_pack(pack_id, frames), len(frames))

    async def _bring(self, lease_id: str, pack: BuiltPack) -> None:
        size_bytes = len(pack.encoded)
        await self._packs.grant(lease_id, [PackIntent(pack.pack_id, size_bytes, pack.chunk_count)])
        await self._threads.run(self._store.put, pack.pack_id, pack.encoded)
        await self._intake.seal(lease_id, pack.pack_id, size_bytes)


def _groups(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    group_bytes = 0
    for chunk in chunks:
        group.append(chunk)
        group_bytes += len(chunk)
        if group_bytes >= LOOKUP_BYTES:
            yield group
            group, group_bytes = [], 0
    if group:
        yield group
