"""The verifier: reads packs back that a store has taken on its word, beside the calls, or at once for whoever wants to go by one.

Order for a damaged pack, after it was read twice: its rows taken away and the pack DOOMED, in one transaction, while its version is
not committed; else as in `scrub`.  A crash leaves the pack unread, and the next look reads it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from holdfast_contract.errors import ContractError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.os_layer import FsyncError
from holdfast_registry.clock import Clock
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.scrubs import ScrubRepository
from holdfast_registry.database.unread import Backlog, UnreadPack, UnreadRepository
from holdfast_registry.domain.unread import DamagedFate
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.scrub.hurt import HurtVersions
from holdfast_registry.scrub.inspect_pack import PackInspector
from holdfast_registry.scrub.repair import Repairer

logger = logging.getLogger(__name__)

DUTY = "verifier"
LOOK_INTERVAL_S = 5.0
"""Between two looks for packs that another registry has taken in; one's own are known at once."""
PATIENCE_S = 60.0
"""Packs of an upload that goes on are left to it for so long: reading them would take the line and the processors from it."""


@dataclass(frozen=True, slots=True)
class VerifierLoad:
    """Packs that are checked, or wait to be."""

    checking: int
    waiting: int
    lag_s: float
    """Age of the oldest of them; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What deals with a damaged pack."""

    scrubs: ScrubRepository
    repairer: Repairer
    hurt: HurtVersions


class PackVerifier:
    """Reads packs back."""

    def __init__(
        self,
        unread: UnreadRepository,
        inspector: PackInspector,
        mending: Mending,
        duty: Duty,
        clock: Clock,
        die: Callable[[OSError], NoReturn],
        *,
        at_once: int,
    ) -> None:
        """Puts it together; `at_once` packs are read in parallel."""
        self._unread = unread
        self._inspector = inspector
        self._mending = mending
        self._duty = duty
        self._clock = clock
        self._die = die
        self._at_once = at_once
        self._turns = asyncio.Semaphore(at_once)
        self._one_mends = asyncio.Lock()
        self._reads: dict[int, asyncio.Task[None]] = {}
        self._checking = 0
        self._backlog = Backlog(0, None)
        self._wanted = asyncio.Event()

    # --- for whoever waits --------------------------------------------------------------------------------------------

    async def read(self, packs: Iterable[UnreadPack], *, within_s: float | None = None) -> None:
        """Reads packs, or waits for those who are at it; afterwards each serves everybody, or nobody.

        What is read goes on when the caller gives up.

        Args:
            packs: that were unread a moment ago.
            within_s: after so long some may be unread still; None: waits for all.

        Raises:
            RegistryError: UNAVAILABLE: the store does not answer.
        """
        tasks = [self._reads.get(pack.row) or self._begin(pack) for pack in packs]
        if not tasks:
            return
        done, _ = await asyncio.wait(tasks, timeout=within_s)
        for task in done:
            task.result()

    def hurry(self) -> None:
        """Looks at once: an upload has ended."""
        self._wanted.set()

    @property
    def load(self) -> VerifierLoad:
        """How the reading keeps up, as of the last look; may be asked from any thread."""
        backlog, checking = self._backlog, self._checking
        lag_s = 0.0 if backlog.oldest_ms is None else max(0.0, (self._clock.now_ms() - backlog.oldest_ms) / 1000)
        return VerifierLoad(checking, max(0, backlog.packs - checking), lag_s)

    def _begin(self, pack: UnreadPack) -> asyncio.Task[None]:
        task = self._reads[pack.row] = asyncio.create_task(self._read(pack))
        task.add_done_callback(partial(self._ended, pack.row))
        return task

    def _ended(self, row: int, task: asyncio.Task[None]) -> None:
        del self._reads[row]
        if not task.cancelled():
            task.exception()  # taken note of: whoever asked may have gone

    async def _read(self, pack: UnreadPack) -> None:
        async with self._turns:
            self._checking += 1
            try:
                problem = await self._problem_of(pack)
            finally:
                self._checking -= 1
        if problem is None:
            await self._unread.note_read(pack.row)
        else:
            await self._mend(pack, problem)

    async def _problem_of(self, pack: UnreadPack) -> str | None:
        if await self._inspector.problem_of(pack, _spent) is None:
            return None
        # Once more, lest a fault of this machine's memory or network condemns a sound pack.
        return await self._inspector.problem_of(pack, _spent)

    async def _mend(self, pack: UnreadPack, problem: str) -> None:
        async with self._one_mends:
            rows = await self._mending.scrubs.rows_in(pack)
            fate = await self._unread.give_up(pack, [row.digest for row in rows])
            if fate is DamagedFate.GIVE_UP:
                logger.error(
                    "pack is damaged and given up before its version was committed pack=%s problem=%s",
                    pack.pack_id.hex(),
                    problem,
                )
            if fate is DamagedFate.QUARANTINE:
                await self._mending.repairer.quarantine(pack, problem)
                await self._mending.repairer.heal()
                await self._mending.hurt.note_new()

    # --- beside the calls ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Reads what is unread, until it is cancelled; a failure is logged and tried again."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), LOOK_INTERVAL_S)
            self._wanted.clear()
            try:
                await self.look()
            except FsyncError as error:
                self._die(error)
            except (RegistryError, ContractError, DatabaseError, OSError) as error:
                logger.error("packs could not be read back error=%s", error, exc_info=error)

    async def look(self) -> None:
        """Reads the packs that are due, unless another registry does; one that cannot be read keeps no other from it.

        Raises:
            RegistryError: UNAVAILABLE: some could not be read, because the store does not answer.
        """
        failpoint("verifier.before_look")
        self._backlog = await self._unread.backlog()
        if not self._backlog.packs or not await self._unread.due(PATIENCE_S, 1):
            return
        async with self._duty.held(0) as is_ours:
            if is_ours:
                await self._read_due()

    async def _read_due(self) -> None:
        after, failure = 0, None
        while packs := await self._unread.due(PATIENCE_S, self._at_once, after):
            after = packs[-1].row
            try:
                await self.read(packs)
            except (RegistryError, ContractError, OSError) as error:
                failure = error
            self._backlog = await self._unread.backlog()
        if failure is not None:
            raise failure


async def _spent(_: int) -> None:
    """Reads as fast as it can: somebody waits, or soon will."""
