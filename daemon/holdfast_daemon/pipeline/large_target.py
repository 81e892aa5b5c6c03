"""Writes a large file into its temporary file at any offset and in any order, and gives it its name once all of it is right.

What comes over HTTP is written by the threads that receive it, so each byte goes to the disk once; the hash over the whole file
follows in order and reads what was written, which is still in memory.  That hash proves every byte.  Only when it does not come
out right is each chunk looked at: those that are right stay, the others are brought anew and checked one by one.

Such a temporary file has a name that follows from what it will be.  Whoever is cut off leaves it, and the next download of the
same file into the same folder looks which chunks it has and brings the others.  One process writes to it at a time, by a lock.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import groupby

from blake3 import blake3

from holdfast_contract import os_layer
from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.chunked_file import contiguous_runs, fill
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile, Target
from holdfast_daemon.pipeline.pack_chunks import PackChunks
from holdfast_daemon.pipeline.read_file import Stat5, stat5
from holdfast_daemon.pipeline.target_tree import TargetTree, write_error

BUFFER_BYTES = 4 * MIB
"""Two of them a large file: long enough to make calls free, short enough that hash and copy find each other's bytes in the cache."""

READ_BACK_BYTES = 1 * MIB
"""Small enough to be hashed out of the processor's cache, which is faster than to hand it to another thread."""

FICLONE = 0x40049409
"""Of Linux' ioctl(2): the file shares the blocks of another one until either is written to."""


def share_blocks(descriptor: int, source: int) -> None:
    """Makes an empty file share all blocks of another one.

    Raises:
        OSError: the file system cannot do that, or they are on different ones.
    """
    fcntl.ioctl(descriptor, FICLONE, source)


