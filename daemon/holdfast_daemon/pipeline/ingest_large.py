"""Thread side of ingest for one large file: reads it in blocks, cuts, hashes and packs what is not known.

One block is one call from the event loop, which in between journals, switches packs and notices a cancellation.  While one thread
cuts a block and hashes its chunks, another reads the next one and takes the whole file's hash, so a single file uses two processors.
What is hashed is what is packed: both happen on the buffer that was read, never on the file again.
"""

import os
from array import array
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from blake3 import blake3

from holdfast_contract.limits import CHUNK_BYTES_MAX, DIGEST_BYTES, MIB, PACK_BYTES_MAX, PACK_CHUNKS_MAX
from holdfast_contract.pack import COLUMN_BYTES, TRAILER_BYTES
from holdfast_daemon.codec import Compressor
from holdfast_daemon.pipeline.columns import Chunks
from holdfast_daemon.pipeline.ingest_folder import make_cutter
from holdfast_daemon.pipeline.read_file import Stat5, changed, open_regular, stat5, unreadable
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter

BLOCK_BYTES = 4 * MIB
"""Read at a time: large enough that a hop between threads does not show, small enough to stay in the processor's cache."""
BUFFERS = 3
"""One being cut, one being read ahead, one being written."""
ROOM_BYTES_MIN = BLOCK_BYTES + CHUNK_BYTES_MAX + 1 * MIB
"""A block and what the last one left over fit into one pack; so a block never needs two."""
ROOM_FRAMES_MIN = 256


def has_room(target: PackTarget) -> bool:
    """Whether a block's chunks fit into what is left of a pack."""
    footer = COLUMN_BYTES * (target.frames + ROOM_FRAMES_MIN) + TRAILER_BYTES
    return (
        target.offset + footer + ROOM_BYTES_MIN <= PACK_BYTES_MAX and target.frames + ROOM_FRAMES_MIN <= PACK_CHUNKS_MAX
    )


@dataclass(slots=True)
class CutBlock:
    """Chunks of one block, still in one of the reader's buffers until the block after the next is read."""

    view: memoryview
    digests: bytes
    lengths: list[int]
    starts: list[int]


class LargeFileReader:
    """One pass over one file.  Calls are made one at a time, from any thread."""

    def __init__(self, path: bytes) -> None:
        """Opens the file.

        Raises:
            HoldfastError: FILE_MISSING, FILE_UNREADABLE or FILE_NOT_REGULAR.
        """
        self.shown = os.fsdecode(path)
        self._descriptor, found = open_regular(path, self.shown)
        self.state: Stat5 = stat5(found)
        self.size: int = found.st_size
        self._hash = blake3()
        # One thread reads ahead and takes the file's hash, in two calls a block: it seldom wants the interpreter, which the loop
        # over the chunks needs all the time.
        self._ahead = ThreadPoolExecutor(1, "holdfast-read-ahead")
        self._coming: Future[int] | None = None
        self._started = False
        self._buffers = [bytearray(CHUNK_BYTES_MAX + BLOCK_BYTES) for _ in range(BUFFERS)]
        self._current = 0
        self._carried = 0
        self._read_bytes = 0
        self._cutter = make_cutter()
        self._compressor = Compressor()
        self._digests = bytearray()
        self._lengths = array("I")

    def close(self) -> None:
        """Closes the file; waits for what is being read ahead."""
        self._ahead.shutdown()
        os.close(self._descriptor)

    def next_block(self) -> CutBlock | None:
        """Reads and cuts the next block; None after the last one.

        Raises:
            HoldfastError: FILE_CHANGED when the file is longer or shorter than it was; FILE_UNREADABLE.
        """
        if self._coming is None:
            if self._started or not self.size:
                return None
            self._started = True
            self._coming = self._ahead.submit(self._read, self._buffers[self._current], 0)
        view = self._next_view()
        last = self._coming is None
        starts: list[int] = []
        lengths: list[int] = []
        digests = bytearray()
        filled, end = len(view), 0
        for cut in self._cutter.cut_buf(view):
            if not last and cut.offset + cut.length == filled:
                break  # the buffer ended it, not the content: it is cut again with what follows
            starts.append(cut.offset)
            lengths.append(cut.length)
            digests += blake3(view[cut.offset : cut.offset + cut.length]).digest()
            end = cut.offset + cut.length
        self._carry(view, end)
        self._digests += digests
        self._lengths.extend(lengths)
        return CutBlock(view, bytes(digests), lengths, starts)

    def pack_block(self, block: CutBlock, known: set[bytes], writer: PackWriter) -> int:
        """Appends those chunks of a block that are not known; may run while the next block is being read.

        Returns:
            Bytes that were not new.

        Raises:
            OSError: the spool cannot be written; the file is to be read again from its start.
        """
        saved = 0
        for position, (start, length) in enumerate(zip(block.starts, block.lengths, strict=True)):
            digest = block.digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
            if digest in known:
                saved += length
                continue
            known.add(digest)
            stored, codec = self._compressor.encode(block.view[start : start + length])
            writer.append(digest, stored, length, codec)
        writer.flush()
        return saved

    def finish(self) -> tuple[bytes, Chunks]:
        """Digest of the whole file and its chunk list.

        Raises:
            HoldfastError: FILE_CHANGED: somebody wrote to it meanwhile.
        """
        self._ahead.submit(int).result()  # the file's hash has taken all blocks when this one's turn comes
        if stat5(os.fstat(self._descriptor)) != self.state:
            raise changed(self.shown)
        return self._hash.digest(), (bytes(self._digests), list(self._lengths))

    def _next_view(self) -> memoryview:
        """The block that was read ahead, behind what the last one left over; starts reading the one after."""
        assert self._coming is not None, "a block is coming"
        count = self._coming.result()
        buffer = memoryview(self._buffers[self._current])
        self._read_bytes += count
        self._coming = None
        if self._read_bytes < self.size:
            following = self._buffers[(self._current + 1) % BUFFERS]
            self._coming = self._ahead.submit(self._read, following, self._read_bytes)
        end = CHUNK_BYTES_MAX + count
        self._ahead.submit(self._hash.update, buffer[CHUNK_BYTES_MAX:end])
        return buffer[CHUNK_BYTES_MAX - self._carried : end]

    def _read(self, buffer: bytearray, offset: int) -> int:
        """Fills a buffer behind the room for what is left over; returns the bytes read.

        Raises:
            HoldfastError: FILE_CHANGED: shorter or longer than it was; FILE_UNREADABLE.
        """
        wanted = min(BLOCK_BYTES, self.size - offset)
        view = memoryview(buffer)[CHUNK_BYTES_MAX : CHUNK_BYTES_MAX + wanted]
        filled = 0
        while filled < wanted:
            try:
                count = os.preadv(self._descriptor, [view[filled:]], offset + filled)
            except OSError as error:
                raise unreadable(error, self.shown) from error
            if count == 0:
                raise changed(self.shown)
            filled += count
        if offset + wanted == self.size and os.pread(self._descriptor, 1, self.size):
            raise changed(self.shown)
        return wanted

    def _carry(self, view: memoryview, end: int) -> None:
        """Puts what is not cut yet before the next block, in the next buffer, which is free: the block two before is written."""
        rest = len(view) - end
        self._current = (self._current + 1) % BUFFERS
        if rest:
            self._buffers[self._current][CHUNK_BYTES_MAX - rest : CHUNK_BYTES_MAX] = view[end:]
        self._carried = rest
