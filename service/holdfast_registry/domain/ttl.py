"""Rules of time to live: what a version, its collection or its project may say about when it expires."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast_registry.errors import invalid

TTL_S_MAX = 86_400 * 999_999_999
"""The longest duration of Python's own type; in milliseconds it is a hundredth of what the database can hold."""


class TtlKind(IntEnum):
    """What is said; the numbers are those of the wire and of the database."""

    INHERIT = 0
    NONE = 1
    DURATION = 2


@dataclass(frozen=True, slots=True)
class Ttl:
    """Time to live of one thing, by its own wish."""

    kind: TtlKind = TtlKind.INHERIT
    seconds: int = 0
    """Of a DURATION, else 0."""


def checked_ttl(kind: int, seconds: int) -> Ttl:
    """Returns a time to live that somebody asks for.

    Raises:
        RegistryError: INVALID_ARGUMENT: a kind that is not known, or a duration of nothing or beyond all calendars.
    """
    if kind not in set(TtlKind):
        raise invalid(f"A ttl has no kind {kind}; use INHERIT, NONE or DURATION.")
    if kind != TtlKind.DURATION:
        return Ttl(TtlKind(kind))
    if not 1 <= seconds <= TTL_S_MAX:
        raise invalid(f"A ttl must be between 1 second and {TTL_S_MAX} seconds, not {seconds}.")
    return Ttl(TtlKind.DURATION, seconds)
