"""Leases: a job begins its version at the registry before its first chunk is negotiated, and keeps the lease alive.

The request id is in the journal before it is on the wire, so a begin that is repeated after a crash finds the same version again.
"""

import uuid

from holdfast_contract.limits import UNARY_DEADLINE_S
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.registry.v1.version_pb2 import (
    AbortVersionRequest,
    BeginVersionRequest,
    BeginVersionResponse,
    RenewLeaseRequest,
)


class Leases:
    """Begins, renews and gives up versions at the registry."""

    def __init__(self, journal: Journal, registry: RegistryClient) -> None:
        self._journal = journal
        self._registry = registry

    async def ensure(self, job: Job) -> str:
        """Returns the job's lease; begins its version first if that has not been done (for where it goes now).

        Raises:
            HoldfastError: the registry's; TYPE_MISMATCH, INVALID_NAME end the job, UNAVAILABLE passes.
        """
        target = (job.entity, job.project, self._collection(job))
        if job.lease_id and job.begun_for == target:
            return job.lease_id
        if not job.row.begin_request_id or (job.begun_for is not None and job.begun_for != target):
            await self.forget(job)
        request = BeginVersionRequest(
            request_id=job.row.begin_request_id,
            entity=target[0],
            project=target[1],
            collection=target[2],
            type=job.finalize.type if job.finalize else job.opened.artifact_type,
        )
        try:
            response: BeginVersionResponse = await self._registry.call(self._registry.versions.BeginVersion, request)
        except HoldfastError as error:
            if error.reason != Reason.REQUEST_ID_REUSED:
                raise
            # Begun before a crash, for where the draft was thought to go; so nothing was committed under these ids.
            await self.forget(job)
            return await self.ensure(job)
        if request.request_id != job.row.begin_request_id:
            return await self.ensure(job)  # forgotten while the call was under way
        job.lease_id, job.version_id = response.lease.lease_id, response.version_id
        job.latest_digest, job.begun_for = response.latest_digest, target
        return job.lease_id

    async def lose(self, job: Job) -> None:
        """Prepares a new begin because the lease has ended; not if that may be the commit's doing, which the commit finds out."""
        if not job.commit_sent:
            await self.forget(job)

    async def forget(self, job: Job) -> None:
        """Prepares a new begin: the lease ended, or the version goes elsewhere; nothing was committed under the old ids."""
        begin_id, commit_id = uuid.uuid4().hex, uuid.uuid4().hex
        await self._journal.set_request_ids(job.job_id, begin_id, commit_id)
        job.row.begin_request_id, job.row.commit_request_id = begin_id, commit_id
        job.lease_id, job.commit_sent = "", False

    async def renew(self, job: Job) -> None:
        """Keeps a lease alive; one that has ended is noticed when it is used."""
        if not job.lease_id:
            return
        try:
            await self._registry.call(self._registry.versions.RenewLease, RenewLeaseRequest(lease_id=job.lease_id))
        except HoldfastError as error:
            if error.reason == Reason.LEASE_EXPIRED:
                await self.lose(job)
            elif not error.may_pass:
                raise

    async def abort(self, job: Job) -> None:
        """Tells the registry that nothing more comes; if it does not hear, the lease ends by itself."""
        if not job.version_id:
            return
        request = AbortVersionRequest(version_id=job.version_id)
        try:
            await self._registry.call(self._registry.versions.AbortVersion, request, deadline_s=UNARY_DEADLINE_S)
        except HoldfastError as error:
            if not error.may_pass:
                raise

    def hurry(self) -> None:
        """Ends all pauses between tries to reach the registry."""
        self._registry.hurry()

    @staticmethod
    def _collection(job: Job) -> str:
        return job.finalize.collection if job.finalize else job.opened.artifact_name
