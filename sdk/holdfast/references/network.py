"""Limits for talking to other people's servers: nothing hangs, nothing is tried for ever."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cache

METADATA_ADDRESS = ("169.254.169.254", 80)
"""Where the machines of all three clouds find their own credentials; link-local, so nobody answers elsewhere."""
METADATA_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """How long and how often a server is asked."""

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    """Without a byte; also until the first one."""
    request_timeout_s: float = 300.0
    """For one request with its answer, which is at most one part of an object."""
    retries_max: int = 4
    retry_delay_max_s: float = 5.0
    retry_total_s: float = 60.0
    """After the first try, none is begun any more."""


@cache
def metadata_service_answers() -> bool:
    """Whether this is a machine of a cloud that hands out credentials; asked once a process."""
    try:
        with socket.create_connection(METADATA_ADDRESS, timeout=METADATA_TIMEOUT_S):
            return True
    except OSError:
        return False
