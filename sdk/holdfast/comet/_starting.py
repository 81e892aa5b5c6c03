"""The other ways to begin an experiment: `start`, one that is there already, one whose artifacts wait for `holdfast sync`."""

from __future__ import annotations

import threading
from typing import Any

from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.comet._experiment import Experiment, newest_alive, warn_of_unknown
from holdfast.comet.exceptions import CometException, told_as
from holdfast.errors import NotFoundError

_MODES = ("get_or_create", "get", "create")

_lock = threading.RLock()


class ExperimentConfig:
    """What `start` may be told of the experiment, as far as artifacts need it."""

    def __init__(
        self, disabled: bool = False, name: str | None = None, tags: list[str] | None = None, **unknown: Any
    ) -> None:
        """Notes the values.

        Args:
            disabled: nothing is done, and logging is refused.
            name: of the experiment, for people.
            tags: of the experiment.
            unknown: Comet's further settings are accepted; one warning lists those that were set.
        """
        self.disabled, self.name, self.tags = disabled, name, tags
        warn_of_unknown("ExperimentConfig", unknown)


class ExistingExperiment(Experiment):
    """An experiment that was begun before, and is gone on with."""

    def __init__(
        self,
        api_key: str | None = None,
        previous_experiment: str | None = None,
        *,
        project_name: str | None = None,
        workspace: str | None = None,
        experiment_key: str | None = None,
        disabled: bool = False,
        **unknown: Any,
    ) -> None:
        """Goes on with the run of a key.

        Args:
            api_key: accepted for compatibility.
            previous_experiment: the key.
            project_name: of the run.
            workspace: the entity.
            experiment_key: the key, under its newer name.
            disabled: nothing is done, and logging is refused.
            unknown: accepted for compatibility; one warning lists those that were set.

        Raises:
            ValueError: no key.
        """
        key = previous_experiment or experiment_key
        if key is None:
            raise ValueError("ExistingExperiment needs the key of an experiment: previous_experiment=")
        self._begin(project_name, workspace, key, "disabled" if disabled else "online", unknown)


class OfflineExperiment(Experiment):
    """An experiment whose artifacts wait for `holdfast sync`.  Comet's cannot log artifacts."""

    def __init__(
        self,
        project_name: str | None = None,
        workspace: str | None = None,
        *,
        offline_directory: str | None = None,
        experiment_key: str | None = None,
        disabled: bool = False,
        **unknown: Any,
    ) -> None:
        """Begins the experiment.

        Args:
            project_name: of the run.
            workspace: the entity.
            offline_directory: accepted for compatibility; the daemon's folder holds what waits.
            experiment_key: id of the run; default: random.
            disabled: nothing is done, and logging is refused.
            unknown: accepted for compatibility; one warning lists those that were set.
        """
        self._begin(project_name, workspace, experiment_key, "disabled" if disabled else "offline", unknown)


class ExistingOfflineExperiment(OfflineExperiment):
    """As `OfflineExperiment`, of a run that was begun before."""

    def __init__(self, *, previous_experiment: str, **arguments: Any) -> None:
        """Goes on with the run of a key.

        Args:
            previous_experiment: the key.
            arguments: as of `OfflineExperiment`.
        """
        super().__init__(experiment_key=previous_experiment, **arguments)


def start(
    api_key: str | None = None,
    workspace: str | None = None,
    project_name: str | None = None,
    experiment_key: str | None = None,
    mode: str | None = None,
    online: bool | None = None,
    experiment_config: ExperimentConfig | None = None,
) -> Experiment:
    """Begins an experiment, or returns the one that was begun last, in any way, and has not ended.

    Args:
        api_key: accepted for compatibility.
        workspace: the entity.
        project_name: of the run.
        experiment_key: id of the run; default: random.
        mode: "get_or_create" (default), "get" (the experiment must be there), "create" (another one is begun).
        online: False: what is logged waits for `holdfast sync`.
        experiment_config: name, tags, and whether nothing is done.

    Raises:
        ValueError: another mode, or "get" without a key where none is running.
        CometException: "get" of an experiment that is not there.
    """
    said = experiment_config or ExperimentConfig()
    mode = "get_or_create" if mode is None else mode
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r:.200}")
    with _lock:
        running = get_running_experiment()
        if mode != "create" and running is not None and experiment_key in (None, running.get_key()):
            return running
        if mode == "get" and experiment_key is None:
            raise ValueError('mode="get" needs an experiment_key: no experiment is running in this process')
        kind: type[Experiment] = OfflineExperiment if online is False else Experiment
        made = kind(
            project_name=project_name,
            workspace=workspace,
            experiment_key=experiment_key,
            disabled=said.disabled,
        )
        if mode == "get":
            _require(made)
        if said.name:
            made.set_name(said.name)
        if said.tags:
            made.add_tags(said.tags)
        return made


def _require(experiment: Experiment) -> None:
    run = experiment._run
    with told_as(lambda error: CometException(str(error))):
        try:
            RegistryCalls(this_process().daemon).get_run(run.entity, run.project, run.id)
        except NotFoundError as error:
            raise CometException(f"There is no experiment {run.path}.") from error


def get_running_experiment() -> Experiment | None:
    """Returns the experiment that was begun last, unless it has ended."""
    return newest_alive()


get_global_experiment = get_running_experiment
"""Older name."""


def end() -> None:
    """Ends the running experiment; without one nothing happens."""
    running = get_running_experiment()
    if running is not None:
        running.end()


def login(*arguments: Any, **more: Any) -> None:
    """Does nothing: whoever may use the daemon's socket is known already.  Arguments are accepted for compatibility."""


init = login
"""Older name."""
