"""Waits for several artifacts that were logged, and says what became of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.comet.exceptions import CometException
from holdfast.errors import WaitTimeoutError
from holdfast.progress import Progress

if TYPE_CHECKING:
    from holdfast.comet._logged_artifact import LoggedArtifact


@dataclass(slots=True)
class Outcome:
    """What became of them."""

    failed: int = 0
    untold: list[CometException] = field(default_factory=list)
    """Failures that no `wait()` has raised."""
    unfinished: int = 0


class _StandsStillError(Exception):
    """It waits for something outside."""


class _Patience:
    """Ends the waiting for what stands still."""

    def __init__(self, standstill_s: float) -> None:
        self._standstill_s = standstill_s
        self._since: float | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if not progress.waiting_for:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > self._standstill_s:
            raise _StandsStillError


def wait_for_all(pending: Sequence[LoggedArtifact], *, timeout_s: float | None, standstill_s: float | None) -> Outcome:
    """Waits for all of them, one after another: they travel together.

    Args:
        pending: what was logged.
        timeout_s: for all of them; None: as long as it takes.
        standstill_s: one that waits so long for something outside is not waited for any more; None: it is.
    """
    outcome = Outcome()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for logged in pending:
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            logged._wait(left_s, None if standstill_s is None else _Patience(standstill_s))
        except (WaitTimeoutError, _StandsStillError):
            outcome.unfinished += 1
        except CometException as error:
            outcome.failed += 1
            if not logged._failure_is_told:
                outcome.untold.append(error)
    return outcome
