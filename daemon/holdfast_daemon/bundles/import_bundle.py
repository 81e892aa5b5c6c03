"""Makes a job of each version of a bundle: draft → its record is read → Finalize.

The jobs' ids follow from the bundle, so an import that is repeated (after a crash, or by a user who is not sure) finds its jobs; one
that failed or was cancelled is made anew.  When `run` returns, all bytes are in the spool and flushed: the bundle may be removed.
"""

from blake3 import blake3

from holdfast_contract.bundle import BundleIndex
from holdfast_contract.errors import ContractError
from holdfast_contract.failpoints import failpoint
from holdfast_contract.reasons import Reason
from holdfast_daemon.bundles.bundle_file import BundleReader, check_path
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.intake import SESSION_ID_CHARS, Intake, check_finalize
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.daemon.v1.log_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    AddBundle,
    Finalize,
    Open,
    Record,
    RecordBatch,
)

ORIGIN_ID_CHARS = 32


class BundleImport:
    """Imports bundles; any number at the same time."""

    def __init__(self, intake: Intake, jobs: Jobs, journal: Journal, workers: Workers) -> None:
        self._intake = intake
        self._jobs = jobs
        self._journal = journal
        self._workers = workers

    async def run(self, local_path: bytes, entity: str, project: str) -> list[str]:
        """Imports all versions of a bundle, in their order.

        Args:
            local_path: absolute.
            entity: instead of the bundle's, if not empty.
            project: instead of the bundle's, if not empty.

        Returns:
            The jobs; all are finalized, or have ended.

        Raises:
            HoldfastError: FILE_MISSING; PACK_DAMAGED: no whole bundle, or its content is not what it says; INVALID_NAME and the like.
        """
        path = check_path(local_path)
        try:
            index, versions = await self._workers.in_thread(read_versions, path)
        except ContractError as error:
            raise HoldfastError(error.reason, error.message, path=path) from error
        finalizes = [_finalize(version, entity, project) for version in versions]
        for finalize in finalizes:  # before anything is made of any of them
            check_finalize(finalize)
        return [await self._import_one(local_path, index, number, f) for number, f in enumerate(finalizes)]

    async def _import_one(self, local_path: bytes, index: BundleIndex, number: int, finalize: Finalize) -> str:
        job = await self._open(index, number, finalize)
        if job.finalize is None and job.failed_records:
            await self._jobs.cancel(
                job
            )  # of an import that was cut off, whose bundle was not there when the daemon went on
            job = await self._open(index, number, finalize)
        if job.finalize is not None:
            return job.job_id
        job.streams += 1
        try:
            record = Record(add_bundle=AddBundle(local_path=local_path, number=number))
            await self._intake.add_batch(job, RecordBatch(first_seq=1, records=[record]))
            failpoint("bundle.before_read")
            await self._until_read(job)
            failpoint("bundle.before_finalize")
            await self._intake.finalize(job, finalize)
        finally:
            job.streams -= 1
        return job.job_id

    async def _open(self, index: BundleIndex, number: int, finalize: Finalize) -> Job:
        opened = Open(
            session_id=await self._free_id(index, number, finalize),
            client_id=index.bundle_id.hex(),
            artifact_name=finalize.collection,
            artifact_type=finalize.type,
            entity=finalize.entity,
            project=finalize.project,
        )
        return await self._intake.open(opened)

    async def _until_read(self, job: Job) -> None:
        while not job.is_ingested and not job.has_ended:
            await job.wait_changed()
        if job.failed_records:
            error = job.failed_records[min(job.failed_records)]
            await self._jobs.cancel(job)
            raise error

    async def _free_id(self, index: BundleIndex, number: int, finalize: Finalize) -> str:
        """The id of the job that this import made, or is to make: after one that came to nothing, the next."""
        attempt = 0
        while True:
            where = f"{index.bundle_id.hex()}/{number}/{finalize.entity}/{finalize.project}/{attempt}"
            job_id: str = blake3(f"holdfast bundle import {where}".encode()).hexdigest()[:SESSION_ID_CHARS]
            row = await self._journal.load_job(job_id)
            if row is None or row.state not in (JOB_STATE_FAILED, JOB_STATE_CANCELLED):
                return job_id
            attempt += 1


def read_versions(path: str) -> tuple[BundleIndex, list[CarriedVersion]]:
    """Thread side: the index of a bundle and its versions.

    Raises:
        PackDamagedError: it is no whole bundle.
        HoldfastError: it cannot be read.
    """
    with BundleReader(path) as reader:
        return reader.index, [reader.version(number) for number in range(len(reader.index.versions))]


def _finalize(version: CarriedVersion, entity: str, project: str) -> Finalize:
    origin_id = version.origin_id
    if len(origin_id) != ORIGIN_ID_CHARS or not all(c in "0123456789abcdef" for c in origin_id):
        raise HoldfastError(
            Reason.PACK_DAMAGED, f"the bundle has a version of {version.collection!r} without an origin"
        )
    finalize = Finalize(
        entity=entity or version.entity,
        project=project or version.project,
        collection=version.collection,
        type=version.type,
        description=version.description,
        has_description=version.has_description,
        metadata_json=version.metadata_json,
        aliases=[alias for alias in version.aliases if alias != "latest"],
        tags=version.tags,
        has_history_step=version.has_history_step,
        history_step=version.history_step,
        use_after_commit=version.use_after_commit,
        last_seq=1,
        incremental=version.incremental,
        origin_id=origin_id,
    )
    if version.HasField("ttl"):
        finalize.ttl.CopyFrom(version.ttl)
    if version.HasField("semantic_version"):
        finalize.semantic_version.CopyFrom(version.semantic_version)
    if version.HasField("run"):
        finalize.run.CopyFrom(version.run)
        # The run goes where its version goes.
        if finalize.run.entity == version.entity:
            finalize.run.entity = finalize.entity
        if finalize.run.project == version.project:
            finalize.run.project = finalize.project
    return finalize
