"""Puts one large file in place: from seeds of this host, from packs, or straight from the server, piece by piece.

Of several downloads that want the same file at the same time over HTTP one fetches it, and the others take it from where that one has
put it; if that one does not come to its end, the next one fetches.
"""

import asyncio
import os
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.placed_store import ChunkRun
from holdfast_daemon.pipeline.bounded_tasks import run_to_end
from holdfast_daemon.pipeline.bring_ahead import brought_pieces
from holdfast_daemon.pipeline.bring_packs import USE_ATTEMPTS, PackSource, Reader
from holdfast_daemon.pipeline.check_files import check_files
from holdfast_daemon.pipeline.fetch_tasks import CheckTask, Located, PackFile, Target
from holdfast_daemon.pipeline.large_target import LargeTarget
from holdfast_daemon.pipeline.manifest_pages import Segment
from holdfast_daemon.pipeline.pack_chunks import PackUnusableError
from holdfast_daemon.pipeline.seeds import ComingElsewhereError, Seeded, Seeds
from holdfast_daemon.pipeline.target_tree import partial_mark, partial_path
from holdfast_daemon.workers import Workers

PASSING = frozenset({Reason.UNAVAILABLE, Reason.DEADLINE, Reason.DRAINING, Reason.RATE_LIMITED, Reason.CANCELLED})
"""After these the same download is most likely asked for again: of a large file it finds what has come."""


@dataclass(frozen=True, slots=True)
class LargeFiles:
    """What all large files of a download have in common."""

    packs: PackSource
    workers: Workers
    seeds: Seeds
    reader: Reader
    target: Target
    live_tokens: "Counter[str]"
    """Of all downloads: temporary files with these marks are in use."""
    add_bytes: Callable[[int], None]
    """Is told of bytes that were written, and (negative) of those that do not count any more."""
    skip_cache: bool = False
    """Nothing may come from this host, and nobody is waited for."""


async def place_large(files: LargeFiles, segment: Segment, row: int) -> None:
    """Puts a file in place; what was counted for one that did not get there is taken back.

    Raises:
        HoldfastError: it cannot be had, or not be written.
    """
    path, digest = segment.entries.paths[row], segment.entries.digest_at(row)
    mark = partial_mark(path, digest)
    placing = _Placing(files, segment, row)
    files.live_tokens[mark] += 1
    keep = True
    try:
        await placing.fill()
    except BaseException as error:  # whatever ends it: what was counted is not in place
        keep = not isinstance(error, HoldfastError) or error.reason in PASSING
        files.add_bytes(-placing.file.bytes_written)
        raise
    finally:
        try:
            await placing.close(keep=keep)
        finally:
            files.live_tokens[mark] -= 1
            if not files.live_tokens[mark]:
                del files.live_tokens[mark]


