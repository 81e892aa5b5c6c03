"""`holdfast.comet`: the vocabulary of Comet's artifacts over the same store; `import holdfast.comet as comet_ml`.

    import holdfast.comet as comet_ml

    experiment = comet_ml.Experiment(project_name="digits")
    artifact = comet_ml.Artifact("mnist", "dataset")
    artifact.add("mnist/")
    experiment.log_artifact(artifact).wait()
    experiment.end()

A workspace is an entity, an experiment is a run, an asset is an entry.  What is logged here is found by `holdfast.Api().artifact`, and
the other way round; see docs/comet.md.  Everything is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.comet._artifact import Artifact
    from holdfast.comet._artifact_asset import ArtifactAsset
    from holdfast.comet._experiment import CometExperiment, Experiment
    from holdfast.comet._logged_artifact import LoggedArtifact
    from holdfast.comet._logged_asset import LoggedArtifactAsset
    from holdfast.comet._starting import (
        ExistingExperiment,
        ExistingOfflineExperiment,
        ExperimentConfig,
        OfflineExperiment,
        end,
        get_global_experiment,
        get_running_experiment,
        init,
        login,
        start,
    )
    from holdfast.comet.api import API, APIExperiment
    from holdfast.comet.summary import Summary

__all__ = [
    "API",
    "APIExperiment",
    "Artifact",
    "ArtifactAsset",
    "CometExperiment",
    "ExistingExperiment",
    "ExistingOfflineExperiment",
    "Experiment",
    "ExperimentConfig",
    "LoggedArtifact",
    "LoggedArtifactAsset",
    "OfflineExperiment",
    "Summary",
    "end",
    "get_global_experiment",
    "get_running_experiment",
    "init",
    "login",
    "start",
]

_HOME_OF = {
    "API": "api",
    "APIExperiment": "api",
    "Artifact": "_artifact",
    "ArtifactAsset": "_artifact_asset",
    "CometExperiment": "_experiment",
    "ExistingExperiment": "_starting",
    "ExistingOfflineExperiment": "_starting",
    "Experiment": "_experiment",
    "ExperimentConfig": "_starting",
    "LoggedArtifact": "_logged_artifact",
    "LoggedArtifactAsset": "_logged_asset",
    "OfflineExperiment": "_starting",
    "Summary": "summary",
    "end": "_starting",
    "get_global_experiment": "_starting",
    "get_running_experiment": "_starting",
    "init": "_starting",
    "login": "_starting",
    "start": "_starting",
}
_MODULES = ("api", "exceptions", "summary")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"holdfast.comet.{name}")  # scripts write `comet_ml.exceptions.…` without importing it
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"holdfast.comet.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
