"""Chunks that go straight from an S3 server into the file that they belong to, without a copy in the cache.

The cache is for what is wanted more than once.  Which packs that will be shows only the second time; until then a copy of a
large file's packs would cost as much as the file.  So chunks of large files are written where they belong until as much of a pack has
gone that way as the pack has; whoever wants some of it then brings it into the cache, for itself and those after it.
"""

from array import array
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdfast_contract.pack import Codec
from holdfast_daemon.pipeline.fetch_tasks import Located

PACKS_REMEMBERED_MAX = 10_000
"""640 GB of them, 4 MB of memory."""
ENCODED_SHARE_MAX = 4
"""A pack of which more than 1/4 of what is wanted is compressed comes as a file: it has to be read again to be decoded."""


@dataclass(frozen=True, slots=True)
class IntoFile:
    """Consecutive chunks of a large file, and where they belong in it."""

    offsets: "array[int]"
    """Of each chunk in the file."""
    in_place: bytearray
    """For each chunk whether the file has it; who writes it there says so."""
    write: Callable[[memoryview, int], None] | None
    """Writes a block at an offset of the file; is called in threads.  None: nothing may go there straight."""


class StraightLedger:
    """How much of each pack has gone straight into files, of the packs that are remembered."""

    def __init__(self, packs_max: int = PACKS_REMEMBERED_MAX) -> None:
        self._packs_max = packs_max
        self._taken: OrderedDict[bytes, Counter[object]] = OrderedDict()

    def take(self, pack_id: bytes, pack_bytes: int, wanted_bytes: int, reader: object) -> bool:
        """Whether so much of a pack may go straight: with what others took no more than it has, so most likely none of it went before.

        It counts as gone, unless the reader is forgotten.
        """
        taken = self._taken.setdefault(pack_id, Counter())
        self._taken.move_to_end(pack_id)
        if len(self._taken) > self._packs_max:
            self._taken.popitem(last=False)
        if taken.total() - taken[reader] + wanted_bytes > pack_bytes:
            return False
        taken[reader] += wanted_bytes
        return True

    def forget(self, reader: object) -> None:
        """Takes back what a reader has taken: it did not come to its end, and whoever repeats it is the first."""
        for taken in self._taken.values():
            taken.pop(reader, None)


class Scatter:
    """Puts ranges of a pack where they belong in a file, and drops what lies between them."""

    def __init__(
        self,
        located: Located,
        positions: Iterable[int],
        targets: Sequence[int],
        write: Callable[[memoryview, int], None],
    ) -> None:
        """Takes raw chunks of one pack by their positions in `located`, their offsets in the file, and what writes there."""
        self._write = write
        spans: list[tuple[int, int, int]] = []
        offsets, lengths = located.offsets, located.lengths
        for position in sorted(positions, key=offsets.__getitem__):
            start, length, at = offsets[position], lengths[position], targets[position]
            if spans and start == sum(spans[-1][:2]) and at == spans[-1][2] + spans[-1][1]:
                before = spans.pop()
                spans.append((before[0], before[1] + length, before[2]))
            else:
                spans.append((start, length, at))
        self._spans = spans
        self._starts = [start for start, _, _ in spans]

    @property
    def frames(self) -> list[tuple[int, int]]:
        """Ranges (offset, length) of the pack that are wanted, ascending; frames that follow one another are one."""
        return [(start, length) for start, length, _ in self._spans]

    def write(self, block: memoryview, offset: int) -> None:
        """Takes a block of the pack; is called in threads."""
        end = offset + len(block)
        number = max(0, bisect_right(self._starts, offset) - 1)
        for start, length, at in self._spans[number:]:
            if start >= end:
                return
            first, last = max(start, offset), min(start + length, end)
            if first < last:
                self._write(block[first - offset : last - offset], at + first - start)


def raw_positions(located: Located, positions: Sequence[int]) -> list[int]:
    """Returns those of one pack's chunks that may go straight into a file: as they are stored, so they belong there."""
    raw = [
        position
        for position in positions
        if located.codecs[position] == Codec.RAW and located.stored_lengths[position] == located.lengths[position]
    ]
    raw_bytes = sum(located.lengths[position] for position in raw)
    encoded_bytes = sum(located.stored_lengths[position] for position in positions) - raw_bytes
    return raw if encoded_bytes * ENCODED_SHARE_MAX <= raw_bytes + encoded_bytes else []
