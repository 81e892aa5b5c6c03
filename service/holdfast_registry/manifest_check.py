"""Checks the manifest of a commit: reads its root and segments from the store, applies the rules, looks for the chunks.

Works through groups of segments, so that a manifest of any size needs the memory of one group.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.errors import ManifestError
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX, MIB
from holdfast_contract.reasons import Reason
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.database.checked_manifest import CheckedManifest
from holdfast_registry.database.commits import PendingVersion
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.unread import UnreadPack
from holdfast_registry.domain.manifest import (
    CHUNKS_LISTED_MAX,
    LongList,
    ManifestCheck,
    SegmentContent,
    check_long_size,
    chunks_held_by,
    lengths_by_digest,
    overlapping_segments,
    parse_chunk_list,
    parse_root,
    parse_segment,
)
from holdfast_registry.errors import RegistryError
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, SegmentRef

logger = logging.getLogger(__name__)

GROUP_BYTES_MAX = 8 * MIB
"""Encoded segments in memory at once; about 80,000 entries, which take some 30 MiB while they are checked."""
LISTS_AT_ONCE = 32
"""Parts of long chunk lists in memory at once: 32 x 147 KB."""
PAGE_BYTES_MAX = 3 * MIB
"""Segments of one page; a message has 4 MiB."""


@dataclass(frozen=True, slots=True)
class MissingChunks:
    """Chunks that a manifest names and the store does not have."""

    digests: list[bytes]


@dataclass(frozen=True, slots=True)
class LeansOnUnread:
    """All chunks are there, and some only in packs of other uploads that are to be read first."""

    packs: list[UnreadPack]


@dataclass(frozen=True, slots=True)
class _Base:
    """The collection's latest version, whose chunks need not be looked for: that version holds them."""

    shared: frozenset[bytes] = frozenset()
    """Segments that the new manifest has, too."""
    replaced: tuple[SegmentRef, ...] = ()
    """Segments that it has not; most of their files are still among the new ones."""

    def around(self, group: Sequence[SegmentRef]) -> list[bytes]:
        """Returns the replaced segments with paths between those of a group of new ones."""
        first, last = group[0].first_path, group[-1].last_path
        return [old.digest for old in self.replaced if old.first_path <= last and first <= old.last_path]


@dataclass(slots=True)
class _Found:
    """What the look-ups have come to so far."""

    lease_id: str
    """Of the upload, whose own packs need not be read."""
    missing: dict[bytes, None] = field(default_factory=dict)
    condemned: list[bytes] = field(default_factory=list)
    unread: set[UnreadPack] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return len(self.missing) >= FIND_MISSING_DIGESTS_MAX


class _DamagedUnreadError(Exception):
    """A piece of the manifest cannot be read, and lies in packs that nobody has read back."""

    def __init__(self, packs: list[UnreadPack]) -> None:
        super().__init__()
        self.packs = packs


