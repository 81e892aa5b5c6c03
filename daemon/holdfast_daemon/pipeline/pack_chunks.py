"""Reads chunks out of pack files in few large reads, and never hands out one that does not have its digest."""

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from types import TracebackType

from blake3 import blake3

from holdfast_contract.errors import PackError
from holdfast_contract.limits import KIB, MIB
from holdfast_contract.pack import Codec, decode_frame
from holdfast_contract.reasons import Reason
from holdfast_daemon.codec import decompress
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile

RUN_BYTES_MAX = 8 * MIB
"""One read: large enough that its cost is the copying, small enough for a dozen at once."""
GAP_BYTES_MAX = 64 * KIB
"""Reading over a gap of this size costs less (15 µs) than a second call and the lost read-ahead."""
PACKS_OPEN_MAX = 16


class PackUnusableError(Exception):
    """A pack cannot give what it should; names the pack by its index in the task."""

    def __init__(self, index: int, problem: str, *, missing: bool = False) -> None:
        super().__init__(index, problem)
        self.index = index
        self.problem = problem
        self.missing = missing
        self.position = -1
        """Of the chunk that could not be had, where that is known."""

    def to_error(self, pack_id: bytes, shown: str) -> HoldfastError:
        """What the user hears when there is no other copy."""
        text = f"{shown} cannot be restored: pack {pack_id.hex()} {self.problem}; run `holdfast registry fsck`"
        return HoldfastError(Reason.STORE_DAMAGED, text, path=shown, pack=pack_id.hex())


class PackChunks:
    """The packs of one task.  Not thread-safe."""

    def __init__(self, packs: Sequence[PackFile]) -> None:
        self._packs = packs
        self._open: OrderedDict[int, int] = OrderedDict()

    def __enter__(self) -> "PackChunks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all packs."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _descriptor(self, index: int) -> int:
        descriptor = self._open.get(index)
        if descriptor is not None:
            self._open.move_to_end(index)
            return descriptor
        try:
            # A pack is a regular file; whatever else a hostile registry may name must not hold us.
            descriptor = os.open(self._packs[index].path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise PackUnusableError(index, f"cannot be opened ({error.strerror})", missing=missing) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PackUnusableError(index, "is not a regular file")
        self._open[index] = descriptor
        if len(self._open) > PACKS_OPEN_MAX:
            os.close(self._open.popitem(last=False)[1])
        return descriptor

    def read_into(self, index: int, offset: int, view: memoryview) -> None:
        """Fills `view` from a pack.

        Raises:
            PackUnusableError: it ends too early or cannot be read.
        """
        descriptor = self._descriptor(index)
        filled = 0
        try:
            while filled < len(view):
                count = os.preadv(descriptor, [view[filled:]], offset + filled)
                if not count:
                    raise PackUnusableError(index, f"ends {len(view) - filled} bytes too early")
                filled += count
        except OSError as error:
            raise PackUnusableError(index, f"cannot be read ({error.strerror})") from error

    def in_pack_order(
        self, located: Located, digests: Sequence[bytes], positions: Sequence[int]
    ) -> Iterator[tuple[int, bytes | memoryview]]:
        """Yields (position, chunk) of these chunks, in the order in which they lie in the packs.

        A chunk is good until the next one is asked for.

        Raises:
            PackUnusableError: a chunk does not have its digest, or its pack cannot be read; `position` says which.
        """
        for position, frame in self.frames(located, positions):
            yield position, self.decode(located, position, digests[position], frame)

    def frames(self, located: Located, positions: Sequence[int]) -> Iterator[tuple[int, memoryview]]:
        """Yields (position, stored bytes) as `in_pack_order` yields chunks, not checked."""
        buffer = memoryview(bytearray(0))
        packs, offsets, stored = located.pack_indexes, located.offsets, located.stored_lengths
        ordered = sorted(positions, key=lambda i: (packs[i], offsets[i]))
        for first, end in _runs(located, ordered):
            start = offsets[ordered[first]]
            length = max(offsets[i] + stored[i] for i in ordered[first:end]) - start
            if length > len(buffer):
                buffer = memoryview(bytearray(length))
            try:
                self.read_into(packs[ordered[first]], start, buffer[:length])
            except PackUnusableError as error:
                error.position = ordered[first]
                raise
            for position in ordered[first:end]:
                at = offsets[position] - start
                yield position, buffer[at : at + stored[position]]

    def decode(self, located: Located, position: int, digest: bytes, frame: memoryview) -> bytes | memoryview:
        """The chunk in a frame.

        Raises:
            PackUnusableError: it is not what the manifest names.
        """
        length = located.lengths[position]
        if located.codecs[position] == Codec.RAW and len(frame) == length and blake3(frame).digest() == digest:
            return frame  # what nearly all chunks are, without a further call
        try:
            return decode_frame(frame, located.codecs[position], length, digest, decompress)
        except PackError as error:
            text = f"is damaged at offset {located.offsets[position]} (chunk {digest.hex()[:16]}…)"
            unusable = PackUnusableError(located.pack_indexes[position], text)
            unusable.position = position
            raise unusable from error


def _runs(located: Located, ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Slices of `ordered` that one read serves."""
    packs, offsets, stored = located.pack_indexes, located.offsets, located.stored_lengths
    first = 0
    start = end = pack = -1
    for at, position in enumerate(ordered):
        offset = offsets[position]
        stop = offset + stored[position]
        if at and (packs[position] != pack or offset - end > GAP_BYTES_MAX or stop - start > RUN_BYTES_MAX):
            yield first, at
            first, start, end = at, offset, stop
        elif not at:
            start, end = offset, stop
        pack = packs[position]
        end = max(end, stop)
    if ordered:
        yield first, len(ordered)
