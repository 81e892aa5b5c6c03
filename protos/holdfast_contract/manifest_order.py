"""The order of entries in a manifest, what may stand beside what, and where segments are cut."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

from holdfast_contract.errors import ManifestError
from holdfast_contract.limits import (
    MANIFEST_ENTRIES_MAX,
    SEGMENT_BYTES_MAX,
    SEGMENT_ENTRIES_MAX,
    SEGMENT_ENTRIES_MODULUS,
)
from holdfast_contract.reasons import Reason


def sort_key(path: str) -> bytes:
    """Returns what entries are ordered by: the UTF-8 bytes of the path.

    Code points in UTF-8 order as their bytes do, so `sorted(paths)` gives the same order at less cost.
    """
    return path.encode()


class ManifestOrder:
    """Checks a manifest's paths, run by run, without holding them.

    Guarantees, once every run has passed: strictly ascending, no duplicates, no entry is a folder of another.
    The paths themselves were checked before (`paths.check_paths`).
    """

    __slots__ = ("_entries", "_last", "_prefixes")

    def __init__(self) -> None:
        """Starts before the first entry."""
        self._entries = 0
        self._last = ""
        # Entries that are string prefixes of the last path. All that begins with a path follows it without a
        # gap, so whatever is not a prefix any more can be forgotten.
        self._prefixes: list[str] = []

    @property
    def entries(self) -> int:
        """Number of entries that have passed."""
        return self._entries

    def check(self, paths: Sequence[str]) -> None:
        """Checks the next run of entries.

        Raises:
            ManifestError: MANIFEST_INVALID (order), PATH_COLLISION (folder and entry), TOO_LARGE (count).
        """
        if not paths:
            return
        self._entries += len(paths)
        if self._entries > MANIFEST_ENTRIES_MAX:
            raise ManifestError(
                f"The manifest has more than {MANIFEST_ENTRIES_MAX} entries; split the artifact.",
                Reason.TOO_LARGE,
            )
        if not (self._last < paths[0] and all(map(operator.lt, paths, islice(paths, 1, None)))):
            raise self._order_error(paths)
        self._check_folders(paths)
        self._last = paths[-1]

    def _order_error(self, paths: Sequence[str]) -> ManifestError:
        before = self._last
        for path in paths:
            if path == before:
                return ManifestError(f"The manifest has {path!r:.200} twice; each path may occur once.")
            if path < before:
                break
            before = path
        return ManifestError(
            f"The manifest has {path!r:.200} after {before!r:.200}; sort entries by the UTF-8 of their path."
        )

    def _check_folders(self, paths: Sequence[str]) -> None:
        prefixes = self._prefixes
        for path in paths:
            while prefixes and not path.startswith(prefixes[-1]):
                prefixes.pop()
            # The last one suffices: a shorter prefix is followed by the same character as in the entry
            # before, for which it was checked already. So hostile chains of prefixes cost nothing.
            if prefixes and path[len(prefixes[-1])] == "/":
                raise ManifestError(
                    f"{prefixes[-1]!r:.200} is an entry and cannot be the folder of {path!r:.200}; rename.",
                    Reason.PATH_COLLISION,
                )
            prefixes.append(path)


def segment_bounds(paths: Sequence[str], sizes_bytes: Sequence[int]) -> list[tuple[int, int]]:
    """Cuts a sorted manifest into segments, by content: an insertion changes only the segments around it.

    A segment ends after an entry whose `crc32(path)` is 0 modulo 1,024, or at 4,096 entries, or before the
    entry that would bring its encoding over 768 KiB. An entry larger than that is a segment of its own.

    Args:
        paths: all paths, in order.
        sizes_bytes: estimate of each entry's encoded size.

    Returns:
        Slices (first, end) that cover all entries in order; none for an empty manifest.
    """
    assert len(paths) == len(sizes_bytes), "each entry needs a size"
    bounds: list[tuple[int, int]] = []
    first = 0
    for end in _natural_ends(paths):
        if end - first <= SEGMENT_ENTRIES_MAX and sum(sizes_bytes[first:end]) <= SEGMENT_BYTES_MAX:
            bounds.append((first, end))
        else:
            bounds.extend(_forced_bounds(sizes_bytes, first, end))
        first = end
    return bounds


def natural_end(paths: Sequence[str]) -> int:
    """Returns where the last segment that ends by its content ends; 0: none does.

    What lies before can be cut by itself: `segment_bounds` of it is the beginning of that of the whole manifest.
    """
    for end in range(len(paths), 0, -1):
        if not crc32(paths[end - 1].encode()) % SEGMENT_ENTRIES_MODULUS:
            return end
    return 0


def _natural_ends(paths: Sequence[str]) -> list[int]:
    checksums = map(crc32, map(str.encode, paths))
    ends = [end for end, checksum in enumerate(checksums, start=1) if not checksum % SEGMENT_ENTRIES_MODULUS]
    if paths and (not ends or ends[-1] != len(paths)):
        ends.append(len(paths))
    return ends


def _forced_bounds(sizes_bytes: Sequence[int], first: int, end: int) -> Iterator[tuple[int, int]]:
    """Cuts a stretch without a natural end; the rule begins anew after it, so a shift does not spread."""
    size_bytes = 0
    for index in range(first, end):
        full = index - first == SEGMENT_ENTRIES_MAX or size_bytes + sizes_bytes[index] > SEGMENT_BYTES_MAX
        if full and index > first:
            yield first, index
            first, size_bytes = index, 0
        size_bytes += sizes_bytes[index]
    yield first, end
