"""Merges the manifests of many parts into one: reads them a few segments at a time, decides who has which path, cuts anew.

Memory is bounded: of each part at most two segments are held, of at most `PARTS_AT_ONCE` parts; more parts are merged in
rounds over a file without a name, of which a crash leaves nothing.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO

from holdfast_contract.limits import SEGMENT_ENTRIES_MAX
from holdfast_contract.manifest_order import natural_end, segment_bounds
from holdfast_registry.domain.distributed import conflict, folder_conflict
from holdfast_registry.domain.manifest import digest_texts, parse_segment, split_digests
from holdfast_registry.domain.manifest_columns import EntryDetail, details_of, encoded_bytes, segment_of
from holdfast_registry.errors import RegistryError
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, ManifestSegment

PARTS_AT_ONCE = 64
"""Merged in one round: two segments of each are 128 x 100 KiB encoded on average, some 40 MiB once decoded."""

ReadSegments = Callable[[Sequence[bytes]], list[bytes]]
"""Returns the stored segments of these digests."""


@dataclass(slots=True)
class Block:
    """Entries of one segment, decoded."""

    paths: list[str]
    digests: list[bytes]
    texts: list[str]
    sizes: list[int]
    details: dict[int, EntryDetail]
    numbers: Sequence[int]
    """For each entry the number of its part; a later part of one writer has a higher one."""
    next: int = 0
    """The first entry that was not handed on."""

    @classmethod
    def of(cls, segment: ManifestSegment, numbers: Sequence[int]) -> Block:
        """Decodes a segment whose rules were checked when its part was brought."""
        return cls(
            list(segment.paths),
            split_digests(segment.digests),
            digest_texts(segment),
            list(segment.sizes),
            details_of(segment),
            numbers,
        )


@dataclass(slots=True)
class MergedEntry:
    """One entry on its way from a part to the merged manifest."""

    path: str
    number: int
    block: Block
    position: int

    @property
    def text(self) -> str:
        """What stands for it in the artifact digest."""
        return self.block.texts[self.position]

    @property
    def digest(self) -> bytes:
        """Of its file; zeros for a reference."""
        return self.block.digests[self.position]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.block.sizes[self.position]

    @property
    def detail(self) -> EntryDetail | None:
        """What only few entries have."""
        return self.block.details.get(self.position)


@dataclass(slots=True)
class MergeInput:
    """Blocks in order, loaded one after another."""

    blocks: Iterator[Block]
    bounds: Sequence[str]
    """For each block what none of its paths is less than."""
    loaded: int = 0
    last_path: str = ""

    def next_bound(self) -> str | None:
        """Returns what no path of the next block is less than; None: there is no further block."""
        if self.loaded == len(self.bounds):
            return None
        return max(self.bounds[self.loaded], self.last_path)

    def load(self) -> Block:
        """Returns the next block."""
        block = next(self.blocks)
        self.loaded += 1
        self.last_path = block.paths[-1]
        return block


def input_of(root: ManifestRoot, number: int, read: ReadSegments) -> MergeInput:
    """Returns a stored manifest as the input that part `number` is."""

    def blocks() -> Iterator[Block]:
        for segment in root.segments:
            (encoded,) = read([segment.digest])
            yield Block.of(parse_segment(encoded), [number] * segment.entry_count)

    return MergeInput(blocks(), [segment.first_path for segment in root.segments])


def merged(inputs: Sequence[MergeInput]) -> Iterator[list[MergedEntry]]:
    """Yields all entries of all inputs by path and number, in lists; those of one path are in one list."""
    waiting: list[tuple[str, int]] = []
    for index, source in enumerate(inputs):
        if (bound := source.next_bound()) is not None:
            heappush(waiting, (bound, index))
    opened: list[Block] = []
    while waiting or opened:
        entries = _taken(opened, waiting[0][0] if waiting else None)
        if entries:
            entries.sort(key=attrgetter("path", "number"))
            yield entries
        opened = [block for block in opened if block.next < len(block.paths)]
        if waiting:
            _, index = heappop(waiting)
            opened.append(inputs[index].load())
            if (bound := inputs[index].next_bound()) is not None:
                heappush(waiting, (bound, index))


def _taken(opened: Sequence[Block], limit: str | None) -> list[MergedEntry]:
    """Takes from the blocks what no block that is still to be loaded can precede."""
    entries: list[MergedEntry] = []
    for block in opened:
        end = len(block.paths) if limit is None else bisect_left(block.paths, limit, block.next)
        entries += [MergedEntry(block.paths[at], block.numbers[at], block, at) for at in range(block.next, end)]
        block.next = end
    return entries


class PartMerge:
    """Merges parts; afterwards nobody can tell the version from one that a single writer has brought."""

    def __init__(self, writers: Sequence[str], spill_folder: Path) -> None:
        """Makes a merge of parts with these writers, one for each number.

        Args:
            writers: in the order in which their parts were brought; one name may occur several times.
            spill_folder: on whose disk there is room for intermediate rounds.
        """
        self._writers = writers
        self._spill_folder = spill_folder
        self._folders: list[MergedEntry] = []

    def segments(self, inputs: Sequence[MergeInput]) -> Iterator[ManifestSegment]:
        """Yields the merged manifest's segments.

        Raises:
            RegistryError: PART_CONFLICT.
        """
        rounds = inputs
        while len(rounds) > PARTS_AT_ONCE:
            groups = [rounds[first : first + PARTS_AT_ONCE] for first in range(0, len(rounds), PARTS_AT_ONCE)]
            rounds = [self._spilled(group) for group in groups]
        kept: list[MergedEntry] = []
        for entries in merged(rounds):
            agreed = self._agreed(entries)
            self._check_folders(agreed)
            end = natural_end([entry.path for entry in agreed])
            if end:
                yield from _cut(kept + agreed[:end])
                kept = []
            kept += agreed[end:]
        yield from _cut(kept)

    def _spilled(self, group: Sequence[MergeInput]) -> MergeInput:
        """Merges some parts into one input; entries of different writers stay beside each other, to be judged in the end."""
        spill = _Spill(self._spill_folder)
        for entries in merged(group):
            spill.append(self._last_of_each_writer(entries))
        return spill.as_input()

    def _last_of_each_writer(self, entries: list[MergedEntry]) -> list[MergedEntry]:
        if not _has_path_twice(entries):
            return entries
        kept: list[MergedEntry] = []
        for _, same_path in groupby(entries, key=attrgetter("path")):
            last = {self._writers[entry.number]: entry for entry in same_path}
            kept += sorted(last.values(), key=attrgetter("number"))
        return kept

    def _agreed(self, entries: list[MergedEntry]) -> list[MergedEntry]:
        """Returns one entry for each path.

        Raises:
            RegistryError: PART_CONFLICT.
        """
        if not _has_path_twice(entries):
            return entries
        agreed: list[MergedEntry] = []
        for entry in self._last_of_each_writer(entries):
            if not agreed or agreed[-1].path != entry.path:
                agreed.append(entry)
            elif agreed[-1].text != entry.text:
                raise conflict(entry.path, self._writers[agreed[-1].number], self._writers[entry.number])
        return agreed

    def _check_folders(self, entries: Sequence[MergedEntry]) -> None:
        """Refuses an entry that is the folder of another; the same walk as that of `ManifestOrder`, which knows no writers."""
        above = self._folders
        for entry in entries:
            while above and not entry.path.startswith(above[-1].path):
                above.pop()
            if above and entry.path[len(above[-1].path)] == "/":
                raise self._folder_conflict(above[-1], entry)
            above.append(entry)

    def _folder_conflict(self, file: MergedEntry, below: MergedEntry) -> RegistryError:
        return folder_conflict(file.path, self._writers[file.number], below.path, self._writers[below.number])


def covers(finished: MergeInput, part: MergeInput) -> bool:
    """Tells whether a manifest has every entry of another one, with the same digest.

    Args:
        finished: under number 0.
        part: under number 1.
    """
    for entries in merged([finished, part]):
        found = {entry.path: entry.text for entry in entries if not entry.number}
        if any(found.get(entry.path) != entry.text for entry in entries if entry.number):
            return False
    return True


def _has_path_twice(entries: Sequence[MergedEntry]) -> bool:
    return len({entry.path for entry in entries}) < len(entries)


def _cut(entries: Sequence[MergedEntry]) -> Iterator[ManifestSegment]:
    sizes = [encoded_bytes(entry.path, entry.detail) for entry in entries]
    for first, end in segment_bounds([entry.path for entry in entries], sizes):
        yield _segment(entries[first:end])


def _segment(entries: Sequence[MergedEntry]) -> ManifestSegment:
    return segment_of(
        [entry.path for entry in entries],
        b"".join([entry.digest for entry in entries]),
        [entry.size for entry in entries],
        {at: detail for at, entry in enumerate(entries) if (detail := entry.detail) is not None},
    )


@dataclass(slots=True)
class _Spilled:
    offset: int
    length: int
    first_path: str
    numbers: array[int] = field(default_factory=lambda: array("I"))


class _Spill:
    """Merged blocks in a file without a name."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the input reads
        self._blocks: list[_Spilled] = []
        self._end = 0

    def append(self, entries: Sequence[MergedEntry]) -> None:
        """Adds entries that follow those before."""
        for first in range(0, len(entries), SEGMENT_ENTRIES_MAX):
            some = entries[first : first + SEGMENT_ENTRIES_MAX]
            encoded = _segment(some).SerializeToString()
            self._file.write(encoded)
            numbers = array("I", [entry.number for entry in some])
            self._blocks.append(_Spilled(self._end, len(encoded), some[0].path, numbers))
            self._end += len(encoded)

    def as_input(self) -> MergeInput:
        """Returns what was added."""
        self._file.flush()

        def blocks() -> Iterator[Block]:
            for block in self._blocks:
                encoded = os.pread(self._file.fileno(), block.length, block.offset)
                yield Block.of(ManifestSegment.FromString(encoded), block.numbers)
            self._file.close()

        return MergeInput(blocks(), [block.first_path for block in self._blocks])
