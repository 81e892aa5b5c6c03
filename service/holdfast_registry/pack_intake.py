"""Packs on their way in: granted, brought, checked chunk by chunk, made durable, and only then serving.

Order of a seal: file opened once · index and every frame checked · fsync, rename, fsync of the folder · one transaction
that makes its chunks serve.  Of a large pack for whose bytes the store vouches only the index is read: it serves its own
upload at once, and others when the verifier has read it.  Whatever a crash leaves, the same seal repeated comes to the same end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from holdfast_contract.errors import PackError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import FIND_MISSING_DIGESTS_MAX, MIB, PACK_BYTES_MAX, PACK_CHUNKS_MAX
from holdfast_contract.pack import (
    COLUMN_BYTES,
    PACK_ID_BYTES,
    TRAILER_BYTES,
    PackIndex,
    read_index,
    verify_frames,
)
from holdfast_contract.reasons import Reason
from holdfast_registry.blobstore.directory import DirectoryStore
from holdfast_registry.blobstore.store import BlobStore, IncomingPack
from holdfast_registry.blobstore.transfers import OutgoingPack, Transfers, Way
from holdfast_registry.blobstore.zstd import decompress
from holdfast_registry.database.packs import Missing, PackIntent, PackRecord, PackRepository
from holdfast_registry.domain.records import LeaseGrant, PackState
from holdfast_registry.errors import RegistryError, invalid
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.pack_verifier import PackVerifier, VerifierLoad

logger = logging.getLogger(__name__)

INTENTS_MAX = 64
"""Packs granted in one call: 4 GiB of work ahead."""
SHA256_BYTES = 32
CHECKED_AT_ONCE_BYTES = 1 * MIB
"""A pack of up to this is read with one request in any case, and most are manifests, which their commit reads anyway."""
UNREAD_WAIT_S = 10.0
"""A caller who asks what is missing waits so long at most for unread packs; what only they have is missing then."""


@dataclass(frozen=True, slots=True)
class Grant:
    """How one pack is to be brought."""

    pack_id: bytes
    sealed: bool
    way: Way | None
    """None: it is sealed, or its SHA-256 is needed first."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A pack that serves."""

    live_chunks: int
    lease: LeaseGrant


@dataclass(frozen=True, slots=True)
class _Brought:
    """A pack that is durable now."""

    index: PackIndex
    unread: bool


class KeyedLocks:
    """One lock for each key that is in use."""

    def __init__(self) -> None:
        self._locks: dict[bytes, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: bytes) -> AsyncIterator[None]:
        """Holds the lock of one key."""
        lock, holders = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, holders + 1)
        try:
            async with lock:
                yield
        finally:
            lock, holders = self._locks.pop(key)
            if holders > 1:
                self._locks[key] = (lock, holders - 1)

    def held(self, key: bytes) -> bool:
        """Tells whether somebody holds or waits for it."""
        return key in self._locks


