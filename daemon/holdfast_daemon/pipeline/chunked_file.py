"""Puts together a file of several chunks: long reads, one hash over all bytes, the name only when all of it is right."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future

from blake3 import blake3

from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_contract.os_layer import WRITE_BYTES_MAX
from holdfast_contract.pack import Codec
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile, Target
from holdfast_daemon.pipeline.pack_chunks import PackChunks, PackUnusableError
from holdfast_daemon.pipeline.target_tree import TargetTree, write_error

BUFFER_BYTES = 4 * MIB
"""Two of them a large file: long enough to make calls free, short enough that hash and copy find each other's bytes in the cache."""


class ChunkedFile:
    """One file on its way into place: `append` its chunks in order, then `finish`, or `abandon`.

    The hash over the whole file proves every byte, so chunks that are stored raw are not hashed once more; only when it does
    not come out right each chunk is looked at, to name the pack.
    """

    def __init__(self, tree: TargetTree, path: str, digest: bytes, hashers: Executor | None = None) -> None:
        """Makes its temporary file; with `hashers` the hash is taken in another thread while this one copies."""
        self._tree = tree
        self._path = path
        self._digest = digest
        self._hasher = blake3()
        self._hashers = hashers
        self._hashing: Future[object] | None = None
        _, self._temporary, self._descriptor = tree.create(path)

    def append(self, chunks: PackChunks, located: Located, digests: bytes, buffers: Sequence[memoryview]) -> int:
        """Writes the next chunks by way of the buffers (one, or two with `hashers`); returns their bytes.

        Raises:
            PackUnusableError: a pack is truncated, or a compressed chunk is damaged.
            OSError: the file cannot be written.
        """
        total = 0
        for turn, run in enumerate(contiguous_runs(located, len(buffers[0]))):
            buffer = buffers[turn % len(buffers)]
            data = buffer[: _fill(chunks, located, digests, run, buffer)]
            self._hash(data)
            self._write(data)
            total += len(data)
        self._await_hash()
        return total

    def _hash(self, data: memoryview) -> None:
        """Takes in the next bytes; with `hashers` at most one piece is under way, so the next buffer may be filled meanwhile."""
        self._await_hash()
        if self._hashers is None:
            self._hasher.update(data)
        else:
            self._hashing = self._hashers.submit(self._hasher.update, data)

    def _await_hash(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data[:WRITE_BYTES_MAX]) :]

    def finish(self) -> None:
        """Gives the file its name.

        Raises:
            HoldfastError: DIGEST_MISMATCH; nothing is left of the file.
            OSError: as `append`.
        """
        os.close(self._descriptor)
        self._descriptor = -1
        if self._hasher.digest() != self._digest:
            shown = self._tree.shown(self._path)
            text = f"{shown}: the stored bytes do not have the file's digest; run `holdfast registry fsck`"
            raise HoldfastError(Reason.DIGEST_MISMATCH, text, path=shown)
        self._tree.publish(self._temporary, self._path)

    def abandon(self) -> None:
        """Removes what was written; harmless after `finish`."""
        self._await_hash()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._tree.discard(self._temporary, self._path)


def contiguous_runs(located: Located, bytes_max: int) -> Iterator[tuple[int, int]]:
    """Slices of chunks that follow one another in one pack, raw together or compressed together, of at most so many bytes."""
    packs, offsets, stored, lengths = located.pack_indexes, located.offsets, located.stored_lengths, located.lengths
    first = 0
    out_bytes = 0
    for at in range(len(located)):
        follows = at and packs[at] == packs[at - 1] and offsets[at] == offsets[at - 1] + stored[at - 1]
        alike = at and located.codecs[at] == located.codecs[at - 1]
        if at and not (follows and alike and out_bytes + lengths[at] <= bytes_max):
            yield first, at
            first, out_bytes = at, 0
        out_bytes += lengths[at]
    if len(located):
        yield first, len(located)


def _fill(chunks: PackChunks, located: Located, digests: bytes, run: tuple[int, int], buffer: memoryview) -> int:
    """Reads one run into the buffer; returns its bytes."""
    first, end = run
    pack, start = located.pack_indexes[first], located.offsets[first]
    stored_bytes = located.offsets[end - 1] + located.stored_lengths[end - 1] - start
    out_bytes = sum(located.lengths[first:end])
    if located.codecs[first] == Codec.RAW:
        if stored_bytes != out_bytes:
            raise PackUnusableError(pack, "is not what the registry says of it")
        chunks.read_into(pack, start, buffer[:out_bytes])
        return out_bytes
    frames = memoryview(bytearray(stored_bytes))
    chunks.read_into(pack, start, frames)
    filled = 0
    for position in range(first, end):
        at = located.offsets[position] - start
        digest = digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
        data = chunks.decode(located, position, digest, frames[at : at + located.stored_lengths[position]])
        buffer[filled : filled + len(data)] = data
        filled += len(data)
    return filled


def find_damage(chunks: PackChunks, located: Located, digests: bytes) -> None:
    """Looks at each chunk of a file whose digest did not come out right.

    Raises:
        PackUnusableError: names the first damaged pack.
    """
    column = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    for _ in chunks.in_pack_order(located, column, range(len(located))):
        pass


class LargeFile:
    """A large file, written piece by piece from threads, one after another; between pieces the download may be cancelled."""

    def __init__(self, target: Target, path: str, digest: bytes, hashers: Executor) -> None:
        self._hashers = hashers
        self._target = target
        self._path = path
        self._digest = digest
        self._tree: TargetTree | None = None
        self._file: ChunkedFile | None = None
        self._buffers = [memoryview(bytearray(BUFFER_BYTES)) for _ in range(2)]
        self.bytes_written = 0

    @property
    def shown(self) -> str:
        """Its path for messages."""
        return os.path.join(os.fsdecode(self._target.root), self._path)

    def append(self, packs: tuple[PackFile, ...], located: Located, digests: bytes) -> int:
        """Writes a piece; returns its bytes.  May not be repeated after an error.

        Raises:
            PackUnusableError, HoldfastError
        """
        try:
            if self._file is None:
                self._tree = TargetTree(self._target)
                self._file = ChunkedFile(self._tree, self._path, self._digest, self._hashers)
            with PackChunks(packs) as chunks:
                count = self._file.append(chunks, located, digests, self._buffers)
        except OSError as error:
            raise write_error(error, self.shown) from error
        self.bytes_written += count
        return count

    def finish(self) -> None:
        """Gives it its name.

        Raises:
            HoldfastError: DIGEST_MISMATCH and as `append`.
        """
        assert self._file is not None, "a large file has chunks"
        try:
            self._file.finish()
        except OSError as error:
            raise write_error(error, self.shown) from error

    def close(self) -> None:
        """Removes the temporary file if there still is one, and frees what is held."""
        if self._file is not None:
            self._file.abandon()
        if self._tree is not None:
            self._tree.close()
        self._buffers = []


def check_piece(packs: tuple[PackFile, ...], located: Located, digests: bytes) -> int:
    """`find_damage` for a piece of a large file; writes nothing.

    Raises:
        PackUnusableError
    """
    with PackChunks(packs) as chunks:
        find_damage(chunks, located, digests)
    return 0