class ManifestChecker:
    """Checks manifests against the store of their entity.  Blocks: for file threads."""

    def __init__(self, reader: ChunkReader, packs: PackRepository) -> None:
        self._reader = reader
        self._packs = packs

    def check(
        self, pending: PendingVersion, root_digest: bytes, artifact_digest: bytes
    ) -> CheckedManifest | MissingChunks | LeansOnUnread:
        """Applies every rule to a manifest that a client has brought.

        Raises:
            ContractError: a rule is broken; MANIFEST_DIGEST_MISMATCH when the announced digest is another one's.
            RegistryError: STORE_DAMAGED.
        """
        if pending.unread_of_latest:
            return LeansOnUnread(list(pending.unread_of_latest))  # its chunks are not looked for
        try:
            return self._check(pending, root_digest, artifact_digest)
        except _DamagedUnreadError as error:
            # Read back they are given up, also those of this upload, and the chunk is missing.
            return LeansOnUnread(error.packs)

    def _check(
        self, pending: PendingVersion, root_digest: bytes, artifact_digest: bytes
    ) -> CheckedManifest | MissingChunks | LeansOnUnread:
        encoded = self._read_piece(pending.entity_id, [root_digest])[0] if root_digest != EMPTY_DIGEST else b""
        if encoded is None:
            return MissingChunks([root_digest])
        root = parse_root(encoded)
        found = _Found(pending.lease_id)
        own = lengths_by_digest([s.digest for s in root.segments], [s.length for s in root.segments])
        if encoded:
            own[root_digest] = len(encoded)
        self._look_for(pending.entity_id, own, found)
        if not found.missing:
            base = self._base(pending, root)
            check = ManifestCheck(root, base.shared)
            self._check_segments(pending.entity_id, root, base, check, found)
        if found.missing:
            return MissingChunks(list(found.missing)[:FIND_MISSING_DIGESTS_MAX])
        if found.unread:
            return LeansOnUnread(sorted(found.unread, key=lambda pack: pack.row))
        summary = check.finish()
        if summary.artifact_digest != artifact_digest:
            raise ManifestError(
                f"The manifest's artifact digest is {summary.artifact_digest.hex()}, "
                f"announced was {artifact_digest.hex()}; the process that wrote it has a defect.",
                Reason.MANIFEST_DIGEST_MISMATCH,
            )
        held_by = "" if pending.latest is None else pending.latest.version_id
        is_read = not pending.lease_id
        return CheckedManifest(root_digest, summary, pending.chunk_epoch, found.condemned, held_by, is_read)

    def read_root(self, entity_id: int, root_digest: bytes) -> ManifestRoot | None:
        """Returns a manifest's root; None: it is not stored."""
        encoded = self._read_root_chunk(entity_id, root_digest)
        return None if encoded is None else parse_root(encoded)

    def _read_root_chunk(self, entity_id: int, root_digest: bytes) -> bytes | None:
        if root_digest == EMPTY_DIGEST:
            return b""  # no entries: the root encodes to no bytes, and no bytes have no chunk
        return (self._reader.read(entity_id, [root_digest]))[0]

    def _read_piece(self, entity_id: int, digests: Sequence[bytes]) -> list[bytes | None]:
        """As the reader does it, but for damage to what nobody has read back."""
        try:
            return self._reader.read(entity_id, digests)
        except RegistryError as error:
            if error.reason is Reason.STORE_DAMAGED and (unread := self._packs.unread_beneath(entity_id, digests)):
                raise _DamagedUnreadError(unread) from error
            raise

    def _base(self, pending: PendingVersion, root: ManifestRoot) -> _Base:
        if pending.latest is None or pending.has_lost_chunks:
            return _Base()
        try:
            latest = self.read_root(pending.entity_id, pending.latest.manifest_root)
        except RegistryError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise  # it may be whole
            # Damage to an older version costs the shortcut, not the new version.
            logger.error("latest version is damaged version=%s message=%s", pending.latest.version_id, error.message)
            return _Base()
        if latest is None:
            return _Base()
        new = {segment.digest for segment in root.segments}
        shared = frozenset(segment.digest for segment in latest.segments if segment.digest in new)
        return _Base(shared, tuple(segment for segment in latest.segments if segment.digest not in new))

    def _check_segments(
        self, entity_id: int, root: ManifestRoot, base: _Base, check: ManifestCheck, found: _Found
    ) -> None:
        for group in _groups(root.segments):
            encoded = self._read_piece(entity_id, [segment.digest for segment in group])
            gone = [segment.digest for segment, one in zip(group, encoded, strict=True) if one is None]
            if gone:  # since they were looked for
                found.missing.update(dict.fromkeys(gone))
                return
            chunks, long_lists = _check_group(check, encoded)
            held = self._chunks_held(entity_id, base.around(group)) if chunks else {}
            self._look_for(entity_id, dict(chunks.items() - held.items()) if held else chunks, found)
            for long_list in long_lists:
                self._check_long_list(entity_id, long_list, found)
            if found.is_full:
                return

    def _chunks_held(self, entity_id: int, segments: Sequence[bytes]) -> dict[bytes, int]:
        held: dict[bytes, int] = {}
        try:
            for encoded in self._reader.read(entity_id, segments):
                held.update(chunks_held_by(parse_segment(encoded)) if encoded is not None else {})
        except RegistryError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise
            logger.error("latest version is damaged message=%s", error.message)
        return held

    def _check_long_list(self, entity_id: int, long_list: LongList, found: _Found) -> None:
        rest, size_bytes = long_list.chunk_count, 0
        for first in range(0, len(long_list.part_digests), LISTS_AT_ONCE):
            parts = self._read_piece(entity_id, long_list.part_digests[first : first + LISTS_AT_ONCE])
            for encoded in parts:
                if encoded is None:
                    return  # it was among the segment's own chunks and is listed as missing
                digests, lengths = parse_chunk_list(encoded, min(rest, CHUNKS_LISTED_MAX))
                rest, size_bytes = rest - len(lengths), size_bytes + sum(lengths)
                self._look_for(entity_id, lengths_by_digest(digests, lengths), found)
        check_long_size(long_list, size_bytes)

    def _look_for(self, entity_id: int, chunks: dict[bytes, int], found: _Found) -> None:
        if not chunks:
            return
        digests = list(chunks)
        stored, unread = self._packs.lengths_and_unread(entity_id, digests, found.lease_id)
        found.unread.update(unread)
        if stored == chunks:
            return
        for digest, length in chunks.items():
            stored_length = stored.get(digest)
            if stored_length is None:
                found.missing[digest] = None
            elif abs(stored_length) != length:
                raise ManifestError(
                    f"The manifest gives chunk {digest.hex()} {length} bytes, it has {abs(stored_length)}; "
                    "the process that wrote it has a defect."
                )
            elif stored_length < 0:
                found.condemned.append(digest)

    def page(
        self, entity: str, root_digest: bytes, *, first: int, path_prefix: str
    ) -> tuple[list[bytes], int | None, ManifestRoot]:
        """Returns encoded segments from number `first` on, where the next page begins (None: nowhere), and the root.

        Raises:
            RegistryError: STORE_DAMAGED.
        """
        entity_id = self._packs.entity_id(entity)
        assert entity_id is not None, "a version has an entity"
        root = self.read_root(entity_id, root_digest)
        if root is None:
            raise _lost(root_digest)
        wanted = [number for number in overlapping_segments(root, path_prefix) if number >= first]
        shown = wanted[: _segments_that_fit([root.segments[number] for number in wanted])]
        digests = [root.segments[number].digest for number in shown]
        segments = self._reader.read(entity_id, digests)
        if None in segments:
            raise _lost(digests[segments.index(None)])
        next_first = wanted[len(shown)] if len(shown) < len(wanted) else None
        return [segment for segment in segments if segment is not None], next_first, root


