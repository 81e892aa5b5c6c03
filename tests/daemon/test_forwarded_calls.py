"""Which calls the daemon passes on to the registry: all but those by which content comes and goes."""

from __future__ import annotations

from types import ModuleType

from holdfast_daemon.rpc.forward import FORWARDED
from holdfastpb.registry.v1 import access_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2

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
    known = set().union(*map(methods, (registry_pb2, version_pb2, collection_pb2, run_pb2, access_pb2)))
    own = {f"/holdfast.registry.v1.VersionService/{name}" for name in OWN}
    assert own <= known
    assert known - own == FORWARDED


def test_no_call_on_packs_is_passed_on() -> None:
    assert not methods(pack_pb2) & FORWARDED
