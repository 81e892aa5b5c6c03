"""Large files that are on this host already and share chunks with one that is wanted: what they have need not be fetched.

A seed is a file that an earlier download put in place.  It counts while it is in the state in which it was put there; each chunk that
is taken from it is compared with its digest all the same, since it is a user's file.  And a file that several downloads want at the
same time is fetched by one of them; the others wait until it has a seed for them, or has given up.
"""

import asyncio
import logging
import os
import time
from array import array
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from holdfast_contract.limits import DIGEST_BYTES
from holdfast_daemon.journal.placed_store import ChunkRun, PlacedFile
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile
from holdfast_daemon.pipeline.read_file import Stat5, stat5
from holdfast_daemon.pipeline.target_tree import remove_partial
from holdfast_daemon.workers import Workers

SEEDS_MAX = 16
"""Lists of chunks that are looked through for one list of at most 4,096: 2.5 MB of memory."""
PARTIAL_TTL_S = 86_400
"""A download that is repeated goes on with what is there; who has not done so for a day has given it up."""
TIDY_S = 3_600.0

_log = logging.getLogger(__name__)


class SeedStore(Protocol):
    """What is remembered; see PlacedStore."""

    async def begin_file(self, run: ChunkRun, partial: bytes, now_s: int) -> None:
        """Keeps a list of chunks, and a temporary file."""

    async def end_file(self, file: PlacedFile, partial: bytes) -> None:
        """Keeps a file instead of its temporary one."""

    async def drop_partials(self, paths: Collection[bytes]) -> None:
        """Forgets temporary files."""

    async def load_partials(self, before_s: int) -> list[bytes]:
        """Returns temporary files."""

    async def find_runs(self, digests: bytes, file_digest: bytes, offset: int, runs_max: int) -> list[ChunkRun]:
        """Returns lists that most likely share chunks with these."""

    async def find_files(self, digest: bytes) -> list[PlacedFile]:
        """Returns where a file was put."""

    async def drop_files(self, paths: Collection[bytes]) -> None:
        """Forgets files."""

    async def trim(self, needed: Collection[bytes]) -> None:
        """Forgets what is too much."""


class ComingElsewhereError(Exception):
    """Another download fetches the same file; says when that one has ended."""

    def __init__(self, ended: asyncio.Event) -> None:
        super().__init__()
        self.ended = ended


@dataclass(frozen=True, slots=True)
class Seeded:
    """Which of consecutive chunks are in files of this host, and where."""

    files: tuple[PackFile, ...]
    file_indexes: "array[int]"
    """For each chunk; -1: in none of them."""
    offsets: "array[int]"
    """Of the chunk in that file."""

    def absent(self) -> list[int]:
        """Positions of the chunks that have to be fetched."""
        return [position for position, index in enumerate(self.file_indexes) if index < 0]

    def join(self, located: Located, lengths: Sequence[int], packs: int) -> Located:
        """Where all chunks are: the absent ones as `located`, in order, in so many packs; after these come the seeds."""
        pack_indexes, stored = array("I", bytes(4 * len(lengths))), array("I", lengths)
        offsets, codecs = array("Q", self.offsets), bytearray(len(lengths))
        for position, index in enumerate(self.file_indexes):
            pack_indexes[position] = packs + max(index, 0)
        for number, position in enumerate(self.absent()):
            pack_indexes[position] = located.pack_indexes[number]
            offsets[position] = located.offsets[number]
            stored[position] = located.stored_lengths[number]
            codecs[position] = located.codecs[number]
        return Located(pack_indexes, offsets, stored, array("I", lengths), bytes(codecs))