def _groups(segments: Iterable[SegmentRef]) -> Iterator[list[SegmentRef]]:
    group: list[SegmentRef] = []
    group_bytes = 0
    for segment in segments:
        if group and group_bytes + segment.length > GROUP_BYTES_MAX:
            yield group
            group, group_bytes = [], 0
        group.append(segment)
        group_bytes += segment.length
    if group:
        yield group


def _check_group(check: ManifestCheck, encoded: Sequence[bytes | None]) -> tuple[dict[bytes, int], list[LongList]]:
    contents: list[SegmentContent] = []
    for segment in encoded:
        assert segment is not None, "what is gone is missing"
        contents.append(check.check_segment(segment))
    digests = [digest for content in contents for digest in content.chunks]
    lengths = [length for content in contents for length in content.chunks.values()]
    return lengths_by_digest(digests, lengths), [one for content in contents for one in content.long_lists]


def _segments_that_fit(segments: Sequence[SegmentRef]) -> int:
    page_bytes = 0
    for count, segment in enumerate(segments):
        page_bytes += segment.length
        if page_bytes > PAGE_BYTES_MAX and count:
            return count
    return len(segments)


def _lost(digest: bytes) -> RegistryError:
    return RegistryError(
        Reason.STORE_DAMAGED, f"The store has lost chunk {digest.hex()} of a committed manifest; run fsck."
    )
