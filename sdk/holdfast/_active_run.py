"""The run that is active in this process, and the module-level functions that speak to it."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from holdfast.errors import Error

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.runs import Run

_active: Run | None = None
_exit_registered = False


def active_run() -> Run | None:
    """Returns the run of the last `init` that is not finished, or None."""
    return _active


def activate(run: Run) -> None:
    """Makes a run the active one; it is finished when the process ends."""
    global _active, _exit_registered
    _active = run
    if not _exit_registered:
        _exit_registered = True
        atexit.register(finish)


def forget(run: Run) -> None:
    """Leaves no run active, if it was this one."""
    global _active
    if _active is run:
        _active = None


def finish(exit_code: int | None = None) -> None:
    """Finishes the active run; without one nothing happens.

    Args:
        exit_code: not 0 marks the run as failed.
    """
    if _active is not None:
        _active.finish(exit_code)


def log_artifact(
    artifact_or_path: Artifact | str | os.PathLike[str],
    name: str | None = None,
    type: str | None = None,
    aliases: list[str] | None = None,
    tags: list[str] | None = None,
) -> Artifact:
    """Logs an artifact as an output of the active run; see `Run.log_artifact`.

    Raises:
        Error: `init` was not called.
    """
    return _required("log_artifact").log_artifact(artifact_or_path, name, type, aliases, tags)


def use_artifact(
    artifact_or_name: str | Artifact,
    type: str | None = None,
    aliases: list[str] | None = None,
    use_as: str | None = None,
) -> Artifact:
    """Declares an artifact as an input of the active run; see `Run.use_artifact`.

    Raises:
        Error: `init` was not called.
    """
    return _required("use_artifact").use_artifact(artifact_or_name, type, aliases, use_as)


def _required(function: str) -> Run:
    if _active is None:
        raise Error(f"You must call holdfast.init() before holdfast.{function}()")
    return _active
