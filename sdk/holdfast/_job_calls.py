"""The daemon's calls that steer jobs and transfers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfastpb.daemon.v1 import control_pb2, log_pb2

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient

_CONTROL = "/holdfast.daemon.v1.ControlService/"

_PRIORITIES = {
    "high": log_pb2.JOB_PRIORITY_HIGH,
    "normal": log_pb2.JOB_PRIORITY_NORMAL,
    "low": log_pb2.JOB_PRIORITY_LOW,
}


def priority_of(word: str | None) -> log_pb2.JobPriority:
    """Returns what a word stands for; of none or an empty one, that nothing was said.

    Raises:
        UsageError: it is another word.
    """
    if not word:
        return log_pb2.JOB_PRIORITY_UNSPECIFIED
    if word not in _PRIORITIES:
        raise UsageError(f"priority must be one of {', '.join(_PRIORITIES)}, not {word!r:.200}")
    return _PRIORITIES[word]


def priority_word(priority: log_pb2.JobPriority) -> str:
    """Returns the word of a priority."""
    return next((word for word, value in _PRIORITIES.items() if value == priority), "normal")


class JobCalls:
    """Typed calls of ControlService about jobs (by their ids; none of them: all) and about limits."""

    def __init__(self, daemon: DaemonClient) -> None:
        """Makes the calls at `daemon`."""
        self._daemon = daemon

    def pause(self, job_ids: Sequence[str] = ()) -> list[str]:
        """Lets jobs rest; returns those that are paused now."""
        request = control_pb2.PauseJobsRequest(job_ids=job_ids)
        return list(self._daemon.unary(_CONTROL + "PauseJobs", request, control_pb2.PauseJobsResponse).job_ids)

    def resume(self, job_ids: Sequence[str] = ()) -> list[str]:
        """Ends the pause of jobs; returns those that go on."""
        request = control_pb2.ResumeJobsRequest(job_ids=job_ids)
        return list(self._daemon.unary(_CONTROL + "ResumeJobs", request, control_pb2.ResumeJobsResponse).job_ids)

    def cancel(self, job_ids: Sequence[str] = ()) -> list[str]:
        """Stops jobs; returns those that will not be committed."""
        request = control_pb2.CancelJobsRequest(job_ids=job_ids)
        return list(self._daemon.unary(_CONTROL + "CancelJobs", request, control_pb2.CancelJobsResponse).job_ids)

    def set_priority(self, job_ids: Sequence[str], priority: log_pb2.JobPriority) -> list[str]:
        """Changes the priority of at least one job; returns those that have not ended."""
        request = control_pb2.SetJobPriorityRequest(job_ids=job_ids, priority=priority)
        response = self._daemon.unary(_CONTROL + "SetJobPriority", request, control_pb2.SetJobPriorityResponse)
        return list(response.job_ids)

    def limit(self, up_bytes_per_s: int | None, down_bytes_per_s: int | None) -> control_pb2.SetLimitsResponse:
        """Changes the limits that are not None (0: none), and returns those in force."""
        request = control_pb2.SetLimitsRequest(up_bytes_per_s=up_bytes_per_s, down_bytes_per_s=down_bytes_per_s)
        return self._daemon.unary(_CONTROL + "SetLimits", request, control_pb2.SetLimitsResponse)
