"""What a job asks of the registry when everything of it is sent: the commit, or its part of a distributed version, and the finish."""

import uuid
from typing import Any

from holdfast_contract.failpoints import failpoint
from holdfast_contract.limits import COMMIT_DEADLINE_S
from holdfast_daemon.pipeline.assemble import Assembled
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.log_pb2 import Finalize
from holdfastpb.registry.v1.version_pb2 import (
    VERSION_STATE_PART,
    AddPartRequest,
    AddPartResponse,
    CommitVersionRequest,
    CommitVersionResponse,
    FinishDistributedRequest,
    FinishDistributedResponse,
)

FINISH_DEADLINE_S = 600
"""A merge of 5 M entries takes some minutes; who asks again meanwhile waits for the same merge."""
FINISH_SUFFIX = "-finish"
"""Makes a second request id of a job's first: a job may bring its part and then finish."""


class CommitCalls:
    """The last calls of a job."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry

    async def commit(self, job: Job, assembled: Assembled) -> CommitVersionResponse:
        """Commits, or brings the job's part of a distributed version, which is answered in the same way.

        Raises:
            HoldfastError: the registry's.
        """
        failpoint("commit.before_call")
        if finalize_of(job).distributed_id:
            response = await self._add_part(job, assembled)
        else:
            response = await self._commit(job, assembled)
        failpoint("commit.after_call")
        return response

    async def _commit(self, job: Job, assembled: Assembled) -> CommitVersionResponse:
        request = CommitVersionRequest(
            request_id=_request_id(job),
            version_id=job.version_id,
            lease_id=job.lease_id,
            artifact_digest=assembled.digest,
            manifest_root=assembled.root_digest,
            **_said(job),
            base_version_id=job.base_version_id,
        )
        response: CommitVersionResponse = await self._registry.call(
            self._registry.versions.CommitVersion, request, deadline_s=COMMIT_DEADLINE_S
        )
        return response

    async def _add_part(self, job: Job, assembled: Assembled) -> CommitVersionResponse:
        request = AddPartRequest(
            request_id=_first_id(job),
            version_id=job.version_id,
            lease_id=job.lease_id,
            artifact_digest=assembled.digest,
            manifest_root=assembled.root_digest,
            origin_id=origin_of(job),
        )
        response: AddPartResponse = await self._registry.call(
            self._registry.versions.AddPart, request, deadline_s=COMMIT_DEADLINE_S
        )
        if not response.HasField("version"):
            return CommitVersionResponse(missing_digests=response.missing_digests)
        return CommitVersionResponse(version=response.version, created=response.version.state == VERSION_STATE_PART)

    async def finish(self, job: Job) -> FinishDistributedResponse:
        """Asks for the version that all parts make up.

        Raises:
            HoldfastError: the registry's; PART_CONFLICT, WRITER_LOST, NOT_FOUND end the job.
        """
        finalize = finalize_of(job)
        request = FinishDistributedRequest(
            request_id=_first_id(job) + FINISH_SUFFIX,
            entity=finalize.entity,
            project=finalize.project,
            collection=finalize.collection,
            type=finalize.type,
            distributed_id=finalize.distributed_id,
            **_said(job),
            without_lost_writers=finalize.distributed_without_lost_writers,
        )
        failpoint("finish.before_call")
        response: FinishDistributedResponse = await self._registry.call(
            self._registry.versions.FinishDistributed, request, deadline_s=FINISH_DEADLINE_S
        )
        failpoint("finish.after_call")
        return response


def finalize_of(job: Job) -> Finalize:
    """What was said at the end of the draft."""
    assert job.finalize is not None, "only finalized jobs are committed"
    return job.finalize


def _said(job: Job) -> dict[str, Any]:
    """What a commit and a finish say alike of the version that they make."""
    finalize = finalize_of(job)
    return {
        "description": finalize.description,
        "has_description": finalize.has_description,
        "metadata_json": finalize.metadata_json,
        "aliases": finalize.aliases,
        "tags": finalize.tags,
        "run": finalize.run if finalize.HasField("run") else None,
        "has_history_step": finalize.has_history_step,
        "history_step": finalize.history_step,
        "use_after_commit": finalize.use_after_commit,
        "ttl": finalize.ttl if finalize.HasField("ttl") else None,
        "origin_id": origin_of(job),
        "semantic_version": finalize.semantic_version if finalize.HasField("semantic_version") else None,
    }


def may_be_no_op(job: Job) -> bool:
    """Whether content that the registry has as its latest version may come to nothing but names there; no part of a version does."""
    finalize = finalize_of(job)
    wish = finalize.semantic_version
    return not (finalize.distributed_id or wish.always_new or (wish.exact and not wish.if_free))


def origin_of(job: Job) -> str:
    """The job's identity at the registry: by it a job that is brought twice, from a copied journal say, makes one version."""
    return finalize_of(job).origin_id or job.job_id


def _first_id(job: Job) -> str:
    assert job.row.commit_request_id is not None, "finalized jobs have ids for their requests"
    return job.row.commit_request_id


def _request_id(job: Job) -> str:
    """The commit's; another one for each base, since another content is sent on top of another base."""
    if not job.base_version_id:
        return _first_id(job)
    return uuid.uuid5(uuid.UUID(_first_id(job)), job.base_version_id).hex
