"""Negotiates and sends spool packs: asks what is missing, leaves out what is not, brings the rest as the registry grants, seals.

One pack: seal it here → FindMissing → (rewrite without what is stored already) → GrantPacks → link, stream or PUT → SealPack → gone.
Each step is safe to repeat, and a crash after any of them ends in the next start doing it again: the registry then calls the chunks
present, or the pack sealed.  Packs that share chunks with one under way wait for it, so that nothing is sent twice.

When all jobs of a pack are paused, or have ended, its transfer is cut: a stream goes on where it was, a PUT begins anew.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from functools import partial

from holdfast_contract import call_context, os_layer
from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import DIGEST_BYTES, FIND_MISSING_DEADLINE_S, PACK_BYTES_MAX
from holdfast_contract.pack import PACK_HEADER_BYTES, PackIndex
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.pipeline.bring_pack import PackBringer, TransferCutError
from holdfast_daemon.pipeline.http_transfers import HttpTransfers
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.pacing import WEIGHTS, Share, due_bytes
from holdfast_daemon.pipeline.upload_queue import UploadQueue
from holdfast_daemon.registry_client import RegistryClient, next_try, retry_delay_s
from holdfast_daemon.spool.rewrite import marked, once_each, rewrite
from holdfast_daemon.spool.spool import Spool, SpoolPack
from holdfast_daemon.workers import Workers
from holdfastpb.registry.v1.pack_pb2 import (
    FindMissingRequest,
    FindMissingResponse,
)

REWRITE_DEAD_SHARE = 0.02
"""A pack is rewritten when more than this share of its bytes is stored already: below, the copy costs more than it saves."""
PACK_S_MAX = 60
"""With a limit so many packs are sent at once that each takes no longer: addresses and deadlines end, and a cut costs a pack."""
PAUSE_GRACE_S = 5.0
"""A pack that is being sent when its jobs are paused has so long to arrive; most do, and none keeps the line for longer."""
_LAST = Share("", 1)
"""Of a pack whose jobs were all paused a moment ago: what goes until it is cut gives way to all others."""
_BAD_PACK = (Reason.PACK_TORN, Reason.PACK_DAMAGED, Reason.CHUNK_DIGEST_MISMATCH)

_log = logging.getLogger(__name__)


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
        self._bringer = PackBringer(
            spool.folder, workers, registry, http, slots=slots, take=self._take, on_careful=self._queue.look_again
        )
        self._in_flight: dict[bytes, tuple[frozenset[bytes], asyncio.Event]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.bytes_present = 0
        """Bytes that the registry turned out to have since the start."""
        self.on_lost_pack: Callable[[SpoolPack], None] = lambda pack: None
        """Called when a pack turns out to be damaged here; its jobs read their files again."""
        spool.on_wanted, spool.is_due = self._queue.put, self._is_due
        self._up.on_change = self._queue.look_again

    @property
    def bytes_sent(self) -> int:
        """Bytes brought to the registry since the start."""
        return self._bringer.bytes_sent

    @property
    def waiting(self) -> int:
        """Packs that wait for a slot to be sent."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Sends packs until cancelled."""
        if any(pack.closing for pack in self._spool.packs.values()):
            self._bringer.be_careful()  # the last daemon ended while it sent them
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
        self._bringer.cut(lambda pack: not self._active_jobs(pack))
        if not self._bringer.is_idle:
            asyncio.get_running_loop().call_later(PAUSE_GRACE_S, self._bringer.cut, self._is_set_aside)
        self._queue.look_again()

    def _is_set_aside(self, pack: SpoolPack) -> bool:
        return all(job.is_set_aside for job in self._active_jobs(pack))

    def _slots_now(self) -> int:
        """Packs sent at once: fewer when a limit would make each of them slow."""
        if self._bringer.is_careful:
            return 1
        limit = self._up.bytes_per_s
        return min(self._slots, max(1, limit * PACK_S_MAX // PACK_BYTES_MAX)) if limit else self._slots

    def _is_due(self, job_ids: Collection[str], size_bytes: int) -> bool:
        """Whether an open pack should go now: a slot is free, and waiting for more bytes would leave the line idle.

        Only for jobs that are finalized: before, nobody knows whether they will be logged.
        """
        if not self._bringer.puts or not self._queue.has_room:
            return False
        jobs = [self._jobs[job_id] for job_id in job_ids if job_id in self._jobs]
        ready = [job for job in jobs if job.finalize is not None and not job.is_set_aside and not job.has_ended]
        sent_bytes = max((job.bytes_sent for job in ready), default=0)
        return bool(ready) and size_bytes >= due_bytes(self._queue.under_way, sent_bytes)

    async def _take(self, pack: SpoolPack, size_bytes: int) -> None:
        """Waits until so many bytes of a pack may go."""
        if self._up.bytes_per_s:
            await self._up.take(size_bytes, self._share_of(pack) or _LAST)

    def _share_of(self, pack: SpoolPack) -> Share | None:
        """For whom a pack is sent; None: for nobody, it is only put away."""
        jobs = [job for job in self._active_jobs(pack) if not job.is_set_aside]
        if not jobs:
            return None
        first = max(jobs, key=lambda job: WEIGHTS[job.priority])
        return Share(first.job_id, WEIGHTS[first.priority])

    async def _send(self, pack: SpoolPack) -> None:
        """Sends one pack, with all the patience that it takes."""
        arrived = partial(self._queue.arrived, pack)
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
                        await self._send_once(pack, payer, arrived)
            except TransferCutError:
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
        index, size = await self._workers.in_thread(rewrite, self._spool.folder, pack.index, positions)
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

    async def _send_once(self, pack: SpoolPack, job: Job, arrived: Callable[[], AbstractContextManager[None]]) -> None:
        await self._spool.seal(pack)
        lease_id = await self._leases.ensure(job)
        failpoint("upload.after_seal")
        digests = _digest_set(pack.index)
        await self._wait_for_overlapping(digests)
        done = asyncio.Event()
        key = pack.pack_id
        self._in_flight[key] = (digests, done)
        try:
            await self._bringer.bring_piece(pack, job, lease_id)
            pack, missing_count = await self._without_present(pack, job, lease_id)
            if missing_count:
                await self._bringer.bring(pack, job, lease_id, arrived)
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
        missing = once_each(pack.index, marked(response.missing_bitmap, len(pack.index)))
        present_bytes = pack.index.stored_bytes - sum(pack.index.stored_lengths[i] for i in missing)
        if not pack.brought_ahead:  # else they were counted when they were sent
            known_bytes = max(0, present_bytes - pack.brought_bytes)
            job.bytes_deduplicated += known_bytes
            self.bytes_present += known_bytes
        if not missing:
            return pack, 0
        if present_bytes <= REWRITE_DEAD_SHARE * pack.index.stored_bytes and not pack.id_taken:
            return pack, len(missing)
        index, size = await self._workers.in_thread(rewrite, self._spool.folder, pack.index, missing)
        new = SpoolPack(
            index.pack_id, pack.entity, index, sealed_bytes=size, end=PACK_HEADER_BYTES + index.stored_bytes
        )
        await self._spool.replace(pack, new)
        return new, len(missing)

    def _active_jobs(self, pack: SpoolPack) -> list[Job]:
        """Jobs that still need the pack; finalized ones first, whose place is certain, those not yet committed, not paused."""
        jobs = [self._jobs[j] for j in pack.jobs if j in self._jobs and not self._jobs[j].has_ended]
        return sorted(jobs, key=lambda j: (j.is_paused, j.finalize is None, j.commit_sent, 0 in j.failed_records))

    def _tell(self, pack: SpoolPack, what: str) -> None:
        for job in self._active_jobs(pack):
            job.wait_for_outside(what)


def _digest_set(index: PackIndex) -> frozenset[bytes]:
    digests = bytes(index.digests)
    return frozenset(digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES))
