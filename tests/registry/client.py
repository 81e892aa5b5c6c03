"""A writer as the daemon is one, in a few lines: cuts nothing, packs everything, commits."""

from __future__ import annotations

import hashlib
import os
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from holdfast_contract.digest import ArtifactDigest, digest_of
from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_contract.pack import Codec, build_pack
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, ManifestSegment, SegmentRef
from holdfastpb.registry.v1 import collection_pb2_grpc, pack_pb2_grpc, registry_pb2_grpc, run_pb2_grpc, version_pb2_grpc
from holdfastpb.registry.v1.collection_pb2 import (
    Collection,
    CreatePortfolioRequest,
    CreateProjectRequest,
    DeleteCollectionRequest,
    DeleteRegistryRequest,
    GetCollectionRequest,
    GetProjectRequest,
    ListCollectionsRequest,
    ListCollectionsResponse,
    ListProjectsRequest,
    ListProjectsResponse,
    Project,
    UpdateCollectionRequest,
    UpdateProjectRequest,
)
from holdfastpb.registry.v1.pack_pb2 import (
    FindMissingRequest,
    FindMissingResponse,
    GrantPacksRequest,
    PackGrant,
    PackIntent,
    SealPackRequest,
    SealPackResponse,
    WritePackRequest,
)
from holdfastpb.registry.v1.run_pb2 import ListRunsRequest, ListRunsResponse, Run, UpsertRunRequest
from holdfastpb.registry.v1.version_pb2 import (
    AddPartRequest,
    AddPartResponse,
    BeginVersionRequest,
    BeginVersionResponse,
    CommitVersionRequest,
    CommitVersionResponse,
    DeleteVersionRequest,
    FinishDistributedRequest,
    FinishDistributedResponse,
    GetVersionRequest,
    LinkVersionRequest,
    ListLinksRequest,
    ListVersionsRequest,
    ListVersionsResponse,
    ResolveVersionRequest,
    RestoreVersionRequest,
    SearchVersionsRequest,
    SearchVersionsResponse,
    UnlinkVersionRequest,
    UpdateVersionRequest,
    Version,
)

CALL_TIMEOUT_S = 30


def new_request_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Content:
    """An artifact ready to be sent: its manifest and every chunk."""

    artifact_digest: str
    root: bytes
    chunks: list[bytes] = field(default_factory=list)

    @property
    def root_digest(self) -> bytes:
        return digest_of(self.root)


def segment_of(files: Mapping[str, bytes]) -> ManifestSegment:
    """Small files (one chunk each), as one segment."""
    paths = sorted(files)
    return ManifestSegment(
        paths=paths,
        digests=b"".join(digest_of(files[path]) for path in paths),
        sizes=[len(files[path]) for path in paths],
    )


def segment_ref(segment: ManifestSegment) -> SegmentRef:
    encoded = segment.SerializeToString()
    paths = segment.paths or [""]
    return SegmentRef(
        digest=digest_of(encoded),
        length=len(encoded),
        entry_count=len(segment.paths),
        size_bytes=sum(segment.sizes),
        first_path=paths[0][:48],
        last_path=paths[-1][:48],
    )


def digest_texts(segment: ManifestSegment) -> list[str]:
    texts = [segment.digests[32 * at : 32 * at + 32].hex() for at in range(len(segment.paths))]
    for reference in segment.references:
        texts[reference.entry_index] = reference.digest
    return texts


def content_of_segments(segments: Sequence[ManifestSegment], data: Sequence[bytes] = ()) -> Content:
    refs = [segment_ref(segment) for segment in segments]
    root = ManifestRoot(
        segments=refs,
        entry_count=sum(ref.entry_count for ref in refs),
        size_bytes=sum(ref.size_bytes for ref in refs),
    )
    digest = ArtifactDigest()
    for segment in segments:
        digest.update(list(segment.paths), digest_texts(segment))
    encoded = [segment.SerializeToString() for segment in segments]
    chunks = [chunk for chunk in [*data, *encoded, root.SerializeToString()] if chunk]
    return Content(digest.hexdigest(), root.SerializeToString(), list(dict.fromkeys(chunks)))


