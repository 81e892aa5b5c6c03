"""Ingest of a bundled version: its manifest becomes runs of entries, its chunks go into the spool as they are stored, each checked.

All of its chunks are spooled, also those that the registry probably has: negotiation leaves these out, and the bundle may be removed
as soon as the record is read.  A crash in between leaves frames that belong to the job and a record that is read again.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from holdfast_contract.bundle import BundledPack, read_bundled_pack
from holdfast_contract.digest import ArtifactDigest, split_digests
from holdfast_contract.errors import ContractError, PackError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES, MIB
from holdfast_contract.manifest_order import ManifestOrder
from holdfast_contract.pack import PACK_HEADER_BYTES, decode_frame
from holdfast_daemon.bundles.bundle_file import BundleReader, check_path, damaged
from holdfast_daemon.codec import decompress
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.chunk_lists import decode_list
from holdfast_daemon.pipeline.columns import EntryColumns
from holdfast_daemon.pipeline.fetch_tasks import chunk_columns, decode_entries
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.read_file import unreadable
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot
from holdfastpb.daemon.v1.log_pb2 import AddBundle

if TYPE_CHECKING:
    from holdfast_daemon.pipeline.ingest import Ingest

GROUP_BYTES_MAX = 4 * MIB
"""Encoded segments that are decoded in one step of a thread and journalled in one transaction."""
READ_BYTES = 2 * MIB
_FSCK_HINT = "; run `holdfast registry fsck`"


async def ingest_bundle(ingest: "Ingest", job: Job, seq: int, record: AddBundle, steps: asyncio.Semaphore) -> None:
    """Reads one version of a bundle.

    Raises:
        HoldfastError: FILE_MISSING; PACK_DAMAGED, CHUNK_DIGEST_MISMATCH, MANIFEST_INVALID and the like: it is not what it says.
    """
    path = check_path(record.local_path)
    in_thread = ingest.workers.in_thread
    try:
        reader = await in_thread(BundleReader, path)
        try:
            manifest = _CarriedManifest(reader, await in_thread(reader.version, record.number))
            groups = manifest.groups()
            while (group := await in_thread(next, groups, None)) is not None:
                await ingest.store(job, seq, group)
            await _copy_content(ingest, job, seq, manifest, steps)
        finally:
            await in_thread(reader.close)
    except ContractError as error:
        raise HoldfastError(error.reason, error.message, path=path) from error


class _CarriedManifest:
    """The manifest of one version of a bundle; used from one thread at a time."""

    def __init__(self, reader: BundleReader, version: CarriedVersion) -> None:
        self.reader = reader
        self.version = version
        # With several versions in the file, a pack may hold chunks of others.
        self.wanted: set[bytes] | None = set() if len(reader.index.versions) > 1 else None
        self._lists: list[tuple[bytes, str]] = []

    def groups(self) -> Iterator[IngestYield]:
        """Yields its entries, checked, as they are journalled."""
        root = self._root()
        digests = [segment.digest for segment in root.segments]
        places = self.reader.find(self.version.manifest_packs, digests)
        order, digest, entries, size_bytes = ManifestOrder(), ArtifactDigest(), 0, 0
        group, group_bytes = IngestYield(), 0
        for segment in digests:
            encoded = self.reader.chunk(segment, places[segment])
            columns = self._decode(encoded)
            order.check(columns.paths)
            digest.update(columns.paths, columns.digest_texts())
            entries, size_bytes = entries + len(columns), size_bytes + sum(columns.sizes)
            self._note_chunks(columns)
            group.segments.append(encoded)
            group.entries += len(columns)
            group.bytes_total += sum(columns.sizes)
            group_bytes += len(encoded)
            if group_bytes >= GROUP_BYTES_MAX:
                yield group
                group, group_bytes = IngestYield(), 0
        if (digest.hexdigest(), entries, size_bytes) != (
            self.version.digest,
            self.version.entry_count,
            self.version.size_bytes,
        ):
            raise damaged(self.reader.path, "its index says another digest, count or size than its manifest")
        self._note_listed()
        yield group

    def _root(self) -> ManifestRoot:
        if not self.version.manifest_root_bytes:
            return ManifestRoot()
        digest = self.version.manifest_root
        encoded = self.reader.chunk(digest, self.reader.find(self.version.manifest_packs, [digest])[digest])
        try:
            root = ManifestRoot.FromString(encoded)
        except DecodeError as error:
            raise damaged(self.reader.path, "its manifest cannot be decoded") from error
        if any(len(segment.digest) != DIGEST_BYTES for segment in root.segments):
            raise damaged(self.reader.path, "its manifest cannot be decoded")
        return root

    def _decode(self, encoded: bytes) -> EntryColumns:
        try:
            return decode_entries(encoded)
        except HoldfastError as error:
            text = f"the bundle {self.reader.path} cannot be imported: {error.message.removesuffix(_FSCK_HINT)}"
            raise HoldfastError(error.reason, text, **error.metadata) from error

    def _note_chunks(self, columns: EntryColumns) -> None:
        if self.wanted is None:
            return
        rows = [r for r in range(len(columns)) if r not in columns.references and r not in columns.long_chunks]
        digests, _ = chunk_columns(columns, rows)
        self.wanted.update(split_digests(digests))
        for row, long in columns.long_chunks.items():
            parts = split_digests(long.list_digests)
            self.wanted.update(parts)
            self._lists += [(part, columns.paths[row]) for part in parts]

    def _note_listed(self) -> None:
        """Long lists of chunks are chunks themselves, and name more."""
        if not self._lists or self.wanted is None:
            return
        places = self.reader.find(self.version.content_packs, [digest for digest, _ in self._lists])
        for digest, path in self._lists:
            self.wanted.update(split_digests(decode_list(self.reader.chunk(digest, places[digest]), path)[0]))


async def _copy_content(
    ingest: "Ingest", job: Job, seq: int, manifest: _CarriedManifest, steps: asyncio.Semaphore
) -> None:
    reader, wanted = manifest.reader, manifest.wanted
    for number in manifest.version.content_packs:
        positions: list[int] | None = None
        if wanted is not None:
            index = await ingest.workers.in_thread(reader.pack_index, number)
            positions = [i for i, digest in enumerate(split_digests(bytes(index.digests))) if digest in wanted]

        async def step(pack: BundledPack = reader.index.packs[number], positions: list[int] | None = positions) -> None:
            async with steps, ingest.spool.borrow(job.entity, held=job.is_held, priority=job.priority) as open_pack:
                task = CopyTask(reader.path, pack, positions, ingest.spool.target(open_pack))
                result = await ingest.workers.in_process(copy_frames, task)
                if result.problem is not None:
                    raise HoldfastError.from_detail(ErrorDetail.FromString(result.problem))
                await ingest.store(job, seq, IngestYield(fragments=result.fragments, bytes_read=result.bytes_read))

        await ingest.with_space(job, step)
        failpoint("bundle.after_pack")


@dataclass(frozen=True, slots=True)
class CopyTask:
    """Frames of one of a bundle's packs for the spool."""

    path: str
    pack: BundledPack
    positions: list[int] | None
    """Ascending; None: all."""
    target: PackTarget


