"""The daemon's calls about what waits to be sent, and about bundles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast_contract.limits import PAGE_SIZE_MAX
from holdfastpb.daemon.v1 import bundle_pb2, control_pb2, log_pb2
from holdfastpb.registry.v1 import run_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

_BUNDLES = "/holdfast.daemon.v1.BundleService/"
_CONTROL = "/holdfast.daemon.v1.ControlService/"
_LOG = "/holdfast.daemon.v1.LogService/"

IMPORT_DEADLINE_S = 86_400.0
"""The daemon answers an import when it has read the whole file: a day is 8 TiB at 100 MiB/s."""


class OfflineCalls:
    """Typed calls of BundleService, and of ControlService and LogService as far as held jobs go."""

    def __init__(self, daemon: DaemonClient) -> None:
        """Makes the calls at `daemon`."""
        self._daemon = daemon

    def sync(self, job_ids: Sequence[str] = ()) -> list[str]:
        """Lets held jobs go, all or these, and hurries the others; returns the ids of those that are on their way."""
        request = control_pb2.SyncRequest(job_ids=job_ids)
        return list(self._daemon.unary(_CONTROL + "Sync", request, control_pb2.SyncResponse).job_ids)

    def end_run(self, run: run_pb2.Run) -> bool:
        """Lets the jobs of an offline run carry its end; returns whether it has none left, so that the registry is to be told."""
        request = log_pb2.EndRunRequest(run=run)
        return self._daemon.unary(_LOG + "EndRun", request, log_pb2.EndRunResponse).must_report

    def jobs(self, *, active_only: bool = False) -> Sequence[control_pb2.Job]:
        """Returns the daemon's jobs, newest first."""
        request = control_pb2.ListJobsRequest(active_only=active_only, page_size=PAGE_SIZE_MAX)
        return self._daemon.unary(_CONTROL + "ListJobs", request, control_pb2.ListJobsResponse).jobs

    def export_bundle(
        self, path: str, *, job_ids: Sequence[str] = (), version_ids: Sequence[str] = ()
    ) -> Iterator[bundle_pb2.ExportBundleResponse]:
        """Writes a bundle to an absolute path; yields progress, the last one with `done`."""
        request = bundle_pb2.ExportBundleRequest(local_path=os.fsencode(path), job_ids=job_ids, version_ids=version_ids)
        return self._daemon.server_stream(_BUNDLES + "ExportBundle", request, bundle_pb2.ExportBundleResponse)

    def describe_bundle(self, path: str) -> Sequence[bundle_pb2.BundledVersion]:
        """Returns what the bundle at an absolute path holds."""
        request = bundle_pb2.DescribeBundleRequest(local_path=os.fsencode(path))
        return self._daemon.unary(_BUNDLES + "DescribeBundle", request, bundle_pb2.DescribeBundleResponse).versions

    def import_bundle(self, path: str, *, entity: str = "", project: str = "") -> list[str]:
        """Makes jobs of a bundle's versions, in their order; the file may be removed when this returns."""
        request = bundle_pb2.ImportBundleRequest(local_path=os.fsencode(path), entity=entity, project=project)
        response = self._daemon.unary(
            _BUNDLES + "ImportBundle", request, bundle_pb2.ImportBundleResponse, deadline_s=IMPORT_DEADLINE_S
        )
        return list(response.job_ids)
