"""How much may be on its way to and from an S3 server at once: found out by trying, within bounds of connections and memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast_contract.limits import MIB

CONNECTIONS_START = 8
CONNECTIONS_MAX = 32
"""More only compete for one line; AWS takes 3,500 PUTs a second for each prefix, so it is never the store that needs fewer."""
BYTES_MAX = 256 * MIB
"""On their way at once: eight ranges of a large file, or four packs."""


class TransferLimits:
    """Lets transfers in: one more for each round of successes, half as many when the server asks for that."""

    def __init__(self, connections_max: int = CONNECTIONS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._connections_max = connections_max
        self._bytes_max = bytes_max
        self._allowed = float(min(CONNECTIONS_START, connections_max))
        self._running = 0
        self._bytes = 0
        self._cuts = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def allowed(self) -> int:
        """Transfers that may run at once, as things are."""
        return int(self._allowed)

    @asynccontextmanager
    async def slot(self, size_bytes: int) -> AsyncIterator[int]:
        """Waits until a transfer of so many bytes may begin; gives what `slow_down` wants to know.

        They begin in the order in which they came, so that many small ones cannot keep a large one out.
        """
        turn = (size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._admit()
        try:
            await turn[1]
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._admit()
            else:
                self._release(size_bytes)  # let in and cancelled at once
            raise
        try:
            yield self._cuts
        finally:
            self._release(size_bytes)

    def _admit(self) -> None:
        while self._waiting and self._has_room(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            self._running += 1
            self._bytes += size_bytes
            if not turn.done():
                turn.set_result(None)

    def _release(self, size_bytes: int) -> None:
        self._running -= 1
        self._bytes -= size_bytes
        self._admit()

    def _has_room(self, size_bytes: int) -> bool:
        # One that is larger than everything together goes alone.
        return not self._running or (self._running < self.allowed and self._bytes + size_bytes <= self._bytes_max)

    def succeeded(self) -> None:
        """A transfer has come to its end: room for one more after as many as run at once."""
        self._allowed = min(float(self._connections_max), self._allowed + 1 / self._allowed)

    def slow_down(self, cuts_at_start: int) -> None:
        """The server wants fewer; transfers that began before the last such answer say nothing new."""
        if cuts_at_start == self._cuts:
            self._cuts += 1
            self._allowed = max(1.0, self._allowed / 2)
