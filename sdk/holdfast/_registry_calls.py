"""The registry's calls that the SDK makes; the daemon passes them on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast._artifact_names import VersionName
from holdfast_contract.limits import COMMIT_DEADLINE_S
from holdfastpb.registry.v1 import run_pb2, version_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

_VERSIONS = "/holdfast.registry.v1.VersionService/"
_RUNS = "/holdfast.registry.v1.RunService/"


def new_request_id() -> str:
    """Returns an id for one mutation: a repeated call with it has no second effect."""
    return str(uuid.uuid4())


class RegistryCalls:
    """Typed calls of VersionService and RunService."""

    def __init__(self, daemon: DaemonClient) -> None:
        """Makes the calls through `daemon`."""
        self._daemon = daemon

    def resolve_version(self, name: VersionName) -> version_pb2.Version:
        """Returns the version of a name.

        Raises:
            NotFoundError: there is none.
        """
        request = version_pb2.ResolveVersionRequest(
            entity=name.entity,
            project=name.project,
            collection=name.collection,
            alias=name.alias,
            numbers_first=name.numbers_first,
        )
        return self._daemon.unary(_VERSIONS + "ResolveVersion", request, version_pb2.ResolveVersionResponse).version

    def get_version(self, version_id: str) -> version_pb2.Version:
        """Returns a version by its id."""
        request = version_pb2.GetVersionRequest(version_id=version_id)
        return self._daemon.unary(_VERSIONS + "GetVersion", request, version_pb2.GetVersionResponse).version

    def list_versions(self, request: version_pb2.ListVersionsRequest) -> version_pb2.ListVersionsResponse:
        """Returns one page of a collection's versions."""
        return self._daemon.unary(_VERSIONS + "ListVersions", request, version_pb2.ListVersionsResponse)

    def manifest_segments(self, version_id: str, path_prefix: str = "") -> Iterator[bytes]:
        """Yields the encoded segments of a manifest that can hold paths with this prefix."""
        request = version_pb2.ListManifestSegmentsRequest(version_id=version_id, path_prefix=path_prefix)
        while True:
            page = self._daemon.unary(
                _VERSIONS + "ListManifestSegments",
                request,
                version_pb2.ListManifestSegmentsResponse,
                deadline_s=COMMIT_DEADLINE_S,
            )
            yield from page.segments
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def update_version(self, request: version_pb2.UpdateVersionRequest) -> version_pb2.Version:
        """Changes what can be changed of a version."""
        return self._daemon.unary(_VERSIONS + "UpdateVersion", request, version_pb2.UpdateVersionResponse).version

    def delete_version(self, version_id: str, *, delete_aliases: bool) -> version_pb2.Version:
        """Deletes a version.

        Raises:
            HasAliasesError: it has aliases, and `delete_aliases` is False.
        """
        request = version_pb2.DeleteVersionRequest(
            request_id=new_request_id(), version_id=version_id, delete_aliases=delete_aliases
        )
        return self._daemon.unary(_VERSIONS + "DeleteVersion", request, version_pb2.DeleteVersionResponse).version

    def restore_version(self, entity: str, project: str, collection: str, index: int) -> version_pb2.Version:
        """Takes the deletion of a version back.

        Raises:
            NotFoundError: there is no such version, or the time in which it could be restored has passed.
        """
        request = version_pb2.RestoreVersionRequest(
            request_id=new_request_id(), entity=entity, project=project, collection=collection, version_index=index
        )
        return self._daemon.unary(_VERSIONS + "RestoreVersion", request, version_pb2.RestoreVersionResponse).version

    def upsert_run(self, run: run_pb2.Run, *, deadline_s: float) -> None:
        """Makes or updates a run."""
        request = run_pb2.UpsertRunRequest(run=run)
        self._daemon.unary(_RUNS + "UpsertRun", request, run_pb2.UpsertRunResponse, deadline_s=deadline_s)

    def get_run(self, entity: str, project: str, run_id: str) -> run_pb2.Run:
        """Returns a run."""
        request = run_pb2.GetRunRequest(entity=entity, project=project, run_id=run_id)
        return self._daemon.unary(_RUNS + "GetRun", request, run_pb2.GetRunResponse).run

    def record_use(self, run: run_pb2.Run, version_id: str) -> None:
        """Records that a run uses a version."""
        request = run_pb2.RecordUseRequest(run=run, version_id=version_id)
        self._daemon.unary(_RUNS + "RecordUse", request, run_pb2.RecordUseResponse)

    def version_runs(self, version_id: str, kind: run_pb2.EdgeKind) -> list[run_pb2.Run]:
        """Returns the runs that logged or used a version, oldest first."""
        request = run_pb2.ListVersionRunsRequest(version_id=version_id, kind=kind)
        return list(self._daemon.unary(_RUNS + "ListVersionRuns", request, run_pb2.ListVersionRunsResponse).runs)
