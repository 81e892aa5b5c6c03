"""A set of digests in few bytes, which may only ever say "marked" too often, and that next to never.

Nine bytes of a digest stand for it: two chunks of ten million share them once in 10⁸ stores, and then one that could go stays.
Ten million digests take about 80 MB, twice that at most while they are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

KEY_BYTES = 8
"""After the first byte, which chooses the bucket."""
BUCKETS = 256
SLACK_BYTES = 16 * 1024
"""A bucket grows by its own size and so much before what it has twice is thrown out; 4 MB for all of them."""


class MarkedDigests:
    """Filled first, asked in ascending order then."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(BUCKETS)]
        self._limits = [SLACK_BYTES] * BUCKETS
        self._asked = (-1, frozenset[bytes]())

    def add(self, digests: Iterable[bytes]) -> None:
        """Marks; the same digest as often as one likes."""
        buckets = self._buckets
        for digest in digests:
            buckets[digest[0]] += digest[1 : KEY_BYTES + 1]

    def settle(self) -> None:
        """Throws out what was added twice, where that is worth it; called now and then while it is filled."""
        for number, bucket in enumerate(self._buckets):
            if len(bucket) > self._limits[number]:
                unique = b"".join(sorted(_keys(bucket)))
                self._buckets[number] = bytearray(unique)
                self._limits[number] = 2 * len(unique) + SLACK_BYTES

    def among(self, digests: Sequence[bytes]) -> set[bytes]:
        """Returns those that are marked.

        Args:
            digests: fast when ascending, also from one call to the next.
        """
        marked = set()
        number, keys = self._asked
        for digest in digests:
            if digest[0] != number:
                number = digest[0]
                keys = frozenset(_keys(self._buckets[number]))
            if digest[1 : KEY_BYTES + 1] in keys:
                marked.add(digest)
        self._asked = (number, keys)
        return marked


def _keys(bucket: bytearray) -> set[bytes]:
    packed = bytes(bucket)
    return {packed[at : at + KEY_BYTES] for at in range(0, len(packed), KEY_BYTES)}
