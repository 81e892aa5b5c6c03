"""Time to live: who says it, when it ends, and that the end really deletes."""

from __future__ import annotations

import pytest

from holdfastpb.registry.v1.version_pb2 import TTL_KIND_DURATION, TTL_KIND_NONE, Ttl
from registry.client import Client, reason_of


def of_seconds(seconds: int) -> Ttl:
    return Ttl(kind=TTL_KIND_DURATION, seconds=seconds)


def test_commit_keeps_the_ttl_and_says_when_the_version_expires(client: Client, collection: str) -> None:
    version = client.log_files(collection, {"a": b"a"}, ttl=of_seconds(3600))
    assert version.ttl == of_seconds(3600)
    assert version.expires_at_ms == version.created_at_ms + 3_600_000
    never = client.log_files(collection, {"a": b"b"}, ttl=Ttl(kind=TTL_KIND_NONE))
    assert (never.ttl.kind, never.expires_at_ms) == (TTL_KIND_NONE, 0)
    assert client.log_files(collection, {"a": b"c"}).ttl == Ttl()


@pytest.mark.parametrize("ttl", [of_seconds(0), of_seconds(2**63), Ttl(kind=9)])
def test_ttl_that_means_nothing_is_refused(client: Client, collection: str, ttl: Ttl) -> None:
    assert reason_of(lambda: client.log_files(collection, {"a": b"a"}, ttl=ttl)) == "INVALID_ARGUMENT"
