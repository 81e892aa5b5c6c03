"""Which pack is sent next, and how many at once: fair between jobs, by their priority, and never behind a line that is full.

A pack of higher priority than all that are being sent gets one slot more than there are: it does not wait for the end of others.
A pack that has arrived, and is only checked, leaves the line to the next one.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from holdfast_daemon.pipeline.pacing import FairShares, Share
from holdfast_daemon.spool.spool import SpoolPack


class UploadQueue:
    """Packs that wait for a slot, and those that have one."""

    def __init__(self, slots: Callable[[], int], share_of: Callable[[SpoolPack], Share | None]) -> None:
        """Takes how many packs may be sent at once, and for whom a pack is sent; None: it needs no slot."""
        self._slots = slots
        self._share_of = share_of
        self._shares = FairShares()
        self._waiting: list[SpoolPack] = []
        self._sending: list[SpoolPack] = []
        self._arrived: list[SpoolPack] = []
        self._changed = asyncio.Event()

    def qsize(self) -> int:
        """Packs that wait."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Packs that take up a slot."""
        return len(self._occupied())

    @property
    def has_room(self) -> bool:
        """Whether a pack that came now would be sent at once."""
        return not self._waiting and self.under_way < self._slots()

    def put(self, pack: SpoolPack) -> None:
        """Adds a pack."""
        self._waiting.append(pack)
        self._changed.set()

    async def take(self) -> SpoolPack:
        """Returns the pack whose turn it is, when it may be sent; to be given back."""
        while (pack := self._next()) is None:
            self._changed.clear()
            await self._changed.wait()
        self._waiting.remove(pack)
        self._sending.append(pack)
        return pack

    @contextlib.contextmanager
    def arrived(self, pack: SpoolPack) -> Iterator[None]:
        """While the registry checks a pack that was taken, it needs no slot; only so many as there are slots go without."""
        self._sending.remove(pack)
        self._arrived.append(pack)
        self._changed.set()
        try:
            yield
        finally:
            self._arrived.remove(pack)
            self._sending.append(pack)

    def give_back(self, pack: SpoolPack) -> None:
        """Frees the slot of a pack."""
        self._sending.remove(pack)
        self._changed.set()

    def look_again(self) -> None:
        """Somebody's share, or the number of slots, has changed."""
        self._changed.set()

    def _next(self) -> SpoolPack | None:
        wanted = [(share, pack) for pack in self._waiting for share in [self._share_of(pack)]]
        for share, pack in wanted:
            if share is None:
                return pack
        shares = {share: pack for share, pack in reversed(wanted) if share is not None}
        if not shares or not self._has_slot(max(share.weight for share in shares)):
            return None
        candidates = list(shares)
        if len(self._occupied()) >= self._slots():
            heaviest = max(share.weight for share in candidates)
            candidates = [share for share in candidates if share.weight == heaviest]
        first = self._shares.first(reversed(candidates))
        self._shares.charge(first, max(1, shares[first].size_bytes))
        return shares[first]

    def _has_slot(self, weight: int) -> bool:
        sending = self._occupied()
        free = self._slots() - len(sending)
        return free > 0 or (free == 0 and all(share.weight < weight for share in sending))

    def _occupied(self) -> list[Share]:
        packs = [*self._sending, *self._arrived[self._slots() :]]
        return [share for pack in packs for share in [self._share_of(pack)] if share is not None]
