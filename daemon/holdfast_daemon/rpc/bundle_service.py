"""BundleService: versions in one file, out and in."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from holdfast_contract.errors import ContractError
from holdfast_daemon.bundles.bundle_file import check_path
from holdfast_daemon.bundles.export_bundle import BundleExport
from holdfast_daemon.bundles.import_bundle import BundleImport, read_versions
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1 import bundle_pb2 as pb
from holdfastpb.daemon.v1.bundle_pb2_grpc import BundleServiceServicer

Context = grpc.aio.ServicerContext


class BundleService(BundleServiceServicer):
    """Unpack, call, pack."""

    def __init__(self, export: BundleExport, importer: BundleImport, workers: Workers) -> None:
        self._export = export
        self._import = importer
        self._workers = workers

    async def ExportBundle(
        self, request: pb.ExportBundleRequest, context: "Context[Any, Any]"
    ) -> AsyncIterator[pb.ExportBundleResponse]:
        """Writes a bundle."""
        updates = self._export.export(request.local_path, request.job_ids, request.version_ids)
        async with aclosing(updates) as running:
            async for p in running:
                yield pb.ExportBundleResponse(
                    bytes_total=p.bytes_total, bytes_done=p.bytes_done, done=p.done, versions=p.versions
                )

    async def DescribeBundle(
        self, request: pb.DescribeBundleRequest, context: "Context[Any, Any]"
    ) -> pb.DescribeBundleResponse:
        """Reads what a bundle holds."""
        path = check_path(request.local_path)
        try:
            _, versions = await self._workers.in_thread(read_versions, path)
        except ContractError as error:
            raise HoldfastError(error.reason, error.message, path=path) from error
        return pb.DescribeBundleResponse(
            versions=[
                pb.BundledVersion(
                    entity=v.entity,
                    project=v.project,
                    collection=v.collection,
                    type=v.type,
                    version=v.version,
                    digest=v.digest,
                    size_bytes=v.size_bytes,
                    entry_count=v.entry_count,
                    aliases=v.aliases,
                    tags=v.tags,
                    semantic_version=v.semantic_version.exact,
                )
                for v in versions
            ]
        )

    async def ImportBundle(
        self, request: pb.ImportBundleRequest, context: "Context[Any, Any]"
    ) -> pb.ImportBundleResponse:
        """Makes jobs of a bundle's versions."""
        job_ids = await self._import.run(request.local_path, request.entity, request.project)
        return pb.ImportBundleResponse(job_ids=job_ids)
