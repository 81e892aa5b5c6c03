"""The scrub: one registry at a time reads all packs in the order of their rows, slowly, and from where the last one had come to.

Order: copies of lost chunks looked for · packs one after another, each checked, a damaged one read a second time and then put into
quarantine · copies of what was lost with it looked for · the versions that are hurt noted · how far it is noted.  A crash repeats
what was read since the last note.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from holdfast_contract.errors import ContractError
from holdfast_contract.os_layer import FsyncError
from holdfast_registry.clock import Clock
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.scrubs import ScrubbedPack, ScrubRepository, ScrubRound
from holdfast_registry.errors import DatabaseError, RegistryError
from holdfast_registry.scrub.hurt import HurtVersions
from holdfast_registry.scrub.inspect_pack import PackInspector
from holdfast_registry.scrub.pace import Pace
from holdfast_registry.scrub.repair import Repairer

logger = logging.getLogger(__name__)

DUTY = "scrub"
LOOK_INTERVAL_S = 60.0
"""Between two looks whether there is anything to do."""
NOTE_INTERVAL_S = 10.0
"""Between two notes of how far it is; so much is read again after a crash."""


class DutyLostError(Exception):
    """Another registry does the scrub by now."""


class Scrubber:
    """Reads and repairs."""

    def __init__(
        self,
        scrubs: ScrubRepository,
        inspector: PackInspector,
        repairer: Repairer,
        hurt: HurtVersions,
        duty: Duty,
        clock: Clock,
        die: Callable[[OSError], NoReturn],
    ) -> None:
        self._scrubs = scrubs
        self._inspector = inspector
        self._repairer = repairer
        self._hurt = hurt
        self._duty = duty
        self._clock = clock
        self._die = die
        self._noted_at_s = 0.0

    async def run(self, interval_s: float, bytes_per_s: int) -> None:
        """Scrubs whenever a round is due or was not finished, until it is cancelled; a failure is logged and tried again.

        Args:
            interval_s: between the beginnings of two rounds; 0: never.
            bytes_per_s: that are read at most.
        """
        while interval_s and bytes_per_s:
            await asyncio.sleep(min(interval_s, LOOK_INTERVAL_S))
            try:
                await self.look(interval_s, bytes_per_s)
            except FsyncError as error:
                self._die(error)
            except DutyLostError:
                logger.info("another registry scrubs")
            except (RegistryError, ContractError, DatabaseError, OSError) as error:
                logger.error("scrub failed error=%s", error, exc_info=error)

    async def look(self, interval_s: float, bytes_per_s: int) -> ScrubRound | None:
        """Goes on with the round that was not finished, or begins one if it is due; returns it once all packs were read.

        Raises:
            DutyLostError: this process had stopped for a while, and another one has gone on.
        """
        if healed := await self._scrubs.forget_healed():
            logger.warning("lost chunks were brought again count=%s", healed)
        if not await self._is_due(interval_s):
            return None
        async with self._duty.held(0) as is_ours:
            return await self._go_on(interval_s, Pace(bytes_per_s, self._clock)) if is_ours else None

    async def _is_due(self, interval_s: float) -> bool:
        last = await self._scrubs.last_round()
        if last is None or last.ended_at_ms is None:
            return True
        # A clock that was set back makes the last round lie ahead: one too many harms nobody.
        return not 0 <= self._clock.now_ms() - last.started_at_ms < interval_s * 1000

    async def _go_on(self, interval_s: float, pace: Pace) -> ScrubRound | None:
        if not await self._is_due(interval_s):
            return None  # another registry has ended it just now
        so_far = await self._scrubs.last_round()
        if so_far is None or so_far.ended_at_ms is not None:
            so_far = await self._scrubs.begin_round()
        await self._repair()
        while pack := await self._scrubs.next_pack(so_far.after_pack):
            await self._check(pack, so_far, pace)
            so_far.after_pack = pack.row
            so_far.packs_checked += 1
            await self._note(so_far)
        so_far.ended_at_ms = self._clock.now_ms()
        await self._scrubs.note(so_far)
        logger.info(
            "scrub done round=%s packs=%s bytes=%s damaged=%s",
            so_far.row,
            so_far.packs_checked,
            so_far.bytes_read,
            so_far.packs_damaged,
        )
        return so_far

    async def _check(self, pack: ScrubbedPack, so_far: ScrubRound, pace: Pace) -> None:
        async def spent(count: int) -> None:
            so_far.bytes_read += count
            await pace.spend(count)
            await self._note(so_far)

        problem = await self._inspector.problem_of(pack, spent)
        # Once more, lest a fault of this machine's memory or network condemns a sound pack.
        if problem is not None and (problem := await self._inspector.problem_of(pack, spent)) is not None:
            so_far.packs_damaged += 1
            await self._repairer.quarantine(pack, problem)
            await self._repair()

    async def _repair(self) -> None:
        await self._repairer.heal()
        await self._hurt.note_new()

    async def _note(self, so_far: ScrubRound) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._noted_at_s < NOTE_INTERVAL_S:
            return
        self._noted_at_s = now_s
        if not await self._duty.renew():
            raise DutyLostError
        await self._scrubs.note(so_far)
