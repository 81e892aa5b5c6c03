"""A registry on TCP with content and tokens of every kind, and a request for each of its RPCs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.registry.v1 import access_pb2, admin_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2
from registry.client import CALL_TIMEOUT_S, Client, content_of, error_of, new_request_id

PACKAGE = "holdfast.registry.v1"
MODULES = (access_pb2, admin_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2)


def methods() -> dict[str, MethodDescriptor]:
    """All RPCs of all services of the registry, by `Service/Method`."""
    return {
        f"{service.name}/{method.name}": method
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


@dataclass(frozen=True)
class Things:
    """What requests name."""

    entity: str
    project: str
    collection: str
    portfolio: str
    run_id: str
    version_id: str
    lease_id: str
    collection_id: str
    link_id: str
    project_id: str
    token_id: str
    pack_id: bytes

    @classmethod
    def nowhere(cls, entity: str, project: str) -> Things:
        """Names and ids that nothing has."""
        hexes = [uuid.uuid4().hex for _ in range(4)]
        names = (f"c-{uuid.uuid4().hex[:8]}", f"p-{uuid.uuid4().hex[:8]}", f"r-{uuid.uuid4().hex[:8]}")
        return cls(entity, project, *names, *hexes, "99999-17", "99999", os.urandom(16))


def things_of(admin: Client, access: Any, entity: str, project: str) -> Things:
    """Makes one of each in a project."""
    content = content_of({"a.txt": os.urandom(100)})
    begun = admin.begin("cats", entity=entity, project=project)
    admin.bring(begun.lease.lease_id, content.chunks)
    run = run_pb2.Run(entity=entity, project=project, run_id="r1")
    version = admin.commit(begun, content, run=run, metadata_json=b"{}").version
    pending = admin.begin("cats", entity=entity, project=project)
    linked = admin.call(
        admin.versions.LinkVersion,
        version_pb2.LinkVersionRequest(
            request_id=new_request_id(),
            version_id=version.version_id,
            entity=entity,
            project=project,
            collection="shown",
        ),
    ).version
    named = collection_pb2.GetCollectionRequest(entity=entity, project=project, name="cats")
    held = admin.call(admin.collections.GetCollection, named).collection
    of_project = admin.call(
        admin.collections.GetProject, collection_pb2.GetProjectRequest(entity=entity, name=project)
    ).project
    token = admin.call(
        access.CreateToken,
        access_pb2.CreateTokenRequest(name="target", role="reader", entity=entity, project=project),
    ).token
    return Things(
        entity=entity,
        project=project,
        collection="cats",
        portfolio="shown",
        run_id="r1",
        version_id=version.version_id,
        lease_id=pending.lease.lease_id,
        collection_id=held.collection_id,
        link_id=linked.link.link_id,
        project_id=of_project.project_id,
        token_id=token.token_id,
        pack_id=os.urandom(16),
    )


def run_of(things: Things) -> run_pb2.Run:
    return run_pb2.Run(entity=things.entity, project=things.project, run_id=things.run_id)


def _fields(things: Things) -> Mapping[str, Any]:
    """Values of fields that are called the same in all requests.  No `request_id`: a mutation that is let in ends there."""
    return {
        "entity": things.entity,
        "project": things.project,
        "collection": things.collection,
        "name": things.collection,
        "type": "dataset",
        "run_id": things.run_id,
        "version_id": things.version_id,
        "lease_id": things.lease_id,
        "link_id": things.link_id,
        "project_id": things.project_id,
        "token_id": things.token_id,
        "collection_id": things.collection_id,
        "pack_id": things.pack_id,
        "artifact_digest": "00" * 32,
        "manifest_root": bytes(32),
        "distributed_id": "d",
        "writer": "w",
        "kind": 1,
        "protocol_min": 1,
        "protocol_max": 1,
        "metadata_json": b"{}",
        "role": "",
        "alias": "latest",
        "page_token": "",
        "set_description": True,
    }


SPECIAL: Mapping[str, Callable[[Things], Any]] = {
    "CollectionService/GetProject": lambda things: collection_pb2.GetProjectRequest(
        entity=things.entity, name=things.project
    ),
    "CollectionService/CreateProject": lambda things: collection_pb2.CreateProjectRequest(
        project=collection_pb2.Project(entity=things.entity, name=things.project)
    ),
    "RunService/UpsertRun": lambda things: run_pb2.UpsertRunRequest(run=run_of(things)),
    "RunService/RecordUse": lambda things: run_pb2.RecordUseRequest(run=run_of(things), version_id=things.version_id),
    "RunService/RecordUses": lambda things: run_pb2.RecordUsesRequest(
        uses=[run_pb2.RecordUseRequest(run=run_of(things), version_id=things.version_id)]
    ),
    "VersionService/LinkVersion": lambda things: version_pb2.LinkVersionRequest(
        version_id=things.version_id, entity=things.entity, project=things.project, collection=things.portfolio
    ),
    "AccessService/SetProtectedAliases": lambda things: access_pb2.SetProtectedAliasesRequest(
        entity=things.entity, project=things.project, aliases=["latest"]
    ),
    "AccessService/GetProtectedAliases": lambda things: access_pb2.GetProtectedAliasesRequest(
        entity=things.entity, project=things.project
    ),
    "AccessService/RevokeToken": lambda things: access_pb2.RevokeTokenRequest(token_id=things.token_id),
    "AccessService/RotateToken": lambda things: access_pb2.RotateTokenRequest(token_id=things.token_id, grace_s=2**63),
    "VersionService/AbortVersion": lambda things: version_pb2.AbortVersionRequest(version_id=things.version_id),
}
"""Requests that the common fields do not make."""


def request_for(name: str, things: Things) -> Any:
    """A request that names these things."""
    if name in SPECIAL:
        return SPECIAL[name](things)
    descriptor = methods()[name].input_type
    known = set(descriptor.fields_by_name)
    values = {field: value for field, value in _fields(things).items() if field in known}
    return message_factory.GetMessageClass(descriptor)(**values)


@dataclass(frozen=True)
class Answer:
    """What came back: the reason of a refusal, or a response."""

    reason: str
    detail: ErrorDetail | None = None
    response: Any = None


def ask(channel: grpc.Channel, name: str, request: Any, token: str | None) -> Answer:
    """Makes any call.  Raises what gRPC does when no registry has answered."""
    method = methods()[name]
    answer_class = message_factory.GetMessageClass(method.output_type)
    codec = (type(request).SerializeToString, answer_class.FromString)
    path = f"/{PACKAGE}.{name}"
    options: dict[str, Any] = {
        "timeout": CALL_TIMEOUT_S,
        "metadata": (("authorization", f"Bearer {token}"),) if token else (),
    }
    try:
        if method.client_streaming:
            return Answer("", response=channel.stream_unary(path, *codec)(iter([request]), **options))
        if method.server_streaming:
            return Answer("", response=list(channel.unary_stream(path, *codec)(request, **options)))
        return Answer("", response=channel.unary_unary(path, *codec)(request, **options))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE and not error.trailing_metadata():
            raise
        detail = error_of(error)
        return Answer(detail.reason, detail)
