"""Brings one sealed pack to where the registry wants it (link, stream or PUT), and has it checked and sealed there.

A PUT that is cut begins anew, so what is cut must be little where cuts are frequent: after an interruption packs go one at a time, and
in pieces, packs of their own of which the journal knows nothing.  A crash leaves the pack whole, as it was: the registry calls those
pieces present that were sealed, and the file of the last one is removed at the start.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from holdfast_contract import os_layer
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_DEADLINE_S, MIB, PACK_BYTES_MAX
from holdfast_contract.pack import PACK_HEADER_BYTES
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import stop
from holdfast_daemon.pipeline.http_transfers import AddressRefusedError, HttpTransfers
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.sign_pack import sha256_of_sound
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.spool.pack_writer import pack_path
from holdfast_daemon.spool.rewrite import pieces, rewrite
from holdfast_daemon.spool.spool import SpoolPack
from holdfast_daemon.workers import Workers
from holdfastpb.registry.v1.pack_pb2 import (
    GrantPacksRequest,
    PackGrant,
    PackIntent,
    SealPackRequest,
    WritePackRequest,
)

WRITE_BYTES = 1 * MIB
STREAM_DEADLINE_S = 600.0
CAREFUL_BYTES = 8 * PACK_BYTES_MAX
"""After an interruption so much goes one pack at a time, or what comes often would cut four each time and none would ever arrive."""
PIECE_BYTES = 12 * MIB
"""Of a PUT then: a cut costs half of it in the mean, and its transfer still takes longer than what is done once for each."""
PIECES_ROOM_BYTES = 16 * PIECE_BYTES
ADDRESS_ATTEMPTS = 3
"""An address that has expired is asked for anew; a third one that is refused has not expired."""
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


class TransferCutError(Exception):
    """Nobody waits for the pack at the moment."""


class PackBringer:
    """Brings packs, several at a time."""

    def __init__(
        self,
        folder: Path,
        workers: Workers,
        registry: RegistryClient,
        http: HttpTransfers,
        *,
        slots: int,
        take: Callable[[SpoolPack, int], Awaitable[None]],
        on_careful: Callable[[], None],
    ) -> None:
        """Puts it together.

        Args:
            folder: where packs lie.
            workers: for what blocks.
            registry: grants and seals.
            http: makes PUTs.
            slots: packs that are brought at once.
            take: waits until so many bytes of a pack may go.
            on_careful: is called when `is_careful` may have changed.
        """
        self._folder = folder
        self._workers = workers
        self._registry = registry
        self._http = http
        self._slots = slots
        self._take = take
        self._on_careful = on_careful
        self._transfers: dict[bytes, tuple[SpoolPack, asyncio.Task[None]]] = {}
        self._careful_bytes = 0
        self.puts = False
        """Whether packs go by PUT, as far as the registry has said: it wants to know each one's SHA-256."""
        self.bytes_sent = 0
        """Bytes brought to the registry since the start."""

    @property
    def is_careful(self) -> bool:
        """Whether packs should go one at a time."""
        return self._careful_bytes > 0

    def be_careful(self, careful_bytes: int = CAREFUL_BYTES) -> None:
        """So much goes one pack at a time."""
        self._careful_bytes = careful_bytes
        self._on_careful()

    def cut(self, is_unwanted: Callable[[SpoolPack], bool]) -> None:
        """Stops transfers of some packs, which raise TransferCutError."""
        for pack, transfer in self._transfers.values():
            if is_unwanted(pack):
                transfer.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no bytes are on their way."""
        return not self._transfers

    async def bring(
        self,
        pack: SpoolPack,
        job: Job,
        lease_id: str,
        arrived: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Moves a sealed pack into the registry's store, as granted, and has it checked there.

        Args:
            pack: to be brought.
            job: that it is brought for.
            lease_id: of the job.
            arrived: is entered when its bytes have gone, and the line is free, until it is checked.

        Raises:
            HoldfastError: the registry's or the store's.
            TransferCutError: all its jobs were paused or have ended meanwhile.
        """
        if self.puts and not (pack.is_put or pack.maybe_put) and await self._goes_in_pieces(pack):
            return await self._bring_pieces(pack, job, lease_id)
        path = pack_path(self._folder, pack.pack_id)
        grant = await self._grant(path, pack, lease_id)
        failpoint("upload.after_grant")
        if not grant.sealed and not pack.is_put:
            how = grant.WhichOneof("how")
            if how == "http":
                if pack.maybe_put and await self._seal_found(pack, job, lease_id):
                    return
                if await self._goes_in_pieces(pack):
                    return await self._bring_pieces(pack, job, lease_id)
                await self._unless_cut(pack, self._put(path, pack, lease_id, grant))
                pack.is_put = True
            else:
                self.be_careful(0)  # links take no time, and streams go on where they were
                if how == "filesystem":
                    await self._workers.in_thread(_place, path, Path(grant.filesystem.path))
                else:
                    await self._unless_cut(pack, self._stream(path, pack, lease_id, grant.grpc.committed_bytes))
            failpoint("upload.after_transfer")
            if how == "filesystem":
                arrived = nullcontext  # no line was used, and the check is all of the work
        with arrived():
            await self._seal(pack, job, lease_id)

    async def _seal(self, pack: SpoolPack, job: Job, lease_id: str) -> None:
        request = SealPackRequest(lease_id=lease_id, pack_id=pack.pack_id, size_bytes=pack.sealed_bytes)
        try:
            await self._registry.call(self._registry.packs.SealPack, request, deadline_s=COMMIT_DEADLINE_S)
        except HoldfastError as error:
            pack.is_put = pack.is_put and error.reason == Reason.UNAVAILABLE
            raise
        failpoint("upload.after_seal_pack")
        self.bytes_sent += pack.sealed_bytes
        job.bytes_sent += pack.sealed_bytes
        job.changed()

    async def _seal_found(self, pack: SpoolPack, job: Job, lease_id: str) -> bool:
        """Seals a pack that a daemon before this one may have brought; returns whether it had."""
        try:
            await self._seal(pack, job, lease_id)
        except HoldfastError as error:
            if error.reason != Reason.GRANT_INVALID:
                raise
            pack.maybe_put = False
            return False
        return True

    # --- pieces ---

    async def _goes_in_pieces(self, pack: SpoolPack) -> bool:
        if not self.is_careful or pack.sealed_bytes <= 2 * PIECE_BYTES:
            return False
        # On a full disk packs must be able to go as they are, or nothing would ever make room.
        return (await self._workers.in_thread(shutil.disk_usage, self._folder)).free > PIECES_ROOM_BYTES

    async def _bring_pieces(self, pack: SpoolPack, job: Job, lease_id: str) -> None:
        for positions in pieces(pack.index, PIECE_BYTES):
            index, size = await self._workers.in_thread(rewrite, self._folder, pack.index, positions)
            end = PACK_HEADER_BYTES + index.stored_bytes
            pack.piece = SpoolPack(index.pack_id, pack.entity, index, pack.jobs, sealed_bytes=size, end=end)
            await self.bring_piece(pack, job, lease_id)

    async def bring_piece(self, pack: SpoolPack, job: Job, lease_id: str) -> None:
        """Brings the piece of a pack that was on its way when something failed, if there is one.

        Raises:
            HoldfastError, TransferCutError: as `bring`.
        """
        piece = pack.piece
        if piece is None:
            return
        try:
            await self.bring(piece, job, lease_id)
        except (HoldfastError, TransferCutError, OSError):
            if piece.is_put:
                raise  # its seal is asked for again: it need not go a second time
            await self._drop_piece(pack, piece)
            raise
        pack.brought_bytes += piece.index.stored_bytes
        await self._drop_piece(pack, piece)

    async def _drop_piece(self, pack: SpoolPack, piece: SpoolPack) -> None:
        await self._workers.in_thread(os_layer.unlink_if_exists, pack_path(self._folder, piece.pack_id))
        pack.piece = None

    # --- ways ---

    async def _unless_cut(self, pack: SpoolPack, transfer: Coroutine[Any, Any, None]) -> None:
        """Brings a pack's bytes.

        Raises:
            TransferCutError: all its jobs were paused or have ended meanwhile.
        """
        task = asyncio.create_task(transfer)
        self._transfers[pack.pack_id] = (pack, task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await stop(task)
            raise
        finally:
            del self._transfers[pack.pack_id]
        if task.cancelled():
            raise TransferCutError
        task.result()

    async def _grant(self, path: Path, pack: SpoolPack, lease_id: str) -> PackGrant:
        """Asks how to bring a pack; computes its SHA-256 where the registry has said that it wants to know."""
        while True:
            sha256 = await self._workers.in_thread(sha256_of_sound, path, pack.index) if self.puts else b""
            intent = PackIntent(
                pack_id=pack.pack_id, size_bytes=pack.sealed_bytes, chunk_count=len(pack.index), sha256=sha256
            )
            request = GrantPacksRequest(lease_id=lease_id, packs=[intent])
            response = await self._registry.call(self._registry.packs.GrantPacks, request)
            grant: PackGrant = response.grants[0]
            if not grant.needs_sha256 or sha256:
                return grant
            self.puts = True

    async def _put(self, path: Path, pack: SpoolPack, lease_id: str, grant: PackGrant) -> None:
        for attempt in range(1, ADDRESS_ATTEMPTS + 1):
            try:
                await self._http.put(
                    path, pack.sealed_bytes, grant.http.url, grant.http.headers, lambda size: self._take(pack, size)
                )
            except AddressRefusedError as error:
                if attempt == ADDRESS_ATTEMPTS:
                    text = f"the S3 server refuses the registry's addresses ({error}); check the registry's clock and its rights"
                    raise HoldfastError(Reason.UNAVAILABLE, text) from error
                grant = await self._grant(path, pack, lease_id)
                if grant.sealed:
                    return
            except HoldfastError:
                self.be_careful()
                raise
            else:
                return self.be_careful(max(0, self._careful_bytes - pack.sealed_bytes))

    async def _stream(self, path: Path, pack: SpoolPack, lease_id: str, offset: int) -> None:
        """Streams what the registry does not have yet.

        The last message is sent also when that is nothing: a try before this one may have brought all and died before its end.
        """
        trouble: list[HoldfastError | OSError] = []

        async def messages() -> AsyncIterator[WritePackRequest]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    at, finish = offset, False
                    while not finish:
                        size = min(self._http.up.piece_bytes(WRITE_BYTES), pack.sealed_bytes - at)
                        data = await self._workers.in_thread(_read_whole, descriptor, size, at)
                        await self._take(pack, size)
                        first, finish = at == offset, at + size >= pack.sealed_bytes
                        yield WritePackRequest(
                            lease_id=lease_id if first else "",
                            pack_id=pack.pack_id if first else b"",
                            offset=at,
                            data=data,
                            finish=finish,
                        )
                        at += size
                finally:
                    os.close(descriptor)
            except (HoldfastError, OSError) as error:
                trouble.append(error)  # raised here, gRPC would make a cancellation of it: as if nobody wanted the pack

        limit = self._http.up.bytes_per_s
        slow_s = 2 * self._slots * pack.sealed_bytes / limit if limit else 0
        deadline_s = max(STREAM_DEADLINE_S, slow_s)
        try:
            await self._registry.call(self._registry.packs.WritePack, messages(), deadline_s=deadline_s)
        except HoldfastError:
            if not trouble:
                raise
        if trouble:
            raise trouble[0]


def _read_whole(descriptor: int, size: int, offset: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        text = f"the spooled pack ends at byte {offset + len(data)}, before its seal; its files are read again"
        raise HoldfastError(Reason.PACK_TORN, text)
    return data


def _place(source: Path, target: Path) -> None:
    """Gives the pack a second name in the registry's folder; copies it where links are not possible."""
    try:
        os_layer.link(source, target)
    except FileExistsError:
        return  # a try before this one came as far as here
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    descriptor = os_layer.create_new(temporary)
    try:
        with source.open("rb") as file:
            while block := file.read(4 * MIB):
                os_layer.write_all(descriptor, block)
        os_layer.fsync(descriptor)
    except OSError:
        os_layer.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    os_layer.rename(temporary, target)
