"""Notices within seconds that a PostgreSQL does not answer any more, so that calls are told at once instead of each finding out.

A server that was stopped, or a line that was cut without a word, answers nothing and refuses nothing: each connection would wait for
its own time to pass.  One connection more asks again and again, and any answer to any unit counts as well.  What it asks is the time,
which is one for all registries then, however their machines' clocks are set.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast_registry.clock import Clock, ServerClock
from holdfast_registry.database.duties import SERVER_NOW_MS

logger = logging.getLogger(__name__)

PING_INTERVAL_S = 2.0
PING_AGAIN_S = 0.5
"""While it is away: so long after its return calls are taken again."""
PING_SILENCE_S = 5.0
"""Without an answer to anything for so long it counts as away; a server that is only busy answers this within milliseconds."""
BREAKS_MIN = 2
"""One connection may break, or be refused, for reasons of its own; the next ping opens another."""

Told = Callable[[bool], Awaitable[None]]
"""Is told whether the database can be reached, whenever that changes."""


class DatabaseWatch:
    """Asks again and again.

    Attributes:
        is_away: it does not answer, or cannot be reached.
    """

    def __init__(self, engine: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
        """Takes a pool of one connection, of which it has the only use."""
        self._engine = engine
        self._loop = loop
        self._answered_at_s = loop.time()
        self._clock: ServerClock | None = None
        self.is_away = False

    def note_answer(self) -> None:
        """The database has answered somebody."""
        self._answered_at_s = self._loop.time()

    async def clock(self, steady: Clock) -> ServerClock:
        """Returns the server's clock, which goes right as long as `run` does.

        Raises:
            DBAPIError, OSError: it cannot be asked.
        """
        asked_s = steady.monotonic_s()
        told_ms = await self._time_ms()
        self._clock = ServerClock(steady, told_ms, asked_s, steady.monotonic_s())
        return self._clock

    async def _time_ms(self) -> int:
        async with self._engine.connect() as connection:
            return int((await connection.execute(SERVER_NOW_MS)).scalar_one())

    async def _learn_time(self) -> None:
        clock = self._clock
        asked_s = 0.0 if clock is None else clock.monotonic_s()
        told_ms = await self._time_ms()
        if clock is not None:
            clock.learn(told_ms, asked_s, clock.monotonic_s())

    async def run(self, told: Told) -> None:
        """Goes on until it is cancelled."""
        failures = 0
        while True:
            failures = 0 if (weight := await self._ask()) == 0 else failures + weight
            is_away = failures >= (1 if self.is_away else BREAKS_MIN)
            if is_away != self.is_away:
                self.is_away = is_away
                logger.log(
                    logging.ERROR if is_away else logging.WARNING,
                    "the database %s",
                    "does not answer, calls are refused until it does" if is_away else "answers again",
                )
                await told(not is_away)
            await asyncio.sleep(PING_AGAIN_S if failures else PING_INTERVAL_S)

    async def _ask(self) -> int:
        """Returns 0 if there was an answer, 1 if there is no connection, `BREAKS_MIN` if there was silence."""
        asked_at_s = self._loop.time()
        try:
            async with asyncio.timeout(PING_SILENCE_S):
                await self._learn_time()
        except TimeoutError:
            # Of many connections one may be lost without a word; then the others have answers meanwhile.
            return 0 if self._answered_at_s > asked_at_s else BREAKS_MIN
        except (DBAPIError, OSError):
            return 1
        return 0

    async def aclose(self) -> None:
        """Closes its connection."""
        await self._engine.dispose()
