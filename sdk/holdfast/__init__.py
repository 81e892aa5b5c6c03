"""Holdfast: datasets and models, versioned on machines of your own, with the API of Weights & Biases Artifacts.

    import holdfast

    with holdfast.init(project="digits") as run:
        artifact = holdfast.Artifact("mnist", type="dataset")
        artifact.add_dir("mnist/")
        run.log_artifact(artifact).wait()

Everything is loaded when it is first used: `import holdfast` itself takes a few milliseconds, starts no thread and reads no setting.
"""

# First of all: what is registered for forks last runs first.  Ours wait for threads that import, and those may need the lock that
# `logging` holds during a fork, so `logging` must have registered before us.
import logging  # noqa: F401
import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast._version import __version__

if TYPE_CHECKING:
    from holdfast._active_run import finish, log_artifact, use_artifact
    from holdfast.api import Api
    from holdfast.artifact import Artifact
    from holdfast.errors import (
        ArtifactError,
        ArtifactFinalizedError,
        ArtifactNotLoggedError,
        ArtifactStatusError,
        CommError,
        Error,
        FileChangedError,
        NotFoundError,
        UnavailableError,
        WaitTimeoutError,
    )
    from holdfast.manifest import ArtifactEntry, ArtifactManifest, ArtifactManifestEntry, ArtifactManifestV1
    from holdfast.progress import Progress
    from holdfast.runs import Run, init

    run: Run | None

__all__ = [
    "Api",
    "Artifact",
    "ArtifactEntry",
    "ArtifactError",
    "ArtifactFinalizedError",
    "ArtifactManifest",
    "ArtifactManifestEntry",
    "ArtifactManifestV1",
    "ArtifactNotLoggedError",
    "ArtifactStatusError",
    "CommError",
    "Error",
    "FileChangedError",
    "NotFoundError",
    "Progress",
    "Run",
    "UnavailableError",
    "WaitTimeoutError",
    "__version__",
    "finish",
    "init",
    "log_artifact",
    "run",
    "use_artifact",
]

_HOME_OF = {
    "Api": "api",
    "Artifact": "artifact",
    "ArtifactError": "errors",
    "ArtifactFinalizedError": "errors",
    "ArtifactManifest": "manifest",
    "ArtifactManifestEntry": "manifest",
    "ArtifactManifestV1": "manifest",
    "ArtifactEntry": "manifest",
    "ArtifactNotLoggedError": "errors",
    "ArtifactStatusError": "errors",
    "CommError": "errors",
    "Error": "errors",
    "FileChangedError": "errors",
    "NotFoundError": "errors",
    "Progress": "progress",
    "Run": "runs",
    "UnavailableError": "errors",
    "WaitTimeoutError": "errors",
    "finish": "_active_run",
    "init": "runs",
    "log_artifact": "_active_run",
    "use_artifact": "_active_run",
}


# A child forked while another thread imports would find the module half made, and wait for that thread for ever.
_loading = threading.RLock()
os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)


def __getattr__(name: str) -> Any:
    if name == "run":
        # Another one after each `init`, so it is never kept here.
        return _load("_active_run").active_run()
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_load(home), name)
    globals()[name] = value
    return value


def _load(module: str) -> Any:
    with _loading:
        return import_module(f"holdfast.{module}")


def __dir__() -> list[str]:
    return sorted(__all__)
