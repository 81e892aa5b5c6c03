"""How often a token may call, and how many of its calls may be under way: counted here, in this replica's memory.

A database that counted for all replicas would cost each call a round trip.  Instead each replica lets its share of a token's rate
through, so that all together never let more through than was set.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast_contract.reasons import Reason
from holdfast_registry.clock import Clock
from holdfast_registry.domain.access import Caller, TokenRecord
from holdfast_registry.domain.quotas import Bucket
from holdfast_registry.errors import RegistryError

KEPT_MAX = 4096
"""Tokens whose calls are counted; those that have not called for longest are forgotten, which makes their buckets full."""
BUSY_RETRY_MS = 100
"""A call that is under way ends within about that time."""


class RateLimits:
    """Keeps tokens to their rates."""

    def __init__(self, clock: Clock, *, replicas: int) -> None:
        """Puts it together.

        Args:
            clock: fills the buckets.
            replicas: registries that share the tokens' calls.
        """
        self._clock = clock
        self._replicas = replicas
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()

    def take(self, record: TokenRecord) -> None:
        """Counts a call.

        Raises:
            RegistryError: RATE_LIMITED.
        """
        if record.requests_per_s is None:
            return
        rate = record.requests_per_s / self._replicas
        now_s = self._clock.monotonic_s()
        bucket = self._buckets.get(record.token_id)
        if bucket is None:
            bucket = self._buckets[record.token_id] = Bucket.full(rate, now_s)
        self._buckets.move_to_end(record.token_id)
        while len(self._buckets) > KEPT_MAX:
            self._buckets.popitem(last=False)
        wait_s = bucket.take(rate, now_s)
        if wait_s > 0:
            raise _too_often(record, rate, wait_s)


def _too_often(record: TokenRecord, rate: float, wait_s: float) -> RegistryError:
    return RegistryError(
        Reason.RATE_LIMITED,
        f"The token {record.name!r} may make {record.requests_per_s:g} calls a second, {rate:g} of them here; go on after "
        f"{wait_s:.1f} s, or ask an administrator of {record.scope.entity} for more.",
        {"quota": "rate", "scope": str(record.scope), "limit": f"{record.requests_per_s:g}"},
        retry_after_ms=math.ceil(wait_s * 1000),
    )


class CallsAtOnce:
    """Keeps tokens, and all of them together, to so many calls under way; bodies and streams hold memory while they are."""

    def __init__(self, per_token_max: int, all_max: int) -> None:
        self._per_token_max = per_token_max
        self._all_max = all_max
        self._of_token: Counter[int] = Counter()
        self._all = 0

    @contextmanager
    def one(self, caller: Caller) -> Iterator[None]:
        """Surrounds one call; those of a socket's owner are as many as they like.

        Raises:
            RegistryError: RATE_LIMITED.
        """
        token_id = caller.token_id
        if token_id is None:
            yield
            return
        if self._of_token[token_id] >= self._per_token_max:
            raise _too_many(f"The token {caller.token_name!r} has {self._per_token_max} calls under way")
        if self._all >= self._all_max:
            raise _too_many(f"This registry has {self._all_max} calls under way")
        self._of_token[token_id] += 1
        self._all += 1
        try:
            yield
        finally:
            self._all -= 1
            self._of_token[token_id] -= 1
            if not self._of_token[token_id]:
                del self._of_token[token_id]


def _too_many(what: str) -> RegistryError:
    return RegistryError(
        Reason.RATE_LIMITED,
        f"{what}, as many as it may; go on when one of them has ended.",
        {"quota": "calls"},
        retry_after_ms=BUSY_RETRY_MS,
    )
