"""AdminService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfast_contract.names import check_collection_name, check_entity, check_project
from holdfast_registry.database.audit import AuditRepository
from holdfast_registry.database.gc_cycles import CYCLES_KEPT, CycleRecord
from holdfast_registry.database.retention import RetentionRecord, RetentionRepository, RetentionSource
from holdfast_registry.domain.records import CollectionName
from holdfast_registry.domain.retention import Doomed, DoomReason, parse_policy
from holdfast_registry.gc.on_demand import GcOnDemand
from holdfast_registry.retention import RetentionKeeper
from holdfast_registry.rpc.boundary import Context
from holdfast_registry.rpc.conversion import once_of
from holdfastpb.registry.v1 import admin_pb2, admin_pb2_grpc

CYCLES_SHOWN = 10
_REASONS = {
    DoomReason.AGE: admin_pb2.RETENTION_REASON_AGE,
    DoomReason.KEEP_LAST: admin_pb2.RETENTION_REASON_KEEP_LAST,
    DoomReason.MAX_BYTES: admin_pb2.RETENTION_REASON_MAX_BYTES,
}
_SOURCES = {
    RetentionSource.NONE: admin_pb2.RETENTION_SOURCE_NONE,
    RetentionSource.COLLECTION: admin_pb2.RETENTION_SOURCE_COLLECTION,
    RetentionSource.PROJECT: admin_pb2.RETENTION_SOURCE_PROJECT,
}


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Unpacks, calls, packs."""

    def __init__(
        self, policies: RetentionRepository, keeper: RetentionKeeper, gc: GcOnDemand, audit: AuditRepository
    ) -> None:
        self._policies = policies
        self._keeper = keeper
        self._gc = gc
        self._audit = audit

    async def SetRetention(
        self, request: admin_pb2.SetRetentionRequest, context: Context
    ) -> admin_pb2.SetRetentionResponse:
        """Sets a policy, or takes it back."""
        policy = parse_policy(request.policy_json) if request.policy_json else None
        response = await self._policies.set(_place(request), policy, once_of(request, _set_message))
        return admin_pb2.SetRetentionResponse.FromString(response)

    async def GetRetention(
        self, request: admin_pb2.GetRetentionRequest, context: Context
    ) -> admin_pb2.GetRetentionResponse:
        """Returns the policy in force."""
        return admin_pb2.GetRetentionResponse(retention=_message(await self._policies.get(_place(request))))

    async def PreviewRetention(
        self, request: admin_pb2.PreviewRetentionRequest, context: Context
    ) -> admin_pb2.PreviewRetentionResponse:
        """Says what would go."""
        instead = parse_policy(request.policy_json) if request.policy_json else None
        preview = await self._keeper.preview(_place(request), instead)
        return admin_pb2.PreviewRetentionResponse(
            versions=[_doomed_message(name.name, one) for name, one in preview.doomed[:PAGE_SIZE_MAX]],
            version_count=len(preview.doomed),
            kept_count=preview.kept_count,
            freed_bytes=preview.freed_bytes,
        )

    async def RunGc(self, request: admin_pb2.RunGcRequest, context: Context) -> AsyncIterator[admin_pb2.RunGcResponse]:
        """Runs a cycle."""
        if not request.dry_run:
            await self._audit.note_call()
        async for step in self._gc.run(dry_run=request.dry_run, now=request.now):
            yield admin_pb2.RunGcResponse(phase=step.phase, report_json=step.report.to_json(), ended=step.ended)

    async def GetGcStatus(
        self, request: admin_pb2.GetGcStatusRequest, context: Context
    ) -> admin_pb2.GetGcStatusResponse:
        """Returns the latest cycles."""
        cycles = await self._gc.last(min(request.cycle_count or CYCLES_SHOWN, CYCLES_KEPT))
        return admin_pb2.GetGcStatusResponse(cycles=map(_cycle_message, cycles))


def _place(
    request: admin_pb2.SetRetentionRequest | admin_pb2.GetRetentionRequest | admin_pb2.PreviewRetentionRequest,
) -> CollectionName:
    check_entity(request.entity)
    check_project(request.project)
    if request.collection:
        check_collection_name(request.collection)
    return CollectionName(request.entity, request.project, request.collection)


def _message(record: RetentionRecord) -> admin_pb2.Retention:
    policy_json = "" if record.policy is None else record.policy.to_json()
    return admin_pb2.Retention(policy_json=policy_json, source=_SOURCES[record.source])


def _set_message(record: RetentionRecord) -> admin_pb2.SetRetentionResponse:
    return admin_pb2.SetRetentionResponse(retention=_message(record))


def _doomed_message(collection: str, doomed: Doomed) -> admin_pb2.DoomedVersion:
    gone = doomed.version
    return admin_pb2.DoomedVersion(
        collection=collection,
        version_id=gone.version_id,
        version_index=gone.version_index,
        size_bytes=gone.size_bytes,
        created_at_ms=gone.created_at_ms,
        reason=_REASONS[doomed.reason],
    )


def _cycle_message(record: CycleRecord) -> admin_pb2.GcCycle:
    return admin_pb2.GcCycle(
        cycle=record.row,
        phase=record.phase,
        started_at_ms=record.started_at_ms,
        ended_at_ms=record.ended_at_ms or 0,
        report_json=record.report_json,
    )
