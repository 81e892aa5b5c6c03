"""What this process has logged last: who then looks a name up finds it, though `log_artifact` and `finish` do not wait."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from holdfast._registry_calls import RegistryCalls
from holdfast.errors import ArtifactNotLoggedError, Error, NotFoundError
from holdfast_contract.names import is_version_alias

if TYPE_CHECKING:
    from holdfast._artifact_names import VersionName
    from holdfast._daemon_client import DaemonClient
    from holdfast.progress import Progress
    from holdfastpb.registry.v1 import version_pb2

STANDSTILL_S = 10.0
"""A job that has waited so long for something outside, such as a registry that is away, is not waited for any longer."""

Place = tuple[str, str, str]
"""Entity, project, collection."""

_DIGEST = re.compile("[0-9a-f]{64}")


class _StandsStillError(Exception):
    """The job waits for something outside."""


class OwnWrites:
    """The newest job of each collection that this process has logged to; older ones of the same process are committed before it."""

    def __init__(self) -> None:
        """Begins with nothing logged."""
        self._lock = threading.Lock()
        self._jobs: dict[Place, str] = {}

    def add(self, place: Place, job_id: str) -> None:
        """Notes a job that was handed over to the daemon."""
        with self._lock:
            self._jobs[place] = job_id

    def settle(self, place: Place, daemon: DaemonClient) -> bool:
        """Waits for the newest job of a collection; returns whether there was one that has ended now.

        What became of a job that has failed is told by its own `wait()`.
        """
        with self._lock:
            job_id = self._jobs.get(place)
        if job_id is None:
            return False
        from holdfast._waiting import JobWaiter

        try:
            JobWaiter(daemon, job_id).wait(None, _Patience())
        except _StandsStillError:
            return False
        except (Error, ArtifactNotLoggedError):
            pass  # whoever looks the name up is told what there is
        with self._lock:
            if self._jobs.get(place) == job_id:
                del self._jobs[place]
        return True


class _Patience:
    """Ends the waiting for a job that stands still."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __call__(self, progress: Progress) -> None:
        if not progress.waiting_for:
            self._since = None
            return
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now - self._since > STANDSTILL_S:
            raise _StandsStillError


def resolve_after_own_writes(name: VersionName, daemon: DaemonClient, own: OwnWrites) -> version_pb2.Version:
    """Returns the version of a name, what this process has logged included.

    Raises:
        NotFoundError: there is none.
    """
    place = (name.entity, name.project, name.collection)
    # A number or a digest means the same version for ever, so it is worth waiting for only if it is not there.
    is_fixed = is_version_alias(name.alias) or _DIGEST.fullmatch(name.alias) is not None
    if not is_fixed:
        own.settle(place, daemon)
    try:
        return RegistryCalls(daemon).resolve_version(name)
    except NotFoundError:
        if not (is_fixed and own.settle(place, daemon)):
            raise
        return RegistryCalls(daemon).resolve_version(name)
