"""Negotiates and sends spool packs: asks what is missing, leaves out what is not, brings the rest as the registry grants, seals.

One pack: seal it here → FindMissing → (rewrite without what is stored already) → GrantPacks → link, stream or PUT → SealPack → gone.
Each step is safe to repeat, and a crash after any of them ends in the next start doing it again: the registry then calls the chunks
present, or the pack sealed.  Packs that share chunks with one under way wait for it, so that nothing is sent twice.

When all jobs of a pack are paused, or have ended, its transfer is cut: a stream goes on where it was, a PUT begins anew.
"""

import asyncio
import errno
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from holdfast_contract import call_context, os_layer
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_DEADLINE_S, DIGEST_BYTES, FIND_MISSING_DEADLINE_S, MIB, PACK_BYTES_MAX
from holdfast_contract.pack import PACK_HEADER_BYTES, PACK_ID_BYTES, PackIndex
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bounded_tasks import stop
from holdfast_daemon.pipeline.http_transfers import AddressRefusedError, HttpTransfers
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.pacing import WEIGHTS, Share
from holdfast_daemon.pipeline.upload_queue import UploadQueue
from holdfast_daemon.registry_client import RegistryClient, next_try, retry_delay_s
from holdfast_daemon.spool.pack_writer import PackTarget, PackWriter, pack_path, seal
from holdfast_daemon.spool.spool import Spool, SpoolPack
from holdfast_daemon.workers import Workers
from holdfastpb.registry.v1.pack_pb2 import (
    FindMissingRequest,
    FindMissingResponse,
    GrantPacksRequest,
    PackGrant,
    PackIntent,
    SealPackRequest,
    WritePackRequest,
)

REWRITE_DEAD_SHARE = 0.02
"""A pack is rewritten when more than this share of its bytes is stored already: below, the copy costs more than it saves."""
WRITE_BYTES = 1 * MIB
STREAM_DEADLINE_S = 600.0
PACK_S_MAX = 60
"""With a limit so many packs are sent at once that each takes no longer: addresses and deadlines end, and a cut costs a pack."""
PAUSE_GRACE_S = 5.0
"""A pack that is being sent when its jobs are paused has so long to arrive; most do, and none keeps the line for longer."""
CAREFUL_PACKS = 8
"""A PUT that is cut begins anew: after an interruption so many packs go one at a time, or what comes often would cut four each time
and none would ever arrive."""
ADDRESS_ATTEMPTS = 3
"""An address that has expired is asked for anew; a third one that is refused has not expired."""
_LAST = Share("", 1)
"""Of a pack whose jobs were all paused a moment ago: what goes until it is cut gives way to all others."""
_BAD_PACK = (Reason.PACK_TORN, Reason.PACK_DAMAGED, Reason.CHUNK_DIGEST_MISMATCH)
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)

_log = logging.getLogger(__name__)


class _TransferCutError(Exception):
    """Nobody waits for the pack at the moment."""


