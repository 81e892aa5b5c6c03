"""Leases: a job begins its version at the registry before its first chunk is negotiated, and keeps the lease alive.

The request id is in the journal before it is on the wire, so a begin that is repeated after a crash finds the same version again.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Iterable

from holdfast_contract.limits import LEASE_RENEWALS, UNARY_DEADLINE_S
from holdfast_contract.reasons import Reason
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.bounded_tasks import BoundedTasks, run_to_end
from holdfast_daemon.pipeline.commit_calls import origin_of
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.log_pb2 import Finalize
from holdfastpb.registry.v1.version_pb2 import (
    AbortVersionRequest,
    BeginVersionRequest,
    BeginVersionResponse,
    Lease,
    RenewLeaseRequest,
    RenewLeaseResponse,
)

ANNOUNCE_S = 2.0
"""A caller waits so long at most for the registry to hear of its part."""
RENEWALS_AT_ONCE = 16
"""A thousand leases over a line of 200 ms are renewed in 13 s; one after another it would be more than three minutes."""

Target = tuple[str, str, str, str]
"""Entity, project, collection, distributed id: where a version goes."""

_log = logging.getLogger(__name__)


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
        # One at a time: the uploader and the committer ask at once, and a late answer would undo what the other went on with.
        async with job.beginning:
            while not (job.lease_id and job.begun_for == self._target(job)):
                await self._begin(job, self._target(job))
            return job.lease_id

    async def _begin(self, job: Job, target: Target) -> None:
        """Asks for a version and its lease; the job has none afterwards when it was forgotten meanwhile."""
        if not job.row.begin_request_id or (job.begun_for is not None and job.begun_for != target):
            await self.forget(job)
        request = self._begin_request(job, target)
        try:
            response: BeginVersionResponse = await self._registry.call(self._registry.versions.BeginVersion, request)
        except HoldfastError as error:
            if error.reason != Reason.REQUEST_ID_REUSED:
                raise
            # Begun before a crash, for where the draft was thought to go; so nothing was committed under these ids.
            await self.forget(job)
            return
        if request.request_id != job.row.begin_request_id:
            return  # forgotten while the call was under way
        job.lease_id, job.version_id = response.lease.lease_id, response.version_id
        job.latest_digest, job.latest_version_id = response.latest_digest, response.latest_version_id
        job.begun_for = target
        self._note_ttl(job, response.lease)

    @staticmethod
    def _begin_request(job: Job, target: Target) -> BeginVersionRequest:
        finalize = job.finalize or Finalize()
        # Only then: a begin that is repeated after a crash must say what it said before, and the draft knew of no wish yet.
        is_demanded = bool(finalize.semantic_version.exact) and not finalize.semantic_version.if_free
        return BeginVersionRequest(
            request_id=job.row.begin_request_id,
            entity=target[0],
            project=target[1],
            collection=target[2],
            type=job.finalize.type if job.finalize else job.opened.artifact_type,
            distributed_id=finalize.distributed_id,
            writer=finalize.writer,
            origin_id=origin_of(job) if finalize.distributed_id or is_demanded else "",
            semantic_version=finalize.semantic_version if is_demanded else None,
        )

    async def announce(self, job: Job) -> None:
        """Lets the registry know of a writer's part before its caller goes on, so that a finish that follows elsewhere waits for it.

        Only tries: without a registry the part comes later, and whoever finishes without it is told nothing.
        """
        with contextlib.suppress(TimeoutError, HoldfastError):
            await asyncio.wait_for(self.ensure(job), ANNOUNCE_S)

    async def lose(self, job: Job) -> None:
        """Prepares a new begin because the lease has ended; not if that may be the commit's doing, which the commit finds out."""
        if not job.commit_sent:
            await self.forget(job)

    async def forget(self, job: Job) -> None:
        """Prepares a new begin: the lease ended, or the version goes elsewhere; nothing was committed under the old ids."""
        # To its end, whoever stops waiting: else the journal would have other ids than the job, and a crash would show it.
        await run_to_end(self._forget(job))

    async def _forget(self, job: Job) -> None:
        begin_id, commit_id = uuid.uuid4().hex, uuid.uuid4().hex
        await self._journal.set_request_ids(job.job_id, begin_id, commit_id)
        job.row.begin_request_id, job.row.commit_request_id = begin_id, commit_id
        job.lease_id, job.commit_sent = "", False

    @staticmethod
    def _note_ttl(job: Job, lease: Lease) -> None:
        job.renew_at_s = time.monotonic() + lease.ttl_s / LEASE_RENEWALS

    async def renew_due(self, jobs: Iterable[Job]) -> None:
        """Keeps the leases alive of which a third of their time has passed; one that cannot be is noticed when it is used."""
        async with BoundedTasks(RENEWALS_AT_ONCE) as tasks:
            for job in jobs:
                if job.lease_id and time.monotonic() >= job.renew_at_s:
                    await tasks.start(self._renew, job)
                elif job.is_paused and not job.is_held and not job.lease_id and job.finalize is not None:
                    await tasks.start(self._take_up, job)

    async def _take_up(self, job: Job) -> None:
        """Finds the lease of a job that was paused when the daemon started: what was sent under it must not be collected."""
        with contextlib.suppress(HoldfastError):  # the job hears of it when it goes on
            await self.ensure(job)

    async def _renew(self, job: Job) -> None:
        request = RenewLeaseRequest(lease_id=job.lease_id)
        try:
            response: RenewLeaseResponse = await self._registry.call(self._registry.versions.RenewLease, request)
            self._note_ttl(job, response.lease)
        except HoldfastError as error:
            if error.reason == Reason.LEASE_EXPIRED:
                await self.lose(job)
            elif not error.may_pass:
                # A token whose rights were taken away, say: the job's own next call tells it so, and other jobs' leases go on.
                _log.warning("the lease of job %s is not renewed: %s", job.job_id, error.message)

    async def abort(self, job: Job, *, withdrawn: bool = False) -> None:
        """Tells the registry that nothing more comes; if it does not hear, the lease ends by itself.

        Args:
            job: whose version is given up.
            withdrawn: its user wants it no more, so nobody who finishes a distributed version is to miss it.
        """
        if not job.version_id:
            return
        request = AbortVersionRequest(version_id=job.version_id, withdrawn=withdrawn)
        try:
            await self._registry.call(self._registry.versions.AbortVersion, request, deadline_s=UNARY_DEADLINE_S)
        except HoldfastError as error:
            # Whatever it is: who gives a version up is about to end the job, and must come to that end.
            _log.info("the registry has not heard that version %s is given up: %s", job.version_id, error.message)

    def hurry(self) -> None:
        """Ends all pauses between tries to reach the registry."""
        self._registry.hurry()

    @staticmethod
    def _target(job: Job) -> Target:
        collection = job.finalize.collection if job.finalize else job.opened.artifact_name
        return job.entity, job.project, collection, job.finalize.distributed_id if job.finalize else ""