class PackIntake:
    """Takes packs in."""

    def __init__(
        self,
        packs: PackRepository,
        store: BlobStore,
        transfers: Transfers,
        verifier: PackVerifier,
        threads: FileThreads,
        *,
        streamed_to: DirectoryStore | None,
        verified_at_once: int,
    ) -> None:
        """Puts it together.

        Args:
            packs: the index.
            store: the bytes.
            transfers: how they come.
            verifier: reads what was not read when it was sealed.
            threads: where the work is done.
            streamed_to: the store, if it takes packs over the wire.
            verified_at_once: packs that are checked in parallel.
        """
        self._packs = packs
        self._store = store
        self._transfers = transfers
        self._verifier = verifier
        self._threads = threads
        self._streamed_to = streamed_to
        self._verifying = asyncio.Semaphore(verified_at_once)
        self._seals: dict[tuple[str, bytes, int], asyncio.Task[Sealed]] = {}
        self._asked_s: dict[tuple[str, bytes, int], float] = {}
        self._checking = 0
        self._sealing = KeyedLocks()
        self._writing = KeyedLocks()

    async def find_missing(self, lease_id: str, digests: Sequence[bytes]) -> Missing:
        """Tells which chunks are not stored; those that only unread packs of other uploads have are read first.

        Raises:
            RegistryError: LEASE_EXPIRED, TOO_LARGE; UNAVAILABLE: the store does not answer.
        """
        if len(digests) > FIND_MISSING_DIGESTS_MAX:
            raise RegistryError(
                Reason.TOO_LARGE, f"{len(digests)} digests were asked for; at most {FIND_MISSING_DIGESTS_MAX} a call."
            )
        found = await self._packs.find_missing(lease_id, digests)
        if found.unread:
            await self._verifier.read(found.unread, within_s=UNREAD_WAIT_S)
            found = await self._packs.find_missing(lease_id, digests)
        return found

    async def grant(self, lease_id: str, intents: Sequence[PackIntent]) -> list[Grant]:
        """Says how each pack is to be brought.

        Raises:
            RegistryError: LEASE_EXPIRED, TOO_LARGE, PACK_ID_REUSED, OUT_OF_SPACE.
        """
        _check_intents(intents)
        await self._transfers.check_space(sum(intent.size_bytes for intent in intents))
        records = await self._packs.grant(lease_id, intents)
        sealed = {record.pack_id for record in records if record.state is PackState.LIVE}
        outgoing = [
            OutgoingPack(intent.pack_id, intent.size_bytes, intent.sha256)
            for intent in intents
            if intent.pack_id not in sealed and (intent.sha256 or not self._transfers.needs_sha256)
        ]
        granted = await self._transfers.uploads(outgoing)
        ways = {pack.pack_id: way for pack, way in zip(outgoing, granted, strict=True)}
        return [Grant(intent.pack_id, intent.pack_id in sealed, ways.get(intent.pack_id)) for intent in intents]

    @asynccontextmanager
    async def writing(self, lease_id: str, pack_id: bytes) -> AsyncIterator[PackWriter]:
        """Lets one caller at a time stream a pack.

        Raises:
            RegistryError: LEASE_EXPIRED, GRANT_INVALID; UNAVAILABLE: another stream is writing it.
        """
        if self._streamed_to is None:
            raise RegistryError(
                Reason.GRANT_INVALID, f"Pack {pack_id.hex()} is not to be streamed: PUT it to the address of its grant."
            )
        record = await self._threads.run(self._packs.pack_of_lease, lease_id, pack_id)
        if self._writing.held(pack_id):
            raise RegistryError(Reason.UNAVAILABLE, f"Pack {pack_id.hex()} is written by another stream; try again.")
        async with self._writing.hold(pack_id):
            yield PackWriter(record, self._streamed_to, self._threads)

    async def seal(self, lease_id: str, pack_id: bytes, size_bytes: int) -> Sealed:
        """Checks a pack that was brought, makes it durable and lets its chunks serve.

        The check goes on when the caller gives up; who asks again joins it.

        Raises:
            RegistryError: LEASE_EXPIRED, GRANT_INVALID, PACK_TORN, PACK_DAMAGED, CHUNK_DIGEST_MISMATCH.
        """
        key = (lease_id, pack_id, size_bytes)
        task = self._seals.get(key)
        if task is None:
            self._asked_s[key] = time.monotonic()
            task = self._seals[key] = asyncio.create_task(self._seal(lease_id, pack_id, size_bytes))
            task.add_done_callback(partial(self._sealed, key))
        return await asyncio.shield(task)

    def _sealed(self, key: tuple[str, bytes, int], task: asyncio.Task[Sealed]) -> None:
        del self._seals[key], self._asked_s[key]
        if not task.cancelled():
            task.exception()  # taken note of: whoever asked may have gone

    async def _seal(self, lease_id: str, pack_id: bytes, size_bytes: int) -> Sealed:
        async with self._sealing.hold(pack_id):
            try:
                checked = await self._check_in_turn(lease_id, pack_id, size_bytes)
            except PackError as error:
                logger.warning("pack refused pack=%s reason=%s message=%s", pack_id.hex(), error.reason, error.message)
                await self._packs.doom(pack_id)
                await self._threads.run(self._store.discard, pack_id)
                raise
            if isinstance(checked, PackRecord):
                return Sealed(checked.live_chunks, LeaseGrant(lease_id, 0))
            live, lease = await self._packs.seal(lease_id, checked.index, unread=checked.unread)
            return Sealed(live, lease)

    @property
    def load(self) -> VerifierLoad:
        """How the checks keep up, here and in the verifier; may be asked from any thread."""
        asked_s, later = list(self._asked_s.values()), self._verifier.load
        lag_s = time.monotonic() - min(asked_s) if asked_s else 0.0
        waiting = max(0, len(asked_s) - self._checking)
        return VerifierLoad(self._checking + later.checking, waiting + later.waiting, max(lag_s, later.lag_s))

    async def _check_in_turn(self, lease_id: str, pack_id: bytes, size_bytes: int) -> _Brought | PackRecord:
        async with self._verifying:
            self._checking += 1
            try:
                return await self._threads.run(self._check_and_publish, lease_id, pack_id, size_bytes)
            finally:
                self._checking -= 1

    def _check_and_publish(self, lease_id: str, pack_id: bytes, size_bytes: int) -> _Brought | PackRecord:
        """Returns a pack that is durable now, or the record of one that was sealed before."""
        record = self._packs.pack_of_lease(lease_id, pack_id)
        if record.state is PackState.LIVE:
            return record
        if size_bytes != record.size_bytes:
            raise invalid(f"Pack {pack_id.hex()} was granted with {record.size_bytes} bytes, not {size_bytes}.")
        unread = self._store.vouches and size_bytes > CHECKED_AT_ONCE_BYTES
        pack = self._open(record, unread)
        if pack is None:
            raise RegistryError(
                Reason.GRANT_INVALID, f"Nothing was brought for pack {record.pack_id.hex()}; bring it, then seal it."
            )
        with pack:
            if pack.size_bytes != record.size_bytes:
                raise PackError(
                    f"Pack {record.pack_id.hex()} has {pack.size_bytes} bytes, {record.size_bytes} were announced; "
                    "send it again under a new id.",
                    Reason.PACK_TORN,
                )
            index = read_index(pack.pread, pack.size_bytes, pack_id=pack_id)
            _check_frames(index, record, [] if unread else verify_frames(index, pack.view, decompress))
            failpoint("seal.after_verify")
            pack.publish()
        return _Brought(index, unread)

    def _open(self, record: PackRecord, unread: bool) -> IncomingPack | None:
        if not unread:
            return self._store.open_incoming(record.pack_id)
        end_bytes = TRAILER_BYTES + COLUMN_BYTES * record.chunk_count
        return self._store.open_ends(record.pack_id, record.size_bytes, end_bytes)


