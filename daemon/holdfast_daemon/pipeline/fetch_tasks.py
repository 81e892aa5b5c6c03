"""What travels between the loop that fetches and the workers that write: manifest segments and where their chunks are, as columns."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from google.protobuf.message import DecodeError

from holdfast_contract.digest import EMPTY_DIGEST
from holdfast_contract.errors import ContractError
from holdfast_contract.limits import (
    CHUNK_BYTES_MAX,
    DIGEST_BYTES,
    FIND_MISSING_DIGESTS_MAX,
    MIB,
    SEGMENT_ENTRIES_MAX,
)
from holdfast_contract.pack import FRAME_BYTES_MAX
from holdfast_contract.paths import check_paths
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfastpb.common.v1.manifest_pb2 import ManifestSegment
from holdfastpb.registry.v1.pack_pb2 import LocateChunksResponse

LARGE_FILE_BYTES_MIN = 8 * MIB + 1
"""Files from here on are written piece by piece in a thread; below, a file is one step of a worker's task."""
TASK_BYTES_MAX = 64 * MIB
"""Of one task: about 0.1 s of work, after which a cancelled download stops and another one gets its turn."""
LEFTOVER_SUFFIX = ".holdfast-tmp"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way from a worker; exceptions with keyword arguments do not survive pickling."""

    path: str
    """The file that could not be written, as the user knows it."""
    detail: bytes = b""
    """Encoded ErrorDetail; empty when a pack is the cause."""
    pack: int = -1
    """Index of the pack that could not be used."""
    pack_problem: str = ""
    pack_is_missing: bool = False


@dataclass(frozen=True, slots=True)
class PackFile:
    """A pack, or the needed ranges of one at their own offsets, as a file of this machine; or another file that has chunks."""

    path: str
    pack_id: bytes
    """Names the pack in messages."""
    is_seed: bool = False
    """It is a user's file: each chunk is compared with its digest before it goes anywhere."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where chunks are; one value a chunk in each column."""

    pack_indexes: "array[int]"
    offsets: "array[int]"
    stored_lengths: "array[int]"
    lengths: "array[int]"
    codecs: bytes

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self.codecs)

    def part(self, first: int, end: int) -> "Located":
        """The chunks first..end."""
        return Located(
            self.pack_indexes[first:end],
            self.offsets[first:end],
            self.stored_lengths[first:end],
            self.lengths[first:end],
            self.codecs[first:end],
        )


@dataclass(frozen=True, slots=True)
class Target:
    """The folder that a download writes to, and the run that writes."""

    root: bytes
    """Resolved once; from there on no symbolic link is followed."""
    token: str
    """Part of the run's temporary names."""


@dataclass(frozen=True, slots=True)
class PlaceTask:
    """Entries of one segment to be written, none of them large, none a reference."""

    target: Target
    segment: bytes
    rows: "array[int]"
    packs: tuple[PackFile, ...]
    located: Located


@dataclass(frozen=True, slots=True)
class PlaceResult:
    """What a task wrote; with `failure`: until then."""

    files: int
    bytes_written: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Entries of one segment to be compared with what is in the folder."""

    target: Target
    segment: bytes
    rows: "array[int]"
    known: bytes | None
    """Encoded FolderState of the last check; None: nothing is known."""
    now_ns: int
    leftovers: "Leftovers | None" = None
    """What to clear away on this occasion."""
    keep_others: bool = False
    """A file with other content counts as right, and is not read."""
    name_others: bool = False
    """With `keep_others`: it is read, and named."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Temporary files of downloads that did not come to their end."""

    folders: tuple[str, ...]
    before_ns: int
    live_tokens: frozenset[str]
    """Downloads that are under way: their files stay."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Which entries are not right in place."""

    missing: "array[int]"
    damaged: "array[int]"
    bytes_right: int
    state: bytes | None = None
    """What is known now, if that differs from what was."""
    others: "array[int]" = field(default_factory=lambda: array("I"))
    """Which of those that count as right have other content; only if they are to be named."""


def decode_entries(encoded: bytes) -> EntryColumns:
    """Decodes a segment that a registry sent and refuses one that breaks the contract.

    Raises:
        HoldfastError: MANIFEST_INVALID, INVALID_PATH; nothing was written yet.
    """
    try:
        segment = ManifestSegment.FromString(encoded)
        _check_columns(segment)
        check_paths(segment.paths)
    except DecodeError as error:
        raise _invalid("it cannot be decoded") from error
    except ContractError as error:
        raise HoldfastError(error.reason, error.message) from error
    entries = EntryColumns()
    entries.extend(segment)
    _check_chunks(entries)
    return entries


def trusted_entries(encoded: bytes) -> EntryColumns:
    """Decodes a segment that `decode_entries` has passed before."""
    entries = EntryColumns()
    entries.extend(ManifestSegment.FromString(encoded))
    return entries


def _invalid(problem: str) -> HoldfastError:
    return HoldfastError(
        Reason.MANIFEST_INVALID, f"the manifest is not well formed: {problem}; run `holdfast registry fsck`"
    )


