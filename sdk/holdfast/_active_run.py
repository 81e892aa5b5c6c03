"""The run that is active in this process, and the module-level functions that speak to it."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import Error

if TYPE_CHECKING:
    from holdfast._run_metrics import Metric
    from holdfast.artifact import Artifact
    from holdfast.runs import Run

StrPath = str | os.PathLike[str]

_active: Run | None = None
_active_pid = 0
"""The process that has called `init`: a forked child uses the run, and its end is not the run's."""
_exit_registered = False


def active_run() -> Run | None:
    """Returns the run of the last `init` that is not finished, or None."""
    return _active


def activate(run: Run) -> None:
    """Makes a run the active one; it is finished when the process ends."""
    global _active, _active_pid, _exit_registered
    _active, _active_pid = run, os.getpid()
    if not _exit_registered:
        _exit_registered = True
        atexit.register(_finish_at_exit)


def _finish_at_exit() -> None:
    """Finishes the run of this process; that of the parent goes on when a forked child ends."""
    if _active_pid == os.getpid():
        finish()


def _after_fork_in_child() -> None:
    if _active is not None:
        _active.after_fork_in_child()


# Another thread may have been logging while this one forked.
os.register_at_fork(after_in_child=_after_fork_in_child)


def forget(run: Run) -> None:
    """Leaves no run active, if it was this one."""
    global _active
    if _active is run:
        _active = None


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finishes the active run; without one nothing happens.

    Args:
        exit_code: not 0 marks the run as failed.
        quiet: accepted for compatibility; nothing is printed.
    """
    if _active is not None:
        _active.finish(exit_code)


def login(*arguments: Any, **more: Any) -> bool:
    """Returns True: whoever may use the daemon's socket is known already.  Arguments are accepted for compatibility."""
    return True


def require(*arguments: Any, **more: Any) -> None:
    """Does nothing: there are no experimental parts to be asked for.  Arguments are accepted for compatibility."""


def setup(*arguments: Any, **more: Any) -> None:
    """Does nothing: the daemon is found or started by the first call that needs it."""


def teardown(exit_code: int | None = None) -> None:
    """Finishes the active run; the daemon goes on with what it has."""
    finish(exit_code)


def log_artifact(
    artifact_or_path: Artifact | StrPath,
    name: str | None = None,
    type: str | None = None,
    aliases: Sequence[str] | str | None = None,
    tags: Sequence[str] | str | None = None,
    *,
    priority: str | None = None,
) -> Artifact:
    """Logs an artifact as an output of the active run; see `Run.log_artifact`.

    Raises:
        Error: `init` was not called.
    """
    return _required("log_artifact").log_artifact(artifact_or_path, name, type, aliases, tags, priority=priority)


def use_artifact(
    artifact_or_name: str | Artifact,
    type: str | None = None,
    aliases: Sequence[str] | str | None = None,
    use_as: str | None = None,
) -> Artifact:
    """Declares an artifact as an input of the active run; see `Run.use_artifact`.

    Raises:
        Error: `init` was not called.
    """
    return _required("use_artifact").use_artifact(artifact_or_name, type, aliases, use_as)


def log_model(path: StrPath, name: str | None = None, aliases: Sequence[str] | str | None = None) -> None:
    """Logs a model as an output of the active run; see `Run.log_model`.

    Raises:
        Error: `init` was not called.
    """
    _required("log_model").log_model(path, name, aliases)


def use_model(name: str) -> str:
    """Downloads a model as an input of the active run; see `Run.use_model`.

    Raises:
        Error: `init` was not called.
    """
    return _required("use_model").use_model(name)


def link_model(
    path: StrPath,
    registered_model_name: str,
    name: str | None = None,
    aliases: Sequence[str] | str | None = None,
) -> Artifact | None:
    """Links a model of the active run; see `Run.link_model`.

    Raises:
        Error: `init` was not called.
    """
    return _required("link_model").link_model(path, registered_model_name, name, aliases)


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None) -> None:
    """Keeps the last values in the active run's summary; see `Run.log`.

    Raises:
        Error: `init` was not called.
    """
    _required("log").log(data, step, commit, sync)


def define_metric(name: str, *arguments: Any, **more: Any) -> Metric:
    """Does nothing; see `Run.define_metric`.

    Raises:
        Error: `init` was not called.
    """
    return _required("define_metric").define_metric(name, *arguments, **more)


def watch(*arguments: Any, **more: Any) -> None:
    """Does nothing; see `Run.watch`.

    Raises:
        Error: `init` was not called.
    """
    _required("watch").watch(*arguments, **more)


def unwatch(*arguments: Any, **more: Any) -> None:
    """Does nothing; see `Run.unwatch`.

    Raises:
        Error: `init` was not called.
    """
    _required("unwatch").unwatch(*arguments, **more)


def alert(title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
    """Writes a warning; see `Run.alert`.

    Raises:
        Error: `init` was not called.
    """
    _required("alert").alert(title, text, level, wait_duration)


def save(glob_str: Any = None, base_path: Any = None, policy: str = "live") -> list[str]:
    """Does nothing; see `Run.save`.

    Raises:
        Error: `init` was not called.
    """
    return _required("save").save(glob_str, base_path, policy)


def mark_preempting() -> None:
    """Does nothing; see `Run.mark_preempting`.

    Raises:
        Error: `init` was not called.
    """
    _required("mark_preempting").mark_preempting()


def of_active_run(name: str) -> Any:
    """Returns the active run's `config` or `summary`; without a run what refuses every use of it."""
    return getattr(_active, name) if _active is not None else _BeforeInit(name)


class _BeforeInit:
    """Stands for something of a run as long as there is none."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, key: object) -> Error:
        return Error(f"You must call holdfast.init() before holdfast.{self._name}.{key}")

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        raise self._refuse(key)

    def __setattr__(self, key: str, value: Any) -> None:
        raise self._refuse(key)

    def __getitem__(self, key: object) -> Any:
        raise self._refuse(key)

    def __setitem__(self, key: object, value: Any) -> None:
        raise self._refuse(key)


def _required(function: str) -> Run:
    if _active is None:
        raise Error(f"You must call holdfast.init() before holdfast.{function}()")
    return _active
