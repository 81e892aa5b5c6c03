"""Packs on their way out: which are open, who may append, what is waiting, and how many bytes there are.

Life of a pack: open (frames are appended, one writer at a time) → wanted (a job needs it sent, or it is full) → sealed (footer,
flushed) → gone (its chunks are in the registry).  A pack stays open for appends until an upload slot is free for it, so that many
small jobs share one pack without anybody waiting for a timer.

What a crash leaves: an open pack whose journalled frames are there (checked at the start, they need not have been flushed) and perhaps
bytes behind them (overwritten); a sealed pack; or a file without a row (removed at the start).
"""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_contract import os_layer
from holdfast_contract.limits import GIB, MIB
from holdfast_contract.pack import PACK_HEADER_BYTES, PACK_ID_BYTES, PackIndex, encode_header, verify_frames
from holdfast_daemon.codec import decompress
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.journal.rows import PackRow
from holdfast_daemon.pipeline.ingest_large import has_room
from holdfast_daemon.spool.pack_writer import PackTarget, flush_pack, pack_path, seal
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1.log_pb2 import JOB_PRIORITY_NORMAL

EXPORT_PREFIX = "export-"
"""Folders of manifests that are made for a bundle; an interrupted export's is removed at the start."""
HELD_RESERVE_BYTES = 2 * GIB
HELD_RESERVE_SHARE = 20
"""Held jobs leave 2 GiB of the disk free, a twentieth of a small one: everything else on the machine goes on."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class SpoolPack:
    """One pack of the spool."""

    pack_id: bytes
    entity: str
    index: PackIndex
    jobs: set[str] = field(default_factory=set)
    """Jobs that have appended frames which the registry does not have yet (for their entity)."""
    lent: bool = False
    is_kept: bool = False
    """Only jobs that are held or paused need it: it is not sent, nor counted against the budget, or they would stop all others."""
    wanted: bool = False
    """It is to be sent; appended to all the same until its turn comes."""
    closing: bool = False
    """Its turn has come: no more appends."""
    sealed_bytes: int = 0
    """Size of the whole file once it is sealed; 0 before."""
    is_put: bool = False
    """The store has all of it, and the registry was away when it should have sealed it: it need not go again."""
    maybe_put: bool = False
    """The daemon before this one had sealed it, so it may have brought it, too: the store is asked before it goes again."""
    piece: "SpoolPack | None" = None
    """A copy of some of its frames that is on its way instead of it; the journal does not know of it."""
    brought_bytes: int = 0
    """Of its frames, by pieces: what the registry calls present because we have brought it."""
    id_taken: bool = False
    """The registry knows its id from another upload: it must be rewritten under a new one."""
    refusals: int = 0
    """How often its jobs' quotas had no room for it."""
    brought_ahead: bool = False
    """Sent for a draft, and kept until its Finalize, when the registry is asked once more whether it has it."""
    successor: "SpoolPack | None" = None
    """The rewritten pack that has taken its place."""
    priority: int = JOB_PRIORITY_NORMAL
    """Of the jobs that append to it, as far as they had said it when they did."""
    end: int = 0
    """Where the next frame goes; 0 while the file does not exist."""

    def extend(self, fragment: PackIndex) -> None:
        """Takes over frames that were appended."""
        self.index.extend(fragment)
        self.end = (self.end or PACK_HEADER_BYTES) + fragment.stored_bytes

    @property
    def written(self) -> bool:
        """Whether the file exists and counts."""
        return self.end > 0

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk, nearly."""
        return self.sealed_bytes or self.end

    @property
    def is_full(self) -> bool:
        """Whether it should be sent rather than appended to: the next block of a large file would not fit."""
        return self.written and not has_room(PackTarget("", self.pack_id, self.end, len(self.index)))


class Spool:
    """All packs of the spool.  Used from the event loop only; file work goes to threads."""

    def __init__(self, folder: Path, journal: Journal, workers: Workers, bytes_max: int) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self._journal = journal
        self._workers = workers
        self.packs: dict[bytes, SpoolPack] = {}
        self._room = asyncio.Condition()
        self.on_wanted: Callable[[SpoolPack], None] = lambda pack: None
        """Called when a pack is to be sent; the uploader sets it."""
        self.is_due: Callable[[Collection[str], int], bool] = lambda job_ids, size_bytes: False
        """Whether an open pack of these jobs should go before it is full, since too little else does; the uploader sets it."""
        self.only_set_aside: Callable[[set[str]], bool] = lambda job_ids: False
        """Whether those of the jobs that have not ended are all held or paused, and there is one; the jobs' registry sets it."""

    @property
    def has_budget(self) -> bool:
        """Whether there is room for more."""
        return self.used_bytes < self.bytes_max

    @property
    def used_bytes(self) -> int:
        """Bytes of all packs that are on their way."""
        return sum(p.size_bytes for p in self.packs.values() if not p.is_kept)

    @property
    def kept_bytes(self) -> int:
        """Bytes of packs that only jobs need which are held or paused."""
        return sum(p.size_bytes for p in self.packs.values() if p.is_kept)

    def packs_of(self, job_id: str) -> list[SpoolPack]:
        """Packs that hold frames of a job and are not sent yet."""
        return [p for p in self.packs.values() if job_id in p.jobs]

    @asynccontextmanager
    async def borrow(
        self, entity: str, *, held: bool = False, priority: int = JOB_PRIORITY_NORMAL
    ) -> AsyncIterator[SpoolPack]:
        """Lends an open pack with room for at least one block; waits while the spool is over its budget.

        Jobs of different priority have packs of their own: a pack is sent as one.

        A held job gets packs that only held jobs share.  Those may fill the disk up to a reserve, since nothing makes room by itself.

        Raises:
            OSError: ENOSPC: a held job has come to the reserve.
        """
        if held:
            await self._workers.in_thread(_check_reserve, self.folder)
        elif not self.has_budget:
            for waiting in list(self.packs.values()):
                if not waiting.lent:
                    self.want(waiting)
            async with self._room:
                await self._room.wait_for(lambda: self.has_budget)
        fitting = (p for p in self.packs.values() if p.is_kept == held and p.priority == priority)
        pack = next((p for p in fitting if self._is_idle(p, entity)), None)
        if pack is None:
            pack_id = os.urandom(PACK_ID_BYTES)
            pack = self.packs[pack_id] = SpoolPack(pack_id, entity, PackIndex(pack_id), is_kept=held, priority=priority)
        pack.lent = True
        try:
            yield pack
        finally:
            pack.lent = False
            if not pack.written:
                self._forget(pack)
                os_layer.unlink_if_exists(pack_path(self.folder, pack.pack_id))
            elif pack.closing:
                self.want(pack, again=True)
            elif pack.is_full:
                self.want(pack)
            elif self.is_due(pack.jobs, pack.end):
                pack.closing = True  # a slot is free, so its turn has come
                self.want(pack, again=True)

    def target(self, pack: SpoolPack) -> PackTarget:
        """The pack as a writer sees it."""
        return PackTarget(str(self.folder), pack.pack_id, pack.end, len(pack.index))

    def adopt(self, fragments: list[bytes], entity: str, job_id: str) -> None:
        """Takes over frames that a writer has appended and the journal has noted."""
        for encoded in fragments:
            fragment = PackIndex.decode_fragment(encoded)
            pack = self.packs.get(fragment.pack_id)
            if pack is None:
                pack = self.packs[fragment.pack_id] = SpoolPack(fragment.pack_id, entity, PackIndex(fragment.pack_id))
            pack.extend(fragment)
            pack.jobs.add(job_id)
            pack.is_kept = self.only_set_aside(pack.jobs)
            if pack.is_full and not pack.lent:
                self.want(pack)

    def note_held(self, job_id: str | None = None) -> None:
        """Looks anew which packs (of a job) are kept, after jobs were loaded, or one was held, paused, let go, or has ended."""
        for pack in self.packs.values() if job_id is None else self.packs_of(job_id):
            pack.is_kept = self.only_set_aside(pack.jobs)

    async def note_room(self) -> None:
        """Wakes those who wait for room: packs have gone, or do not count any more."""
        async with self._room:
            self._room.notify_all()

    def want(self, pack: SpoolPack, *, again: bool = False) -> None:
        """Asks for a pack to be sent as soon as there is a slot."""
        if pack.written and not pack.is_kept and (again or not pack.wanted):
            pack.wanted = True
            self.on_wanted(pack)

    async def seal(self, pack: SpoolPack) -> None:
        """Closes a pack for appends and flushes it; repeated calls do nothing.

        Raises:
            OSError: no space; try again later.
        """
        assert not pack.lent, "a pack that somebody is writing to cannot be sealed"
        if pack.sealed_bytes:
            return
        pack.lent = True
        try:
            size = await self._workers.in_thread(seal, str(self.folder), pack.index)
            await self._journal.seal_pack(pack.pack_id, size)
            pack.sealed_bytes = size
        finally:
            pack.lent = False

    async def flush_job(self, job_id: str) -> None:
        """Brings all frames of a job to stable storage."""
        packs = self.packs_of(job_id)
        open_packs = [p for p in packs if p.written and not p.sealed_bytes]
        await asyncio.gather(*(self._workers.in_thread(flush_pack, str(self.folder), p.pack_id) for p in open_packs))
        if packs:
            await self._workers.in_thread(os_layer.fsync_folder, self.folder)

    async def seal_full(self, job_id: str) -> None:
        """Seals the full packs that only held jobs need: a sealed pack is not read at the start of the daemon.

        Raises:
            OSError: no space; try again later.
        """
        for pack in self.packs_of(job_id):
            if pack.is_kept and pack.is_full and not pack.lent:
                pack.closing = True
                await self.seal(pack)

    async def drop(self, pack: SpoolPack) -> None:
        """Removes a pack whose chunks are in the registry (or needed by nobody)."""
        await self._journal.drop_pack(pack.pack_id)
        for gone in (pack, pack.piece):
            if gone is not None:
                await self._workers.in_thread(os_layer.unlink_if_exists, pack_path(self.folder, gone.pack_id))
        self._forget(pack)
        await self.note_room()

    async def replace(self, old: SpoolPack, new: SpoolPack) -> None:
        """Puts a rewritten pack in the place of another."""
        await self._journal.replace_pack(
            old.pack_id, new.pack_id, new.entity, new.index.encode_fragment(), new.sealed_bytes
        )
        await self._workers.in_thread(os_layer.unlink_if_exists, pack_path(self.folder, old.pack_id))
        new.jobs, new.wanted, new.closing = old.jobs, True, True
        old.successor = new
        del self.packs[old.pack_id]
        self.packs[new.pack_id] = new

    async def split(self, old: SpoolPack, new: SpoolPack) -> None:
        """Gives the jobs of `new`, which holds their frames again, a pack of their own; the held ones keep `old`."""
        owner = min(old.jobs - new.jobs)
        fragment = new.index.encode_fragment()
        await self._journal.split_pack(
            old.pack_id, owner, new.pack_id, new.entity, fragment, new.sealed_bytes, new.jobs
        )
        old.jobs -= new.jobs
        old.is_kept, old.wanted = True, False
        new.wanted = new.closing = True
        self.packs[new.pack_id] = new

    async def owners(self, pack: SpoolPack) -> list[tuple[str | None, int]]:
        """Whose a pack's frames are, as (job, number of frames) in their order; None: several jobs', which are not told apart."""
        owners = await self._journal.load_pack_owners(pack.pack_id)
        shared = any(not frames for _, frames in owners)  # it was rewritten
        return [(None if shared else job_id, frames) for job_id, frames in owners]

    async def recover(self) -> set[tuple[str, int]]:
        """Takes stock after a start.

        Returns:
            (job_id, seq) of records whose frames were lost with a power failure: they are to be read again.
        """
        rows = await self._journal.load_packs()
        lost: set[tuple[str, int]] = set()
        for row in rows:
            lost |= await self._recover_pack(row)
        await self._workers.in_thread(self._remove_strangers)
        return lost

    async def _recover_pack(self, row: PackRow) -> set[tuple[str, int]]:
        """Takes a pack up as far as it is whole: a flush covers all frames before it, so what was flushed is never behind a gap."""
        fragments = [PackIndex.decode_fragment(fragment) for _, _, fragment in row.fragments]
        whole = PackIndex(row.pack_id)
        for fragment in fragments:
            whole.extend(fragment)
        sound = await self._workers.in_thread(_count_sound_frames, self.folder, whole, row.sealed)
        pack, kept = SpoolPack(row.pack_id, row.entity, PackIndex(row.pack_id)), 0
        while kept < len(fragments) and len(pack.index) + len(fragments[kept]) <= sound:
            pack.extend(fragments[kept])
            kept += 1
        lost = row.fragments[kept:]
        if lost:
            _log.warning("spool pack %s lost %d frames; they are read again", row.pack_id.hex(), len(whole) - sound)
        if not len(pack.index):
            await self._journal.drop_pack(row.pack_id)
        else:
            await self._journal.keep_fragments(row.pack_id, kept)
            # Sealed or not, it is sealed (again): that flushes what a crash may have caught unflushed.  But one that was
            # sealed gets no more frames: its file may be the very one that the registry serves (a link).
            pack.closing = pack.maybe_put = row.sealed
            pack.jobs = {job_id for job_id, _, _ in row.fragments[:kept]}
            self.packs[row.pack_id] = pack
        return {(job_id, seq) for job_id, seq, _ in lost}

    def _remove_strangers(self) -> None:
        for path in self.folder.iterdir():
            if path.name.startswith(EXPORT_PREFIX):
                shutil.rmtree(path, ignore_errors=True)
            if path.suffix == ".pack" and path.stem not in {p.hex() for p in self.packs}:
                os_layer.unlink_if_exists(path)

    def _is_idle(self, pack: SpoolPack, entity: str) -> bool:
        return not (pack.lent or pack.closing or pack.sealed_bytes or pack.is_full) and pack.entity == entity

    def _forget(self, pack: SpoolPack) -> None:
        self.packs.pop(pack.pack_id, None)


def _check_reserve(folder: Path) -> None:
    room = os.statvfs(folder)
    reserve = min(HELD_RESERVE_BYTES, room.f_blocks * room.f_frsize // HELD_RESERVE_SHARE)
    if room.f_bavail * room.f_frsize < reserve:
        text = f"held artifacts leave {reserve / MIB:.0f} MiB free, and no more are; `holdfast sync` or other space lets it go on"
        raise OSError(errno.ENOSPC, text)


def _count_sound_frames(folder: Path, index: PackIndex, sealed: bool) -> int:
    """How many of the journalled frames are in the file as they were written, up to the first that is not.

    A sealed pack was flushed before the journal said so, and the registry checks it: what waits for a Sync may be large, and is not
    read at each start.
    """
    try:
        descriptor = os.open(pack_path(folder, index.pack_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        if os.pread(descriptor, PACK_HEADER_BYTES, 0) != encode_header(index.pack_id):
            return 0
        if sealed and os.fstat(descriptor).st_size == index.size_bytes:
            return len(index)
        damaged = verify_frames(index, lambda offset, length: os.pread(descriptor, length, offset), decompress)
        return damaged[0] if damaged else len(index)
    finally:
        os.close(descriptor)
