"""Assembles a job's entries into its manifest: applies the records in their order, sorts, takes the digest, cuts segments, packs them.

Runs in a worker process, on a read-only connection to the journal; the main process never holds the entries.  Safe to repeat.
"""

from dataclasses import dataclass, field
from operator import lt
from pathlib import Path

from blake3 import blake3

from holdfast_contract.artifact_uris import EntryUri
from holdfast_contract.digest import ArtifactDigest
from holdfast_contract.errors import ContractError
from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES
from holdfast_contract.manifest_order import ManifestOrder, segment_bounds
from holdfast_contract.paths import case_collisions, portability_problems
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import Compressor
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import BASE_SEQ, read_runs_and_records
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.entry_extras import apply_extras
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter
from holdfastpb.common.v1.manifest_pb2 import ChunkList, LongChunkList, ManifestRoot, ManifestSegment, SegmentRef
from holdfastpb.daemon.v1.log_pb2 import Record

INLINE_CHUNKS_MAX = 4096
"""A file's chunk list up to this stays in its entry (150 KB, 1.3 GB of file); longer ones are chunks of their own."""
BOUND_CHARS = 48
WARNINGS_MAX = 20
DIGEST_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class AssembleTask:
    """What a worker needs."""

    journal: Path
    job_id: str
    latest_digest: str
    """Artifact digest of the collection's latest version: an equal one needs no manifest."""
    draft_versions: dict[str, str]
    """Session → version of the drafts that entries were taken over from, once they are committed."""
    target: PackTarget | None
    """Where manifest chunks go; None: return the segments instead (a draft is listed)."""


@dataclass(slots=True)
class Assembled:
    """A manifest, packed or listed."""

    digest: str
    entry_count: int
    size_bytes: int
    root_digest: bytes = b""
    """Empty: equal to the latest version, nothing was packed."""
    segments: list[bytes] = field(default_factory=list)
    fragments: list[bytes] = field(default_factory=list)
    large_chunks: bytes = b""
    """Chunks of files that have a list: worth remembering once they are committed."""
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class AssembleOutcome:
    """Either of the two; errors travel as messages, since exceptions with arguments do not survive pickling."""

    assembled: Assembled | None = None
    problem: bytes | None = None


def assemble(task: AssembleTask) -> AssembleOutcome:
    """Does one task.

    Raises:
        OSError: the spool cannot be written.
    """
    try:
        return AssembleOutcome(assembled=_assemble(task))
    except ContractError as error:
        problem = HoldfastError(error.reason, str(error))
    except HoldfastError as error:
        problem = error
    return AssembleOutcome(problem=problem.to_detail().SerializeToString())


def _assemble(task: AssembleTask) -> Assembled:
    columns = _sorted(merged_entries(task.journal, task.job_id))
    ManifestOrder().check(columns.paths)
    assembled = Assembled(_artifact_digest(columns), len(columns), sum(columns.sizes))
    if task.target is None:
        segments = (columns.to_segment(start, end) for start, end in _bounds(_without_long_lists(columns)))
        assembled.segments = [s.SerializeToString() for s in segments]
        return assembled
    assembled.large_chunks = b"".join(digests for digests, _ in columns.chunks.values())
    if assembled.digest == task.latest_digest:
        return assembled
    assembled.warnings = portability_warnings(columns.paths)
    columns.origins = {row: _of_version(uri, task.draft_versions) for row, uri in columns.origins.items()}
    with PackWriter(task.target) as writer:
        packer = _ChunkPacker(writer)
        _move_long_lists(columns, packer)
        root = _pack_segments(columns, packer)
        assembled.root_digest = packer.append(root.SerializeToString())
        assembled.fragments = writer.fragments()
    return assembled


def _of_version(origin: str, draft_versions: dict[str, str]) -> str:
    """An origin as it stands in a manifest: a draft has become a version by now."""
    found = EntryUri.parse(origin)
    if not found.is_draft:
        return origin
    version_id = draft_versions.get(found.artifact_id)
    if version_id is None:
        raise HoldfastError(
            Reason.MANIFEST_INVALID, f"an entry comes from the draft {found.artifact_id}, which is not known"
        )
    return str(EntryUri(False, version_id, found.path))


def _artifact_digest(columns: EntryColumns) -> str:
    """In slices, since what is hashed costs ten times the columns' memory."""
    digest = ArtifactDigest()
    for start in range(0, len(columns), DIGEST_ENTRIES):
        end = start + DIGEST_ENTRIES
        digest.update(columns.paths[start:end], columns.digest_texts(start, end))
    return digest.hexdigest()


class _ChunkPacker:
    """Appends manifest chunks, each once."""

    def __init__(self, writer: PackWriter) -> None:
        self._writer = writer
        self._compressor = Compressor()
        self._seen: set[bytes] = set()

    def append(self, data: bytes) -> bytes:
        """Packs one chunk; returns its digest."""
        if len(data) > CHUNK_BYTES_MAX:
            raise HoldfastError(Reason.TOO_LARGE, "the manifest is too large: fewer or shorter paths are needed")
        digest: bytes = blake3(data).digest()
        if digest not in self._seen and data:
            self._seen.add(digest)
            stored, codec = self._compressor.encode(data)
            self._writer.append(digest, stored, len(data), codec)
        return digest


