"""What a run is: its record, its configuration, its mode, and how the registry hears of it.

Nothing about it needs a server that is up: what it logs carries it along.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from holdfast._offline_calls import OfflineCalls
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._run_config import Config
from holdfast._run_record import RunRecord
from holdfast._run_settings import RunStart, Settings, check_run_tags
from holdfast.errors import Error, UsageError
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import run_pb2

REPORT_DEADLINE_S = 2.0
FINISH_PATIENCE_S = 0.5
"""`finish` waits so long at most for the registry to hear of it; a script's end is not to be held up by a courtesy."""

_logger = logging.getLogger("holdfast")

StrPath = str | os.PathLike[str]


class RunBase(RunRecord):
    """Base of `Run`: everything but what it does with artifacts and metrics."""

    config: Config

    def __init__(self, start: RunStart) -> None:
        """Makes a run of what `init` has checked; `config` is set by the subclass."""
        self._record = start.record
        self._mode = start.mode
        self._dir = start.directory
        self._priority = start.priority
        self._lock = threading.RLock()
        self._reports: list[threading.Thread] = []
        self._resumed = False
        self._has_logged = False
        self._tags: tuple[str, ...] = tuple(start.record.tags)
        self.notes: str | None = start.record.notes or None

    # --- identity -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name for people; the id when none was given.  May be set."""
        return self.display_name

    @name.setter
    def name(self, name: str) -> None:
        self._record.display_name = name

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags; may be set."""
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._tags = tuple(check_run_tags([tags] if isinstance(tags, str) else list(tags)))

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def dir(self) -> str:
        """The folder that `init` was given."""
        return self._dir

    @property
    def disabled(self) -> bool:
        """Whether the run does nothing: `mode="disabled"`."""
        return self._mode == "disabled"

    @property
    def offline(self) -> bool:
        """Whether what it logs waits for `holdfast sync`: `mode="offline"`."""
        return self._mode == "offline"

    @property
    def upload_priority(self) -> log_pb2.JobPriority:
        """What share its artifacts get of what is sent; set by `settings=` or HOLDFAST_PRIORITY."""
        return self._priority

    @property
    def resumed(self) -> bool:
        """Whether `init` has found that the run was there before; it looks only with `resume="must"`."""
        return self._resumed

    @property
    def sweep_id(self) -> str | None:
        """Always None: there are no sweeps."""
        return None

    @property
    def sweep_url(self) -> str | None:
        """Always None: there are no sweeps."""
        return None

    @property
    def start_time(self) -> float:
        """When it began: seconds since 1970, UTC."""
        return self._record.created_at_ms / 1000

    @property
    def url(self) -> str:
        """A URL that names the run: below the setting `app_url` when there is one, else `holdfast://entity/project/runs/id`."""
        app_url = this_process().settings.app_url.rstrip("/")
        return f"{app_url}/{quote(self.entity)}/{quote(self.project)}/runs/{self.id}" if app_url else super().url

    @property
    def project_url(self) -> str:
        """A URL that names the project."""
        return self.url.rpartition("/runs/")[0]

    def get_url(self) -> str | None:
        """Returns `url`; None of a run that is disabled or offline, which nobody else can see."""
        return None if self.disabled or self.offline else self.url

    def get_project_url(self) -> str | None:
        """Returns `project_url`; None of a run that is disabled or offline."""
        return None if self.disabled or self.offline else self.project_url

    def get_sweep_url(self) -> str | None:
        """Returns None: there are no sweeps."""
        return self.sweep_url

    def project_name(self) -> str:
        """Returns the project."""
        return self.project

    @property
    def settings(self) -> Settings:
        """What the run was begun with, by W&B's names; changes have no effect."""
        return Settings(
            entity=self.entity,
            project=self.project,
            mode=self._mode,
            run_id=self.id,
            run_name=self.name,
            run_group=self.group,
            run_job_type=self.job_type,
            run_tags=self.tags,
            run_notes=self.notes,
            root_dir=self._dir,
        )

    @property
    def config_static(self) -> Settings:
        """The configuration as attributes, which cannot be changed through it."""
        return Settings(**self.config.as_dict())

    @property
    def is_finished(self) -> bool:
        """Whether `finish` was called."""
        return self._record.state != "running"

    # --- for the registry ---------------------------------------------------------------------------------------------

    def as_message(self) -> run_pb2.Run:
        """Returns the run as it travels."""
        message = run_pb2.Run()
        message.CopyFrom(self._record)
        message.config_json = self.config.encoded()
        message.notes = self.notes or ""
        del message.tags[:]
        message.tags.extend(self._tags)
        return message

    def report(self) -> None:
        """Tells the registry of the run's state, in the background and only if a daemon runs; what is logged carries it, too."""
        if self.disabled or self.offline:
            return
        self._report_in_background()

    def _report_in_background(self) -> None:
        before = self._reports[-1] if self._reports else None
        arguments = (self.as_message(), before)
        thread = threading.Thread(target=_report, args=arguments, name="holdfast-run-report", daemon=True)
        self._reports.append(thread)
        thread.start()

    def after_fork_in_child(self) -> None:
        """Makes the run of the parent usable here, whatever the parent's other threads were doing."""
        self._lock = threading.RLock()
        self._reports = []

    def _report_end(self) -> None:
        """Tells of the run's end: of an offline run to the daemon, whose held jobs carry it to the registry."""
        if self.offline:
            self._end_offline()
        else:
            self.report()
        self._wait_for_reports()

    def _end_offline(self) -> None:
        daemon = this_process().daemon
        try:
            # What was logged by a copy of the run in another process is with a daemon that is still there.
            if (self._has_logged or daemon.launcher.is_listening()) and OfflineCalls(daemon).end_run(self.as_message()):
                self._report_in_background()
        except (Error, OSError) as error:
            _logger.warning("What run %s has logged will be sent, but not that the run has ended: %s", self.id, error)

    def _wait_for_reports(self) -> None:
        deadline = time.monotonic() + FINISH_PATIENCE_S
        for report in self._reports:
            report.join(max(0.0, deadline - time.monotonic()))

    def _check_running(self, method: str) -> None:
        if self.is_finished:
            raise UsageError(
                f"Run ({self.id}) is finished. The call to `{method}` will be ignored. Please make a new run."
            )


def check_existence(run: RunBase, resume: Any) -> None:
    """Asks the registry what `resume` "must" and "never" want to know; others need nobody.

    Raises:
        UsageError: the run is not there and must be, or is there and must not.
        UnavailableError: nobody can be asked.
    """
    if resume not in ("must", "never") or run.disabled or run.offline:
        return
    from holdfast.errors import NotFoundError

    try:
        RegistryCalls(this_process().daemon).get_run(run.entity, run.project, run.id)
    except NotFoundError:
        if resume == "must":
            raise UsageError(f'There is no run {run.path} to resume, and resume="must" was given.') from None
        return
    if resume == "never":
        raise UsageError(f'There is a run {run.path} already, and resume="never" was given; choose another id.')
    run._resumed = True


def _report(message: run_pb2.Run, before: threading.Thread | None) -> None:
    if before is not None:
        before.join()
    daemon = this_process().daemon
    try:
        if daemon.launcher.is_listening():
            RegistryCalls(daemon).upsert_run(message, deadline_s=REPORT_DEADLINE_S)
    except (Error, OSError):
        return  # a courtesy: what the run logs carries it along
