"""Waits for a job of the daemon, over restarts of the daemon; the job itself needs nobody who waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from holdfast._daemon_client import DaemonClient, backoff_s
from holdfast._job_calls import priority_word
from holdfast._rpc_errors import error_from_detail
from holdfast._warn_user import warn_user
from holdfast.errors import ArtifactNotLoggedError, DaemonStartError, UnavailableError, WaitTimeoutError
from holdfast.progress import Progress, ProgressCallback
from holdfast_contract.limits import STREAM_IDLE_S, UNARY_DEADLINE_S
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1.version_pb2 import Version

WAIT_ARTIFACT = "/holdfast.daemon.v1.LogService/WaitArtifact"

SILENT_STREAMS_MAX = 3
"""The daemon promises a message each 5 s; three streams of 60 s without one mean that it hangs."""

FIRST_LOOK_S = 0.25
"""A daemon that runs answers within milliseconds."""

LOST_STREAMS_MAX = 8
"""Streams that end without a message, one after another; each waits longer than the last, and a daemon starts in a second."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a job."""

    version: Version
    is_new: bool
    """False when the content equals the version that was the latest."""


class JobWaiter:
    """Waits for one job."""

    def __init__(self, daemon: DaemonClient, job_id: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Makes a waiter; nothing is asked yet."""
        self._daemon = daemon
        self._job_id = job_id
        self._monotonic = monotonic
        self._silent = 0
        self._lost = 0
        self._waiting_for = ""

    def wait(self, timeout_s: float | None, show: ProgressCallback) -> Committed:
        """Returns when the job is committed.

        Raises:
            WaitTimeoutError: it is not yet.
            ArtifactNotLoggedError: it waits for somebody to send it.
            Error: it has failed, or the daemon cannot be reached.
        """
        deadline = None if timeout_s is None else self._monotonic() + timeout_s
        has_looked = False
        while True:
            remaining_s = None if deadline is None else deadline - self._monotonic()
            # Whoever has no time at all still hears of a job that has ended.
            if remaining_s is not None and remaining_s <= 0 and has_looked:
                reason = f"; the job goes on, and waits for {self._waiting_for}" if self._waiting_for else ""
                raise WaitTimeoutError(f"Artifact upload wait timed out, failed to fetch Artifact response{reason}")
            committed = self._watch_once(remaining_s, show)
            has_looked = True
            if committed is not None:
                return committed

    def look(self) -> Progress:
        """Returns how far the job, or the draft, is at the moment.

        Raises:
            NotFoundError: the daemon does not know it (any more).
            UnavailableError: the daemon cannot be asked.
        """
        request = log_pb2.WaitArtifactRequest(job_id=self._job_id)
        # The daemon begins with what it knows.
        stream = self._daemon.server_stream(
            WAIT_ARTIFACT, request, log_pb2.WaitArtifactResponse, deadline_s=UNARY_DEADLINE_S
        )
        first = next(iter(stream), None)
        if first is None:
            raise UnavailableError(f"The daemon has said nothing of job {self._job_id}.")
        return progress_of(first.progress)

    def _watch_once(self, remaining_s: float | None, show: ProgressCallback) -> Committed | None:
        """Follows one stream; returns None when another is needed."""
        # A stream of its own each minute: one that hangs is noticed without a watchdog.
        deadline_s = STREAM_IDLE_S if remaining_s is None else min(STREAM_IDLE_S, max(remaining_s, FIRST_LOOK_S))
        messages = 0
        try:
            for response in self._daemon.server_stream(
                WAIT_ARTIFACT,
                log_pb2.WaitArtifactRequest(job_id=self._job_id),
                log_pb2.WaitArtifactResponse,
                deadline_s=deadline_s,
            ):
                messages += 1
                self._silent = self._lost = 0
                if response.HasField("error"):
                    raise error_from_detail(response.error)
                if response.held:
                    raise _held(response.progress.artifact_name)
                show(progress_of(response.progress))
                self._waiting_for = response.progress.waiting_for
                if response.HasField("version"):
                    _warn_of_names(response)
                    return Committed(response.version, response.created)
                if remaining_s is not None and remaining_s <= 0:
                    break
        except DaemonStartError:
            raise
        except UnavailableError as error:
            self._count(error, messages, whole=deadline_s >= STREAM_IDLE_S)
        return None

    def _count(self, error: UnavailableError, messages: int, *, whole: bool) -> None:
        if messages:
            return
        if error.reason is Reason.DEADLINE:
            self._silent += whole
            if self._silent >= SILENT_STREAMS_MAX:
                raise UnavailableError(
                    f"The daemon has said nothing of job {self._job_id} for {self._silent * STREAM_IDLE_S} s;"
                    " see `holdfast daemon logs`."
                ) from error
            return
        self._lost += 1
        if self._lost >= LOST_STREAMS_MAX:
            raise error
        self._daemon.pause(backoff_s(self._lost))


def _held(artifact_name: str) -> ArtifactNotLoggedError:
    return ArtifactNotLoggedError(
        f"Artifact {artifact_name!r} was logged by an offline run and waits for `holdfast sync`; until then it has no version.",
        "wait",
    )


def _warn_of_names(response: log_pb2.WaitArtifactResponse) -> None:
    """One warning for an artifact with names that another system could not hold."""
    if response.warnings:
        more = f" (and {len(response.warnings) - 1} more)" if len(response.warnings) > 1 else ""
        text = f"{response.version.collection}: not every system can hold its names: {response.warnings[0]}{more}"
        warn_user(text)


def progress_of(message: log_pb2.JobProgress) -> Progress:
    """Returns the public form of a job's progress."""
    return Progress(
        artifact_name=message.artifact_name,
        state=log_pb2.JobState.Name(message.state).removeprefix("JOB_STATE_").lower(),
        entries_read=message.entries_read,
        entries_total=message.entries_total,
        bytes_total=message.bytes_total,
        bytes_read=message.bytes_read,
        bytes_deduplicated=message.bytes_deduplicated,
        bytes_sent=message.bytes_sent,
        waiting_for=message.waiting_for,
        is_paused=message.paused,
        priority=priority_word(message.priority),
    )
