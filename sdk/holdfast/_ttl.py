"""How long something is kept, as users write it and as it travels."""

from __future__ import annotations

import datetime
import enum
import math

from holdfastpb.registry.v1 import version_pb2


class ArtifactTTL(enum.Enum):
    """What a ttl can be besides a time: INHERIT leaves it to the collection, else to the project."""

    INHERIT = 0


TimeToLive = datetime.timedelta | ArtifactTTL | None


def ttl_message(ttl: TimeToLive) -> version_pb2.Ttl:
    """Returns a time to live as it travels; parts of a second count as a whole one.

    Raises:
        ValueError: the time is not positive.
        TypeError: neither a timedelta, None nor `ArtifactTTL.INHERIT`.
    """
    if ttl is None:
        return version_pb2.Ttl(kind=version_pb2.TTL_KIND_NONE)
    if ttl is ArtifactTTL.INHERIT:
        return version_pb2.Ttl(kind=version_pb2.TTL_KIND_INHERIT)
    if not isinstance(ttl, datetime.timedelta):
        raise TypeError(f"A ttl is a timedelta, None or ArtifactTTL.INHERIT, not {ttl!r:.200}")
    if ttl <= datetime.timedelta(0):
        raise ValueError(f"A ttl must be a positive time, not {ttl}; None keeps for ever")
    return version_pb2.Ttl(kind=version_pb2.TTL_KIND_DURATION, seconds=math.ceil(ttl.total_seconds()))


def ttl_of(message: version_pb2.Ttl) -> TimeToLive:
    """Returns a time to live as users see it: a time, None for ever, or `ArtifactTTL.INHERIT`."""
    if message.kind == version_pb2.TTL_KIND_DURATION:
        return datetime.timedelta(seconds=message.seconds)
    return None if message.kind == version_pb2.TTL_KIND_NONE else ArtifactTTL.INHERIT
