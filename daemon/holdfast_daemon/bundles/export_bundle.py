"""Writes jobs and committed versions into one bundle: first a version's manifest, then the chunks that it names, each once.

Memory: one segment of a manifest, one piece of 64 MiB in the page cache, and what the bundle's writer knows of its chunks (about 100
bytes each; for a job's spooled chunks the same again).  The event loop handles columns, threads copy.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from holdfast_contract.errors import ContractError
from holdfast_contract.reasons import Reason
from holdfast_daemon.bundles.bundle_file import NewBundle, check_path
from holdfast_daemon.bundles.carried_manifest import write_manifest
from holdfast_daemon.bundles.copy_chunks import ChunkCopier
from holdfast_daemon.bundles.job_content import JobContent
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.journal.journal import Journal
from holdfast_daemon.pipeline.bounded_tasks import outcome, run_to_end, stop
from holdfast_daemon.pipeline.bring_packs import PackSource, Reader
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.job import Job
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.pipeline.manifest_pages import ManifestPages
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.workers import Workers
from holdfastpb.common.v1.bundle_pb2 import CarriedVersion
from holdfastpb.daemon.v1.log_pb2 import JOB_STATE_COMMITTED
from holdfastpb.registry.v1.run_pb2 import GetRunRequest, Run
from holdfastpb.registry.v1.version_pb2 import SemanticVersionWish, Version

PROGRESS_S = 0.25


@dataclass(slots=True)
class ExportProgress:
    """How far an export is; bytes of files, whether they were in the bundle before or not."""

    bytes_total: int = 0
    bytes_done: int = 0
    versions: int = 0
    done: bool = False


class BundleExport:
    """Exports; any number at the same time."""

    def __init__(
        self,
        jobs: Jobs,
        journal: Journal,
        committer: Committer,
        spool: Spool,
        manifests: ManifestPages,
        packs: PackSource,
        workers: Workers,
        registry: RegistryClient,
    ) -> None:
        self._jobs = jobs
        self._journal = journal
        self._committer = committer
        self._spool = spool
        self._manifests = manifests
        self._packs = packs
        self._workers = workers
        self._registry = registry

    async def export(
        self, local_path: bytes, job_ids: Sequence[str], version_ids: Sequence[str]
    ) -> AsyncGenerator[ExportProgress, None]:
        """Yields progress until the bundle has its name; ending the iteration early leaves no file.

        Raises:
            HoldfastError: ALREADY_EXISTS; NOT_FOUND; BLOBS_MISSING: bytes are neither here nor can they be had; TOO_LARGE.
        """
        progress = ExportProgress()
        task = asyncio.create_task(self._write(check_path(local_path), job_ids, version_ids, progress))
        try:
            while not (await asyncio.wait({task}, timeout=PROGRESS_S))[0]:
                yield replace(progress)
            await outcome(task)
        finally:
            await stop(task)
        yield replace(progress, done=True)

    async def _write(
        self, path: str, job_ids: Sequence[str], version_ids: Sequence[str], progress: ExportProgress
    ) -> None:
        if not job_ids and not version_ids:
            raise HoldfastError(Reason.INVALID_ARGUMENT, "a bundle needs at least one job or version")
        in_thread = self._workers.in_thread
        bundle = await in_thread(NewBundle, path)
        try:
            carried = [await self._job(bundle, await self._jobs.find(job_id), progress) for job_id in job_ids]
            for version_id in version_ids:
                version = await self._manifests.ask_for_version(version_id)
                carried.append(await self._version(bundle, version, progress))
            await run_to_end(in_thread(bundle.finish, [one.SerializeToString() for one in carried]))
        except ContractError as error:
            raise HoldfastError(error.reason, error.message) from error
        finally:
            await run_to_end(in_thread(bundle.close))

    async def _version(self, bundle: NewBundle, version: Version, progress: ExportProgress) -> CarriedVersion:
        carried = _carried_from_version(version)
        run = await self._run_of(version)
        if run is not None:
            carried.run.CopyFrom(run)
        progress.bytes_total += version.size_bytes
        segments = self._manifests.segments(version.version_id)
        await write_manifest(bundle.writer, carried, segments, self._workers)
        copier = ChunkCopier(bundle.writer, Reader(version.entity), self._packs, self._workers, progress)
        async for segment in self._manifests.segments(version.version_id):
            await copier.copy_segment(segment)
        carried.content_packs.extend(sorted(copier.pack_numbers))
        progress.versions += 1
        return carried

    async def _run_of(self, version: Version) -> Run | None:
        if not version.logged_by_run_id:
            return None
        request = GetRunRequest(entity=version.entity, project=version.project, run_id=version.logged_by_run_id)
        try:
            response = await self._registry.call(self._registry.runs.GetRun, request)
        except HoldfastError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        run: Run = response.run
        return run

    async def _job(self, bundle: NewBundle, job: Job, progress: ExportProgress) -> CarriedVersion:
        """A job that is not committed; one that is by now goes as the version it became."""
        _check_exportable(job)
        job.exports += 1  # a held one is not let go while its packs are copied
        try:
            while not job.has_ended and (not job.is_ingested or (job.is_held and not job.is_resting)):
                await job.wait_changed()
            if not job.has_ended:
                content = JobContent(job, self._journal, self._committer, self._spool, self._packs, self._workers)
                async with content:
                    if not job.has_ended:  # its entries were all there when the manifest was made
                        return await self._job_content(bundle, content, progress)
        finally:
            job.exports -= 1
            job.changed()
        return await self._ended_job(bundle, job, progress)

    async def _job_content(self, bundle: NewBundle, content: JobContent, progress: ExportProgress) -> CarriedVersion:
        carried = content.carried()
        progress.bytes_total += carried.size_bytes
        await write_manifest(bundle.writer, carried, content.segments(), self._workers)
        copier = ChunkCopier(bundle.writer, content.reader, self._packs, self._workers, progress, content.here)
        async for segment in content.segments():
            await copier.copy_segment(segment)
        carried.content_packs.extend(sorted(copier.pack_numbers))
        progress.versions += 1
        return carried

    async def _ended_job(self, bundle: NewBundle, job: Job, progress: ExportProgress) -> CarriedVersion:
        assert job.result is not None, "a job that has ended has a result"
        if job.row.state != JOB_STATE_COMMITTED:
            raise HoldfastError.from_detail(job.result.error)
        version = await self._manifests.ask_for_version(job.result.version.version_id)
        carried = await self._version(bundle, version, progress)
        carried.origin_id = job.finalize.origin_id if job.finalize and job.finalize.origin_id else job.job_id
        return carried


def _check_exportable(job: Job) -> None:
    if job.finalize is None:
        name = job.opened.artifact_name
        raise HoldfastError(Reason.INVALID_ARGUMENT, f"{name} is still being filled; log it before it is exported")
    if job.finalize.distributed_id:
        name = job.finalize.collection
        text = (
            f"{name} is one writer's part of a distributed version, which only the registry can put together; sync it"
        )
        raise HoldfastError(Reason.INVALID_ARGUMENT, text)


def _carried_from_version(version: Version) -> CarriedVersion:
    carried = CarriedVersion(
        entity=version.entity,
        project=version.project,
        collection=version.collection,
        type=version.type,
        version=f"v{version.version_index}",
        digest=version.digest,
        size_bytes=version.size_bytes,
        entry_count=version.entry_count,
        description=version.description,
        has_description=version.has_description,
        metadata_json=version.metadata_json,
        aliases=[alias for alias in version.aliases if alias != "latest"],
        tags=version.tags,
        has_history_step=version.has_history_step,
        history_step=version.history_step,
        origin_id=version.version_id,
        semantic_version=SemanticVersionWish(exact=version.semantic_version, if_free=True),
    )
    if version.HasField("ttl"):
        carried.ttl.CopyFrom(version.ttl)
    return carried
