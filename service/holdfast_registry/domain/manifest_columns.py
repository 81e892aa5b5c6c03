"""Entries between segments: what a segment says of each beside its columns, and a new segment of such entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from holdfast_contract.limits import DIGEST_BYTES
from holdfastpb.common.v1.manifest_pb2 import Extra, LongChunkList, ManifestSegment, Origin, Reference


@dataclass(slots=True)
class EntryDetail:
    """What only few entries have."""

    chunk_digests: bytes = b""
    chunk_lengths: Sequence[int] = ()
    reference: Reference | None = None
    extra: bytes = b""
    long_chunks: LongChunkList | None = None
    origin: str = ""


def details_of(segment: ManifestSegment) -> dict[int, EntryDetail]:
    """Returns the details of a well-formed segment's entries, by their index."""
    details: dict[int, EntryDetail] = {}

    def of(index: int) -> EntryDetail:
        return details.setdefault(index, EntryDetail())

    lengths = list(segment.chunk_lengths)
    ends = pairwise(accumulate(segment.chunk_counts, initial=0))
    for index, (first, end) in zip(segment.chunked_entries, ends, strict=True):
        detail = of(index)
        detail.chunk_digests = segment.chunk_digests[DIGEST_BYTES * first : DIGEST_BYTES * end]
        detail.chunk_lengths = lengths[first:end]
    for reference in segment.references:
        of(reference.entry_index).reference = reference
    for extra in segment.extras:
        of(extra.entry_index).extra = extra.json
    for long_chunks in segment.long_chunk_lists:
        of(long_chunks.entry_index).long_chunks = long_chunks
    for origin in segment.origins:
        of(origin.entry_index).origin = origin.uri
    return details


def encoded_bytes(path: str, detail: EntryDetail | None) -> int:
    """Returns about the bytes that an entry takes in a segment; the daemon's estimate, so that both cut alike."""
    size = len(path) + 44
    if detail is None:
        return size
    if detail.chunk_lengths:
        size += 16 + 36 * len(detail.chunk_lengths)
    if detail.reference is not None:
        size += 16 + 3 * (len(detail.reference.uri) + len(detail.reference.digest))
    if detail.extra:
        size += 8 + len(detail.extra)
    if detail.origin:
        size += 8 + 3 * len(detail.origin)
    return size


def segment_of(
    paths: Sequence[str], digests: bytes, sizes: Sequence[int], details: Mapping[int, EntryDetail]
) -> ManifestSegment:
    """Returns these entries as a message, the same bytes as any writer makes of them."""
    segment = ManifestSegment(paths=paths, digests=digests, sizes=sizes)
    chunk_digests = []
    for index, detail in sorted(details.items()):
        if detail.chunk_lengths:
            segment.chunked_entries.append(index)
            segment.chunk_counts.append(len(detail.chunk_lengths))
            segment.chunk_lengths.extend(detail.chunk_lengths)
            chunk_digests.append(detail.chunk_digests)
        if (reference := detail.reference) is not None:
            segment.references.append(Reference(entry_index=index, uri=reference.uri, digest=reference.digest))
        if detail.extra:
            segment.extras.append(Extra(entry_index=index, json=detail.extra))
        if detail.long_chunks is not None:
            long_chunks = segment.long_chunk_lists.add()
            long_chunks.CopyFrom(detail.long_chunks)
            long_chunks.entry_index = index
        if detail.origin:
            segment.origins.append(Origin(entry_index=index, uri=detail.origin))
    segment.chunk_digests = b"".join(chunk_digests)
    return segment
