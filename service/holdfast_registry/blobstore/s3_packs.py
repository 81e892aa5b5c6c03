"""Packs of an S3 store as files: ranges that lie close are read together, and whole packs are read ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import KIB, MIB

BLOCK_BYTES = 8 * MIB
"""Of one request: large enough that its latency (30 ms) costs less than its transfer, small enough to be read ahead."""
BLOCKS_AHEAD = 2
"""Requested before they are needed; with the one in use and the last one, 32 MiB of memory for each pack that is read whole."""
BLOCKS_KEPT = 8
"""While nobody needs them: those of two packs that are read whole."""
GAP_BYTES_MAX = 64 * KIB
"""Transferring a gap of this size costs less than a further request."""
CACHE_BYTES_MAX = 64 * MIB
"""Some 600 segments of manifests, which commits and lists ask for again."""
CACHED_BYTES_MAX = 1 * MIB
"""Of one range or pack; a chunk is never larger."""


class RangeCache:
    """The ranges that were read last; for any thread.  Packs never change, so nothing in it gets old."""

    def __init__(self, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._ranges: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, pack_id: bytes, offset: int, length: int) -> bytes | None:
        """Returns a range, if it is here."""
        with self._lock:
            whole = self._ranges.get(pack_id)
            if whole is not None:
                self._ranges.move_to_end(pack_id)
                return whole[offset : offset + length]
            key = (pack_id, offset, length)
            found = self._ranges.get(key)
            if found is not None:
                self._ranges.move_to_end(key)
            return found

    def keep(self, pack_id: bytes, offset: int, data: bytes) -> None:
        """Remembers a range, unless it is a large one."""
        self._keep((pack_id, offset, len(data)), data)

    def keep_whole(self, pack_id: bytes, encoded: bytes) -> None:
        """Remembers a whole pack, unless it is a large one."""
        self._keep(pack_id, encoded)

    def _keep(self, key: Hashable, data: bytes) -> None:
        if len(data) > CACHED_BYTES_MAX:
            return
        with self._lock:
            self._bytes += len(data) - len(self._ranges.pop(key, b""))
            self._ranges[key] = data
            while self._bytes > self._bytes_max:
                _, dropped = self._ranges.popitem(last=False)
                self._bytes -= len(dropped)

    def forget(self, pack_id: bytes) -> None:
        """Forgets a small pack that was refused."""
        with self._lock:
            self._bytes -= len(self._ranges.pop(pack_id, b""))


class RangeReader(Protocol):
    """Reads objects; for any thread."""

    def begin_read(self, pack_id: bytes, offset: int, length: int, into: bytearray | None = None) -> Future[memoryview]:
        """Begins to read a range, into memory of its own or into that; less than asked for comes only at the end.

        The result raises PackGoneError or StoreUnavailableError.
        """


@dataclass(frozen=True, slots=True)
class Block:
    """A block that has come."""

    memory: bytearray
    data: memoryview
    """The bytes that came, in that memory."""


class BlockPool:
    """Memory of blocks, used again and again; for any thread.

    New memory costs the kernel as much as bringing the bytes does: each of its pages is made, and emptied, at the first touch.
    """

    def __init__(self) -> None:
        self._free: deque[bytearray] = deque(maxlen=BLOCKS_KEPT)

    def take(self) -> bytearray:
        """Returns a block, with whatever is in it."""
        try:
            return self._free.pop()
        except IndexError:
            return bytearray(BLOCK_BYTES)

    def give_back(self, memory: bytearray) -> None:
        """Keeps a block that nobody writes into or reads any more."""
        self._free.append(memory)


class S3Pack:
    """A pack of which some ranges are read."""

    def __init__(self, reader: RangeReader, cache: RangeCache, pack_id: bytes, size_bytes: int) -> None:
        """Knows a pack that is there."""
        self._reader = reader
        self._cache = cache
        self._pack_id = pack_id
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """Size of the object."""
        return self._size_bytes

    def pread(self, offset: int, length: int) -> bytes:
        """Reads one range; less than asked for only at the end."""
        return self.read_ranges([(offset, length)])[0]

    def view(self, offset: int, length: int) -> memoryview:
        """As `pread`."""
        return memoryview(self.pread(offset, length))

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Reads ranges (offset, length): those that are not cached with as few requests as is cheap, all at once."""
        found = {each: self._cache.find(self._pack_id, *each) for each in ranges}
        absent = [each for each, data in found.items() if data is None]
        groups = coalesced(absent)
        reads = [self._reader.begin_read(self._pack_id, offset, length) for offset, length, _ in groups]
        for (start, _, members), read in zip(groups, reads, strict=True):
            block = read.result()
            for offset, length in members:
                data = bytes(block[offset - start : offset - start + length])
                found[offset, length] = data
                if len(data) == length:
                    self._cache.keep(self._pack_id, offset, data)
        return [found[each] or b"" for each in ranges]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is kept open."""


class S3PackEnds(S3Pack):
    """A pack of which the header and the end are at hand."""

    def __init__(
        self, reader: RangeReader, cache: RangeCache, pack_id: bytes, size_bytes: int, header: bytes, end: bytes
    ) -> None:
        """Knows a pack that is there."""
        super().__init__(reader, cache, pack_id, size_bytes)
        self._header = header
        self._end = end

    def pread(self, offset: int, length: int) -> bytes:
        """Reads one range; less than asked for only at the end."""
        end_at = self.size_bytes - len(self._end)
        if offset >= end_at:
            return self._end[offset - end_at :][:length]
        if offset + length <= len(self._header):
            return self._header[offset : offset + length]
        return super().pread(offset, length)

    def publish(self) -> None:
        """Does nothing: the store answered the PUT, so it has the object, under its final name."""
        failpoint("seal.after_rename")


class WholeS3Pack(S3Pack):
    """A pack that is read from its beginning to its end (after its footer), a few blocks ahead."""

    def __init__(
        self,
        reader: RangeReader,
        cache: RangeCache,
        pool: BlockPool,
        pack_id: bytes,
        size_bytes: int,
        first: Block | None = None,
    ) -> None:
        """Knows a pack that is there; `first` is its first block, where that has come already."""
        super().__init__(reader, cache, pack_id, size_bytes)
        self._pool = pool
        self._count = -(-size_bytes // BLOCK_BYTES)
        self._blocks: dict[int, tuple[bytearray, Future[memoryview]]] = {}
        self._joined = bytearray()
        if first is not None:
            ready: Future[memoryview] = Future()
            ready.set_result(first.data)
            self._blocks[0] = (first.memory, ready)

    def pread(self, offset: int, length: int) -> bytes:
        """Reads one range; less than asked for only at the end."""
        return b"".join([bytes(part) for part in self._parts(offset, length)])

    def view(self, offset: int, length: int) -> memoryview:
        """As `pread`, and copies only what lies in two blocks; good until the next call."""
        parts = self._parts(offset, length)
        first = next(parts, memoryview(b""))
        filled = len(first)
        if filled == length or offset + filled >= self._size_bytes:
            return first
        if len(self._joined) < length:
            self._joined = bytearray(length)
        self._joined[:filled] = first
        for part in parts:
            self._joined[filled : filled + len(part)] = part
            filled += len(part)
        return memoryview(self._joined)[:filled]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Reads ranges (offset, length)."""
        return [self.pread(offset, length) for offset, length in ranges]

    def _parts(self, offset: int, length: int) -> Iterator[memoryview]:
        """Yields a range as it lies in blocks; each part is good until the next."""
        end = min(offset + length, self._size_bytes)
        while offset < end:
            number, within = divmod(offset, BLOCK_BYTES)
            part = self._block(number)[within : within + end - offset]
            if not part:
                break  # the object is shorter than it was; whoever reads sees that
            yield part
            offset += len(part)

    def _block(self, number: int) -> memoryview:
        last = self._count - 1
        for wanted in range(number, min(number + 1 + BLOCKS_AHEAD, self._count)):
            if wanted not in self._blocks:
                memory = self._pool.take()
                read = self._reader.begin_read(self._pack_id, wanted * BLOCK_BYTES, BLOCK_BYTES, memory)
                self._blocks[wanted] = (memory, read)
        # The last one has the footer, which is read first, and the last frames; with that, the first one is not yet passed.
        kept = {0, last} if number >= last - 1 else {last}
        for passed in [known for known in self._blocks if known < number and known not in kept]:
            self._let_go(passed)
        return self._blocks[number][1].result()

    def _let_go(self, number: int) -> None:
        memory, read = self._blocks.pop(number)
        read.cancel()
        # One that is under way still writes into it.
        read.add_done_callback(lambda _: self._pool.give_back(memory))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Gives its blocks to others."""
        for number in list(self._blocks):
            self._let_go(number)

    def publish(self) -> None:
        """Does nothing: the store answered the PUT, so it has the object, under its final name."""
        failpoint("seal.after_rename")


def coalesced(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Returns what to request: (offset, length, the ranges within), with small gaps read over."""
    groups: list[tuple[int, int, list[tuple[int, int]]]] = []
    for offset, length in sorted(set(ranges)):
        if groups:
            start, covered, members = groups[-1]
            end = max(start + covered, offset + length)
            if offset <= start + covered + GAP_BYTES_MAX and end - start <= BLOCK_BYTES:
                groups[-1] = (start, end - start, [*members, (offset, length)])
                continue
        groups.append((offset, length, [(offset, length)]))
    return groups
