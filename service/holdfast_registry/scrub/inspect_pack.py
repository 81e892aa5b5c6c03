"""Reads one pack and says what is wrong with it: its object, its index, every frame, and what the database says of it."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterator
from itertools import accumulate

from holdfast_contract.errors import PackError
from holdfast_contract.limits import DIGEST_BYTES, MIB
from holdfast_contract.pack import PACK_HEADER_BYTES, PackIndex, read_index, verify_frames
from holdfast_registry.blobstore.store import BlobStore, PackFile, PackGoneError, StoreUnavailableError
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.scrubs import ScrubbedPack
from holdfast_registry.domain.manifest import split_digests
from holdfast_registry.errors import RegistryError
from holdfast_registry.file_threads import FileThreads

RUN_BYTES = 1 * MIB
"""Read between two waits: at the default rate they last a fraction of a second."""

Spent = Callable[[int], Awaitable[None]]
"""Is told how many bytes were read."""


class PackInspector:
    """Reads packs."""

    def __init__(self, packs: PackRepository, store: BlobStore, threads: FileThreads) -> None:
        self._packs = packs
        self._store = store
        self._threads = threads

    async def problem_of(self, pack: ScrubbedPack, spent: Spent) -> str | None:
        """Returns what is wrong with a pack; None: nothing.

        Args:
            pack: which.
            spent: is awaited after every read.

        Raises:
            StoreUnavailableError: the store does not answer, which says nothing of what it holds.
        """
        try:
            opened = await self._threads.run(self._open, pack)
            if opened is None:
                return "its object is gone"
            with opened:
                if opened.size_bytes != pack.size_bytes:
                    return f"its object has {opened.size_bytes} bytes instead of {pack.size_bytes}"
                return await self._read(pack, opened, spent)
        except StoreUnavailableError:
            raise
        except PackGoneError:
            return "its object is gone"
        except (PackError, RegistryError) as error:
            return error.message
        except OSError as error:
            return f"its file cannot be read: {error.strerror}"

    def _open(self, pack: ScrubbedPack) -> PackFile | None:
        return self._store.open_pack(pack.pack_id, whole=True)

    async def _read(self, pack: ScrubbedPack, opened: PackFile, spent: Spent) -> str | None:
        index = await self._threads.run(self._index, pack, opened)
        await spent(opened.size_bytes - index.stored_bytes)
        contradiction = await self._threads.run(self._contradiction, pack, index)
        if contradiction:
            return contradiction
        damaged = 0
        for first, end, offset, length in _runs(index.stored_lengths):
            damaged += await self._threads.run(_damaged_in_run, opened, index, first, end, offset, length)
            await spent(length)
        return f"{damaged} of its {len(index)} chunks do not have the bytes of their digest" if damaged else None

    def _index(self, pack: ScrubbedPack, opened: PackFile) -> PackIndex:
        return read_index(opened.pread, opened.size_bytes, pack_id=pack.pack_id)

    def _contradiction(self, pack: ScrubbedPack, index: PackIndex) -> str | None:
        """Compares the rows of the pack's chunks with its index."""
        digests = split_digests(bytes(index.digests))
        columns = (index.offsets(), index.stored_lengths, index.lengths, index.codecs)
        frames = set(zip(digests, *columns, strict=True))
        for digest, place in zip(digests, self._packs.places(pack.entity_id, digests), strict=True):
            if place is None or place.pack_id != pack.pack_id:
                continue
            if (digest, place.offset, place.stored_length, place.length, place.codec) not in frames:
                return f"the row of chunk {digest.hex()} does not say where it lies"
        return None


def _runs(stored_lengths: array[int]) -> Iterator[tuple[int, int, int, int]]:
    """Yields (first frame, end, offset, bytes) of runs of whole frames."""
    ends = list(accumulate(stored_lengths, initial=PACK_HEADER_BYTES))
    first = 0
    for position in range(1, len(ends)):
        if ends[position] - ends[first] >= RUN_BYTES or position == len(ends) - 1:
            yield first, position, ends[first], ends[position] - ends[first]
            first = position


def _damaged_in_run(opened: PackFile, index: PackIndex, first: int, end: int, offset: int, length: int) -> int:
    run = PackIndex(
        index.pack_id,
        index.digests[DIGEST_BYTES * first : DIGEST_BYTES * end],
        index.stored_lengths[first:end],
        index.lengths[first:end],
        index.codecs[first:end],
    )
    block = opened.view(offset, length)
    # The frames of an index begin behind a header.
    return len(verify_frames(run, lambda at, size: block[at - PACK_HEADER_BYTES :][:size], decompress))
