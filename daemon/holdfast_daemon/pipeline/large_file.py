"""Drives the reading of large files, a block at a time: known chunks are skipped, the others go to borrowed spool packs.

While one thread reads and cuts the next block, another writes the last one, and a third takes the file's hash.  The entry becomes
durable only at the end of the file: a crash before reads the file again.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.rows import IngestYield
from holdfast_daemon.pipeline.columns import Chunks, EntryColumns
from holdfast_daemon.pipeline.folder_state import KnownFiles, StateColumns
from holdfast_daemon.pipeline.ingest_files import single_file_key
from holdfast_daemon.pipeline.ingest_large import CutBlock, LargeFileReader, has_room
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.read_file import is_settled, stat5, unreadable
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter
from holdfast_daemon.spool.spool import SpoolPack

if TYPE_CHECKING:
    from holdfast_daemon.pipeline.ingest import Ingest

READ_ATTEMPTS = 3
"""A file that changes while it is read is read again; one that is written to all the time fails with a clear error."""


class LargeFiles:
    """Reads large files, at most one for each processor at a time."""

    def __init__(self, ingest: "Ingest") -> None:
        self._ingest = ingest
        self._slots = asyncio.Semaphore(ingest.workers.processes)

    async def ingest(self, job: Job, seq: int, local_path: bytes, path: str, reference_uri: str = "") -> None:
        """Reads one file and stores its entry (a reference's entry when a URI is given: hashed only).

        Raises:
            HoldfastError: FILE_MISSING, FILE_UNREADABLE, FILE_NOT_REGULAR, or FILE_CHANGED after three attempts.
        """
        key = single_file_key(local_path)
        known = KnownFiles((await self._ingest.journal.load_folder_states([key])).get(key))
        async with _Slot(self._slots) as slot:
            await slot.lend_while_paused(job)
            if await self._take_known(job, seq, local_path, path, known, reference_uri):
                return
            for attempt in range(1, READ_ATTEMPTS + 1):
                try:
                    return await self._ingest.with_space(
                        job, lambda: _Pass(self._ingest, job, seq, local_path, path, known, reference_uri, slot).run()
                    )
                except HoldfastError as error:
                    if not error.retryable or attempt == READ_ATTEMPTS:
                        raise

    async def _take_known(
        self, job: Job, seq: int, local_path: bytes, path: str, known: KnownFiles, reference_uri: str
    ) -> bool:
        if not len(known) or known.needs(0, job.distrusted):
            return False
        try:
            found = stat5(await self._ingest.workers.in_thread(os.stat, local_path))
        except OSError as error:
            raise unreadable(error, os.fsdecode(local_path)) from error
        if found != known.stat_at(0):
            return False
        brought = _entry(path, known.digest_at(0), found[2], known.chunks.get(0), reference_uri)
        brought.bytes_known = brought.bytes_total = found[2]
        await self._ingest.store(job, seq, brought)
        return True


def _entry(path: str, digest: bytes, size: int, chunks: Chunks | None, reference_uri: str) -> IngestYield:
    columns = EntryColumns()
    if reference_uri:
        columns.add_reference(path, reference_uri, digest.hex(), size)
    else:
        columns.add_file(path, digest, size, chunks)
    return IngestYield(segments=[columns.to_segment().SerializeToString()], entries=1)


class _Slot:
    """Room for one large file, which other jobs have while this one is paused."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._has_it = False

    async def __aenter__(self) -> "_Slot":
        await self._slots.acquire()
        self._has_it = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    async def lend_while_paused(self, job: Job) -> None:
        while job.is_paused:
            self._give_back()
            await job.until_running()
            await self.__aenter__()

    def _give_back(self) -> None:
        if self._has_it:
            self._has_it = False
            self._slots.release()


class _Pass:
    """One pass over one file."""

    def __init__(
        self,
        ingest: "Ingest",
        job: Job,
        seq: int,
        local_path: bytes,
        path: str,
        known: KnownFiles,
        reference_uri: str,
        slot: _Slot,
    ) -> None:
        self._ingest = ingest
        self._job = job
        self._seq = seq
        self._local_path = local_path
        self._path = path
        self._reference_uri = reference_uri
        self._slot = slot
        self._old_chunks = _chunk_set(known) - job.distrusted
        self._seen: set[bytes] = set()
        self._stack = AsyncExitStack()
        self._writer: PackWriter | None = None
        self._pack: SpoolPack | None = None
        self._counted = 0
        self._known_bytes = 0

    async def run(self) -> None:
        now_ns = time.time_ns()
        in_thread = self._ingest.workers.in_thread
        reader = await in_thread(LargeFileReader, self._local_path)
        try:
            async with self._stack:
                await self._read(reader)
                await self._release_pack()
            digest, chunks = await in_thread(reader.finish)
        except BaseException:  # a cancellation, too: progress must not count what did not become an entry
            self._uncount()
            raise
        finally:
            await in_thread(reader.close)
        await self._store(reader, digest, chunks, now_ns)

    async def _read(self, reader: LargeFileReader) -> None:
        """Reads block after block; the writing of one overlaps the reading of the next."""
        in_thread = self._ingest.workers.in_thread
        writing: asyncio.Task[None] | None = None
        try:
            while (block := await in_thread(reader.next_block)) is not None:
                if writing is not None:
                    await writing
                writing = None if self._reference_uri else asyncio.create_task(self._write(reader, block))
                self._count(sum(block.lengths))
                if self._job.is_paused:
                    if writing is not None:
                        await writing
                    await self._rest()
            if writing is not None:
                await writing
        except BaseException:  # a cancellation, too: nobody may use the buffers while a write does
            if writing is not None:
                await asyncio.wait([writing])  # it uses the reader's buffers
            raise

    async def _rest(self) -> None:
        """Waits for the end of a pause; what was read so far is kept, and others use the pack and the slot."""
        await self._release_pack()
        await self._slot.lend_while_paused(self._job)

    async def _write(self, reader: LargeFileReader, block: CutBlock) -> None:
        known = await self._known_of(block)
        new = {block.digests[i : i + DIGEST_BYTES] for i in range(0, len(block.digests), DIGEST_BYTES)} - known
        if not new:
            self._known_bytes += sum(block.lengths)
            return
        if self._writer is None or not self._has_place(self._writer.target):
            await self._release_pack()
            await self._borrow_pack()
        assert self._writer is not None, "just borrowed"
        self._known_bytes += await self._ingest.workers.in_thread(reader.pack_block, block, known, self._writer)
        self._seen |= new

    def _has_place(self, target: PackTarget) -> bool:
        """Whether the pack at hand should take another block: it is neither full nor to be sent already."""
        assert self._pack is not None, "borrowed with the writer"
        if not has_room(target) or self._pack.closing:
            return False
        return not self._ingest.spool.is_due({self._job.job_id}, target.offset)

    async def _known_of(self, block: CutBlock) -> set[bytes]:
        digests = {block.digests[i : i + DIGEST_BYTES] for i in range(0, len(block.digests), DIGEST_BYTES)}
        known = (digests & self._old_chunks) | (
            digests & self._seen
        )  # never a union of the two: they grow with the file
        if rest := digests - known:
            known |= await self._ingest.journal.find_known_chunks(b"".join(rest))
        return known - {d for d in digests & self._job.distrusted if d not in self._seen}

    async def _borrow_pack(self) -> None:
        pack = await self._stack.enter_async_context(
            self._ingest.spool.borrow(self._job.entity, held=self._job.is_held, priority=self._job.priority)
        )
        self._pack, self._writer = pack, PackWriter(self._ingest.spool.target(pack))
        self._stack.push(self._writer.__exit__)

    async def _release_pack(self) -> None:
        """Makes the frames written so far durable knowledge and gives the pack back."""
        if self._writer is None:
            return
        fragments = await self._ingest.workers.in_thread(self._writer.fragments)
        await self._ingest.store(self._job, self._seq, IngestYield(fragments=fragments))
        self._writer = None
        await self._stack.aclose()

    def _count(self, size: int) -> None:
        """Shows progress while the file is being read; `_store` does not count it again."""
        self._counted += size
        self._ingest.bytes_read += size
        self._job.bytes_total += size
        self._job.bytes_read += size
        self._job.changed()

    def _uncount(self) -> None:
        self._job.bytes_total -= self._counted
        self._job.bytes_read -= self._counted

    async def _store(self, reader: LargeFileReader, digest: bytes, chunks: Chunks, now_ns: int) -> None:
        brought = _entry(self._path, digest, reader.size, chunks, self._reference_uri)
        brought.bytes_known = self._known_bytes
        if is_settled(reader.state, now_ns) and not self._reference_uri:
            states = StateColumns()
            folder, key = single_file_key(self._local_path)
            states.add(key, reader.state, digest, chunks)
            brought.states.append((folder, key, states.encode()))
        await self._ingest.store(self._job, self._seq, brought)


def _chunk_set(known: KnownFiles) -> set[bytes]:
    chunks = known.chunks.get(0)
    if chunks is None:
        return set()
    return {chunks[0][i : i + DIGEST_BYTES] for i in range(0, len(chunks[0]), DIGEST_BYTES)}