class Uploader:
    """Sends wanted packs, several at a time."""

    def __init__(
        self,
        spool: Spool,
        workers: Workers,
        registry: RegistryClient,
        leases: Leases,
        http: HttpTransfers,
        jobs: dict[str, Job],
        *,
        slots: int,
        retry_delay_max_s: float,
    ) -> None:
        self._spool = spool
        self._workers = workers
        self._registry = registry
        self._leases = leases
        self._http = http
        self._up = http.up
        self._jobs = jobs
        self._slots = slots
        self._retry_delay_max_s = retry_delay_max_s
        self._queue = UploadQueue(self._slots_now, self._share_of)
        self._transfers: dict[bytes, tuple[SpoolPack, asyncio.Task[None]]] = {}
        self._in_flight: dict[bytes, tuple[frozenset[bytes], asyncio.Event]] = {}
        self._gives_sha256 = False
        self._careful_packs = 0
        self._group: asyncio.TaskGroup | None = None
        self.bytes_present = 0
        """Bytes that the registry turned out to have since the start."""
        self.bytes_sent = 0
        """Bytes brought to the registry since the start."""
        self.on_lost_pack: Callable[[SpoolPack], None] = lambda pack: None
        """Called when a pack turns out to be damaged here; its jobs read their files again."""
        spool.on_wanted = self._queue.put
        self._up.on_change = self._queue.look_again

    @property
    def waiting(self) -> int:
        """Packs that wait for a slot to be sent."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Sends packs until cancelled."""
        if any(pack.closing for pack in self._spool.packs.values()):
            self._careful_packs = CAREFUL_PACKS  # the last daemon ended while it sent them
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                pack = await self._queue.take()
                group.create_task(self._serve(pack))

    async def _serve(self, pack: SpoolPack) -> None:
        try:
            if pack.is_kept:
                pack.wanted = False  # held or paused since it was asked for
                return
            pack.closing = True
            if not pack.lent and pack.pack_id in self._spool.packs:
                await self._send(pack)
            # Whoever has it lent asks again when it is given back.
        finally:
            self._queue.give_back(pack)

    def look_again(self) -> None:
        """The priority of a job has changed."""
        self._queue.look_again()

    def cut_unwanted(self) -> None:
        """Stops transfers of packs whose jobs are all paused, in a while, or have ended, at once."""
        self._cut(lambda pack: not self._active_jobs(pack))
        if self._transfers:
            asyncio.get_running_loop().call_later(PAUSE_GRACE_S, self._cut, self._is_set_aside)
        self._queue.look_again()

    def _cut(self, is_unwanted: Callable[[SpoolPack], bool]) -> None:
        for pack, transfer in self._transfers.values():
            if is_unwanted(pack):
                transfer.cancel()

    def _is_set_aside(self, pack: SpoolPack) -> bool:
        return all(job.is_set_aside for job in self._active_jobs(pack))

    def _slots_now(self) -> int:
        """Packs sent at once: fewer when a limit would make each of them slow."""
        if self._careful_packs:
            return 1
        limit = self._up.bytes_per_s
        return min(self._slots, max(1, limit * PACK_S_MAX // PACK_BYTES_MAX)) if limit else self._slots

    def _be_careful(self, packs: int) -> None:
        """So many more packs go one at a time."""
        self._careful_packs = packs
        self._queue.look_again()

    def _share_of(self, pack: SpoolPack) -> Share | None:
        """For whom a pack is sent; None: for nobody, it is only put away."""
        jobs = [job for job in self._active_jobs(pack) if not job.is_set_aside]
        if not jobs:
            return None
        first = max(jobs, key=lambda job: WEIGHTS[job.priority])
        return Share(first.job_id, WEIGHTS[first.priority])

    async def _send(self, pack: SpoolPack) -> None:
        """Sends one pack, with all the patience that it takes."""
        for attempt in range(10**9):
            delay_s = retry_delay_s(attempt, self._retry_delay_max_s)
            while pack.successor is not None:  # the last try has rewritten it
                pack = pack.successor
            if pack.pack_id not in self._spool.packs or not pack.wanted:
                return  # done, or kept for drafts
            jobs = self._active_jobs(pack)
            if not jobs:
                await self._spool.drop(pack)
                return
            if self._is_set_aside(pack):
                pack.is_kept, pack.wanted = True, False
                await self._spool.note_room()
                return
            held = [job for job in jobs if job.is_held]
            # One that was over its quota may share the pack with one that is not.
            payer = jobs[pack.refusals % len(jobs)]
            try:
                if held:
                    pack = await self._split(pack, [job for job in jobs if not job.is_held])
                else:
                    call_context.current.set(payer.call_context)
                    with self._registry.tracing.span("pack upload", pack=pack.pack_id.hex()):
                        await self._send_once(pack, payer)
            except _TransferCutError:
                continue
            except HoldfastError as error:
                delay_s = max(delay_s, error.retry_after_ms / 1000)
                if not await self._after_error(pack, payer, error, delay_s):
                    return
            except os_layer.FsyncError:
                raise
            except OSError as error:
                self._tell(pack, f"space for pack {pack.pack_id.hex()} ({error.strerror}); tried again soon")
            else:
                self._tell(pack, "")
                continue
            await self._registry.pause(delay_s)

    async def _split(self, pack: SpoolPack, jobs: list[Job]) -> SpoolPack:
        """Takes what is to be sent out of a pack that held jobs need, too: nothing of theirs goes before its Sync."""
        await self._spool.seal(pack)
        names = {job.job_id for job in jobs}
        positions: list[int] = []
        at = 0
        for owner, frames in await self._spool.owners(pack):
            positions += range(at, at + frames) if owner is None or owner in names else ()
            at += frames
        index, size = await self._workers.in_thread(_rewrite, self._spool.folder, pack.index, positions)
        end = PACK_HEADER_BYTES + index.stored_bytes
        new = SpoolPack(index.pack_id, pack.entity, index, jobs=names, sealed_bytes=size, end=end)
        await self._spool.split(pack, new)
        return new

    async def _after_error(self, pack: SpoolPack, payer: Job, error: HoldfastError, delay_s: float) -> bool:
        """Decides what an error means; returns whether to try again."""
        if error.reason == Reason.LEASE_EXPIRED:
            for job in self._active_jobs(pack):
                await self._leases.lose(job)
            return True
        if error.reason == Reason.QUOTA_EXCEEDED:
            self._park(pack, error)
            return False
        if error.reason in _BAD_PACK:
            _log.error("pack %s is damaged: %s", pack.pack_id.hex(), error.message)
            self.on_lost_pack(pack)
            waiting = self._active_jobs(pack)
            await self._spool.drop(pack)
            for job in waiting:
                job.changed()  # nothing else would tell them that they need not wait for it
            return False
        if error.reason == Reason.GRANT_INVALID:
            # What a stream that was cut had sent came in after the grant, or the pack was given up there: a new grant says which.
            self._tell(pack, next_try(error, delay_s))
            return True
        if error.reason == Reason.PACK_ID_REUSED:
            # Granted before, under the lease of another of its jobs or one that has ended: the frames go under a new id.
            pack.id_taken = True
            return True
        if not error.may_pass:
            self._give_up(pack, payer, error)
            return True
        self._tell(pack, next_try(error, delay_s))
        return True

    def _park(self, pack: SpoolPack, error: HoldfastError) -> None:
        """Lets others have the slot, since a quota may stand for days; the pack comes back from time to time."""
        while pack.successor is not None:
            pack = pack.successor
        pack.refusals += 1
        delay_s = retry_delay_s(pack.refusals, self._retry_delay_max_s)
        self._tell(pack, next_try(error, delay_s))
        assert self._group is not None, "packs are sent while it runs"
        self._group.create_task(self._come_back(pack, delay_s))

    async def _come_back(self, pack: SpoolPack, delay_s: float) -> None:
        await self._registry.pause(delay_s)
        self._queue.put(pack)

    def _give_up(self, pack: SpoolPack, job: Job, error: HoldfastError) -> None:
        """The job whose lease was used can't go on; the pack's other jobs may (another entity's rights, another collection)."""
        _log.error("job %s: %s", job.job_id, error.message)
        job.failed_records[0] = error
        job.changed()
        pack.jobs.discard(job.job_id)

    async def _send_once(self, pack: SpoolPack, job: Job) -> None:
        await self._spool.seal(pack)
        lease_id = await self._leases.ensure(job)
        failpoint("upload.after_seal")
        digests = _digest_set(pack.index)
        await self._wait_for_overlapping(digests)
        done = asyncio.Event()
        key = pack.pack_id
        self._in_flight[key] = (digests, done)
        try:
            pack, missing_count = await self._without_present(pack, job, lease_id)
            if missing_count:
                await self._bring(pack, job, lease_id)
            await self._release(pack, job)
        finally:
            del self._in_flight[key]
            done.set()

    async def _release(self, pack: SpoolPack, job: Job) -> None:
        """Lets go of a pack for the entity it was sent for; it stays as long as somebody else may need it.

        A draft says only at Finalize which entity it is for, and inline bytes exist nowhere else: its packs are kept until then,
        unless the spool is full.  Jobs of another entity need the same frames under another id.
        """
        active = self._active_jobs(pack)
        # A job that was held in the meantime keeps its bytes: nothing protects them at the registry until its Sync.
        sent_for = [j for j in active if j.entity == job.entity and j.finalize is not None and not j.is_held]
        pack.jobs.difference_update(j.job_id for j in sent_for)
        left = self._active_jobs(pack)
        if any(j.finalize is not None for j in left):
            pack.id_taken = True
        elif left and self._spool.has_budget:
            pack.wanted, pack.brought_ahead = False, True
        else:
            await self._spool.drop(pack)
        for sent in (*sent_for, job):
            sent.changed()

    async def _wait_for_overlapping(self, digests: frozenset[bytes]) -> None:
        while True:
            others = [event for known, event in self._in_flight.values() if not known.isdisjoint(digests)]
            if not others:
                return
            await others[0].wait()

    async def _without_present(self, pack: SpoolPack, job: Job, lease_id: str) -> tuple[SpoolPack, int]:
        """The pack, or one without the chunks that the registry has or that come twice; and how many it does not have."""
        request = FindMissingRequest(lease_id=lease_id, digests=bytes(pack.index.digests))
        response: FindMissingResponse = await self._registry.call(
            self._registry.packs.FindMissing, request, deadline_s=FIND_MISSING_DEADLINE_S
        )
        failpoint("upload.after_find_missing")
        missing = _once_each(pack.index, _positions(response.missing_bitmap, len(pack.index)))
        present_bytes = pack.index.stored_bytes - sum(pack.index.stored_lengths[i] for i in missing)
        if not pack.brought_ahead:  # else they were counted when they were sent
            job.bytes_deduplicated += present_bytes
            self.bytes_present += present_bytes
        if not missing:
            return pack, 0
        if present_bytes <= REWRITE_DEAD_SHARE * pack.index.stored_bytes and not pack.id_taken:
            return pack, len(missing)
        index, size = await self._workers.in_thread(_rewrite, self._spool.folder, pack.index, missing)
        new = SpoolPack(
            index.pack_id, pack.entity, index, sealed_bytes=size, end=PACK_HEADER_BYTES + index.stored_bytes
        )
        await self._spool.replace(pack, new)
        return new, len(missing)

    async def _bring(self, pack: SpoolPack, job: Job, lease_id: str) -> None:
        """Moves a sealed pack into the registry's store, as granted, and has it checked there."""
        path = pack_path(self._spool.folder, pack.pack_id)
        grant = await self._grant(path, pack, lease_id)
        failpoint("upload.after_grant")
        if not grant.sealed and not pack.is_put:
            if grant.WhichOneof("how") != "http":
                self._be_careful(0)  # links take no time, and streams go on where they were
            if grant.WhichOneof("how") == "filesystem":
                await self._workers.in_thread(_place, path, Path(grant.filesystem.path))
            elif grant.WhichOneof("how") == "http":
                await self._unless_cut(pack, self._put(path, pack, lease_id, grant))
                pack.is_put = True
            else:
                await self._unless_cut(pack, self._stream(path, pack, lease_id, grant.grpc.committed_bytes))
            failpoint("upload.after_transfer")
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

    async def _unless_cut(self, pack: SpoolPack, transfer: Coroutine[Any, Any, None]) -> None:
        """Brings a pack's bytes.

        Raises:
            _TransferCutError: all its jobs were paused or have ended meanwhile.
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
            raise _TransferCutError
        task.result()

    async def _take(self, pack: SpoolPack, size_bytes: int) -> None:
        """Waits until so many bytes of a pack may go."""
        if self._up.bytes_per_s:
            await self._up.take(size_bytes, self._share_of(pack) or _LAST)

    async def _grant(self, path: Path, pack: SpoolPack, lease_id: str) -> PackGrant:
        """Asks how to bring a pack; computes its SHA-256 where the registry has said that it wants to know."""
        while True:
            sha256 = await self._workers.in_thread(_sha256, path) if self._gives_sha256 else b""
            intent = PackIntent(
                pack_id=pack.pack_id, size_bytes=pack.sealed_bytes, chunk_count=len(pack.index), sha256=sha256
            )
            request = GrantPacksRequest(lease_id=lease_id, packs=[intent])
            response = await self._registry.call(self._registry.packs.GrantPacks, request)
            grant: PackGrant = response.grants[0]
            if not grant.needs_sha256 or sha256:
                return grant
            self._gives_sha256 = True

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
                self._be_careful(CAREFUL_PACKS)
                raise
            else:
                return self._be_careful(max(0, self._careful_packs - 1))

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
                        size = min(self._up.piece_bytes(WRITE_BYTES), pack.sealed_bytes - at)
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

        limit = self._up.bytes_per_s
        slow_s = 2 * self._slots * pack.sealed_bytes / limit if limit else 0
        deadline_s = max(STREAM_DEADLINE_S, slow_s)
        try:
            await self._registry.call(self._registry.packs.WritePack, messages(), deadline_s=deadline_s)
        except HoldfastError:
            if not trouble:
                raise
        if trouble:
            raise trouble[0]

    def _active_jobs(self, pack: SpoolPack) -> list[Job]:
        """Jobs that still need the pack; finalized ones first, whose place is certain, those not yet committed, not paused."""
        jobs = [self._jobs[j] for j in pack.jobs if j in self._jobs and not self._jobs[j].has_ended]
        return sorted(jobs, key=lambda j: (j.is_paused, j.finalize is None, j.commit_sent, 0 in j.failed_records))

    def _tell(self, pack: SpoolPack, what: str) -> None:
        for job in self._active_jobs(pack):
            job.wait_for_outside(what)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _read_whole(descriptor: int, size: int, offset: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        text = f"the spooled pack ends at byte {offset + len(data)}, before its seal; its files are read again"
        raise HoldfastError(Reason.PACK_TORN, text)
    return data


def _digest_set(index: PackIndex) -> frozenset[bytes]:
    digests = bytes(index.digests)
    return frozenset(digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES))


def _positions(bitmap: bytes, count: int) -> list[int]:
    """Positions of the bits that are set."""
    if bitmap.count(0xFF) == count // 8 and count % 8 == 0:
        return list(range(count))
    return [i for i in range(count) if bitmap[i >> 3] >> (i & 7) & 1]


def _once_each(index: PackIndex, positions: list[int]) -> list[int]:
    """Leaves out further copies of a chunk: jobs that read the same new files at the same time append them to one pack."""
    first = {index.digest_at(i): i for i in reversed(positions)}
    return positions if len(first) == len(positions) else sorted(first.values())


def _rewrite(folder: Path, index: PackIndex, positions: list[int]) -> tuple[PackIndex, int]:
    """Copies some frames of a pack into a new, sealed one."""
    offsets = index.offsets()
    target = PackTarget(str(folder), os.urandom(PACK_ID_BYTES), 0, 0)
    source = os.open(pack_path(folder, index.pack_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with PackWriter(target) as writer:
            for i in positions:
                stored = os.pread(source, index.stored_lengths[i], offsets[i])
                writer.append(index.digest_at(i), stored, index.lengths[i], index.codecs[i])
            (fragment,) = writer.fragments()
    finally:
        os.close(source)
    rewritten = PackIndex.decode_fragment(fragment)
    size = seal(str(folder), rewritten)
    os_layer.fsync_folder(folder)  # the old one, which is in the folder for certain, goes next
    return rewritten, size


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