class PackWriter:
    """One stream into one pack."""

    def __init__(self, record: PackRecord, store: DirectoryStore, threads: FileThreads) -> None:
        self._record = record
        self._store = store
        self._threads = threads

    async def write(self, offset: int, data: bytes) -> int:
        """Adds bytes; returns how many have arrived in all.

        Raises:
            RegistryError: GRANT_INVALID: wrong offset or more than was announced; OUT_OF_SPACE.
        """
        if self._record.state is PackState.LIVE:
            return self._record.size_bytes
        if offset + len(data) > self._record.size_bytes:
            raise RegistryError(
                Reason.GRANT_INVALID,
                f"Pack {self._record.pack_id.hex()} was granted with {self._record.size_bytes} bytes; this is more.",
                {"expected": str(self._record.size_bytes)},
            )
        return await self._threads.run(self._store.write, self._record.pack_id, offset, data)

    async def finish(self) -> int:
        """Ends the stream; the pack must be whole."""
        if self._record.state is PackState.LIVE:
            return self._record.size_bytes
        received = await self._threads.run(self._store.received_bytes, self._record.pack_id)
        if received != self._record.size_bytes:
            raise RegistryError(
                Reason.GRANT_INVALID,
                f"Pack {self._record.pack_id.hex()} has {received} of {self._record.size_bytes} bytes; send the rest.",
                {"expected": str(received)},
            )
        await self._threads.run(self._store.finish, self._record.pack_id)
        return received


def _check_intents(intents: Sequence[PackIntent]) -> None:
    if len(intents) > INTENTS_MAX:
        raise RegistryError(Reason.TOO_LARGE, f"{len(intents)} packs were asked for; at most {INTENTS_MAX} a call.")
    if len({intent.pack_id for intent in intents}) < len(intents):
        raise invalid("A pack id is given twice; each pack needs its own.")
    for intent in intents:
        if len(intent.pack_id) != PACK_ID_BYTES:
            raise invalid(f"A pack id has {PACK_ID_BYTES} bytes, not {len(intent.pack_id)}.")
        if len(intent.sha256) not in (0, SHA256_BYTES):
            raise invalid(f"A SHA-256 has {SHA256_BYTES} bytes, not {len(intent.sha256)}.")
        if not 0 < intent.size_bytes <= PACK_BYTES_MAX or not 0 < intent.chunk_count <= PACK_CHUNKS_MAX:
            raise RegistryError(
                Reason.TOO_LARGE,
                f"A pack has 1 to {PACK_BYTES_MAX} bytes and 1 to {PACK_CHUNKS_MAX} chunks, "
                f"not {intent.size_bytes} and {intent.chunk_count}.",
            )


def _check_frames(index: PackIndex, record: PackRecord, damaged: Sequence[int]) -> None:
    if damaged:
        raise PackError(
            f"Chunk {index.digest_at(damaged[0]).hex()} of pack {record.pack_id.hex()} does not have the bytes of its "
            f"digest, nor have {len(damaged) - 1} others; send the pack again under a new id.",
            Reason.CHUNK_DIGEST_MISMATCH,
        )
    if len(index) != record.chunk_count:
        raise PackError(
            f"Pack {record.pack_id.hex()} holds {len(index)} chunks, {record.chunk_count} were announced; "
            "send it again under a new id."
        )
