"""VersionService on the wire: the calls by which a version comes to be."""

from __future__ import annotations

from dataclasses import replace

from holdfast_contract.digest import from_hex
from holdfast_contract.limits import DIGEST_BYTES
from holdfast_contract.names import (
    check_artifact_name,
    check_entity,
    check_project,
    check_tags,
    check_type_name,
    check_user_aliases,
)
from holdfast_registry.database.commits import (
    NO_BASE,
    BaseChanged,
    Begun,
    CommitRepository,
    Committed,
    CommitWish,
)
from holdfast_registry.database.distributed import Finished, FinishWish, PartContent
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.parts import BeginWish, PartWish
from holdfast_registry.distributed_version import DistributedVersions
from holdfast_registry.domain.distributed import check_distributed_id, check_part_names
from holdfast_registry.domain.records import CollectionName, VersionRecord
from holdfast_registry.errors import invalid
from holdfast_registry.manifest_check import MissingChunks
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import (
    checked_description,
    checked_metadata,
    lease_message,
    once_of,
    run_record,
    semantic_version_wish,
    ttl_of,
    version_message,
)
from holdfast_registry.version_commit import VersionCommitter
from holdfastpb.registry.v1 import version_pb2, version_pb2_grpc

ID_CHARS = 32
"""Of a version's id, and of a job's."""


class VersionWriting(version_pb2_grpc.VersionServiceServicer):
    """Begins, commits, brings parts, finishes."""

    def __init__(
        self,
        commits: CommitRepository,
        committer: VersionCommitter,
        distributed: DistributedVersions,
        packs: PackRepository,
    ) -> None:
        self._commits = commits
        self._committer = committer
        self._distributed = distributed
        self._packs = packs

    async def BeginVersion(
        self, request: version_pb2.BeginVersionRequest, context: Context
    ) -> version_pb2.BeginVersionResponse:
        """Begins a version."""
        check_entity(request.entity)
        check_project(request.project)
        check_artifact_name(request.collection)
        # Types that users may not take are refused where users give them; Holdfast's own come this way, too.
        check_type_name(request.type, request.collection, internal=True)
        name = CollectionName(request.entity, request.project, request.collection)
        response = await self._commits.begin(name, request.type, once_of(request, _begun_message), _begin_wish(request))
        return version_pb2.BeginVersionResponse.FromString(response)

    async def RenewLease(
        self, request: version_pb2.RenewLeaseRequest, context: Context
    ) -> version_pb2.RenewLeaseResponse:
        """Renews a lease."""
        return version_pb2.RenewLeaseResponse(lease=lease_message(await self._packs.renew(request.lease_id)))

    async def CommitVersion(
        self, request: version_pb2.CommitVersionRequest, context: Context
    ) -> version_pb2.CommitVersionResponse:
        """Commits a version."""
        if len(request.manifest_root) not in (0, DIGEST_BYTES):
            raise invalid(f"manifest_root has {DIGEST_BYTES} bytes or none, not {len(request.manifest_root)}.")
        answer = await self._committer.commit(
            _commit_wish(request), request.manifest_root, once_of(request, _committed_message)
        )
        if isinstance(answer, bytes):
            return version_pb2.CommitVersionResponse.FromString(answer)
        if isinstance(answer, MissingChunks):
            return version_pb2.CommitVersionResponse(missing_digests=b"".join(answer.digests))
        if isinstance(answer, BaseChanged):
            return _base_changed_message(answer)
        return version_pb2.CommitVersionResponse(manifest_needed=True)

    async def AddPart(self, request: version_pb2.AddPartRequest, context: Context) -> version_pb2.AddPartResponse:
        """Brings a writer's part of a distributed version."""
        if len(request.manifest_root) != DIGEST_BYTES:
            raise invalid(f"manifest_root has {DIGEST_BYTES} bytes, not {len(request.manifest_root)}.")
        content = PartContent(
            version_id=request.version_id,
            lease_id=request.lease_id,
            artifact_digest=from_hex(request.artifact_digest),
            origin_id=checked_origin(request.origin_id),
        )
        answer = await self._distributed.add_part(content, request.manifest_root, once_of(request, _part_message))
        if isinstance(answer, bytes):
            return version_pb2.AddPartResponse.FromString(answer)
        return version_pb2.AddPartResponse(missing_digests=b"".join(answer.digests))

    async def FinishDistributed(
        self, request: version_pb2.FinishDistributedRequest, context: Context
    ) -> version_pb2.FinishDistributedResponse:
        """Finishes a distributed version."""
        answer = await self._distributed.finish(_finish_wish(request), once_of(request, _finished_message))
        if isinstance(answer, bytes):
            return version_pb2.FinishDistributedResponse.FromString(answer)
        return version_pb2.FinishDistributedResponse(waiting_for=answer)

    async def AbortVersion(
        self, request: version_pb2.AbortVersionRequest, context: Context
    ) -> version_pb2.AbortVersionResponse:
        """Aborts a version."""
        await self._commits.abort(request.version_id, withdrawn=request.withdrawn)
        return version_pb2.AbortVersionResponse()