@dataclass(slots=True)
class CopyResult:
    """What was appended, or why it cannot be."""

    fragments: list[bytes] = field(default_factory=list)
    bytes_read: int = 0
    problem: bytes | None = None
    """ErrorDetail, encoded."""


def copy_frames(task: CopyTask) -> CopyResult:
    """Worker side: reads, checks and appends frames, 2 MiB at a time.

    Raises:
        OSError: the spool cannot be written; nothing of the task counts then.
    """
    try:
        descriptor = os.open(task.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return CopyResult(problem=unreadable(error, task.path).to_detail().SerializeToString())
    try:
        with PackWriter(task.target) as writer:
            size = _append_frames(task, descriptor, writer)
            return CopyResult(writer.fragments(), size)
    except PackError as error:
        text = damaged(task.path, error.message).message
        return CopyResult(problem=HoldfastError(error.reason, text).to_detail().SerializeToString())
    except HoldfastError as error:
        return CopyResult(problem=error.to_detail().SerializeToString())
    finally:
        os.close(descriptor)


def _append_frames(task: CopyTask, descriptor: int, writer: PackWriter) -> int:
    def pread(offset: int, length: int) -> bytes:
        try:
            return os.pread(descriptor, length, offset)
        except OSError as error:  # not one of the spool, which would be tried again
            raise unreadable(error, task.path) from error

    index = read_bundled_pack(pread, task.pack)
    offsets = index.offsets(task.pack.offset + PACK_HEADER_BYTES)
    positions = range(len(index)) if task.positions is None else task.positions
    block, block_start, size = b"", 0, 0
    for i in positions:
        start, stored = offsets[i], index.stored_lengths[i]
        if start + stored > block_start + len(block) or start < block_start:
            block, block_start = pread(start, max(READ_BYTES, stored)), start
        frame = memoryview(block)[start - block_start : start - block_start + stored]
        decode_frame(frame, index.codecs[i], min(index.lengths[i], CHUNK_BYTES_MAX), index.digest_at(i), decompress)
        writer.append(index.digest_at(i), frame, index.lengths[i], index.codecs[i])
        size += index.lengths[i]
    return size
