"""Models: artifacts whose type says so, logged, used and linked by one call each."""

from __future__ import annotations

import os
from collections.abc import Sequence

from holdfast._run_base import StrPath
from holdfast._run_distributed import RunDistributed
from holdfast.artifact import Artifact
from holdfast.errors import NotFoundError

MODEL_TYPE = "model"
MODEL_REGISTRY_PROJECT = "model-registry"


class RunModels(RunDistributed):
    """Base of `Run`: models."""

    def log_model(self, path: StrPath, name: str | None = None, aliases: Sequence[str] | str | None = None) -> None:
        """Logs a file or folder as an artifact of type "model".

        Args:
            path: a file, a folder, or a URI.
            name: default: `run-<id>-<its own name>`.
            aliases: move to the new version; "latest" does by itself.

        Raises:
            ValueError: no such path, or a name or alias that breaks its rules.
            UsageError: the run is finished.
        """
        self._check_running("log_model")
        self.log_artifact(path, name=name, type=MODEL_TYPE, aliases=aliases)

    def use_model(self, name: str) -> str:
        """Downloads a model, declared as an input of this run.

        Args:
            name: as of `use_artifact`.

        Returns:
            Its file, if it has one alone; else its folder.

        Raises:
            AssertionError: the artifact is no model.
            RuntimeError: the run is offline.
            NotFoundError: (a CommError) there is no such model.
        """
        self._check_running("use_model")
        if self.offline:
            raise RuntimeError("`use_model` not supported in offline mode.")
        artifact = self.use_artifact(name)
        if self.disabled:
            return ""
        _require_model(artifact)
        folder = artifact.download()
        paths = list(artifact.manifest.entries) if artifact.file_count == 1 else []
        return os.path.join(folder, paths[0]) if paths else folder

    def link_model(
        self,
        path: StrPath,
        registered_model_name: str,
        name: str | None = None,
        aliases: Sequence[str] | str | None = None,
    ) -> Artifact | None:
        """Links a model into the collection of this name in the project "model-registry"; logs it first if it is not there.

        Args:
            path: a file, a folder, or a URI.
            registered_model_name: the collection's name alone.
            name: of the model; the latest version of that name is linked if there is one.  Default: `run-<id>-<its own name>`.
            aliases: of the link.

        Returns:
            The model as the collection shows it; None of a disabled run.

        Raises:
            AssertionError: an entity or project in `registered_model_name`, or an artifact of that name that is no model.
            NotImplementedError: the run is offline; the model has been logged.
            ValueError: no such path, or a name or alias that breaks its rules.
        """
        self._check_running("link_model")
        if "/" in registered_model_name:
            raise AssertionError(
                "Please provide only the name of the registered model. Do not append the entity or project name:"
                f" {registered_model_name!r:.200}"
            )
        artifact = self._latest_model(name) if name is not None else None
        if artifact is None:
            artifact = self.log_artifact(path, name=name, type=MODEL_TYPE)
        if self.disabled:
            return None
        return self.link_artifact(artifact, f"{self.entity}/{MODEL_REGISTRY_PROJECT}/{registered_model_name}", aliases)

    def _latest_model(self, name: str) -> Artifact | None:
        """Returns the latest version of a model; None when there is none, or nobody is to be asked."""
        if self.offline or self.disabled:
            return None
        try:
            artifact = Artifact._of_version(self._version_of(name))
        except NotFoundError:
            return None
        _require_model(artifact)
        return artifact


def _require_model(artifact: Artifact) -> None:
    if MODEL_TYPE not in artifact.type.lower():
        raise AssertionError(
            "You can only use this method for 'model' artifacts. For an artifact to be a model, its type must contain"
            f" the text 'model'; {artifact.name} is of type {artifact.type!r}."
        )
