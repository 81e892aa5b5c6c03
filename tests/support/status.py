"""What the daemon of this process's SDK says of itself."""

import time
from collections.abc import Callable

from holdfast._process import this_process
from holdfastpb.daemon.v1.control_pb2 import GetStatusRequest, GetStatusResponse, ListJobsRequest, ListJobsResponse


def daemon_status() -> GetStatusResponse:
    return this_process().daemon.unary(
        "/holdfast.daemon.v1.ControlService/GetStatus", GetStatusRequest(), GetStatusResponse
    )


def fetched_by(action: Callable[[], object]) -> int:
    """Bytes that the daemon's reading takes during an action."""
    before = daemon_status().fetched_bytes
    action()
    return int(daemon_status().fetched_bytes - before)


def until_job_waits(name: str, what: str, timeout_s: float = 60.0) -> None:
    """Returns when a job of the named artifact says that it waits for something with these words in it."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        jobs = (
            this_process()
            .daemon.unary("/holdfast.daemon.v1.ControlService/ListJobs", ListJobsRequest(), ListJobsResponse)
            .jobs
        )
        waits = [job.progress.waiting_for for job in jobs if job.qualified_name == name]
        if any(what in said for said in waits):
            return
        assert time.monotonic() < deadline_s, f"{name} waits for {waits}, not for {what!r}"
        time.sleep(0.05)
