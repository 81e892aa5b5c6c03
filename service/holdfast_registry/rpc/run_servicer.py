"""RunService on the wire."""

from __future__ import annotations

from holdfast_registry.database.lineage import LineageRepository
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import edge_kind, run_message, run_record
from holdfastpb.registry.v1 import run_pb2, run_pb2_grpc


class RunServicer(run_pb2_grpc.RunServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, lineage: LineageRepository) -> None:
        self._lineage = lineage

    async def UpsertRun(self, request: run_pb2.UpsertRunRequest, context: Context) -> run_pb2.UpsertRunResponse:
        """Makes or updates a run."""
        record = await self._lineage.upsert_run(run_record(request.run), request.cleared)
        return run_pb2.UpsertRunResponse(run=run_message(record))

    async def GetRun(self, request: run_pb2.GetRunRequest, context: Context) -> run_pb2.GetRunResponse:
        """Returns a run."""
        record = await self._lineage.get_run(request.entity, request.project, request.run_id)
        return run_pb2.GetRunResponse(run=run_message(record))

    async def RecordUse(self, request: run_pb2.RecordUseRequest, context: Context) -> run_pb2.RecordUseResponse:
        """Records a use."""
        kind = edge_kind(request.kind or run_pb2.EDGE_KIND_USED)
        await self._lineage.record_use(run_record(request.run), request.version_id, kind)
        return run_pb2.RecordUseResponse()

    async def ListVersionRuns(
        self, request: run_pb2.ListVersionRunsRequest, context: Context
    ) -> run_pb2.ListVersionRunsResponse:
        """Lists the runs of a version."""
        records = await self._lineage.runs_of_version(request.version_id, edge_kind(request.kind))
        return run_pb2.ListVersionRunsResponse(runs=map(run_message, records))

    async def ListRunVersions(
        self, request: run_pb2.ListRunVersionsRequest, context: Context
    ) -> run_pb2.ListRunVersionsResponse:
        """Lists the versions of a run."""
        ids = await self._lineage.versions_of_run(
            request.entity, request.project, request.run_id, edge_kind(request.kind)
        )
        return run_pb2.ListRunVersionsResponse(version_ids=ids)
