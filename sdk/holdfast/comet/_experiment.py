"""`Experiment`: a run, in Comet's words, as far as artifacts need it."""

from __future__ import annotations

import atexit
import os
import threading
import uuid
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from holdfast._own_writes import STANDSTILL_S, resolve_after_own_writes
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast._run_settings import start_of
from holdfast._settings import variable
from holdfast._warn_user import warn_user
from holdfast.artifact import Artifact as StoredArtifact
from holdfast.comet._artifact import Artifact
from holdfast.comet._logged_artifact import LoggedArtifact
from holdfast.comet._metrics import ExperimentMetrics
from holdfast.comet._names import default_workspace, version_name
from holdfast.comet._waiting import wait_for_all
from holdfast.comet.exceptions import (
    ExperimentCleaningException,
    ExperimentDisabledException,
    ExperimentNotAlive,
    not_found,
    not_logged,
    told_as,
)
from holdfast.comet.summary import Summary
from holdfast.runs import Run

_alive: weakref.WeakSet[Experiment] = weakref.WeakSet()
_newest: Experiment | None = None
"""The experiment that was begun last; held, since a script may leave it to `get_running_experiment`."""


class Experiment(ExperimentMetrics):
    """One execution of a script: what it logs and uses belongs to it.  A context manager that ends it.  Thread-safe.

    Any number of them may be alive at once.
    """

    def __init__(
        self,
        api_key: str | None = None,
        project_name: str | None = None,
        workspace: str | None = None,
        *,
        experiment_key: str | None = None,
        disabled: bool = False,
        **unknown: Any,
    ) -> None:
        """Begins an experiment.  Needs no server, and does not wait for one.

        Args:
            api_key: accepted for compatibility; the daemon has the credentials.
            project_name: of the run; default: COMET_PROJECT_NAME, else as of `holdfast.init`.  Artifacts belong to the workspace.
            workspace: the entity; default: COMET_WORKSPACE, else as of `holdfast.init`.
            experiment_key: id of the run; default: 32 random hex characters.
            disabled: nothing is done, and logging is refused.
            unknown: Comet's further arguments are accepted; one warning lists those that were set.

        Raises:
            ValueError: a name or the key breaks its rules.
        """
        self._begin(project_name, workspace, experiment_key, "disabled" if disabled else "online", unknown)

    def _begin(
        self, project: str | None, workspace: str | None, key: str | None, mode: str, unknown: Mapping[str, Any]
    ) -> None:
        warn_of_unknown(type(self).__name__, unknown)
        settings = {
            "entity": workspace or default_workspace(),
            "project": project or variable("PROJECT", os.environ) or os.environ.get("COMET_PROJECT_NAME"),
            "id": key or uuid.uuid4().hex,
            "mode": mode,
        }
        self._run = Run(start_of(settings, None))
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._pending: list[LoggedArtifact] = []
        self._summary = Summary(self._run.id)
        _alive.add(self)
        if not self.disabled:
            global _newest
            _newest = self
        self._run.report()

    # --- identity -----------------------------------------------------------------------------------------------------

    def get_key(self) -> str:
        """Returns the key: the id of the run."""
        return self._run.id

    @property
    def id(self) -> str:
        """As `get_key`."""
        return self._run.id

    def get_name(self) -> str:
        """Returns the name for people; the key when none was given."""
        return self._run.name

    def set_name(self, name: str) -> None:
        """Sets the name for people."""
        self._run.name = name
        self._run.report()

    @property
    def workspace(self) -> str:
        """The workspace: the entity."""
        return self._run.entity

    @property
    def project_name(self) -> str:
        """The project."""
        return self._run.project

    @property
    def url(self) -> str:
        """A URL that names the run."""
        return self._run.url

    @property
    def disabled(self) -> bool:
        """Whether nothing is done."""
        return self._run.disabled

    @property
    def alive(self) -> bool:
        """Whether it may log: it was neither disabled nor ended."""
        return not (self.disabled or self.ended)

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._run.is_finished

    def add_tag(self, tag: str) -> None:
        """Adds a tag to the run."""
        self.add_tags([tag])

    def add_tags(self, tags: Sequence[str]) -> None:
        """Adds tags to the run.

        Raises:
            ValueError: a tag breaks its rules.
        """
        with self._lock:
            self._run.tags = (*self._run.tags, *tags)
        self._run.report()

    def get_tags(self) -> list[str]:
        """Returns the tags of the run."""
        return list(self._run.tags)

    def log_parameter(self, name: str, value: Any, step: int | None = None) -> None:
        """Keeps a value in the run's configuration; `step` is accepted for compatibility."""
        self.log_parameters({name: value})

    def log_parameters(
        self,
        parameters: Mapping[str, Any],
        prefix: str | None = None,
        nested_support: bool = True,
        step: int | None = None,
    ) -> None:
        """Keeps values in the run's configuration.

        Args:
            parameters: by name.
            prefix: put before each name, with "_".
            nested_support: accepted for compatibility; nested values stay nested.
            step: accepted for compatibility.
        """
        with self._lock:
            self._run.config.update({f"{prefix}_{name}" if prefix else name: v for name, v in parameters.items()})

    # --- artifacts ----------------------------------------------------------------------------------------------------

    def log_artifact(self, artifact: Artifact) -> LoggedArtifact:
        """Logs an artifact as an output of this experiment.  Returns when what may be changed afterwards has been read.

        From then on the version gets committed, exactly once, whatever is killed; `wait()` on the result waits for that, and `end()`
        does for all.  Each call makes a version of its own; bytes that are stored already are not sent.

        Raises:
            LogArtifactException: the version exists, the type is another one, or a file cannot be read.
            ExperimentDisabledException, ExperimentNotAlive: the experiment cannot log.
            ValueError: no `Artifact`.
        """
        self._check_alive("log_artifact")
        if not isinstance(artifact, Artifact):
            raise ValueError(f"log_artifact needs a holdfast.comet.Artifact, not {type(artifact).__name__}")
        from holdfast.comet._sending import send

        with told_as(not_logged):
            draft = send(artifact, self._run)
        count, version = len(artifact._assets), "" if artifact.version is None else str(artifact.version)
        if not count:
            warn_user(f"Artifact {artifact} created without adding any assets, was this the intent?")
        self._summary.increment_section("uploads", "artifacts")
        self._summary.increment_section("uploads", "artifact assets", count=count)
        logged = LoggedArtifact._pending(draft, self.workspace, version, self.get_key(), self._summary)
        with self._lock:
            self._pending.append(logged)
        return logged

    def get_artifact(
        self, artifact_name: str, workspace: str | None = None, version_or_alias: str | None = None
    ) -> LoggedArtifact:
        """Returns a version, as an input of this experiment.

        What this process has logged under the name before is waited for.

        Args:
            artifact_name: `[workspace/]name[:version_or_alias]`.
            workspace: goes before the name's; default: the experiment's.
            version_or_alias: goes before the name's: "1.2.0", a range such as "^1.2", "v3", or an alias.  Default: the newest.

        Raises:
            ArtifactNotFound: (a GetArtifactException) there is no such version.
            GetArtifactException: the name breaks its rules, or the registry refuses or cannot be asked.
            ExperimentDisabledException, ExperimentNotAlive: the experiment cannot use anything.
        """
        self._check_alive("get_artifact")
        process = this_process()
        with told_as(not_found):
            name = version_name(artifact_name, workspace, version_or_alias, default_workspace=self.workspace)
            version = resolve_after_own_writes(name, process.daemon, process.own_writes)
            RegistryCalls(process.daemon).record_use(self._run.as_message(), version.version_id)
        return LoggedArtifact._of(StoredArtifact._of_version(version), self.get_key(), self._summary)

    def get_hf_dataset(
        self,
        name: str,
        workspace: str | None = None,
        version_or_alias: str | None = None,
        download_directory: str | None = None,
        pathname: str = "**",
        recursive: bool = True,
        use_cached_dataset: bool = True,
    ) -> list[str]:
        """Returns the paths of an artifact's files that match a pattern, for loaders of datasets; brings what is not there yet.

        Args:
            name: as of `get_artifact`.
            workspace: as of `get_artifact`.
            version_or_alias: as of `get_artifact`.
            download_directory: default: a folder for the version below the setting `artifact_dir`.
            pathname: pattern as of `glob`, below the folder.
            recursive: "**" stands for folders of any depth.
            use_cached_dataset: files that are right already are left alone; False brings all of them again.

        Raises:
            ArtifactNotFound: (a GetArtifactException) there is no such version.
            ArtifactDownloadException: something cannot be had.
        """
        from holdfast.comet._hf_dataset import dataset_files

        logged = self.get_artifact(name, workspace, version_or_alias)
        return dataset_files(logged, download_directory, pathname, recursive=recursive, use_cached=use_cached_dataset)

    def _check_alive(self, method: str) -> None:
        if self.disabled:
            raise ExperimentDisabledException(f"Experiment {self.get_key()} is disabled; {method} does nothing there.")
        if self.ended:
            raise ExperimentNotAlive(f"Experiment {self.get_key()} has ended; make a new one for {method}.")

    # --- the end ------------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything that was logged is committed, or has failed.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            Whether all of it is committed.
        """
        with self._lock:
            pending = list(self._pending)
        outcome = wait_for_all(pending, timeout_s=timeout, standstill_s=None)
        with self._lock:
            self._pending = [logged for logged in self._pending if not logged._version_id]
        return not (outcome.failed or outcome.unfinished)

    def end(self) -> None:
        """Waits for what was logged, and ends the experiment.  A registry that is away is not waited for: the daemon goes on alone.

        Raises:
            ExperimentCleaningException: an artifact has failed, and no `wait()` has said so; the message says which and why.
        """
        self._end(exit_code=0)

    def _end(self, exit_code: int) -> None:
        if self.ended:
            return
        with self._lock:
            pending, self._pending = self._pending, []
        offline = self._run.offline or self.disabled
        outcome = wait_for_all([] if offline else pending, timeout_s=None, standstill_s=STANDSTILL_S)
        self._run.finish(exit_code=1 if outcome.failed else exit_code)
        _alive.discard(self)
        if outcome.untold:
            first = outcome.untold[0]
            more = f" (and {len(outcome.untold) - 1} more)" if len(outcome.untold) > 1 else ""
            raise ExperimentCleaningException(f"Experiment {self.get_key()}: {first}{more}") from first

    def generate_summary(self, level: str = "full") -> dict[str, dict[str, Any]]:
        """Returns what was counted; see `Summary.generate_summary`."""
        return self._summary.generate_summary(level)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(exit_code=0 if kind is None else 1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._run.path}>"


def warn_of_unknown(callee: str, unknown: Mapping[str, Any]) -> None:
    """Says in one warning which arguments were set that mean nothing here."""
    ignored = sorted(name for name, value in unknown.items() if value not in (None, False))
    if ignored:
        warn_user(f"{callee}() ignores {', '.join(ignored)}")


def newest_alive() -> Experiment | None:
    """Returns the experiment that was begun last, unless it has ended."""
    return _newest if _newest is not None and not _newest.ended else None


CometExperiment = Experiment
"""The name that Comet's newer documents have for what `start` returns."""


def _after_fork_in_child() -> None:
    """Makes the experiments of the parent usable here; what it has logged is its own to wait for, and its end, too."""
    for experiment in list(_alive):
        experiment._lock = threading.RLock()
        experiment._pending = []
        experiment._run.after_fork_in_child()


# Another thread may have been logging while this one forked.
os.register_at_fork(after_in_child=_after_fork_in_child)


def _end_at_exit() -> None:
    """What a script leaves open is ended with it; its artifacts are the daemon's by then."""
    for experiment in list(_alive):
        if experiment._pid == os.getpid():
            experiment._run.finish()


atexit.register(_end_at_exit)