class LargeTarget:
    """A large file on its way into place.

    `open`, `present` and `write` may be called from several threads; `take` and `finish` from one after the other.
    """

    def __init__(
        self,
        target: Target,
        path: str,
        digest: bytes,
        hashers: Executor,
        share_blocks: Callable[[int, int], None] = share_blocks,
    ) -> None:
        self._hashers = hashers
        self._share_blocks = share_blocks
        self._target = target
        self._path = path
        self._digest = digest
        self._tree: TargetTree | None = None
        self._temporary = ""
        self._descriptor = -1
        self._hasher = blake3()
        self._hashing: Future[object] | None = None
        self._buffers = [memoryview(bytearray(BUFFER_BYTES)) for _ in range(2)]
        self._is_suspect = False
        self._is_clone = False
        self._keeps = False
        self._is_resumable = False
        self.bytes_written = 0

    @property
    def shown(self) -> str:
        """Its path for messages."""
        return os.path.join(os.fsdecode(self._target.root), self._path)

    @property
    def is_suspect(self) -> bool:
        """Whether some of its chunks may be wrong, so that each is looked at."""
        return self._is_suspect

    def open(self, *, resumable: bool) -> None:
        """Makes its temporary file, or takes over what an earlier download left of it; harmless when it is open.

        Args:
            resumable: whether its name is to be found again.

        Raises:
            HoldfastError: it cannot be written there.
        """
        if self._descriptor >= 0:
            return
        try:
            self._tree = TargetTree(self._target)
            found = self._tree.adopt(self._path, self._digest) if resumable else None
            if found is None:
                _, self._temporary, self._descriptor = self._tree.create(self._path)
                return
            self._temporary, self._descriptor = found
            self._is_resumable = True
            self._is_suspect = os.fstat(self._descriptor).st_size > 0
        except OSError as error:
            raise write_error(error, self.shown) from error

    def clone(self, path: bytes, size_bytes: int) -> bool:
        """Lets a new file share the blocks of another one that should have the same content; returns whether it does now.

        Args:
            path: of the other one.
            size_bytes: that it should have.

        What it shares does not change any more, whatever becomes of the other one, and is hashed as all that comes.
        """
        if self._is_suspect or self._keeps:
            return False
        try:
            source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            self._share_blocks(self._descriptor, source)
            # Else it was cut off just now; what is there then is written over, and `finish` sees to the length.
            self._is_clone = os.fstat(self._descriptor).st_size == size_bytes
        except OSError:
            return False  # most file systems cannot
        finally:
            os.close(source)
        return self._is_clone

    def present(self, lengths: Sequence[int], digests: bytes, offset: int) -> bytearray:
        """Returns for each of consecutive chunks from `offset` on whether the file has it already; reads only when that may be.

        Of a clone all of them count as being there, until its digest says that they are not.

        Raises:
            HoldfastError: the file cannot be read.
        """
        if not self._is_suspect:
            return bytearray([self._is_clone]) * len(lengths)
        flags = bytearray(len(lengths))
        buffer = memoryview(bytearray(max(lengths)))
        try:
            for position, length in enumerate(lengths):
                digest = digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)]
                count = os.preadv(self._descriptor, [buffer[:length]], offset)
                flags[position] = count == length and blake3(buffer[:length]).digest() == digest
                offset += length
        except OSError as error:
            raise write_error(error, self.shown) from error
        return flags

    def write(self, block: memoryview, offset: int) -> None:
        """Writes at an offset.

        Raises:
            HoldfastError: it cannot be written.
        """
        try:
            os_layer.pwrite_all(self._descriptor, block, offset)
        except OSError as error:
            raise write_error(error, self.shown) from error
        self._keeps = True

    def take(
        self, packs: tuple[PackFile, ...], located: Located, digests: bytes, offset: int, in_place: Sequence[int]
    ) -> int:
        """Takes the next chunks into the file's hash; those that are not in place are read from the packs and written.

        Args:
            packs: that have the chunks which are not in place.
            located: where they are.
            digests: of the chunks.
            offset: of the first one in the file.
            in_place: for each chunk whether the file has it.

        Returns:
            Their bytes.

        Raises:
            PackUnusableError: a pack is truncated, or a chunk is damaged.
            HoldfastError: the file cannot be written.
        """
        total = 0
        try:
            with PackChunks(packs) as chunks:
                for first, end, is_in_place in _stretches(in_place):
                    size = sum(located.lengths[first:end])
                    if is_in_place:
                        self._read_back(offset, size)
                    else:
                        part = digests[DIGEST_BYTES * first : DIGEST_BYTES * end]
                        self._copy(packs, chunks, located.part(first, end), part, offset)
                    offset, total = offset + size, total + size
        except OSError as error:
            raise write_error(error, self.shown) from error
        finally:
            self._await_hash()
        self.bytes_written += total
        return total

    def _read_back(self, offset: int, size: int) -> None:
        self._await_hash()
        end = offset + size
        while offset < end:
            data = self._buffers[0][: min(READ_BACK_BYTES, end - offset)]
            count = os.preadv(self._descriptor, [data], offset)
            if not count:
                raise _cut_off(self.shown)
            self._hasher.update(data[:count])
            offset += count

    def _copy(
        self, packs: tuple[PackFile, ...], chunks: PackChunks, located: Located, digests: bytes, offset: int
    ) -> None:
        for turn, run in enumerate(contiguous_runs(located, BUFFER_BYTES)):
            buffer = self._buffers[turn % 2]
            checked = self._is_suspect or packs[located.pack_indexes[run[0]]].is_seed
            data = buffer[: fill(chunks, located, digests, run, buffer, checked=checked)]
            self._hash(data)
            os_layer.pwrite_all(self._descriptor, data, offset)
            offset += len(data)

    def _hash(self, data: memoryview) -> None:
        """At most one buffer is being hashed, so the other one may be filled meanwhile."""
        self._await_hash()
        self._hashing = self._hashers.submit(self._hasher.update, data)

    def _await_hash(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def finish(self) -> Stat5:
        """Gives it its name; returns its state then.

        Raises:
            HoldfastError: DIGEST_MISMATCH: from now on it is suspect; or it cannot be written.
        """
        assert self._tree is not None, "a large file has chunks"
        found, self._hasher = self._hasher.digest(), blake3()
        if found != self._digest:
            self._is_suspect = True
            text = f"{self.shown}: the stored bytes do not have the file's digest; run `holdfast registry fsck`"
            raise HoldfastError(Reason.DIGEST_MISMATCH, text, path=self.shown)
        try:
            # What was left behind may have been longer than the file.
            os.ftruncate(self._descriptor, self.bytes_written)
            self._tree.publish(self._temporary, self._path)
            self._temporary = ""
            return stat5(os.fstat(self._descriptor))
        except OSError as error:
            raise write_error(error, self.shown) from error

    def start_over(self) -> None:
        """Begins the hash anew; what is in the file stays, and counts when it is right."""
        self._await_hash()
        self._hasher = blake3()
        self._is_suspect = self._is_suspect or self.bytes_written > 0 or self._keeps or self._is_clone
        self.bytes_written = 0

    def close(self, *, keep: bool) -> bool:
        """Frees what is held; the temporary file goes, if there still is one.

        Args:
            keep: what has come over HTTP stays, for the next download.

        Returns:
            Whether it stays.
        """
        self._await_hash()
        stays = bool(self._temporary) and keep and self._keeps and self._is_resumable
        if self._temporary and self._tree is not None and not stays:
            self._tree.discard(self._temporary, self._path)
        if self._descriptor >= 0:
            os.close(self._descriptor)  # only now: the lock goes with it
            self._descriptor = -1
        if self._tree is not None:
            self._tree.close()
            self._tree = None
        self._buffers = []
        return stays


def _stretches(in_place: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """Slices (first, end, whether in place) of alike neighbours."""
    first = 0
    for is_in_place, alike in groupby(in_place, bool):
        end = first + sum(1 for _ in alike)
        yield first, end, is_in_place
        first = end


def _cut_off(shown: str) -> HoldfastError:
    text = f"{shown} became shorter while it was written; leave its temporary file alone and download again"
    return HoldfastError(Reason.FILE_CHANGED, text, path=shown)
