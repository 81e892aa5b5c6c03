"""Rules by which several share one line: how many bytes may go when, and whose turn it is.  Pure; the clock is the caller's."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from holdfast_contract.limits import MIB, PACK_BYTES_MAX
from holdfastpb.daemon.v1.log_pb2 import JOB_PRIORITY_HIGH, JOB_PRIORITY_LOW, JOB_PRIORITY_NORMAL

BURST_S = 0.05
"""What was not used is saved up for so long: a timer that comes late by less than this costs nothing of the rate."""
WEIGHTS = {JOB_PRIORITY_HIGH: 64, JOB_PRIORITY_NORMAL: 8, JOB_PRIORITY_LOW: 1}
"""A checkpoint of high priority has 64 parts of 65 beside a data set of low priority, which is still sent."""
EARLY_PACK_BYTES = 8 * MIB
"""Worth a request of its own: it takes a server of 150 MB/s three times as long as what is done once for each pack."""
_KEYS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Share:
    """Who wants something, and how much of it against others."""

    key: Hashable
    weight: int


class TokenBucket:
    """Says when bytes may go, so that no time of length t sees more than `bytes_per_s` * (t + BURST_S) and one piece."""

    def __init__(self, bytes_per_s: int) -> None:
        """Makes a bucket that holds nothing saved up."""
        assert bytes_per_s > 0, "no limit is no bucket"
        self.bytes_per_s = bytes_per_s
        self._free_at_s: float | None = None

    def delay_s(self, now_s: float) -> float:
        """Seconds until the next piece may go; 0 when it may go now."""
        return 0.0 if self._free_at_s is None else max(0.0, self._free_at_s - now_s)

    def spend(self, now_s: float, size_bytes: int) -> None:
        """Notes that a piece goes now, which `delay_s` has allowed."""
        free_at_s = now_s if self._free_at_s is None else max(self._free_at_s, now_s - BURST_S)
        self._free_at_s = free_at_s + size_bytes / self.bytes_per_s


class FairShares:
    """Whose turn it is: each gets bytes in proportion to its weight, as long as it wants any.

    Each has a clock that runs by what it got, divided by its weight; the slowest clock is next.  Who comes new, or comes back,
    starts at the clock that was served last: nobody saves up turns while away.
    """

    def __init__(self) -> None:
        self._clocks: dict[Hashable, float] = {}
        self._now = 0.0

    def first(self, shares: Iterable[Share]) -> Share:
        """The one whose turn it is; of equals the heavier one, then the one that is named first."""
        return min(shares, key=lambda share: (self._clock(share.key), -share.weight))

    def charge(self, share: Share, size_bytes: int) -> None:
        """Notes what the one that `first` has named gets."""
        self._now = max(self._now, self._clock(share.key))
        self._clocks[share.key] = self._clock(share.key) + size_bytes / share.weight
        if len(self._clocks) > _KEYS_KEPT:
            self._clocks = {key: clock for key, clock in self._clocks.items() if clock > self._now}

    def _clock(self, key: Hashable) -> float:
        return max(self._clocks.get(key, self._now), self._now)


def due_bytes(under_way: int, sent_bytes: int) -> int:
    """From which size an open pack should be sent rather than filled.

    While nothing is under way an early start is worth more than a full pack; with each pack that is, more bytes can be waited for.  The
    packs of a large artifact are full ones but for the first few: a request costs the store the same whatever it carries.

    Args:
        under_way: packs that are being sent.
        sent_bytes: of the same artifact so far.
    """
    return min(PACK_BYTES_MAX, max(EARLY_PACK_BYTES << min(under_way, 3), sent_bytes // 8))