def _begun_message(begun: Begun) -> version_pb2.BeginVersionResponse:
    return version_pb2.BeginVersionResponse(
        version_id=begun.version_id,
        lease=lease_message(begun.lease),
        latest_digest="" if begun.latest is None else begun.latest.digest.hex(),
        latest_manifest_root=b"" if begun.latest is None else begun.latest.manifest_root,
        latest_version_id="" if begun.latest is None else begun.latest.version_id,
    )


def _begin_wish(request: version_pb2.BeginVersionRequest) -> BeginWish:
    part = _part_wish(request) if request.distributed_id else None
    return BeginWish(part, semantic_version_wish(request.semantic_version), checked_origin(request.origin_id))


def _part_wish(request: version_pb2.BeginVersionRequest) -> PartWish:
    check_part_names(request.distributed_id, request.writer)
    return PartWish(request.distributed_id, request.writer, checked_origin(request.origin_id))


def _commit_wish(request: version_pb2.CommitVersionRequest) -> CommitWish:
    wish = replace(
        _names_wish(request),
        version_id=request.version_id,
        lease_id=request.lease_id,
        artifact_digest=from_hex(request.artifact_digest),
    )
    if request.base_version_id not in ("", NO_BASE) and len(request.base_version_id) != ID_CHARS:
        raise invalid(f"base_version_id is a version's id, or {NO_BASE!r}.")
    return replace(wish, base_version_id=request.base_version_id)


def _finish_wish(request: version_pb2.FinishDistributedRequest) -> FinishWish:
    check_distributed_id(request.distributed_id)
    return FinishWish(
        name=CollectionName(request.entity, request.project, request.collection),
        type=request.type,
        distributed_id=request.distributed_id,
        without_lost=request.without_lost_writers,
        commit=_names_wish(request),
    )


def _names_wish(request: version_pb2.CommitVersionRequest | version_pb2.FinishDistributedRequest) -> CommitWish:
    """Returns all of a commit but its content."""
    check_user_aliases(request.aliases)
    check_tags(request.tags)
    return CommitWish(
        version_id="",
        lease_id="",
        artifact_digest=b"",
        description=checked_description(request.description) if request.has_description else None,
        metadata_json=checked_metadata(request.metadata_json),
        aliases=tuple(request.aliases),
        tags=tuple(request.tags),
        run=run_record(request.run) if request.HasField("run") else None,
        history_step=request.history_step if request.has_history_step else None,
        use_after_commit=request.use_after_commit,
        ttl=ttl_of(request.ttl),
        origin_id=checked_origin(request.origin_id),
        semantic_version=semantic_version_wish(request.semantic_version),
    )


def _committed_message(committed: Committed) -> version_pb2.CommitVersionResponse:
    return version_pb2.CommitVersionResponse(version=version_message(committed.version), created=committed.created)


def _base_changed_message(changed: BaseChanged) -> version_pb2.CommitVersionResponse:
    return version_pb2.CommitVersionResponse(
        base_changed=True,
        latest_version_id="" if changed.latest is None else changed.latest.version_id,
        latest_digest="" if changed.latest is None else changed.latest.digest.hex(),
    )


def _part_message(record: VersionRecord) -> version_pb2.AddPartResponse:
    return version_pb2.AddPartResponse(version=version_message(record))


def _finished_message(finished: Finished) -> version_pb2.FinishDistributedResponse:
    return version_pb2.FinishDistributedResponse(
        version=version_message(finished.version), created=finished.created, parts=finished.parts
    )


def checked_origin(origin_id: str) -> str:
    """Returns a job's id, or none.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    if origin_id and (len(origin_id) != ID_CHARS or not origin_id.isalnum()):
        raise invalid(f"origin_id has {ID_CHARS} hex characters or none.")
    return origin_id
