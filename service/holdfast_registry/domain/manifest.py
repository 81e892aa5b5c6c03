"""Rules of a manifest that a client brings: columns, sizes, paths, order, counts and the artifact digest.

Nothing a client says is believed: `ManifestCheck` is given the root and then every segment, in order, and in the end
knows the manifest's own figures.  It works on whole columns, since a manifest may have five million entries.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import eq, lt

from google.protobuf.message import DecodeError

from holdfast_contract.artifact_uris import EntryUri
from holdfast_contract.digest import EMPTY_DIGEST, ArtifactDigest
from holdfast_contract.errors import ContractError, ManifestError
from holdfast_contract.limits import (
    CHUNK_BYTES_MAX,
    DIGEST_BYTES,
    KIB,
    MANIFEST_ENTRIES_MAX,
    SEGMENT_ENTRIES_MAX,
    SINGLE_CHUNK_FILE_BYTES_MAX,
)
from holdfast_contract.manifest_order import ManifestOrder
from holdfast_contract.metadata import decode_metadata
from holdfast_contract.paths import check_paths
from holdfast_contract.reasons import Reason
from holdfastpb.common.v1.manifest_pb2 import ChunkList, ManifestRoot, ManifestSegment

EXTRA_BYTES_MAX = 64 * KIB
"""JSON kept with one entry."""
REFERENCE_BYTES_MAX = 8 * KIB
"""A URI or the digest of a reference; browsers and stores stop at 8 KiB or before."""
SIZE_BYTES_MAX = 2**63 - 1
"""What the database's integers hold."""
CHUNKS_LISTED_MAX = 4096
"""Chunks of one file that a segment lists itself, and that one ChunkList holds: 147 KB of digests and lengths."""
PATH_SHOWN_CHARS = 48
"""Of a segment's first and last path in the root."""

