"""The daemon's figures, for `holdfast daemon status` and for metrics."""

from collections import Counter

from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.job import state_name
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.pipeline.upload import Uploader
from holdfast_daemon.registry_client import RegistryClient
from holdfastpb.daemon.v1.control_pb2 import DaemonFigures

ACTIVE_STATES = ("draft", "ingest", "upload", "commit")
ENDED_STATES = ("committed", "failed", "cancelled")


class Figures:
    """Takes them where they are counted; on the event loop."""

    def __init__(self, jobs: Jobs, ingest: Ingest, uploader: Uploader, registry: RegistryClient) -> None:
        self._jobs = jobs
        self._ingest = ingest
        self._uploader = uploader
        self._registry = registry

    def take(self) -> DaemonFigures:
        """Returns the figures of now."""
        states = Counter(state_name(job.row.state) for job in self._jobs.active)
        tally = self._registry.tally
        p50_s, p99_s = tally.latency_s()
        return DaemonFigures(
            jobs={name: states[name] for name in ACTIVE_STATES},
            jobs_ended={name: self._jobs.ended[name] for name in ENDED_STATES},
            hashed_bytes=self._ingest.bytes_read,
            uploaded_bytes=self._uploader.bytes_sent,
            deduplicated_bytes=self._ingest.bytes_known + self._uploader.bytes_present,
            upload_queue=self._uploader.waiting,
            retries=tally.retries,
            registry_calls=tally.durations_s.count,
            registry_call_seconds=tally.durations_s.total,
            registry_latency_p50_s=p50_s,
            registry_latency_p99_s=p99_s,
        )
