"""Limits of what an entity or a project may store and how often a token may call, as plain values and decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast_contract.reasons import Reason
from holdfast_registry.domain.access import Scope
from holdfast_registry.errors import RegistryError, invalid

LIMIT_MAX = 2**62
"""Sums of limits and uses stay within the 63 bits of the databases."""
BURST_S = 5.0
"""Calls that were not made can be made up for so long: a daemon that starts asks much at once and then little."""
BURST_CALLS_MIN = 10.0
"""Logging one small version takes about so many calls, which belong together."""
RATE_MAX = 1e6


@dataclass(frozen=True, slots=True)
class Quota:
    """What is allowed; None: without limit."""

    bytes_max: int | None = None
    versions_max: int | None = None
    requests_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlacedQuota:
    """A quota, where it holds, and what of it is used."""

    scope: Scope
    quota: Quota
    bytes_used: int
    versions_used: int


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """Limits to be set, by the name of the field; 0 takes a limit away, what is not named stays."""

    bytes_max: int | None = None
    versions_max: int | None = None
    requests_per_s: float | None = None

    def checked(self) -> QuotaChange:
        """Returns it once its figures are known to be good.

        Raises:
            RegistryError: INVALID_ARGUMENT.
        """
        for name, value in (("bytes", self.bytes_max), ("versions", self.versions_max)):
            if value is not None and not 0 <= value <= LIMIT_MAX:
                raise invalid(f"A quota of {name} is a number from 1 to {LIMIT_MAX}, or 0 for none, not {value}.")
        rate = self.requests_per_s
        if rate is not None and not (math.isfinite(rate) and 0 <= rate <= RATE_MAX):
            raise invalid(f"A rate is a number of requests a second up to {RATE_MAX:.0f}, or 0 for none, not {rate}.")
        return self

    def values(self) -> dict[str, int | float | None]:
        """Returns the columns that change."""
        given = {
            "bytes_max": self.bytes_max,
            "versions_max": self.versions_max,
            "requests_per_s": self.requests_per_s,
        }
        return {name: value or None for name, value in given.items() if value is not None}


def check_bytes(placed: PlacedQuota, wanted_bytes: int) -> None:
    """Refuses packs for which there is no room.

    Raises:
        RegistryError: QUOTA_EXCEEDED.
    """
    limit = placed.quota.bytes_max
    if limit is None or placed.bytes_used + wanted_bytes <= limit:
        return
    raise _exceeded(
        placed.scope,
        "bytes",
        f"The quota of {placed.scope} is {limit} bytes: {placed.bytes_used} are used, and {wanted_bytes} more are wanted. "
        f"Delete versions (their space comes back with garbage collection), or ask {_keeper(placed.scope)} for more.",
        limit,
        placed.bytes_used,
    )


def check_versions(placed: PlacedQuota) -> None:
    """Refuses one more version where there are as many as there may be.

    Raises:
        RegistryError: QUOTA_EXCEEDED.
    """
    limit = placed.quota.versions_max
    if limit is None or placed.versions_used < limit:
        return
    raise _exceeded(
        placed.scope,
        "versions",
        f"The quota of {placed.scope} is {limit} versions, and {placed.versions_used} are there. "
        f"Delete versions, or ask {_keeper(placed.scope)} for more.",
        limit,
        placed.versions_used,
    )


def _exceeded(scope: Scope, quota: str, message: str, limit: int, used: int) -> RegistryError:
    particulars = {"quota": quota, "scope": str(scope), "limit": str(limit), "used": str(used)}
    return RegistryError(Reason.QUOTA_EXCEEDED, message, particulars)


def _keeper(scope: Scope) -> str:
    return f"an administrator of {scope.entity}"


@dataclass(slots=True)
class Bucket:
    """Calls that a token may make at once; it fills at the token's rate."""

    level: float
    at_s: float

    @classmethod
    def full(cls, rate: float, now_s: float) -> Bucket:
        """Returns one from which nothing was taken yet."""
        return cls(capacity(rate), now_s)

    def take(self, rate: float, now_s: float) -> float:
        """Takes one call out; returns 0, or without taking it the seconds after which there will be one."""
        self.level = min(capacity(rate), self.level + max(0.0, now_s - self.at_s) * rate)
        self.at_s = now_s
        if self.level >= 1.0:
            self.level -= 1.0
            return 0.0
        return (1.0 - self.level) / rate


def capacity(rate: float) -> float:
    """Returns how many calls can be made up for at a rate."""
    return max(BURST_CALLS_MIN, rate * BURST_S)
