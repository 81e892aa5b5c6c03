"""Keeps a hold on work that any registry could do, for as long as one does it; a process that was killed, or stands still, loses it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast_registry.errors import DatabaseError, RegistryError

logger = logging.getLogger(__name__)

BEAT_S = 10.0
"""Between two renewals: of `HOLD_MS` three may fail before another registry takes over."""

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


@asynccontextmanager
async def heartbeat(renew: Callable[[], Awaitable[bool]], pause: Pause = asyncio.sleep) -> AsyncIterator[None]:
    """Renews a hold while the block runs, beside it.

    Who has lost the hold is not interrupted: it finds out in its next transaction.

    Args:
        renew: goes on with the hold; False: another one has it by now.
        pause: between two renewals.
    """
    beating = asyncio.create_task(_beat(renew, pause))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])


async def _beat(renew: Callable[[], Awaitable[bool]], pause: Pause) -> None:
    while True:
        await pause(BEAT_S)
        try:
            if not await renew():
                return
        except (RegistryError, DatabaseError) as error:
            logger.warning("a hold could not be renewed, which is tried again error=%s", error)
