"""Copies the chunks of a manifest into a bundle: from packs of the spool where they are here, from the registry's where they are not.

Frames are copied as they are stored, and checked; a chunk that the bundle has is passed over.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from holdfast_contract.bundle import BundleWriter
from holdfast_contract.digest import split_digests
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import run_to_end
from holdfast_daemon.pipeline.bring_packs import USE_ATTEMPTS, PackSource, Reader
from holdfast_daemon.pipeline.chunk_lists import chunk_lists, decode_list
from holdfast_daemon.pipeline.fetch_tasks import TASK_BYTES_MAX, Located, PackFile, chunk_columns
from holdfast_daemon.pipeline.manifest_pages import Segment
from holdfast_daemon.pipeline.pack_chunks import PackChunks, PackUnusableError
from holdfast_daemon.workers import Workers


class Progress(Protocol):
    """Counts bytes of files."""

    bytes_done: int


class ChunksHere(Protocol):
    """Chunks in files of this machine."""

    @property
    def files(self) -> Sequence[PackFile]:
        """The packs."""

    @property
    def places(self) -> Mapping[bytes, tuple[int, int]]:
        """Chunk → (number of the pack, position in it)."""

    def locate(self, digests: Sequence[bytes]) -> Located:
        """Where these chunks are, all of which have a place."""


class ChunkCopier:
    """Copies for one version."""

    def __init__(
        self,
        writer: BundleWriter,
        reader: Reader,
        packs: PackSource,
        workers: Workers,
        progress: Progress,
        here: ChunksHere | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._packs = packs
        self._workers = workers
        self._progress = progress
        self._here = here
        self.pack_numbers: set[int] = set()
        """The bundle's packs that have the version's chunks."""

    async def copy_segment(self, segment: Segment) -> None:
        """Copies all chunks that a segment names.

        Raises:
            HoldfastError: STORE_DAMAGED, BLOBS_MISSING, or the registry's.
        """
        entries = segment.entries
        rows = [r for r in range(len(entries)) if r not in entries.references and r not in entries.long_chunks]
        await self._copy(*chunk_columns(entries, rows), shown=entries.paths[0])
        for row, long in entries.long_chunks.items():
            path = entries.paths[row]
            done = self._progress.bytes_done
            await self._copy(long.list_digests, list(long.list_lengths), shown=path)
            self._progress.bytes_done = done  # the lists are not the file
            if self._here is None:
                async with aclosing(chunk_lists(self._packs, self._reader, entries, row)) as lists:
                    async for digests, lengths in lists:
                        await self._copy(digests, lengths, shown=path)
                continue
            for part, length in zip(split_digests(long.list_digests), long.list_lengths, strict=True):
                await self._copy(*decode_list(await self._read(part, length, path), path), shown=path)

    async def _read(self, digest: bytes, length: int, shown: str) -> bytes:
        """One chunk, from here or from the registry."""
        if self._here is not None and digest in self._here.places:
            located, files = self._here.locate([digest]), self._here.files
            return await self._workers.in_thread(_read_one, files, located, digest)
        [encoded] = await self._packs.read(self._reader, shown, digest, (length,))
        return bytes(encoded)

    async def _copy(self, digests: bytes, lengths: Sequence[int], *, shown: str) -> None:
        new: dict[bytes, int] = {}
        known_bytes = 0
        for digest, length in zip(split_digests(digests), lengths, strict=True):
            number = self._writer.pack_of(digest)
            if number is not None:
                self.pack_numbers.add(number)
            if number is not None or digest in new:
                known_bytes += length
            else:
                new[digest] = length
        self._progress.bytes_done += known_bytes
        places = self._here.places if self._here is not None else {}
        here = [digest for digest in new if digest in places]
        for piece in _pieces(here, new):
            # Sent and dropped meanwhile, or damaged: whatever is left is asked of the registry.
            with suppress(PackUnusableError):
                await self._write_from_here(piece)
        elsewhere = [digest for digest in new if self._writer.pack_of(digest) is None]
        for piece in _pieces(elsewhere, new):
            await self._write_from_registry(piece, [new[digest] for digest in piece], shown)

    async def _write_from_here(self, digests: list[bytes]) -> None:
        assert self._here is not None, "only called with chunks that are here"
        await self._write(self._here.files, self._here.locate(digests), digests)

    async def _write_from_registry(self, digests: list[bytes], lengths: list[int], shown: str) -> None:
        for attempt in range(1, USE_ATTEMPTS + 1):
            left = [digest for digest in digests if self._writer.pack_of(digest) is None]
            wanted = [length for d, length in zip(digests, lengths, strict=True) if self._writer.pack_of(d) is None]
            grants, located = await self._packs.locate(self._reader, b"".join(left), wanted)
            brought = await self._packs.bring(self._reader, grants, located)
            try:
                await self._write(brought.files, located, left)
            except PackUnusableError as error:
                await self._packs.recover(error, brought.files[error.index], shown, attempt)
            else:
                return
            finally:
                await self._packs.release(brought)
        raise HoldfastError(Reason.STORE_DAMAGED, f"{shown} cannot be read; run `holdfast registry fsck`", path=shown)

    async def _write(self, files: Sequence[PackFile], located: Located, digests: list[bytes]) -> None:
        # The thread must not be left alone with a bundle that is closed under its hands.
        work = self._workers.in_thread(_write_frames, self._writer, files, located, digests)
        try:
            await run_to_end(work)
        finally:  # after an error, too: what was appended counts
            written = [at for at, digest in enumerate(digests) if self._writer.pack_of(digest) is not None]
            self.pack_numbers.update(self._writer.pack_of(digests[at]) or 0 for at in written)
            self._progress.bytes_done += sum(located.lengths[at] for at in written)


def _write_frames(writer: BundleWriter, files: Sequence[PackFile], located: Located, digests: Sequence[bytes]) -> None:
    """Thread side: checks and appends.

    Raises:
        PackUnusableError: what was appended before it counts.
    """
    with PackChunks(files) as chunks:
        for position, frame in chunks.frames(located, range(len(digests))):
            digest = digests[position]
            chunks.decode(located, position, digest, frame)
            writer.append(digest, bytes(frame), located.lengths[position], located.codecs[position])


def _read_one(files: Sequence[PackFile], located: Located, digest: bytes) -> bytes:
    with PackChunks(files) as chunks:
        [(_, data)] = chunks.in_pack_order(located, [digest], [0])
        return bytes(data)


def _pieces(digests: Sequence[bytes], lengths: Mapping[bytes, int]) -> Iterator[list[bytes]]:
    """Runs of at most 64 MiB."""
    piece: list[bytes] = []
    size = 0
    for digest in digests:
        if piece and size + lengths[digest] > TASK_BYTES_MAX:
            yield piece
            piece, size = [], 0
        piece.append(digest)
        size += lengths[digest]
    if piece:
        yield piece
