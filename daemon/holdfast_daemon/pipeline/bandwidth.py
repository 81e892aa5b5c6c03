"""Holds all transfers of one direction together within a limit, shared fairly; without a limit it is not in the way."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable

from holdfast_contract.limits import KIB
from holdfast_daemon.pipeline.pacing import FairShares, Share, TokenBucket

PIECE_S = 0.05
"""Pieces are so much of a second long: short enough to be even, long enough to cost nothing."""
PIECE_BYTES_MIN = 4 * KIB


class Bandwidth:
    """The limit of one direction.  Used on the event loop only."""

    def __init__(self, bytes_per_s: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the limit; 0: none."""
        self._clock = clock
        self._bucket: TokenBucket | None = None
        self._shares = FairShares()
        self._waiting: dict[Hashable, deque[tuple[Share, int, asyncio.Future[None]]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called when the limit has changed."""
        self.limit(bytes_per_s)

    @property
    def bytes_per_s(self) -> int:
        """The limit; 0: none."""
        return self._bucket.bytes_per_s if self._bucket is not None else 0

    def limit(self, bytes_per_s: int) -> None:
        """Changes the limit for all that goes from now on; 0: none."""
        self._bucket = TokenBucket(bytes_per_s) if bytes_per_s > 0 else None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._let_go()
        self.on_change()

    def piece_bytes(self, at_most: int, piece_s: float = PIECE_S) -> int:
        """How much a transfer should ask for at once: what goes in `piece_s`."""
        if self._bucket is None:
            return at_most
        return min(at_most, max(PIECE_BYTES_MIN, int(self._bucket.bytes_per_s * piece_s)))

    async def take(self, size_bytes: int, share: Share) -> None:
        """Returns when so many bytes may go; at once without a limit."""
        if self._bucket is None:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(share.key, deque()).append((share, size_bytes, turn))
        self._let_go()
        await turn

    def _let_go(self) -> None:
        """Lets go what may go now, and comes back when the next one may."""
        if self._timer is not None:
            return
        while self._waiting:
            now_s = self._clock()
            delay_s = self._bucket.delay_s(now_s) if self._bucket is not None else 0.0
            if delay_s > 0:
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._come_back)
                return
            share, size_bytes, turn = self._next()
            if turn.done():
                continue  # given up meanwhile
            if self._bucket is not None:
                self._bucket.spend(now_s, size_bytes)
                self._shares.charge(share, size_bytes)
            turn.set_result(None)

    def _next(self) -> tuple[Share, int, "asyncio.Future[None]"]:
        key = self._shares.first(queue[0][0] for queue in self._waiting.values()).key
        queue = self._waiting[key]
        found = queue.popleft()
        if not queue:
            del self._waiting[key]
        return found

    def _come_back(self) -> None:
        self._timer = None
        self._let_go()