def content_of(files: Mapping[str, bytes]) -> Content:
    """An artifact of small files."""
    segments = [segment_of(files)] if files else []
    return content_of_segments(segments, list(files.values()))


def pack_of(chunks: Sequence[bytes], pack_id: bytes | None = None) -> tuple[bytes, bytes]:
    """Returns (pack id, bytes)."""
    pack_id = pack_id or os.urandom(16)
    return pack_id, build_pack(pack_id, [(digest_of(chunk), chunk, len(chunk), Codec.RAW) for chunk in chunks])


class Client:
    """All services of one registry."""

    def __init__(self, target: str, token: str | None = None) -> None:
        self.channel = grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1), NO_GRPC_RETRIES])
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.hello = registry_pb2_grpc.RegistryServiceStub(self.channel).Hello
        self.versions = version_pb2_grpc.VersionServiceStub(self.channel)
        self.packs = pack_pb2_grpc.PackServiceStub(self.channel)
        self.collections = collection_pb2_grpc.CollectionServiceStub(self.channel)
        self.runs = run_pb2_grpc.RunServiceStub(self.channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        return method(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata)

    def begin(
        self,
        collection: str,
        *,
        entity: str = "team",
        project: str = "vision",
        type: str = "dataset",
        id: str = "",
        **more: Any,
    ) -> BeginVersionResponse:
        request = BeginVersionRequest(
            request_id=id or new_request_id(), entity=entity, project=project, collection=collection, type=type, **more
        )
        return self.call(self.versions.BeginVersion, request)

    def find_missing(self, lease_id: str, chunks: Sequence[bytes]) -> FindMissingResponse:
        digests = b"".join(map(digest_of, chunks))
        return self.call(self.packs.FindMissing, FindMissingRequest(lease_id=lease_id, digests=digests))

    def missing_of(self, lease_id: str, chunks: Sequence[bytes]) -> list[bytes]:
        bits = int.from_bytes(self.find_missing(lease_id, chunks).missing_bitmap, "little")
        return [chunk for position, chunk in enumerate(chunks) if bits >> position & 1]

    def grant(self, lease_id: str, pack_id: bytes, size_bytes: int, chunk_count: int, sha256: bytes = b"") -> PackGrant:
        intent = PackIntent(pack_id=pack_id, size_bytes=size_bytes, chunk_count=chunk_count, sha256=sha256)
        return self.call(self.packs.GrantPacks, GrantPacksRequest(lease_id=lease_id, packs=[intent])).grants[0]

    def seal(self, lease_id: str, pack_id: bytes, size_bytes: int) -> SealPackResponse:
        return self.call(
            self.packs.SealPack, SealPackRequest(lease_id=lease_id, pack_id=pack_id, size_bytes=size_bytes)
        )

    def bring(self, lease_id: str, chunks: Sequence[bytes]) -> SealPackResponse:
        """Grant, link or stream or PUT, seal."""
        pack_id, data = pack_of(chunks)
        return self.bring_pack(lease_id, pack_id, data, len(chunks))

    def bring_pack(self, lease_id: str, pack_id: bytes, data: bytes, chunk_count: int) -> SealPackResponse:
        grant = self.grant(lease_id, pack_id, len(data), chunk_count, hashlib.sha256(data).digest())
        if not grant.sealed:
            self.deliver(lease_id, grant, data)
        return self.seal(lease_id, pack_id, len(data))

    def deliver(self, lease_id: str, grant: PackGrant, data: bytes) -> None:
        if grant.HasField("filesystem"):
            Path(grant.filesystem.path).write_bytes(data)
            return
        if grant.HasField("http"):
            request = urllib.request.Request(grant.http.url, data, dict(grant.http.headers), method="PUT")
            urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S).close()
            return
        start = grant.grpc.committed_bytes
        piece = 1 << 20
        messages = [
            WritePackRequest(
                lease_id=lease_id,
                pack_id=grant.pack_id,
                offset=at,
                data=data[at : at + piece],
                finish=at + piece >= len(data),
            )
            for at in range(start, len(data), piece)
        ]
        self.call(self.packs.WritePack, iter(messages))

    def commit(
        self, begun: BeginVersionResponse, content: Content, *, id: str = "", **fields: Any
    ) -> CommitVersionResponse:
        fields = {"manifest_root": content.root_digest, **fields}
        request = CommitVersionRequest(
            request_id=id or new_request_id(),
            version_id=begun.version_id,
            lease_id=begun.lease.lease_id,
            artifact_digest=content.artifact_digest,
            **fields,
        )
        return self.call(self.versions.CommitVersion, request)

    def begin_part(self, collection: str, distributed_id: str, writer: str, **fields: str) -> BeginVersionResponse:
        return self.begin(collection, distributed_id=distributed_id, writer=writer, **fields)

    def add_part(
        self, begun: BeginVersionResponse, content: Content, *, id: str = "", origin_id: str = ""
    ) -> AddPartResponse:
        request = AddPartRequest(
            request_id=id or new_request_id(),
            version_id=begun.version_id,
            lease_id=begun.lease.lease_id,
            artifact_digest=content.artifact_digest,
            manifest_root=content.root_digest,
            origin_id=origin_id,
        )
        return self.call(self.versions.AddPart, request)

    def write_part(self, collection: str, distributed_id: str, writer: str, files: Mapping[str, bytes]) -> Version:
        """Begin, negotiate, bring: one whole part."""
        content, begun = content_of(files), self.begin_part(collection, distributed_id, writer)
        if missing := self.missing_of(begun.lease.lease_id, content.chunks):
            self.bring(begun.lease.lease_id, missing)
        return self.add_part(begun, content).version

    def finish(
        self,
        collection: str,
        distributed_id: str,
        *,
        id: str = "",
        entity: str = "team",
        project: str = "vision",
        type: str = "dataset",
        **fields: Any,
    ) -> FinishDistributedResponse:
        request = FinishDistributedRequest(
            request_id=id or new_request_id(),
            entity=entity,
            project=project,
            collection=collection,
            type=type,
            distributed_id=distributed_id,
            **{"metadata_json": b"{}", **fields},
        )
        return self.call(self.versions.FinishDistributed, request)

    def resolve(
        self, collection: str, alias: str = "", *, project: str = "vision", entity: str = "team", **more: bool
    ) -> Version:
        request = ResolveVersionRequest(entity=entity, project=project, collection=collection, alias=alias, **more)
        return self.call(self.versions.ResolveVersion, request).version

    def list_versions(
        self, collection: str, *, project: str = "vision", entity: str = "team", **fields: Any
    ) -> ListVersionsResponse:
        request = ListVersionsRequest(entity=entity, project=project, collection=collection, **fields)
        return self.call(self.versions.ListVersions, request)

    def get(self, version_id: str) -> Version:
        return self.call(self.versions.GetVersion, GetVersionRequest(version_id=version_id)).version

    def update(self, version_id: str, *, id: str = "", **fields: Any) -> Version:
        request = UpdateVersionRequest(request_id=id or new_request_id(), version_id=version_id, **fields)
        return self.call(self.versions.UpdateVersion, request).version

    def delete(self, version_id: str, *, delete_aliases: bool = False) -> Version:
        request = DeleteVersionRequest(
            request_id=new_request_id(), version_id=version_id, delete_aliases=delete_aliases
        )
        return self.call(self.versions.DeleteVersion, request).version

    def restore(self, collection: str, index: int, *, project: str = "vision", entity: str = "team") -> Version:
        request = RestoreVersionRequest(
            request_id=new_request_id(), entity=entity, project=project, collection=collection, version_index=index
        )
        return self.call(self.versions.RestoreVersion, request).version

    def link(
        self,
        version_id: str,
        portfolio: str,
        *,
        project: str = "vision",
        entity: str = "team",
        aliases: Sequence[str] = (),
        id: str = "",
    ) -> Version:
        request = LinkVersionRequest(
            request_id=id or new_request_id(),
            version_id=version_id,
            entity=entity,
            project=project,
            collection=portfolio,
            aliases=aliases,
        )
        return self.call(self.versions.LinkVersion, request).version

    def unlink(self, link_id: str) -> None:
        self.call(self.versions.UnlinkVersion, UnlinkVersionRequest(request_id=new_request_id(), link_id=link_id))

    def links_of(self, version_id: str) -> list[Version]:
        return list(self.call(self.versions.ListLinks, ListLinksRequest(version_id=version_id)).versions)

    def collection(self, name: str, *, project: str = "vision", entity: str = "team", id: str = "") -> Collection:
        request = (
            GetCollectionRequest(collection_id=id)
            if id
            else GetCollectionRequest(entity=entity, project=project, name=name)
        )
        return self.call(self.collections.GetCollection, request).collection

    def list_collections(self, **fields: Any) -> ListCollectionsResponse:
        request = ListCollectionsRequest(**{"entity": "team", "project": "vision", **fields})
        return self.call(self.collections.ListCollections, request)

    def update_collection(self, collection_id: str, **fields: Any) -> Collection:
        request = UpdateCollectionRequest(request_id=new_request_id(), collection_id=collection_id, **fields)
        return self.call(self.collections.UpdateCollection, request).collection

    def delete_collection(self, collection_id: str) -> int:
        request = DeleteCollectionRequest(request_id=new_request_id(), collection_id=collection_id)
        return self.call(self.collections.DeleteCollection, request).versions_deleted

    def create_portfolio(self, name: str, *, id: str = "", **fields: Any) -> Collection:
        fields = {"entity": "team", "project": "vision", "type": "dataset", **fields}
        request = CreatePortfolioRequest(request_id=id or new_request_id(), name=name, **fields)
        return self.call(self.collections.CreatePortfolio, request).collection

    def project(self, name: str, entity: str = "team") -> Project:
        return self.call(self.collections.GetProject, GetProjectRequest(entity=entity, name=name)).project

    def list_projects(self, **fields: Any) -> ListProjectsResponse:
        return self.call(self.collections.ListProjects, ListProjectsRequest(**{"entity": "team", **fields}))

    def create_project(self, name: str, *, id: str = "", **fields: Any) -> Project:
        wanted = Project(**{"entity": "team", **fields}, name=name)
        request = CreateProjectRequest(request_id=id or new_request_id(), project=wanted)
        return self.call(self.collections.CreateProject, request).project

    def update_project(self, project_id: str, **fields: Any) -> Project:
        request = UpdateProjectRequest(request_id=new_request_id(), project_id=project_id, **fields)
        return self.call(self.collections.UpdateProject, request).project

    def delete_registry(self, project_id: str) -> None:
        request = DeleteRegistryRequest(request_id=new_request_id(), project_id=project_id)
        self.call(self.collections.DeleteRegistry, request)

    def search(self, **fields: Any) -> SearchVersionsResponse:
        request = SearchVersionsRequest(**{"entity": "team", "page_size": 1000, **fields})
        return self.call(self.versions.SearchVersions, request)

    def upsert_run(self, run_id: str, *, project: str = "vision", entity: str = "team", **fields: Any) -> Run:
        run = Run(entity=entity, project=project, run_id=run_id, **fields)
        return self.call(self.runs.UpsertRun, UpsertRunRequest(run=run)).run

    def list_runs(self, project: str, **fields: Any) -> ListRunsResponse:
        return self.call(self.runs.ListRuns, ListRunsRequest(**{"entity": "team", **fields}, project=project))

    def log(
        self,
        collection: str,
        content: Content,
        *,
        entity: str = "team",
        project: str = "vision",
        type: str = "dataset",
        **fields: Any,
    ) -> CommitVersionResponse:
        """The whole way: begin, bring what is missing, commit."""
        begun = self.begin(collection, entity=entity, project=project, type=type)
        lease_id = begun.lease.lease_id
        missing = self.missing_of(lease_id, content.chunks)
        if missing:
            self.bring(lease_id, missing)
        return self.commit(begun, content, **fields)

    def log_files(self, collection: str, files: Mapping[str, bytes], **fields: Any) -> Version:
        return self.log(collection, content_of(files), **fields).version


def error_of(error: grpc.RpcError) -> ErrorDetail:
    """The detail that every refused call carries."""
    for key, value in error.trailing_metadata():
        if key == "holdfast-error-bin":
            return ErrorDetail.FromString(value)
    raise AssertionError(f"no detail: {error}")


def reason_of(action: Callable[[], object]) -> str:
    """The reason for which a call is refused."""
    try:
        done = action()
    except grpc.RpcError as error:
        return error_of(error).reason
    raise AssertionError(f"was not refused: {done}")