class Seeds:
    """The seeds of one host, and which files are on their way."""

    def __init__(self, store: SeedStore, workers: Workers, clock_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._workers = workers
        self._clock_s = clock_s
        self._under_way: dict[bytes, asyncio.Event] = {}

    def claim(self, digest: bytes) -> None:
        """Takes it on to fetch a file, until `release`.

        Raises:
            ComingElsewhereError: somebody else does so.
        """
        ended = self._under_way.get(digest)
        if ended is not None:
            raise ComingElsewhereError(ended)
        self._under_way[digest] = asyncio.Event()

    def release(self, digest: bytes) -> None:
        """Ends a claim, whatever came of it: those who wait look again."""
        self._under_way.pop(digest).set()

    async def find(self, file_digest: bytes, digests: bytes, lengths: Sequence[int], offset: int) -> Seeded | None:
        """Looks which of a file's chunks are on this host; nothing of a file is read for it.

        Args:
            file_digest: of the wanted file.
            digests: of consecutive chunks, at most 4,096.
            lengths: of the chunks.
            offset: of the first one in the wanted file.

        Returns:
            Where they are; None: nowhere.
        """
        runs = await self._store.find_runs(digests, file_digest, offset, SEEDS_MAX)
        found: list[tuple[ChunkRun, PackFile]] = []
        for run in runs:
            path = await self.find_file(run.file_digest)
            if path is not None:
                found.append((run, PackFile(os.fsdecode(path), b"", is_seed=True)))
        return await self._workers.in_thread(_match, found, digests, lengths) if found else None

    async def find_file(self, digest: bytes) -> bytes | None:
        """Returns where a file of this digest was put and is still as it was."""
        files = await self._store.find_files(digest)
        if not files:
            return None
        for number, is_there in enumerate(await self._workers.in_thread(_are_unchanged, files)):
            if is_there:
                await self._forget(files[:number])
                return files[number].path
        await self._forget(files)
        return None

    async def has_placed(self, path: bytes, digest: bytes) -> bool:
        """Whether the last that was put at this path, as far as remembered, has this digest."""
        return any(file.path == path for file in await self._store.find_files(digest))

    async def _forget(self, files: Sequence[PlacedFile]) -> None:
        if files:
            with suppress(OSError):  # a full disk: they are looked at again another time
                await self._store.drop_files([file.path for file in files])

    async def forget_file(self, path: bytes) -> None:
        """Is told that a seed is not what it should be."""
        with suppress(OSError):  # as above
            await self._store.drop_files([path])

    async def begin(self, run: ChunkRun, partial: bytes) -> None:
        """Remembers a list of a file that is on its way, and its temporary file (empty: none that anybody goes on with)."""
        with suppress(OSError):  # as above: what cannot be remembered is fetched another time
            await self._store.begin_file(run, partial, int(self._clock_s()))

    async def end(self, path: bytes, digest: bytes, state: Stat5, partial: bytes) -> None:
        """Remembers a file that was put in place."""
        with suppress(OSError):  # as above
            await self._store.end_file(PlacedFile(path, digest, state), partial)

    async def give_up(self, partial: bytes) -> None:
        """Is told that a temporary file has been removed."""
        with suppress(OSError):  # as above
            await self._store.drop_partials([partial])

    async def remove_partials(self, age_s: float = 0) -> int:
        """Removes what interrupted downloads have left in users' folders; returns the bytes.

        Args:
            age_s: only what was begun so long ago.  What is being written to stays in any case.
        """
        paths = await self._store.load_partials(int(self._clock_s() - age_s) + 1)
        freed = await self._workers.in_thread(lambda: [remove_partial(path) for path in paths])
        gone = [path for path, size in zip(paths, freed, strict=True) if size is not None]
        with suppress(OSError):  # as above
            await self._store.drop_partials(gone)
        return sum(size or 0 for size in freed)

    async def run(self) -> None:
        """Keeps what is remembered within its bounds and removes what was given up, until cancelled."""
        while True:
            freed = await self.remove_partials(PARTIAL_TTL_S)
            if freed:
                _log.info("removed %d bytes that interrupted downloads had left", freed)
            with suppress(OSError):  # as above
                await self._store.trim(self._under_way)
            await asyncio.sleep(TIDY_S)


def _are_unchanged(files: Sequence[PlacedFile]) -> list[bool]:
    return [_state_of(file.path) == file.state for file in files]


def _state_of(path: bytes) -> Stat5 | None:
    try:
        return stat5(os.stat(path, follow_symlinks=False))
    except OSError:
        return None


def _match(found: Sequence[tuple[ChunkRun, PackFile]], digests: bytes, lengths: Sequence[int]) -> Seeded | None:
    """Finds each chunk in the first list that has it, so that neighbours are most often neighbours there, too."""
    places: dict[bytes, tuple[int, int, int]] = {}
    files: dict[PackFile, int] = {}
    for run, file in found:
        index = files.setdefault(file, len(files))
        ends = accumulate(run.lengths, initial=run.offset)
        for number, (offset, length) in enumerate(zip(ends, run.lengths, strict=False)):
            digest = run.digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]
            places.setdefault(digest, (index, offset, length))
    nowhere = (-1, 0, 0)
    indexes, offsets = array("i"), array("Q")
    for position, length in enumerate(lengths):
        place = places.get(digests[DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)], nowhere)
        index, offset, _ = place if place[2] == length else nowhere
        indexes.append(index)
        offsets.append(offset)
    return Seeded(tuple(files), indexes, offsets) if max(indexes) >= 0 else None