class _Placing:
    """One file on its way; for `brought_pieces` the file itself."""

    def __init__(self, files: LargeFiles, segment: Segment, row: int) -> None:
        self._files = files
        self._workers = files.workers
        self._segment = segment
        self._row = row
        self._digest = segment.entries.digest_at(row)
        self._path = segment.entries.paths[row]
        self.file = LargeTarget(files.target, self._path, self._digest, files.workers.hashers)
        self.write = self.file.write
        self._takes_seeds = not files.skip_cache
        """Not after one was not what it should be."""
        self._is_open = False
        self._has_claim = False
        self._has_looked_again = False
        self._partial = b""
        """Its temporary file, if that is noted."""
        self._notes: list[asyncio.Task[None]] = []

    async def fill(self) -> None:
        """Brings it and gives it its name."""
        attempt = 1
        while True:
            try:
                is_done = await self._use_pieces(attempt) and await self._finish(attempt)
                attempt += 1
            except ComingElsewhereError as coming:
                await coming.ended.wait()
                is_done = await self._was_placed_by_another()
            if is_done:
                return
            self._files.add_bytes(-self.file.bytes_written)
            await run_to_end(self._workers.in_thread(self.file.start_over))

    async def close(self, *, keep: bool) -> None:
        """Frees what is held, and lets others fetch it."""
        try:
            stays = await run_to_end(self._workers.in_thread(partial(self.file.close, keep=keep)))
            if self._partial and not stays:
                await asyncio.wait(self._notes)
                await self._files.seeds.give_up(self._partial)
        finally:
            if self._has_claim:
                self._files.seeds.release(self._digest)

    async def _use_pieces(self, attempt: int) -> bool:
        """Brings the chunks, 64 MiB at a time, and puts them into the file in a thread; False: try again.

        Only the first attempt takes anything unchecked from the server.
        """
        packs, reader, entries = self._files.packs, self._files.reader, self._segment.entries
        pieces_of = brought_pieces(packs, reader, entries, self._row, self, straight=attempt == 1)
        async with aclosing(pieces_of) as pieces:
            async for piece in pieces:
                brought = piece.brought.files
                try:
                    work = self._workers.in_thread(
                        self.file.take, brought, piece.located, piece.digests, piece.offset, piece.in_place
                    )
                    self._files.add_bytes(await run_to_end(work))
                except PackUnusableError as error:
                    await self._recover(error, brought[error.index], attempt)
                    return False
        return True

    async def _recover(self, error: PackUnusableError, pack: PackFile, attempt: int) -> None:
        if not pack.is_seed:
            return await self._files.packs.recover(error, pack, self.file.shown, attempt)
        self._takes_seeds = False
        await self._files.seeds.forget_file(os.fsencode(pack.path))

    async def _finish(self, attempt: int) -> bool:
        """Gives the file its name; False: try again."""
        was_careful = attempt > 1 and self.file.is_suspect
        try:
            state = await run_to_end(self._workers.in_thread(self.file.finish))
        except HoldfastError as error:
            if error.reason is not Reason.DIGEST_MISMATCH or was_careful or attempt == USE_ATTEMPTS:
                raise
            self._takes_seeds = False
            return False
        if self._notes:
            await asyncio.wait(self._notes)
            await self._files.seeds.end(self._full_path(self._path), self._digest, state, self._partial)
            self._partial = b""
        return True

    async def _was_placed_by_another(self) -> bool:
        """Whether whoever was waited for has put the file where this download wants it."""
        if not await self._files.seeds.has_placed(self._full_path(self._path), self._digest):
            return False
        # Nothing is remembered of this comparison, so that the time does not matter.
        task = CheckTask(self._files.target, self._segment.encoded, array("I", (self._row,)), None, now_ns=0)
        result = await self._workers.in_process(check_files, task)
        if result.missing or result.damaged:
            return False
        self._files.add_bytes(self._segment.entries.sizes[self._row] - self.file.bytes_written)
        return True

    def _full_path(self, path: str) -> bytes:
        return os.path.join(self._files.target.root, os.fsencode(path))

    async def find_seeds(self, digests: bytes, lengths: Sequence[int], offset: int) -> Seeded | None:
        """See FileInPlace."""
        if not self._takes_seeds:
            return None
        return await self._files.seeds.find(self._digest, digests, lengths, offset)

    async def begin(
        self, digests: bytes, lengths: Sequence[int], offset: int, *, from_http: bool, has_seeds: bool
    ) -> None:
        """See FileInPlace.

        Raises:
            ComingElsewhereError: another download fetches this file.
        """
        if from_http and not self._has_claim and not self._files.skip_cache:
            self._files.seeds.claim(self._digest)
            self._has_claim = True
            if self._takes_seeds and not has_seeds:
                await self._look_again()
        is_remembered = from_http or has_seeds
        if not self._is_open:
            self._is_open = True
            if is_remembered:
                self._partial = self._full_path(partial_path(self._path, self._digest))
            await run_to_end(self._workers.in_thread(partial(self.file.open, resumable=is_remembered)))
            if has_seeds:
                await self._clone()
        if is_remembered:
            run = ChunkRun(self._digest, offset, digests, array("I", lengths))
            # Beside the transfer: what a crash forgets in these milliseconds is a temporary file of a few.
            self._notes.append(asyncio.create_task(self._files.seeds.begin(run, self._partial)))

    async def _look_again(self) -> None:
        """Whoever fetched the file between the look for seeds and the claim was seen by neither.

        Raises:
            ComingElsewhereError: somebody did; once only, should nothing of that file be of use.
        """
        if self._has_looked_again or await self._files.seeds.find_file(self._digest) is None:
            return
        self._has_looked_again = True
        self._files.seeds.release(self._digest)
        self._has_claim = False
        ended = asyncio.Event()
        ended.set()
        raise ComingElsewhereError(ended)

    async def _clone(self) -> None:
        path = await self._files.seeds.find_file(self._digest)
        if path is not None:
            size_bytes = self._segment.entries.sizes[self._row]
            await run_to_end(self._workers.in_thread(self.file.clone, path, size_bytes))

    async def present(self, located: Located, digests: bytes, offset: int) -> bytearray:
        """See FileInPlace."""
        return await run_to_end(self._workers.in_thread(self.file.present, located.lengths, digests, offset))
