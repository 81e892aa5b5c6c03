"""What the daemon of this process's SDK says of itself."""

from collections.abc import Callable

from holdfast._process import this_process
from holdfastpb.daemon.v1.control_pb2 import GetStatusRequest, GetStatusResponse


def daemon_status() -> GetStatusResponse:
    return this_process().daemon.unary(
        "/holdfast.daemon.v1.ControlService/GetStatus", GetStatusRequest(), GetStatusResponse
    )


def fetched_by(action: Callable[[], object]) -> int:
    """Bytes that the daemon's reading takes during an action."""
    before = daemon_status().fetched_bytes
    action()
    return int(daemon_status().fetched_bytes - before)
