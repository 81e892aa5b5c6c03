"""`Run`: one execution of a script, to which the artifacts that it logs and uses belong; and `init`, which begins one.

A run is a name on lineage edges.  Nothing about it needs a server that is up: what it logs carries it along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from holdfast import _active_run
from holdfast._run_base import StrPath, check_existence
from holdfast._run_config import Config, values_of
from holdfast._run_metrics import History, RunMetrics, Summary
from holdfast._run_settings import RunStart, Settings, check_resume, new_run_id, only_wanted, start_of
from holdfast._warn_user import warn_user
from holdfastpb.daemon.v1.log_pb2 import JobPriority
from holdfastpb.registry.v1 import run_pb2

__all__ = ["Config", "History", "Run", "Settings", "Summary", "init", "new_run_id"]


class Run(RunMetrics):
    """One execution of a script.  Made by `init`; a context manager that finishes it."""

    def __init__(self, start: RunStart, config: Mapping[str, Any] | None = None) -> None:
        """Makes a run of what `init` has checked."""
        super().__init__(start)
        self.config = Config(config, resolve=self._resolve)
        self.history = History()
        self.summary = Summary()

    @property
    def _history_step(self) -> int | None:
        """The last step of the history that has values; None before there are any."""
        return max(0, self.history.step - 1) if self.history.has_begun else None

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Ends the run.  Uploads go on in the daemon; nobody waits for them.

        Args:
            exit_code: not 0 marks the run as failed.
            quiet: accepted for compatibility; nothing is printed.
        """
        _active_run.forget(self)
        if self.is_finished:
            return
        self._record.state = "failed" if exit_code else "finished"
        self._report_end()

    def join(self, exit_code: int | None = None) -> None:
        """As `finish`; its older name."""
        self.finish(exit_code)

    def __reduce__(self) -> tuple[Any, tuple[bytes, str, str, dict[str, Any], int]]:
        """A run may be passed to another process and used there; who began it finishes it."""
        record = self.as_message().SerializeToString()
        return _unpickled, (record, self._mode, self._dir, self.config.as_dict(), self._priority)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(exit_code=0 if error is None else 1)

    def __repr__(self) -> str:
        return f"<Run {self.path}>"


def _unpickled(record: bytes, mode: str, directory: str, config: dict[str, Any], priority: JobPriority) -> Run:
    return Run(RunStart(run_pb2.Run.FromString(record), mode, directory, priority), config)


def init(  # noqa: PLR0913 - the arguments that scripts written for W&B pass
    entity: str | None = None,
    project: str | None = None,
    dir: StrPath | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | str | None = None,
    config: Mapping[str, Any] | Any | None = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    settings: Settings | Mapping[str, Any] | Any | None = None,
    **unknown: Any,
) -> Run:
    """Begins a run and makes it the active one.  Needs no server, and does not wait for one.

    What is not given here comes from `settings`, then from the environment (HOLDFAST_<NAME>, else WANDB_<NAME>: ENTITY, PROJECT, MODE,
    RUN_ID, RUN_GROUP, JOB_TYPE, NAME, TAGS, NOTES, DIR), then from the settings file.

    Args:
        entity: tenant; default: "local".
        project: default: "uncategorized".
        dir: kept as `run.dir`.
        id: unique in the project; default: 8 random characters.
        name: display name; default: the id.
        notes: free text.
        tags: any texts of up to 64 characters.
        config: a dict, or an object whose attributes are the configuration.
        config_exclude_keys: of the configuration, keys that are left out.
        config_include_keys: of the configuration, the keys that are taken.
        allow_val_change: accepted for compatibility; the configuration may always be changed.
        group: of runs that belong together.
        job_type: what the run does, for example "train".
        mode: "online" (also when the registry is away: jobs wait for it by themselves), "offline" (jobs wait for `holdfast sync`), or
            "disabled" (nothing is done).
        reinit: True or "finish_previous" finishes a run that is active, "create_new" leaves it; else it is returned.
        resume: "must" and "never" ask the registry whether the run is there; else a run of the same id is gone on with.
        settings: a `Settings` or a dict.
        unknown: W&B's further arguments are accepted; one warning lists those that were set.

    Raises:
        ValueError: a name, the id, a tag or the mode breaks its rules.
        TypeError: the config is no mapping and has no attributes.
        UsageError: arguments that contradict each other, or a run that must (or must not) be there.
    """
    ignored = sorted(argument for argument, value in unknown.items() if value not in (None, False))
    if ignored:
        warn_user(f"holdfast.init() ignores {', '.join(ignored)}")
    check_resume(resume)
    arguments = {
        "entity": entity,
        "project": project,
        "dir": dir,
        "id": id,
        "name": name,
        "notes": notes,
        "tags": tags,
        "group": group,
        "job_type": job_type,
        "mode": mode,
    }
    start = start_of(arguments, settings)
    values = only_wanted(values_of(config), config_exclude_keys, config_include_keys)
    return _begin(Run(start, values), resume, reinit)


def _begin(run: Run, resume: bool | str | None, reinit: bool | str | None) -> Run:
    """Makes a run the active one, or returns the one that is active and goes on."""
    previous = _active_run.active_run()
    finishes = reinit in (True, "finish_previous")
    if previous is not None and not finishes and reinit != "create_new":
        return previous
    # Before anything is finished: what cannot begin ends nothing.
    check_existence(run, resume)
    if previous is not None and finishes:
        previous.finish()
    _active_run.activate(run)
    run.report()
    return run
