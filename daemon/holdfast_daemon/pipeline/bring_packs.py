"""Makes packs readable as files of this machine: in place where the registry is here, by transfer where it is not.

A pack of which a good part is wanted comes whole, is checked chunk by chunk, and stays in the cache; of others only the wanted
ranges come, into a sparse temporary file where they lie at their own offsets, so that whoever reads sees no difference.
Raw chunks of a large file need neither: over HTTP they may come straight into that file (see straight.py).
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast_contract import os_layer
from holdfast_contract.errors import PackError
from holdfast_contract.limits import DIGEST_BYTES, FIND_MISSING_DEADLINE_S, KIB, MIB, PACK_BYTES_MAX
from holdfast_contract.pack import read_index, verify_frames
from holdfast_contract.reasons import Reason
from holdfast_daemon.cache.pack_cache import PackCache
from holdfast_daemon.codec import decompress
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import BoundedTasks, run_to_end
from holdfast_daemon.pipeline.fetch_tasks import Located, PackFile, check_located
from holdfast_daemon.pipeline.http_transfers import PIECE_BYTES, PIECE_S, AddressRefusedError, HttpTransfers
from holdfast_daemon.pipeline.pacing import WEIGHTS, Share
from holdfast_daemon.pipeline.pack_chunks import PackChunks, PackUnusableError
from holdfast_daemon.pipeline.straight import IntoFile, Scatter, StraightLedger, raw_positions
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1.log_pb2 import JOB_PRIORITY_NORMAL
from holdfastpb.registry.v1.pack_pb2 import (
    GrantReadsRequest,
    GrantReadsResponse,
    LocateChunksRequest,
    LocateChunksResponse,
    PackReadGrant,
    ReadPackRequest,
)

TRANSFERS_MAX = 4
"""Packs on their way at once: enough to fill a line at 100 ms (64 MiB each), few enough to keep messages in order."""
WHOLE_PACK_SHARE = 4
"""Once a download has asked for more than 1/4 of a pack it gets all of it: at most a quarter is then transferred twice."""
READING_SHARE = 1
"""Reads of parts, which may be all that is ever wanted, get only those until they have asked for as much as the whole pack."""
LEDGER_PACKS_MAX = 10_000
"""Packs of which it is remembered how much was asked for: 640 GB of them, 1 MB of memory."""
RANGE_GAP_BYTES_MAX = 64 * KIB
"""Transferring a gap of this size costs less than a further range."""
TRANSFER_ATTEMPTS = 2
"""A pack that arrives damaged twice is damaged at its source."""
ADDRESS_ATTEMPTS = 3
"""An address that has expired is asked for anew; a third one that is refused has not expired."""
STRAIGHT_PIECE_BYTES = 32 * MIB
"""Of one GET for a large file: its other pieces come at the same time, and servers spend a fifth less on it than on 8 MiB."""
PARTS_AT_ONCE = 3
"""Pieces of one pack under a limit: two wait for their turn or are on their way while one is written."""
USE_ATTEMPTS = 3
"""Once for a damaged pack in the cache, once more for a pack that was rewritten meanwhile."""


@dataclass(slots=True)
class Reader:
    """One download (or verification, or read) and what it has asked for so far."""

    entity: str
    skip_cache: bool = False
    whole_pack_share: int = WHOLE_PACK_SHARE
    asked_bytes: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    token: object = field(default_factory=object)
    """Tells readers apart, also those that have ended."""

    @property
    def share(self) -> Share:
        """Readers are alike: each gets as much as the others when there is a limit."""
        return Share(id(self), WEIGHTS[JOB_PRIORITY_NORMAL])

    def ask(self, pack_id: bytes, size_bytes: int) -> int:
        """Notes that so much of a pack is wanted; returns how much was wanted of it in all."""
        asked = self.asked_bytes.pop(pack_id, 0) + size_bytes
        self.asked_bytes[pack_id] = asked
        if len(self.asked_bytes) > LEDGER_PACKS_MAX:
            self.asked_bytes.popitem(last=False)
        return asked


@dataclass(slots=True)
class BroughtPacks:
    """Packs as files, until `PackSource.release`."""

    files: tuple[PackFile, ...]
    pinned: list[bytes] = field(default_factory=list)
    temporary: list[Path] = field(default_factory=list)


class PackSource:
    """Finds chunks and brings the packs that hold them."""

    def __init__(self, registry: RegistryClient, cache: PackCache, workers: Workers, http: HttpTransfers) -> None:
        self._registry = registry
        self._cache = cache
        self._workers = workers
        self._http = http
        self._down = http.down
        self._transfers = asyncio.Semaphore(TRANSFERS_MAX)
        self._coming: dict[bytes, asyncio.Task[None]] = {}
        self._straight = StraightLedger()

    async def locate(
        self, reader: Reader, digests: bytes, lengths: Sequence[int]
    ) -> tuple[tuple[PackReadGrant, ...], Located]:
        """Asks where chunks are.

        Raises:
            HoldfastError: STORE_DAMAGED: a chunk of a committed version is not stored, or the answer cannot be.
        """
        if not digests:
            return (), check_located(LocateChunksResponse(), ())
        request = LocateChunksRequest(entity=reader.entity, digests=digests)
        try:
            response = await self._registry.call(
                self._registry.packs.LocateChunks, request, deadline_s=FIND_MISSING_DEADLINE_S
            )
        except HoldfastError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            text = f"the registry lost chunk {error.metadata.get('digest', '')}; run `holdfast registry fsck`"
            raise HoldfastError(Reason.STORE_DAMAGED, text, **error.metadata) from error
        self._registry.fetched_bytes += response.ByteSize()
        return tuple(response.packs), check_located(response, lengths)

    async def bring(
        self, reader: Reader, grants: Sequence[PackReadGrant], located: Located, into: IntoFile | None = None
    ) -> BroughtPacks:
        """Makes the packs that hold these chunks readable.  Every call needs its `release`.

        Args:
            reader: for whom.
            grants: of the packs.
            located: where the chunks are.
            into: the file that they belong to.  What is in place there is not brought; what may go there straight does,
                and is noted as being in place.

        Raises:
            HoldfastError: a transfer failed, or what came is damaged.
        """
        positions = _positions_by_pack(located, len(grants), into)
        brought = BroughtPacks(())
        files: list[PackFile] = [PackFile("", grant.pack_id) for grant in grants]
        try:
            for index in sorted(positions):
                rest = positions[index]
                if into is not None:
                    rest = await self._bring_straight(reader, grants[index], located, rest, into)
                if rest:
                    frames = [(located.offsets[position], located.stored_lengths[position]) for position in rest]
                    path = await self._bring_one(reader, grants[index], frames, brought)
                    files[index] = PackFile(str(path), grants[index].pack_id)
        except BaseException:  # a cancellation, too: what is pinned would stay in the cache for ever
            await self.release(brought)
            raise
        brought.files = tuple(files)
        return brought

    async def _bring_straight(
        self, reader: Reader, grant: PackReadGrant, located: Located, positions: list[int], into: IntoFile
    ) -> list[int]:
        """Brings what may go straight into the file; returns the others of these chunks."""
        if into.write is None or grant.WhichOneof("how") != "http":
            return positions
        _check_pack(grant)
        raw = raw_positions(located, positions)
        if not raw or not (reader.skip_cache or self._may_go_straight(reader, grant, located, raw)):
            return positions
        scatter = Scatter(located, raw, into.offsets, into.write)
        async with self._transfers:
            is_much = sum(located.lengths) >= STRAIGHT_PIECE_BYTES
            piece_bytes = STRAIGHT_PIECE_BYTES if is_much else PIECE_BYTES
            await self._get(scatter.write, reader, grant, _merged(scatter.frames), piece_bytes)
        for position in raw:
            into.in_place[position] = True
        return sorted(set(positions).difference(raw))

    def _may_go_straight(self, reader: Reader, grant: PackReadGrant, located: Located, raw: list[int]) -> bool:
        if self._cache.has(grant.pack_id):
            return False
        wanted_bytes = sum(located.lengths[position] for position in raw)
        return self._straight.take(grant.pack_id, grant.size_bytes, wanted_bytes, reader.token)

    def give_up(self, reader: Reader) -> None:
        """Forgets what a reader wanted that did not come to its end; it wants nothing any more."""
        self._straight.forget(reader.token)

    async def _bring_one(
        self, reader: Reader, grant: PackReadGrant, frames: list[tuple[int, int]], brought: BroughtPacks
    ) -> Path:
        ranges = _merged(frames)
        wanted_bytes = sum(length for _, length in ranges)
        if grant.WhichOneof("how") == "filesystem":
            self._registry.fetched_bytes += wanted_bytes
            return Path(grant.filesystem.path)
        _check_pack(grant)
        asked = reader.ask(grant.pack_id, wanted_bytes)
        path = None if reader.skip_cache else self._cache.pin(grant.pack_id)
        wants_whole = asked * reader.whole_pack_share >= grant.size_bytes and grant.size_bytes <= self._cache.bytes_max
        if path is None and wants_whole and not reader.skip_cache:
            await self._into_cache(reader, grant)
            path = self._cache.pin(grant.pack_id)
        if path is not None:
            brought.pinned.append(grant.pack_id)
            return path
        path = self._temporary(grant.pack_id)
        brought.temporary.append(path)
        async with self._transfers:
            await self._transfer(reader, grant, ranges, path)
        return path

    def _temporary(self, pack_id: bytes) -> Path:
        return self._cache.folder / f".{pack_id.hex()}.{os.urandom(6).hex()}.tmp"

    async def _into_cache(self, reader: Reader, grant: PackReadGrant) -> None:
        """One transfer for all who wait for a pack; it is not cut off when one of them gives up."""
        coming = self._coming.get(grant.pack_id)
        if coming is None:
            coming = asyncio.create_task(self._fetch_whole(reader, grant))
            self._coming[grant.pack_id] = coming
            coming.add_done_callback(lambda task: self._forget(grant.pack_id, task))
        await asyncio.shield(coming)

    def _forget(self, pack_id: bytes, task: "asyncio.Task[None]") -> None:
        self._coming.pop(pack_id, None)
        if not task.cancelled():
            task.exception()  # taken note of: those who wait have raised it, and there may be none left

    async def _fetch_whole(self, reader: Reader, grant: PackReadGrant) -> None:
        async with self._transfers:
            for attempt in range(1, TRANSFER_ATTEMPTS + 1):
                path = self._temporary(grant.pack_id)
                try:
                    await self._transfer(reader, grant, [(0, grant.size_bytes)], path)
                    problem = await self._workers.in_process(pack_problem, str(path), grant.pack_id)
                    if problem is None:
                        await self._workers.in_thread(self._cache.publish, grant.pack_id, path, grant.size_bytes)
                        return
                finally:
                    await self._workers.in_thread(os_layer.unlink_if_exists, path)
                if attempt == TRANSFER_ATTEMPTS:
                    text = f"pack {grant.pack_id.hex()} arrived damaged ({problem}); run `holdfast registry fsck`"
                    raise HoldfastError(Reason.STORE_DAMAGED, text, pack=grant.pack_id.hex())

    async def _transfer(self, reader: Reader, grant: PackReadGrant, ranges: list[tuple[int, int]], path: Path) -> None:
        """Writes ranges of a pack at their own offsets.

        Raises:
            HoldfastError: the registry's error; STORE_DAMAGED when it sends less or more than asked; OUT_OF_SPACE.
        """
        file = _RangeFile(path)
        try:
            if grant.WhichOneof("how") == "http":
                await self._workers.in_thread(file.open)
                await self._get(file.write, reader, grant, ranges)
                whole = True
            else:
                whole = await self._stream(file, reader, grant, ranges)
        except OSError as error:
            text = f"the cache cannot take pack {grant.pack_id.hex()} ({error.strerror}); make room in {path.parent}"
            raise HoldfastError(Reason.OUT_OF_SPACE, text, path=str(path.parent)) from error
        finally:
            file.close()
        if not whole:
            text = f"the registry sent other than the wanted bytes of pack {grant.pack_id.hex()}; try again"
            raise HoldfastError(Reason.STORE_DAMAGED, text, pack=grant.pack_id.hex())

    async def _get(
        self,
        write: Callable[[memoryview, int], None],
        reader: Reader,
        grant: PackReadGrant,
        ranges: list[tuple[int, int]],
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        for attempt in range(1, ADDRESS_ATTEMPTS + 1):
            try:
                await self._http.get(grant.http.url, grant.http.headers, ranges, write, reader.share, piece_bytes)
            except AddressRefusedError as error:
                if attempt == ADDRESS_ATTEMPTS:
                    text = f"the S3 server refuses the registry's addresses ({error}); check the registry's clock and its rights"
                    raise HoldfastError(Reason.UNAVAILABLE, text) from error
                request = GrantReadsRequest(entity=reader.entity, pack_ids=[grant.pack_id])
                response: GrantReadsResponse = await self._registry.call(self._registry.packs.GrantReads, request)
                grant = response.grants[0]
            else:
                self._registry.fetched_bytes += sum(length for _, length in ranges)
                return

    async def _stream(
        self, file: "_RangeFile", reader: Reader, grant: PackReadGrant, ranges: list[tuple[int, int]]
    ) -> bool:
        whole = True

        async def bring(part: list[tuple[int, int]]) -> None:
            nonlocal whole
            await self._down.take(sum(length for _, length in part), reader.share)
            request = ReadPackRequest(
                entity=reader.entity,
                pack_id=grant.pack_id,
                offsets=[offset for offset, _ in part],
                lengths=[length for _, length in part],
            )
            responses = self._registry.stream(self._registry.packs.ReadPack, request)
            whole = await self._write_ranges(file, part, responses) and whole

        await self._workers.in_thread(file.open)
        async with BoundedTasks(PARTS_AT_ONCE) as tasks:
            # With a limit, piece by piece, each asked for when it may come: what was asked for comes at the line's speed.
            for part in _in_parts(ranges, self._down.piece_bytes(PACK_BYTES_MAX, PIECE_S)):
                await tasks.start(bring, part)
        return whole

    async def _write_ranges(
        self, file: "_RangeFile", ranges: list[tuple[int, int]], responses: AsyncIterator[Any]
    ) -> bool:
        at, done = 0, 0
        async for response in responses:
            data = memoryview(response.data)
            self._registry.fetched_bytes += len(data)
            while data:
                if at == len(ranges):
                    return False
                offset, length = ranges[at]
                piece = data[: length - done]
                await run_to_end(self._workers.in_thread(file.write, piece, offset + done))
                data, done = data[len(piece) :], done + len(piece)
                if done == length:
                    at, done = at + 1, 0
        return at == len(ranges)

    async def release(self, brought: BroughtPacks) -> None:
        """Ends the use of brought packs."""
        for pack_id in brought.pinned:
            self._cache.unpin(pack_id)
        brought.pinned = []
        for path in brought.temporary:
            await self._workers.in_thread(os_layer.unlink_if_exists, path)
        brought.temporary = []

    async def read(self, reader: Reader, shown: str, digests: bytes, lengths: Sequence[int]) -> list[bytes]:
        """Returns a few chunks.

        Args:
            reader: for whom.
            shown: the file, for messages.
            digests: of the chunks, 32 bytes each.
            lengths: of the chunks, together at most a few MiB.

        Raises:
            HoldfastError: STORE_DAMAGED, or the registry's error.
        """
        for attempt in range(1, USE_ATTEMPTS + 1):
            grants, located = await self.locate(reader, digests, lengths)
            brought = await self.bring(reader, grants, located)
            try:
                return await self._workers.in_thread(read_chunks, brought.files, located, digests)
            except PackUnusableError as error:
                await self.recover(error, brought.files[error.index], shown, attempt)
            finally:
                await self.release(brought)
        raise AssertionError("the last attempt returns or raises")

    async def recover(self, error: PackUnusableError, pack: PackFile, shown: str, attempt: int) -> None:
        """Prepares another attempt after a pack could not be used.

        A damaged pack of the cache is dropped; one that is gone is looked for anew, since the registry's garbage collection
        rewrites packs.

        Raises:
            HoldfastError: STORE_DAMAGED: another attempt would meet the same bytes.
        """
        in_cache = pack.path == str(self._cache.path_of(pack.pack_id))
        if attempt >= USE_ATTEMPTS or not (in_cache or error.missing):
            raise error.to_error(pack.pack_id, shown) from error
        if in_cache:
            await self._workers.in_thread(self._cache.drop, pack.pack_id)


def _in_parts(ranges: Sequence[tuple[int, int]], bytes_max: int) -> Iterator[list[tuple[int, int]]]:
    """Cuts ranges (offset, length) into runs of at most so many bytes."""
    part: list[tuple[int, int]] = []
    room = bytes_max
    for offset, length in ranges:
        while length:
            taken = min(length, room)
            part.append((offset, taken))
            offset, length, room = offset + taken, length - taken, room - taken
            if not room:
                yield part
                part, room = [], bytes_max
    if part:
        yield part


def read_chunks(packs: tuple[PackFile, ...], located: Located, digests: bytes) -> list[bytes]:
    """Reads and checks chunks; returns them in the order of `located`.

    Raises:
        PackUnusableError: see PackChunks.
    """
    column = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    found: list[bytes] = [b""] * len(column)
    with PackChunks(packs) as chunks:
        for position, data in chunks.in_pack_order(located, column, range(len(column))):
            found[position] = bytes(data)
    return found


class _RangeFile:
    """A new file, made at the first write; once it is open several threads may write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def open(self) -> None:
        if self._descriptor < 0:
            self._descriptor = os_layer.create_new(self._path)

    def write(self, block: memoryview, offset: int) -> None:
        self.open()
        os_layer.pwrite_all(self._descriptor, block, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _check_pack(grant: PackReadGrant) -> None:
    if len(grant.pack_id) != 16 or not 0 < grant.size_bytes <= PACK_BYTES_MAX:
        raise HoldfastError(Reason.STORE_DAMAGED, "the registry names a pack that cannot be; ask its operator")


def _positions_by_pack(located: Located, packs: int, into: IntoFile | None) -> dict[int, list[int]]:
    """Positions of the chunks that have to be brought, by pack; files that are named after the packs are here."""
    positions: dict[int, list[int]] = {}
    for position, pack in enumerate(located.pack_indexes):
        if pack < packs and (into is None or not into.in_place[position]):
            positions.setdefault(pack, []).append(position)
    return positions


def _merged(frames: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (offset, length) that cover all frames, ascending, with small gaps read over."""
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(frames):
        if merged and offset <= sum(merged[-1]) + RANGE_GAP_BYTES_MAX:
            start, before = merged[-1]
            merged[-1] = (start, max(before, offset + length - start))
        else:
            merged.append((offset, length))
    return merged


def pack_problem(path: str, pack_id: bytes) -> str | None:
    """Checks a whole pack file, every chunk of it; returns what is wrong with it.  For worker processes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:

        def pread(offset: int, length: int) -> bytes:
            return os.pread(descriptor, length, offset)

        try:
            index = read_index(pread, os.fstat(descriptor).st_size, pack_id=pack_id)
        except PackError as error:
            return error.message
        damaged = verify_frames(index, pread, decompress)
        return f"{len(damaged)} of {len(index)} chunks are damaged" if damaged else None
    finally:
        os.close(descriptor)