_NO_DIGEST = bytes(DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class ManifestSummary:
    """What a whole manifest comes to."""

    artifact_digest: bytes
    entry_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LongList:
    """The chunks of one very large file, listed in chunks of their own."""

    path: str
    size_bytes: int
    part_digests: list[bytes]
    chunk_count: int


@dataclass(slots=True)
class SegmentContent:
    """One segment after its check: what is still to be looked for; nothing when the segment was known to be stored."""

    paths: list[str]
    chunks: dict[bytes, int] = field(default_factory=dict)
    """Digest → length of the chunks that it names."""
    long_lists: list[LongList] = field(default_factory=list)
    """Their parts, which are among `chunks`, name more."""

    @classmethod
    def of(cls, segment: ManifestSegment) -> SegmentContent:
        """Checks a segment by itself.

        Raises:
            ContractError: MANIFEST_INVALID, INVALID_METADATA.
        """
        chunks, long_lists = chunks_of_segment(segment)
        return cls(list(segment.paths), chunks, long_lists)


def split_digests(digests: bytes) -> list[bytes]:
    """Takes a column of digests apart."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


def parse_root(encoded: bytes) -> ManifestRoot:
    """Decodes and checks the list of segments.

    Raises:
        ManifestError: it cannot be decoded, or its figures contradict each other or the limits.
    """
    try:
        root = ManifestRoot.FromString(encoded)
    except DecodeError as error:
        raise ManifestError("The manifest's root is not a ManifestRoot message; write it again.") from error
    if root.entry_count > MANIFEST_ENTRIES_MAX:
        raise ManifestError(
            f"The manifest has {root.entry_count} entries, at most {MANIFEST_ENTRIES_MAX} are allowed; split the artifact.",
            Reason.TOO_LARGE,
        )
    for segment in root.segments:
        _require(len(segment.digest) == DIGEST_BYTES, "a segment's digest does not have 32 bytes")
        _require(1 <= segment.length <= CHUNK_BYTES_MAX, f"a segment is not of 1 to {CHUNK_BYTES_MAX} bytes")
        _require(
            1 <= segment.entry_count <= SEGMENT_ENTRIES_MAX, f"a segment has not 1 to {SEGMENT_ENTRIES_MAX} entries"
        )
    _require(sum(s.entry_count for s in root.segments) == root.entry_count, "the segments' entry counts do not add up")
    _require(sum(s.size_bytes for s in root.segments) == root.size_bytes, "the segments' sizes do not add up")
    _require(root.size_bytes <= SIZE_BYTES_MAX, f"its size is over {SIZE_BYTES_MAX} bytes")
    return root


def parse_segment(encoded: bytes) -> ManifestSegment:
    """Decodes a segment.

    Raises:
        ManifestError: it is none.
    """
    try:
        return ManifestSegment.FromString(encoded)
    except DecodeError as error:
        raise ManifestError("A segment of the manifest is not a ManifestSegment message; write it again.") from error


class ManifestCheck:
    """Checks one manifest, segment by segment; the caller brings the bytes and looks for the chunks."""

    def __init__(self, root: ManifestRoot, known_segments: Collection[bytes] = frozenset()) -> None:
        """Starts before the first segment.

        Args:
            root: from `parse_root`.
            known_segments: digests of segments of a committed version, whose rules were checked and whose chunks are
                held by that version; only order and digest are left to check in them.
        """
        self._root = root
        self._known = known_segments
        self._next = 0
        self._order = ManifestOrder()
        self._digest = ArtifactDigest()

    def check_segment(self, encoded: bytes) -> SegmentContent:
        """Checks the next segment.

        Raises:
            ContractError: MANIFEST_INVALID, INVALID_PATH, PATH_COLLISION, INVALID_METADATA, TOO_LARGE.
        """
        announced = self._root.segments[self._next]
        self._next += 1
        segment = parse_segment(encoded)
        if announced.digest in self._known:
            content = SegmentContent(list(segment.paths))
        else:
            content = SegmentContent.of(segment)
            check_paths(content.paths)
        _require(len(content.paths) == announced.entry_count, "a segment has another number of entries than announced")
        _require(sum(segment.sizes) == announced.size_bytes, "a segment has another size than announced")
        _require(
            content.paths[0][:PATH_SHOWN_CHARS] == announced.first_path
            and content.paths[-1][:PATH_SHOWN_CHARS] == announced.last_path,
            "a segment has other first and last paths than announced",
        )
        self._order.check(content.paths)
        self._digest.update(content.paths, digest_texts(segment))
        return content

    def finish(self) -> ManifestSummary:
        """Returns the manifest's figures, after its last segment."""
        assert self._next == len(self._root.segments), "every segment must be checked"
        return ManifestSummary(self._digest.digest(), self._root.entry_count, self._root.size_bytes)


def digest_texts(segment: ManifestSegment) -> list[str]:
    """Returns what stands for each entry in the artifact digest: hex of a file, the reference's own text else."""
    all_hex = segment.digests.hex()
    texts = [all_hex[at : at + 2 * DIGEST_BYTES] for at in range(0, len(all_hex), 2 * DIGEST_BYTES)]
    for reference in segment.references:
        texts[reference.entry_index] = reference.digest
    return texts


def chunks_of_segment(segment: ManifestSegment) -> tuple[dict[bytes, int], list[LongList]]:
    """Checks the columns of a segment against each other.

    Returns:
        Digest → length of the chunks it names, and the lists it has outside of itself.

    Raises:
        ContractError: MANIFEST_INVALID, INVALID_METADATA.
    """
    count = len(segment.paths)
    _require(1 <= count <= SEGMENT_ENTRIES_MAX, f"a segment has not 1 to {SEGMENT_ENTRIES_MAX} entries")
    _require(len(segment.digests) == DIGEST_BYTES * count, "digests and paths of a segment differ in number")
    _require(len(segment.sizes) == count, "sizes and paths of a segment differ in number")
    digests, sizes = split_digests(segment.digests), list(segment.sizes)
    references = _check_references(segment, digests)
    chunk_digests = _check_chunk_lists(segment, digests, sizes)
    chunk_lengths = list(segment.chunk_lengths)
    long_lists = _check_long_lists(segment, sizes)
    _check_extras(segment, count)
    _check_origins(segment, references)
    elsewhere = [*references, *segment.chunked_entries, *(part.entry_index for part in segment.long_chunk_lists)]
    if elsewhere:
        others = set(elsewhere)
        _require(len(others) == len(elsewhere), "an entry has two of reference, chunk list and long chunk list")
        plain = [index for index in range(count) if index not in others]
        digests, sizes = [digests[index] for index in plain], [sizes[index] for index in plain]
    for part in segment.long_chunk_lists:
        chunk_digests += split_digests(part.list_digests)
        chunk_lengths += part.list_lengths
    single_digests, single_sizes = _check_single_chunk_files(digests, sizes)
    return lengths_by_digest(single_digests + chunk_digests, single_sizes + chunk_lengths), long_lists


def chunks_held_by(segment: ManifestSegment) -> dict[bytes, int]:
    """Returns digest → length of chunks that a segment of a committed version names; not those of long lists."""
    held = {
        digest: size
        for digest, size in zip(split_digests(segment.digests), segment.sizes, strict=True)
        if size <= SINGLE_CHUNK_FILE_BYTES_MAX  # a larger file's digest is no chunk's
    }
    held.update(zip(split_digests(segment.chunk_digests), segment.chunk_lengths, strict=True))
    held.pop(_NO_DIGEST, None)  # references
    return held


def paths_of_chunks(segment: ManifestSegment) -> Iterator[tuple[str, bytes]]:
    """Yields (path, digest) for every chunk that a well-formed segment names."""
    referenced = {reference.entry_index for reference in segment.references}
    lists: dict[int, list[bytes]] = {
        part.entry_index: split_digests(part.list_digests) for part in segment.long_chunk_lists
    }
    chunk_digests = split_digests(segment.chunk_digests)
    ends = pairwise(accumulate(segment.chunk_counts, initial=0))
    lists.update(
        (entry, chunk_digests[first:end]) for entry, (first, end) in zip(segment.chunked_entries, ends, strict=True)
    )
    for position, (path, digest) in enumerate(zip(segment.paths, split_digests(segment.digests), strict=True)):
        if position not in referenced:
            for chunk in lists.get(position, [digest]):
                yield path, chunk


def parse_chunk_list(encoded: bytes, count: int) -> tuple[list[bytes], list[int]]:
    """Decodes one part of a long list.

    Args:
        encoded: a ChunkList message.
        count: how many chunks it must list.

    Returns:
        Their digests and their lengths.

    Raises:
        ManifestError: it is none, or does not list so many.
    """
    try:
        part = ChunkList.FromString(encoded)
    except DecodeError as error:
        raise ManifestError("A chunk list of the manifest is not a ChunkList message; write it again.") from error
    lengths = list(part.lengths)
    _require(len(lengths) == count > 0, "a long chunk list has a part of another length than announced")
    _require(len(part.digests) == DIGEST_BYTES * count, "chunk digests and lengths differ in number")
    _require_chunk_lengths(lengths)
    return split_digests(part.digests), lengths


def check_long_size(long_list: LongList, chunks_bytes: int) -> None:
    """Refuses a long list whose chunks are not the file.

    Raises:
        ManifestError: MANIFEST_INVALID.
    """
    _require(chunks_bytes == long_list.size_bytes, f"the chunks of {long_list.path!r:.200} do not add up to its size")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ManifestError(f"The manifest is not well formed: {problem}; the process that wrote it has a defect.")


def _require_indexes(indexes: Sequence[int], count: int, of_what: str) -> None:
    ascending = all(map(lt, indexes, indexes[1:]))
    _require(ascending and (not indexes or indexes[-1] < count), f"{of_what} do not name ascending entries")


def _check_references(segment: ManifestSegment, digests: Sequence[bytes]) -> set[int]:
    indexes = [reference.entry_index for reference in segment.references]
    _require_indexes(indexes, len(digests), "references")
    for reference in segment.references:
        _require(1 <= len(reference.uri) <= REFERENCE_BYTES_MAX, "a reference's URI is empty or too long")
        _require(1 <= len(reference.digest) <= REFERENCE_BYTES_MAX, "a reference's digest is empty or too long")
        _require(digests[reference.entry_index] == _NO_DIGEST, "a reference has the digest of a file")
    return set(indexes)


def _check_extras(segment: ManifestSegment, count: int) -> None:
    _require_indexes([extra.entry_index for extra in segment.extras], count, "extras")
    for extra in segment.extras:
        _require(1 <= len(extra.json) <= EXTRA_BYTES_MAX, f"an entry's extra is not of 1 to {EXTRA_BYTES_MAX} bytes")
        try:
            decode_metadata(extra.json)
        except ContractError as error:
            path = segment.paths[extra.entry_index]
            raise ContractError(f"The extra of {path!r:.200}: {error.message}", error.reason) from error


def _check_origins(segment: ManifestSegment, references: set[int]) -> None:
    if not segment.origins:
        return
    indexes = [origin.entry_index for origin in segment.origins]
    _require_indexes(indexes, len(segment.paths), "origins")
    _require(references.isdisjoint(indexes), "a reference has an origin")
    for origin in segment.origins:
        try:
            parsed = EntryUri.parse(origin.uri)
        except ContractError as error:
            raise ManifestError(f"The origin of {segment.paths[origin.entry_index]!r:.200}: {error.message}") from error
        _require(not parsed.is_draft, "an origin names a draft")


def _check_chunk_lists(segment: ManifestSegment, digests: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
    entries, counts, lengths = list(segment.chunked_entries), list(segment.chunk_counts), list(segment.chunk_lengths)
    _require_indexes(entries, len(digests), "chunk lists")
    _require(len(counts) == len(entries), "chunk counts and chunked entries differ in number")
    _require(sum(counts) == len(lengths), "the chunk counts do not add up")
    _require(len(segment.chunk_digests) == DIGEST_BYTES * len(lengths), "chunk digests and lengths differ in number")
    if not entries:
        return []
    _require(min(counts) > 0 and max(counts) <= CHUNKS_LISTED_MAX, f"a chunk list is not of 1 to {CHUNKS_LISTED_MAX}")
    _require_chunk_lengths(lengths)
    chunk_digests = split_digests(segment.chunk_digests)
    for entry, (first, end) in zip(entries, pairwise(accumulate(counts, initial=0)), strict=True):
        _require(sum(lengths[first:end]) == sizes[entry], "the chunks of a file do not add up to its size")
        _require(sizes[entry] > SINGLE_CHUNK_FILE_BYTES_MAX, "a file of one chunk has a chunk list")
        _require(end - first > 1 or chunk_digests[first] == digests[entry], "a file of one chunk has another digest")
    return chunk_digests


def _require_chunk_lengths(lengths: Sequence[int]) -> None:
    _require(min(lengths) > 0 and max(lengths) <= CHUNK_BYTES_MAX, f"a chunk is not of 1 to {CHUNK_BYTES_MAX} bytes")


def _check_long_lists(segment: ManifestSegment, sizes: Sequence[int]) -> list[LongList]:
    _require_indexes([part.entry_index for part in segment.long_chunk_lists], len(sizes), "long chunk lists")
    found = []
    for part in segment.long_chunk_lists:
        digests = split_digests(part.list_digests)
        _require(len(part.list_digests) == DIGEST_BYTES * len(part.list_lengths), "a long chunk list is not whole")
        _require(part.chunk_count > CHUNKS_LISTED_MAX, f"a chunk list of at most {CHUNKS_LISTED_MAX} is a long one")
        parts = -(-part.chunk_count // CHUNKS_LISTED_MAX)
        _require(len(digests) == parts, "a long chunk list has not the parts that its chunks need")
        _require_chunk_lengths(part.list_lengths)
        found.append(LongList(segment.paths[part.entry_index], sizes[part.entry_index], digests, part.chunk_count))
    return found


def _check_single_chunk_files(digests: list[bytes], sizes: list[int]) -> tuple[list[bytes], list[int]]:
    """Returns the columns without empty files, which have no chunk."""
    if not digests:
        return [], []
    _require(max(sizes) <= SINGLE_CHUNK_FILE_BYTES_MAX, "a large file has no chunk list")
    if min(sizes) > 0 and EMPTY_DIGEST not in digests:
        return digests, sizes
    agree = all((size == 0) == (digest == EMPTY_DIGEST) for digest, size in zip(digests, sizes, strict=True))
    _require(agree, "an empty file has not the digest of one, or the other way round")
    return [digest for digest in digests if digest != EMPTY_DIGEST], [size for size in sizes if size]


def lengths_by_digest(digests: list[bytes], lengths: list[int]) -> dict[bytes, int]:
    """Joins two columns; refuses one chunk with two lengths."""
    by_digest = dict(zip(digests, lengths, strict=True))
    if len(by_digest) < len(digests):
        consistent = all(map(eq, map(by_digest.__getitem__, digests), lengths))
        _require(consistent, "one chunk is given two lengths")
    return by_digest


def overlapping_segments(root: ManifestRoot, path_prefix: str) -> Iterable[int]:
    """Yields the positions of the segments that can hold a path with this prefix."""
    for position, segment in enumerate(root.segments):
        # The root shows paths cut short: the whole last path may lie behind the prefix although the part does not.
        shown = segment.last_path
        reaches = shown >= path_prefix or (len(shown) == PATH_SHOWN_CHARS and path_prefix.startswith(shown))
        if reaches and segment.first_path[: len(path_prefix)] <= path_prefix:
            yield position
