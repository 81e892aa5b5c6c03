"""RunService on the wire."""

from __future__ import annotations

from holdfast_registry.auth.authorizer import Authorizer
from holdfast_registry.database.current_call import current_call
from holdfast_registry.database.lineage import LineageRepository, Use
from holdfast_registry.database.run_lists import RunListRepository
from holdfast_registry.domain.filters import RUN_FIELDS, parse_filter
from holdfast_registry.errors import invalid
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import edge_kind, page_wish, run_message, run_record
from holdfastpb.registry.v1 import run_pb2, run_pb2_grpc

USES_MAX = 1000
"""Of one call: a page, and one transaction that nobody waits for."""


class RunServicer(run_pb2_grpc.RunServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(self, lineage: LineageRepository, lists: RunListRepository, authorizer: Authorizer) -> None:
        self._lineage = lineage
        self._lists = lists
        self._authorizer = authorizer

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

    async def RecordUses(self, request: run_pb2.RecordUsesRequest, context: Context) -> run_pb2.RecordUsesResponse:
        """Records many uses."""
        if len(request.uses) > USES_MAX:
            raise invalid(f"At most {USES_MAX} uses can be recorded at once, not {len(request.uses)}.")
        uses = [
            Use(run_record(use.run), use.version_id, edge_kind(use.kind or run_pb2.EDGE_KIND_USED))
            for use in request.uses
        ]
        visible = await self._visible([use.version_id for use in uses])
        unknown = await self._lineage.record_uses([use for use in uses if use.version_id in visible])
        hidden = [use.version_id for use in uses if use.version_id not in visible]
        return run_pb2.RecordUsesResponse(unknown_version_ids=[*hidden, *unknown])

    async def _visible(self, version_ids: list[str]) -> frozenset[str]:
        call = current_call()
        assert call is not None, "the boundary lets no call in without saying whose it is"
        return await self._authorizer.visible_versions(call.caller, version_ids)

    async def ListRuns(self, request: run_pb2.ListRunsRequest, context: Context) -> run_pb2.ListRunsResponse:
        """Lists the runs of a project."""
        wanted = parse_filter(request.filter_json, RUN_FIELDS)
        page = await self._lists.list(request.entity, request.project, wanted, page_wish(request))
        return run_pb2.ListRunsResponse(
            runs=map(run_message, page.runs), next_page_token=page.next_token, total_count=page.total_count
        )

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
