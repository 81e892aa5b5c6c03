"""Manifest entries as columns in memory: what ingest fills, what assemble sorts, and their encoded form."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from holdfast_contract.limits import DIGEST_BYTES
from holdfastpb.common.v1.manifest_pb2 import Extra, LongChunkList, ManifestSegment, Origin, Reference

Chunks = tuple[bytes, list[int]]
"""Digests (32 bytes each) and lengths of a file's chunks, in order."""
ZERO_DIGEST = bytes(DIGEST_BYTES)


@dataclass(slots=True)
class EntryColumns:
    """Entries as parallel columns; what only few entries have is kept by index."""

    paths: list[str] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=list)
    chunks: dict[int, Chunks] = field(default_factory=dict)
    references: dict[int, tuple[str, str]] = field(default_factory=dict)
    """(uri, digest text)."""
    extras: dict[int, bytes] = field(default_factory=dict)
    long_chunks: dict[int, LongChunkList] = field(default_factory=dict)
    """Chunk lists that are chunks of their own (of entries that come from another version, or on their way into a manifest)."""
    origins: dict[int, str] = field(default_factory=dict)
    """URIs of the entries that files were taken over from."""

    def __len__(self) -> int:
        """Number of entries."""
        return len(self.paths)

    def add_file(self, path: str, digest: bytes, size: int, chunks: Chunks | None = None) -> None:
        """Adds one file; `chunks` only if it has a list (larger than the single-chunk limit)."""
        if chunks is not None:
            self.chunks[len(self.paths)] = chunks
        self.paths.append(path)
        self.digests += digest
        self.sizes.append(size)

    def add_reference(self, path: str, uri: str, digest: str, size: int, extra: bytes = b"") -> None:
        """Adds an entry whose bytes stay where they are."""
        position = len(self.paths)
        self.references[position] = (uri, digest)
        if extra:
            self.extras[position] = extra
        self.paths.append(path)
        self.digests += ZERO_DIGEST
        self.sizes.append(size)

    def extend(self, segment: ManifestSegment) -> None:
        """Adds all entries of an encoded run."""
        first = len(self.paths)
        self.paths.extend(segment.paths)
        self.digests += segment.digests
        self.sizes.extend(segment.sizes)
        for index, chunks in chunk_lists(segment.chunked_entries, segment.chunk_counts, segment):
            self.chunks[first + index] = chunks
        for reference in segment.references:
            self.references[first + reference.entry_index] = (reference.uri, reference.digest)
        for extra in segment.extras:
            self.extras[first + extra.entry_index] = extra.json
        for long in segment.long_chunk_lists:
            self.long_chunks[first + long.entry_index] = long
        for origin in segment.origins:
            self.origins[first + origin.entry_index] = origin.uri

    def digest_at(self, position: int) -> bytes:
        """Digest of one entry's file; zeros for a reference."""
        return bytes(self.digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)])

    def digest_texts(self, start: int = 0, end: int | None = None) -> list[str]:
        """What enters the artifact digest of entries start..end: hex, or the reference's own digest."""
        end = len(self) if end is None else min(end, len(self))
        text = self.digests[DIGEST_BYTES * start : DIGEST_BYTES * end].hex()
        width = 2 * DIGEST_BYTES
        texts = [text[i : i + width] for i in range(0, len(text), width)]
        if self.references:
            for position in _within(self.references, start, end):
                texts[position - start] = self.references[position][1]
        return texts

    def take(self, order: Sequence[int]) -> "EntryColumns":
        """The entries of these positions, in this order."""
        taken = EntryColumns(
            [self.paths[i] for i in order],
            bytearray(b"".join([self.digests[DIGEST_BYTES * i : DIGEST_BYTES * (i + 1)] for i in order])),
            [self.sizes[i] for i in order],
        )
        if self.chunks or self.references or self.extras or self.long_chunks or self.origins:
            places = {old: new for new, old in enumerate(order)}
            taken.chunks = {places[i]: c for i, c in self.chunks.items() if i in places}
            taken.references = {places[i]: r for i, r in self.references.items() if i in places}
            taken.extras = {places[i]: e for i, e in self.extras.items() if i in places}
            taken.long_chunks = {places[i]: c for i, c in self.long_chunks.items() if i in places}
            taken.origins = {places[i]: uri for i, uri in self.origins.items() if i in places}
        return taken

    def single(self, position: int, path: str) -> "EntryColumns":
        """One of the entries alone, under this path."""
        found = EntryColumns([path], bytearray(self.digest_at(position)), [self.sizes[position]])
        for mine, its in (
            (self.chunks, found.chunks),
            (self.references, found.references),
            (self.extras, found.extras),
            (self.long_chunks, found.long_chunks),
            (self.origins, found.origins),
        ):
            if position in mine:
                its[0] = mine[position]  # type: ignore[assignment]
        return found

    def encoded_bytes(self) -> list[int]:
        """About the bytes that each entry takes in a segment."""
        sizes = [len(path) + 44 for path in self.paths]
        for position, (_, lengths) in self.chunks.items():
            sizes[position] += 16 + 36 * len(lengths)
        for position, (uri, digest) in self.references.items():
            sizes[position] += 16 + 3 * (len(uri) + len(digest))
        for position, extra in self.extras.items():
            sizes[position] += 8 + len(extra)
        for position, uri in self.origins.items():
            sizes[position] += 8 + 3 * len(uri)
        return sizes

    def to_segment(self, start: int = 0, end: int | None = None) -> ManifestSegment:
        """Entries start..end as a message."""
        end = len(self.paths) if end is None else end
        segment = ManifestSegment(
            paths=self.paths[start:end],
            digests=bytes(self.digests[DIGEST_BYTES * start : DIGEST_BYTES * end]),
            sizes=self.sizes[start:end],
        )
        chunked = _within(self.chunks, start, end)
        segment.chunked_entries.extend(i - start for i in chunked)
        segment.chunk_counts.extend(len(self.chunks[i][1]) for i in chunked)
        segment.chunk_digests = b"".join(self.chunks[i][0] for i in chunked)
        for i in chunked:
            segment.chunk_lengths.extend(self.chunks[i][1])
        for i in _within(self.references, start, end):
            uri, digest = self.references[i]
            segment.references.append(Reference(entry_index=i - start, uri=uri, digest=digest))
        for i in _within(self.extras, start, end):
            segment.extras.append(Extra(entry_index=i - start, json=self.extras[i]))
        for i in _within(self.long_chunks, start, end):
            long = segment.long_chunk_lists.add()
            long.CopyFrom(self.long_chunks[i])
            long.entry_index = i - start
        for i in _within(self.origins, start, end):
            segment.origins.append(Origin(entry_index=i - start, uri=self.origins[i]))
        return segment


def _within(positions: Collection[int], start: int, end: int) -> list[int]:
    """Those of the positions that lie in start..end, ascending; the cost follows the smaller of the two."""
    if len(positions) > end - start:
        return [i for i in range(start, end) if i in positions]
    return sorted(i for i in positions if start <= i < end)


def chunk_lists(entries: Iterable[int], counts: Iterable[int], holder: object) -> Iterable[tuple[int, Chunks]]:
    """(entry index, chunks) of a ManifestSegment or FolderState."""
    digests: bytes = holder.chunk_digests  # type: ignore[attr-defined]
    if not digests:
        return
    lengths = list(holder.chunk_lengths)  # type: ignore[attr-defined]
    counts = list(counts)
    ends = list(accumulate(counts))
    for entry, count, end in zip(entries, counts, ends, strict=True):
        start = end - count
        yield entry, (digests[DIGEST_BYTES * start : DIGEST_BYTES * end], lengths[start:end])
