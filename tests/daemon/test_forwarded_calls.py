"""Which calls the daemon passes on to the registry: all but those by which content comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from holdfast_daemon.pipeline.known_versions import KnownVersions
from holdfast_daemon.rpc.answered_here import AnsweredHere
from holdfast_daemon.rpc.forward import FORWARDED, Forwarder
from holdfast_daemon.tracing import NoTracing
from holdfastpb.registry.v1 import access_pb2, admin_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2

OWN = {
    "BeginVersion",
    "RenewLease",
    "CommitVersion",
    "AddPart",
    "FinishDistributed",
    "AbortVersion",
}
"""Of VersionService: the daemon's business, as is all of PackService."""


def methods(module: ModuleType) -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def test_every_call_that_moves_no_content_is_passed_on() -> None:
    known = set().union(*map(methods, (registry_pb2, version_pb2, collection_pb2, run_pb2, access_pb2, admin_pb2)))
    own = {f"/holdfast.registry.v1.VersionService/{name}" for name in OWN}
    assert own <= known
    assert known - own == FORWARDED


def test_no_call_on_packs_is_passed_on() -> None:
    assert not methods(pack_pb2) & FORWARDED


async def test_a_change_whose_answer_does_not_come_is_taken_for_done() -> None:
    known = KnownVersions()
    version = version_pb2.Version(version_id="1", state=version_pb2.VersionState.VERSION_STATE_COMMITTED)
    known.learn(version, known.generation)

    async def lose_answer(*_: object, **__: object) -> bytes:
        raise asyncio.CancelledError  # its caller has gone away

    async def start(_: float) -> None:
        assert known.get("1") == version, "nobody could have changed it before"

    channel = SimpleNamespace(unary_unary=lambda *_: lose_answer)
    registry: Any = SimpleNamespace(
        channel=channel,
        metadata=(),
        address="there",
        until_started=start,
        counted=contextlib.nullcontext,
        at_rate=lambda attempt, _: attempt(),
        tracing=NoTracing(),
    )
    here = AnsweredHere(known, cast(Any, None), cast(Any, None), registry)
    request = version_pb2.UpdateVersionRequest(version_id="1").SerializeToString()
    context: Any = SimpleNamespace(time_remaining=lambda: 10.0)
    with pytest.raises(asyncio.CancelledError):
        await Forwarder(registry, here)._forward("/holdfast.registry.v1.VersionService/UpdateVersion", request, context)
    assert known.get("1") is None
