"""Distributed versions from the call to the transaction: parts are checked and kept; in the end they become one version.

Order of a finish: parts read · a pending version with a lease opened · merged manifest written as packs, the way every pack
takes · checked as any other · one transaction that makes the version of it.  A crash before that leaves packs that no version
names and a pending version whose lease ends; the parts stay, and the next finish begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from holdfast_contract.digest import ArtifactDigest, digest_of
from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.database.checked_manifest import CheckedManifest
from holdfast_registry.database.commits import CommitRepository
from holdfast_registry.database.distributed import (
    DistributedRepository,
    Finished,
    FinishPlan,
    FinishWish,
    PartContent,
    PendingPart,
    parts_to_merge,
)
from holdfast_registry.database.statements import Once
from holdfast_registry.domain.distributed import Part
from holdfast_registry.domain.manifest import PATH_SHOWN_CHARS, digest_texts
from holdfast_registry.domain.records import VersionRecord, VersionState
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.manifest_check import LeansOnUnread, ManifestChecker, MissingChunks
from holdfast_registry.manifest_merge import MergeInput, PartMerge, covers, input_of
from holdfast_registry.own_packs import OwnPacks
from holdfast_registry.pack_intake import KeyedLocks
from holdfast_registry.pack_verifier import PackVerifier
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, ManifestSegment, SegmentRef

logger = logging.getLogger(__name__)

ROUNDS_MAX = 5
"""Each further round needs a writer that begins, a sweep or another commit between the merge and the transaction."""


@dataclass(slots=True)
class MergeTotal:
    """What a merged manifest has come to so far."""

    root: ManifestRoot
    digest: ArtifactDigest
    root_digest: bytes = b""

    def add(self, segment: ManifestSegment) -> bytes:
        """Counts the next segment; returns its encoding."""
        encoded = segment.SerializeToString()
        size_bytes = sum(segment.sizes)
        self.digest.update(list(segment.paths), digest_texts(segment))
        self.root.segments.append(
            SegmentRef(
                digest=digest_of(encoded),
                length=len(encoded),
                entry_count=len(segment.paths),
                size_bytes=size_bytes,
                first_path=segment.paths[0][:PATH_SHOWN_CHARS],
                last_path=segment.paths[-1][:PATH_SHOWN_CHARS],
            )
        )
        self.root.entry_count += len(segment.paths)
        self.root.size_bytes += size_bytes
        return encoded

    def end(self) -> bytes:
        """Returns the encoded root."""
        encoded = self.root.SerializeToString()
        self.root_digest = digest_of(encoded)
        return encoded


class DistributedVersions:
    """Takes parts and finishes versions."""

    def __init__(
        self,
        repository: DistributedRepository,
        commits: CommitRepository,
        manifests: ManifestChecker,
        reader: ChunkReader,
        own_packs: OwnPacks,
        verifier: PackVerifier,
        threads: FileThreads,
        spill_folder: Path,
    ) -> None:
        self._repository = repository
        self._commits = commits
        self._manifests = manifests
        self._reader = reader
        self._own_packs = own_packs
        self._verifier = verifier
        self._threads = threads
        self._spill_folder = spill_folder
        self._finishing = KeyedLocks()

    # --- parts --------------------------------------------------------------------------------------------------------

    async def add_part(
        self, content: PartContent, manifest_root: bytes, once: Once[VersionRecord]
    ) -> bytes | MissingChunks:
        """Keeps a writer's part, or tells which chunks are to be uploaded first.

        Raises:
            RegistryError, ContractError: see AddPart.
        """
        for _ in range(ROUNDS_MAX):
            checked = await self._threads.run(self._check_part, content, manifest_root, once)
            if isinstance(checked, LeansOnUnread):
                await self._verifier.read(checked.packs)
                continue
            if isinstance(checked, bytes | MissingChunks):
                return checked
            manifest, is_covered = checked
            answer = await self._repository.add_part(content, manifest, once, is_covered=is_covered)
            if isinstance(answer, bytes):
                return answer
        raise _busy(f"Part {content.version_id}")

    async def readable(self, version_id: str) -> VersionRecord:
        """Returns a version, or a part that is not finished yet, for its manifest.

        Raises:
            RegistryError: NOT_FOUND.
        """
        return await self._repository.readable(version_id)

    def _check_part(
        self, content: PartContent, manifest_root: bytes, once: Once[VersionRecord]
    ) -> bytes | MissingChunks | LeansOnUnread | tuple[CheckedManifest | None, bool | None]:
        found = self._repository.prepare_part(content, once)
        if isinstance(found, bytes):
            return found
        if found.pending.known_version_id is not None:
            return None, None
        checked = self._manifests.check(found.pending, manifest_root, content.artifact_digest)
        if isinstance(checked, MissingChunks | LeansOnUnread):
            return checked
        is_covered = self._is_covered(found, manifest_root)
        failpoint("part.after_validate")
        return checked, is_covered

    def _is_covered(self, found: PendingPart, manifest_root: bytes) -> bool | None:
        if found.finished is None:
            return None
        if found.finished.state is not VersionState.COMMITTED:
            return False
        entity_id = found.pending.entity_id
        finished = self._input(entity_id, found.finished.manifest_root, 0)
        return covers(finished, self._input(entity_id, manifest_root, 1))

    # --- the finish ---------------------------------------------------------------------------------------------------

    async def finish(self, wish: FinishWish, once: Once[Finished]) -> bytes | list[str]:
        """Makes one version of all parts, or names the writers that are awaited.

        Raises:
            RegistryError: see FinishDistributed.
        """
        # A caller that repeats itself, and others who finish too, wait for the first instead of merging beside it.
        async with self._finishing.hold(f"{wish.name}\n{wish.distributed_id}".encode()):
            return await self._finish(wish, once)

    async def _finish(self, wish: FinishWish, once: Once[Finished]) -> bytes | list[str]:
        opened: str | None = None
        try:
            for _ in range(ROUNDS_MAX):
                plan = await self._threads.run(self._repository.plan, wish, once)
                if isinstance(plan, bytes):
                    return plan
                manifest: CheckedManifest | None = None
                if plan.finished_version_id is None:
                    if plan.awaited:
                        return plan.awaited
                    parts = parts_to_merge(wish, plan)
                    if opened is None:
                        opened, lease = await self._repository.open_merge(plan)
                        in_merge = replace(wish.commit, version_id=opened, lease_id=lease.lease_id)
                        wish = replace(wish, commit=in_merge)
                    manifest = await self._merge(wish, plan, parts)
                    digest = manifest.summary.artifact_digest
                    wish = replace(wish, commit=replace(wish.commit, artifact_digest=digest))
                answer = await self._repository.finish(wish, plan, manifest, once)
                if isinstance(answer, bytes):
                    return answer
            raise _busy(f"Distributed version {wish.distributed_id!r}")
        finally:
            if opened is not None:
                await self._commits.abort(opened, withdrawn=False)  # of no effect on one that was committed

    async def _merge(self, wish: FinishWish, plan: FinishPlan, parts: Sequence[Part]) -> CheckedManifest:
        version_id, lease_id = wish.commit.version_id, wish.commit.lease_id
        total = MergeTotal(ManifestRoot(), ArtifactDigest())
        await self._own_packs.store(plan.entity_id, lease_id, self._pieces(plan.entity_id, parts, total))
        failpoint("finish.after_packs")
        digest = total.digest.digest()
        check = partial(self._check_merged, version_id, lease_id, total.root_digest, digest)
        while isinstance(checked := await self._threads.run(check), LeansOnUnread):
            await self._verifier.read(checked.packs)
        logger.info(
            "parts merged distributed=%s parts=%s entries=%s", plan.distributed_row, len(parts), total.root.entry_count
        )
        return checked

    def _check_merged(
        self, version_id: str, lease_id: str, root_digest: bytes, digest: bytes
    ) -> CheckedManifest | LeansOnUnread:
        pending = self._repository.pending(version_id, lease_id)
        if pending.has_lost_chunks:
            pending = replace(pending, lease_id="")  # it may heal the latest version, which has other uploads' packs
        checked = self._manifests.check(pending, root_digest, digest)
        if isinstance(checked, MissingChunks):
            raise RegistryError(
                Reason.STORE_DAMAGED,
                f"The store has lost chunk {checked.digests[0].hex()}, which a part of a distributed version needs; run fsck.",
            )
        return checked

    def _pieces(self, entity_id: int, parts: Sequence[Part], total: MergeTotal) -> Iterator[bytes]:
        """Yields the merged segments, and the root in the end."""
        merge = PartMerge([part.writer for part in parts], self._spill_folder)
        inputs = [self._input(entity_id, part.manifest_root, number) for number, part in enumerate(parts)]
        for segment in merge.segments(inputs):
            yield total.add(segment)
        yield total.end()

    def _input(self, entity_id: int, manifest_root: bytes, number: int) -> MergeInput:
        def read(digests: Sequence[bytes]) -> list[bytes]:
            chunks = self._reader.read(entity_id, digests)
            return [_present(chunk, digest) for chunk, digest in zip(chunks, digests, strict=True)]

        root = self._manifests.read_root(entity_id, manifest_root)
        if root is None:
            raise _lost(manifest_root)
        return input_of(root, number, read)


def _present(chunk: bytes | None, digest: bytes) -> bytes:
    if chunk is None:
        raise _lost(digest)
    return chunk


def _lost(digest: bytes) -> RegistryError:
    return RegistryError(
        Reason.STORE_DAMAGED, f"The store has lost chunk {digest.hex()} of a part's manifest; run fsck."
    )


def _busy(what: str) -> RegistryError:
    return RegistryError(Reason.UNAVAILABLE, f"{what} could not be kept for the others' changes; repeat the call.")
