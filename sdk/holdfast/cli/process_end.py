"""Waiting for a process that is not our child to end."""

import os
import select
import time

_POLL_S = 0.05
"""Between two looks, where the system has no process descriptors."""


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
