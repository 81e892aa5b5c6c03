"""Processes that are not our children: who listens on a socket, and waiting until they end."""

import os
import select
import socket
import struct
import time
from pathlib import Path

_POLL_S = 0.05
"""Between two looks, where the system has no process descriptors."""


_SOL_LOCAL, _LOCAL_PEERPID = 0, 2
"""macOS's way to ask for the process at the other end; Python has no names for it."""


def listener_pid(path: Path) -> int | None:
    """Process id of who listens on a Unix socket; `None` when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fsencode(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        if hasattr(socket, "SO_PEERCRED"):
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[0])
        return int(struct.unpack("i", probe.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, struct.calcsize("i")))[0])


def wait_for_end(pid: int, timeout_s: float) -> bool:
    """Waits until a process has ended.

    Returns:
        Whether it has; `False` after `timeout_s`.
    """
    if not hasattr(os, "pidfd_open"):
        return _poll_for_end(pid, timeout_s)
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError:  # a sandbox or kernel that does not know the call
        return _poll_for_end(pid, timeout_s)
    try:
        # A process descriptor is readable once the process has ended, also while nobody has collected its exit code.
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def _poll_for_end(pid: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(_POLL_S)
    return False