def _check_columns(segment: ManifestSegment) -> None:
    count = len(segment.paths)
    if not 1 <= count <= SEGMENT_ENTRIES_MAX:
        raise _invalid(f"a segment has {count} entries")
    if len(segment.digests) != DIGEST_BYTES * count or len(segment.sizes) != count:
        raise _invalid("its columns differ in length")
    chunked, counts = list(segment.chunked_entries), list(segment.chunk_counts)
    references = [reference.entry_index for reference in segment.references]
    total = sum(counts)
    if len(counts) != len(chunked) or len(segment.chunk_lengths) != total:
        raise _invalid("its lists of chunks differ in length")
    if len(segment.chunk_digests) != DIGEST_BYTES * total or total + count > FIND_MISSING_DIGESTS_MAX:
        raise _invalid("its lists of chunks differ in length or are too long")
    for part in segment.long_chunk_lists:
        if len(part.list_digests) != DIGEST_BYTES * len(part.list_lengths) or not part.list_lengths:
            raise _invalid("a long list of chunks is not whole")
        if max(part.list_lengths) > CHUNK_BYTES_MAX:
            raise _invalid("a part of a long list of chunks is longer than a chunk")
    indexes = chunked + references + [part.entry_index for part in segment.long_chunk_lists]
    named = [*indexes, *(origin.entry_index for origin in segment.origins)]
    if len(set(indexes)) != len(indexes) or any(index >= count for index in named):
        raise _invalid("a list of chunks or a reference belongs to no entry, or to one that has another")


def _check_chunks(entries: EntryColumns) -> None:
    for row, (_, lengths) in entries.chunks.items():
        if not lengths or min(lengths) < 1 or max(lengths) > CHUNK_BYTES_MAX or sum(lengths) != entries.sizes[row]:
            raise _invalid(f"the chunks of {entries.paths[row]!r} do not add up to its size")
    if max(entries.sizes) <= CHUNK_BYTES_MAX and 0 not in entries.sizes:
        return
    for row, size in enumerate(entries.sizes):
        if row in entries.chunks or row in entries.references or row in entries.long_chunks:
            continue
        if size > CHUNK_BYTES_MAX:
            raise _invalid(f"{entries.paths[row]!r} is longer than a chunk and has no list of chunks")
        if not size and entries.digest_at(row) != EMPTY_DIGEST:
            raise _invalid(f"{entries.paths[row]!r} is empty and has another digest")


def chunk_counts(entries: EntryColumns, rows: Sequence[int]) -> list[int]:
    """Number of chunks of each row: the order of all chunk columns is that of the rows.

    Rows with a long list are not asked for here; theirs is read part by part.
    """
    sizes, chunks, references = entries.sizes, entries.chunks, entries.references
    if not chunks and not references:
        return [1 if sizes[row] else 0 for row in rows]
    return [len(chunks[row][1]) if row in chunks else 1 if sizes[row] and row not in references else 0 for row in rows]


def is_large(entries: EntryColumns, row: int) -> bool:
    """Whether a file is written piece by piece."""
    return entries.sizes[row] >= LARGE_FILE_BYTES_MIN or row in entries.long_chunks


def chunk_columns(entries: EntryColumns, rows: Sequence[int]) -> tuple[bytes, list[int]]:
    """Digests and lengths of the chunks of these rows."""
    counts = chunk_counts(entries, rows)
    digests, chunks = entries.digests, entries.chunks
    parts: list[bytes | bytearray] = []
    lengths: list[list[int]] = []
    for row, count in zip(rows, counts, strict=True):
        if row in chunks:
            parts.append(chunks[row][0])
            lengths.append(chunks[row][1])
        elif count:
            parts.append(digests[DIGEST_BYTES * row : DIGEST_BYTES * (row + 1)])
            lengths.append([entries.sizes[row]])
    return b"".join(parts), list(chain.from_iterable(lengths))


def check_located(response: LocateChunksResponse, lengths: Sequence[int]) -> Located:
    """Takes the registry's answer as columns and refuses one that cannot be.

    Args:
        response: the answer.
        lengths: what the manifest says of each chunk asked for.

    Raises:
        HoldfastError: STORE_DAMAGED.
    """
    located = Located(
        array("I", response.pack_indexes),
        array("I", response.offsets),
        array("I", response.stored_lengths),
        array("I", response.lengths),
        response.codecs,
    )
    columns = (located.pack_indexes, located.offsets, located.stored_lengths, located.lengths)
    fits = all(len(column) == len(lengths) for column in columns) and len(located) == len(lengths)
    if fits and lengths:
        fits = max(located.pack_indexes) < len(response.packs) and max(located.stored_lengths) <= FRAME_BYTES_MAX
        fits = fits and located.lengths.tolist() == list(lengths)
    if not fits:
        raise HoldfastError(
            Reason.STORE_DAMAGED,
            "the registry's answer about chunks contradicts the manifest; run `holdfast registry fsck`",
        )
    return located


def split_rows(entries: EntryColumns, rows: Iterable[int], bytes_max: int = TASK_BYTES_MAX) -> Iterator["array[int]"]:
    """Cuts rows into tasks of at most so many bytes (one row may be more)."""
    task: array[int] = array("I")
    size_bytes = 0
    for row in rows:
        size = entries.sizes[row]
        if task and size_bytes + size > bytes_max:
            yield task
            task, size_bytes = array("I"), 0
        task.append(row)
        size_bytes += size
    if task:
        yield task
