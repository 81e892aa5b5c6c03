"""Keeps slow and greedy clients on a port from holding what others need: memory of messages, and calls under way.

A message is read only once it is known who brings it and that there is room for one more call, so bodies never take more memory
than calls at once times the size of a message.  Whoever brings or takes nothing for a while is cut off; time in which
the registry itself is slow does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from holdfast_contract.reasons import Reason
from holdfast_registry.auth.call_limits import CallsAtOnce
from holdfast_registry.clock import Clock
from holdfast_registry.domain.access import Caller
from holdfast_registry.errors import RegistryError

SLOW_BYTES_PER_S = 1024
"""A stream that is slower in the long run holds a call for more than 17 hours for one pack; a modem of 1990 was faster."""
STATUS_S = 1.0
"""For a status to a client that is cut off; one that takes nothing does not take that either."""


class FlowLimits:
    """Of one port."""

    def __init__(self, calls: CallsAtOnce, clock: Clock, *, idle_s: float) -> None:
        """Puts it together.

        Args:
            calls: counts calls under way.
            clock: for waits.
            idle_s: how long a client may bring or take nothing.
        """
        self._calls = calls
        self._clock = clock
        self._idle_s = idle_s

    def one_call(self, caller: Caller | None) -> AbstractContextManager[None]:
        """Surrounds a call whose caller is known.

        Raises:
            RegistryError: RATE_LIMITED.
        """
        return nullcontext() if caller is None else self._calls.one(caller)

    async def in_time(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yields the messages of a client, as long as they come.

        Raises:
            RegistryError: DEADLINE: it is too slow.
        """
        waited_s, received_bytes = 0.0, 0
        while True:
            left_s = self._idle_s + received_bytes / SLOW_BYTES_PER_S - waited_s
            began_s = self._clock.monotonic_s()
            try:
                async with asyncio.timeout(min(self._idle_s, left_s)):
                    message = await anext(messages, None)
            except TimeoutError as error:
                raise _too_slow(f"{received_bytes} bytes came, and then too little for {self._idle_s:g} s") from error
            if message is None:
                return
            waited_s += self._clock.monotonic_s() - began_s
            received_bytes += message.ByteSize()
            yield message

    async def write(self, context: Any, message: Any) -> None:
        """Sends one message of a stream.

        Raises:
            RegistryError: DEADLINE: the client takes nothing.
        """
        try:
            async with asyncio.timeout(self._idle_s):
                await context.write(message)
        except TimeoutError as error:
            raise _too_slow(f"nothing was taken for {self._idle_s:g} s") from error


def _too_slow(what: str) -> RegistryError:
    return RegistryError(Reason.DEADLINE, f"The client is too slow: {what}; go on from what has arrived.")