def _pack_segments(columns: EntryColumns, packer: _ChunkPacker) -> ManifestRoot:
    root = ManifestRoot(entry_count=len(columns), size_bytes=sum(columns.sizes))
    for start, end in _bounds(columns):
        encoded = columns.to_segment(start, end).SerializeToString()
        root.segments.append(
            SegmentRef(
                digest=packer.append(encoded),
                length=len(encoded),
                entry_count=end - start,
                size_bytes=sum(columns.sizes[start:end]),
                first_path=columns.paths[start][:BOUND_CHARS],
                last_path=columns.paths[end - 1][:BOUND_CHARS],
            )
        )
    return root


def _bounds(columns: EntryColumns) -> list[tuple[int, int]]:
    return segment_bounds(columns.paths, columns.encoded_bytes())


def _move_long_lists(columns: EntryColumns, packer: _ChunkPacker) -> None:
    """Turns long chunk lists into chunks of their own."""
    for position in [i for i, (_, lengths) in columns.chunks.items() if len(lengths) > INLINE_CHUNKS_MAX]:
        digests, lengths = columns.chunks.pop(position)
        long = LongChunkList(chunk_count=len(lengths))
        list_digests = bytearray()
        for start in range(0, len(lengths), INLINE_CHUNKS_MAX):
            part = lengths[start : start + INLINE_CHUNKS_MAX]
            encoded = ChunkList(
                digests=digests[DIGEST_BYTES * start : DIGEST_BYTES * (start + len(part))], lengths=part
            ).SerializeToString()
            list_digests += packer.append(encoded)
            long.list_lengths.append(len(encoded))
        long.list_digests = bytes(list_digests)
        columns.long_chunks[position] = long


def _without_long_lists(columns: EntryColumns) -> EntryColumns:
    """A listing does not need them, and they could make a page too large."""
    for position in [i for i, (_, lengths) in columns.chunks.items() if len(lengths) > INLINE_CHUNKS_MAX]:
        del columns.chunks[position]
    return columns


def merged_entries(journal: Path, job_id: str) -> EntryColumns:
    """Entries of all records after each other, with what overwrites or removes applied."""
    runs, payloads = read_runs_and_records(journal, job_id)
    records = {seq: Record.FromString(payload) for seq, payload in payloads}
    columns = EntryColumns()
    spans: list[tuple[int, int, int]] = []
    for seq, encoded in runs:
        start = len(columns)
        columns.extend(ManifestSegment.FromString(encoded))
        spans.append((seq, start, len(columns)))
    base_end = max((end for seq, _, end in spans if seq == BASE_SEQ), default=0)
    apply_extras(columns, spans, records)
    removals = [seq for seq, record in records.items() if record.WhichOneof("what") == "remove"]
    if not removals and len(set(columns.paths)) == len(columns):
        return columns
    return columns.take(_survivors(columns, spans, records, removals, base_end))


class _Removed:
    """What was removed, and when: looked up for each entry and the folders above it, so that removals need not look at all entries."""

    def __init__(self) -> None:
        self._applied: dict[str, int] = {}

    def note(self, path: str, applied: int) -> None:
        """Takes note of a removal of what was there when so many entries had been applied."""
        self._applied[path] = applied

    def covers(self, path: str, position: int) -> bool:
        """Whether the entry at this position was removed, by itself or with a folder."""
        applied = self._applied
        if not applied:
            return False
        if position < applied.get(path, 0):
            return True
        slash = path.rfind("/")
        while slash > 0:
            if position < applied.get(path[:slash], 0):
                return True
            slash = path.rfind("/", 0, slash)
        return False


def _survivors(
    columns: EntryColumns,
    spans: list[tuple[int, int, int]],
    records: dict[int, Record],
    removals: list[int],
    base_end: int,
) -> list[int]:
    """Positions of the entries that are left when the records are applied in their order, over those of the base."""
    places: dict[str, int] = {}
    removed = _Removed()
    applied = 0
    steps = sorted([(seq, 1, start, end) for seq, start, end in spans] + [(seq, 0, 0, 0) for seq in removals])
    for seq, is_run, start, end in steps:
        if not is_run:
            removed.note(records[seq].remove.path, applied)
            continue
        applied = end  # runs lie in the order of their records
        if seq == BASE_SEQ:
            places.update(zip(columns.paths[start:end], range(start, end), strict=True))
            continue
        overwrite = _may_overwrite(records[seq])
        for position in range(start, end):
            path = columns.paths[position]
            before = places.get(path)
            if (
                before is not None
                and before >= base_end
                and not overwrite
                and not removed.covers(path, before)
                and not _same_content(columns, before, position)
            ):
                raise HoldfastError(Reason.ALREADY_EXISTS, f"Cannot add the same path twice: {path!r}", path=path)
            places[path] = position
    return [position for path, position in places.items() if not removed.covers(path, position)]


def _same_content(columns: EntryColumns, one: int, other: int) -> bool:
    if one in columns.references or other in columns.references:
        return columns.references.get(one) == columns.references.get(other)
    return columns.digest_at(one) == columns.digest_at(other)


def _may_overwrite(record: Record) -> bool:
    kind = record.WhichOneof("what")
    return kind == "add_base" or bool(getattr(getattr(record, kind or ""), "overwrite", False))


def _sorted(columns: EntryColumns) -> EntryColumns:
    paths = columns.paths
    if all(map(lt, paths, paths[1:])):
        return columns
    return columns.take(sorted(range(len(paths)), key=paths.__getitem__))


def portability_warnings(paths: list[str]) -> list[str]:
    """What another operating system could not hold, in words."""
    found = [f"{path!r}: {problem}" for path, problem in portability_problems(paths)]
    found += [f"{one!r} and {other!r} are one name where case does not count" for one, other in case_collisions(paths)]
    return found[:WARNINGS_MAX]
