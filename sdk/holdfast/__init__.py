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
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast._version import __version__

if TYPE_CHECKING:
    from holdfast._active_run import (
        alert,
        define_metric,
        finish,
        link_model,
        log,
        log_artifact,
        log_model,
        login,
        mark_preempting,
        require,
        save,
        setup,
        teardown,
        unwatch,
        use_artifact,
        use_model,
        watch,
    )
    from holdfast._charts import Histogram, plot_table
    from holdfast._run_config import Config
    from holdfast._run_metrics import AlertLevel, Summary
    from holdfast._run_settings import Settings
    from holdfast._terminal import termerror, termlog, termwarn
    from holdfast._ttl import ArtifactTTL
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
        UsageError,
        WaitTimeoutError,
    )
    from holdfast.manifest import ArtifactEntry, ArtifactManifest, ArtifactManifestEntry, ArtifactManifestV1
    from holdfast.media.audio import Audio
    from holdfast.media.bokeh import Bokeh
    from holdfast.media.bounding_boxes import BoundingBoxes2D
    from holdfast.media.classes import Classes
    from holdfast.media.html import Html
    from holdfast.media.image import Image
    from holdfast.media.image_mask import ImageMask
    from holdfast.media.joined_table import JoinedTable
    from holdfast.media.molecule import Molecule
    from holdfast.media.object3d import Object3D
    from holdfast.media.partitioned_table import PartitionedTable
    from holdfast.media.plotly import Plotly
    from holdfast.media.point_clouds import box3d
    from holdfast.media.table import Table
    from holdfast.media.video import Video
    from holdfast.progress import Progress
    from holdfast.references.artifact_entry import ArtifactHandler, WBArtifactHandler, WBLocalArtifactHandler
    from holdfast.references.azure import AzureHandler
    from holdfast.references.gcs import GCSHandler
    from holdfast.references.handlers import MultiHandler, StorageHandler
    from holdfast.references.local_file import LocalFileHandler
    from holdfast.references.registration import register_handler
    from holdfast.references.s3 import S3Handler
    from holdfast.references.tracking import TrackingHandler
    from holdfast.references.web import HTTPHandler
    from holdfast.runs import Run, init

    run: Run | None
    config: Config
    summary: Summary

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "ArtifactEntry",
    "ArtifactError",
    "ArtifactFinalizedError",
    "ArtifactHandler",
    "ArtifactManifest",
    "ArtifactManifestEntry",
    "ArtifactManifestV1",
    "ArtifactNotLoggedError",
    "ArtifactStatusError",
    "ArtifactTTL",
    "Audio",
    "AzureHandler",
    "Bokeh",
    "BoundingBoxes2D",
    "Classes",
    "CommError",
    "Error",
    "FileChangedError",
    "GCSHandler",
    "HTTPHandler",
    "Histogram",
    "Html",
    "Image",
    "ImageMask",
    "JoinedTable",
    "LocalFileHandler",
    "Molecule",
    "MultiHandler",
    "NotFoundError",
    "Object3D",
    "PartitionedTable",
    "Plotly",
    "Progress",
    "Run",
    "S3Handler",
    "Settings",
    "StorageHandler",
    "Table",
    "TrackingHandler",
    "UnavailableError",
    "UsageError",
    "Video",
    "WBArtifactHandler",
    "WBLocalArtifactHandler",
    "WaitTimeoutError",
    "__version__",
    "alert",
    "box3d",
    "config",
    "define_metric",
    "finish",
    "init",
    "link_model",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "mark_preempting",
    "plot_table",
    "register_handler",
    "require",
    "run",
    "save",
    "setup",
    "summary",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
    "unwatch",
    "use_artifact",
    "use_model",
    "watch",
]

_HOME_OF = {
    "AlertLevel": "_run_metrics",
    "Api": "api",
    "Artifact": "artifact",
    "ArtifactEntry": "manifest",
    "ArtifactError": "errors",
    "ArtifactFinalizedError": "errors",
    "ArtifactHandler": "references.artifact_entry",
    "ArtifactManifest": "manifest",
    "ArtifactManifestEntry": "manifest",
    "ArtifactManifestV1": "manifest",
    "ArtifactNotLoggedError": "errors",
    "ArtifactStatusError": "errors",
    "ArtifactTTL": "_ttl",
    "Audio": "media.audio",
    "AzureHandler": "references.azure",
    "Bokeh": "media.bokeh",
    "BoundingBoxes2D": "media.bounding_boxes",
    "Classes": "media.classes",
    "CommError": "errors",
    "Error": "errors",
    "FileChangedError": "errors",
    "GCSHandler": "references.gcs",
    "HTTPHandler": "references.web",
    "Histogram": "_charts",
    "Html": "media.html",
    "Image": "media.image",
    "ImageMask": "media.image_mask",
    "JoinedTable": "media.joined_table",
    "LocalFileHandler": "references.local_file",
    "Molecule": "media.molecule",
    "MultiHandler": "references.handlers",
    "NotFoundError": "errors",
    "Object3D": "media.object3d",
    "PartitionedTable": "media.partitioned_table",
    "Plotly": "media.plotly",
    "Progress": "progress",
    "Run": "runs",
    "S3Handler": "references.s3",
    "Settings": "_run_settings",
    "StorageHandler": "references.handlers",
    "Table": "media.table",
    "TrackingHandler": "references.tracking",
    "UnavailableError": "errors",
    "UsageError": "errors",
    "Video": "media.video",
    "WBArtifactHandler": "references.artifact_entry",
    "WBLocalArtifactHandler": "references.artifact_entry",
    "WaitTimeoutError": "errors",
    "alert": "_active_run",
    "box3d": "media.point_clouds",
    "define_metric": "_active_run",
    "finish": "_active_run",
    "init": "runs",
    "link_model": "_active_run",
    "log": "_active_run",
    "log_artifact": "_active_run",
    "log_model": "_active_run",
    "login": "_active_run",
    "mark_preempting": "_active_run",
    "plot_table": "_charts",
    "register_handler": "references.registration",
    "require": "_active_run",
    "save": "_active_run",
    "setup": "_active_run",
    "teardown": "_active_run",
    "termerror": "_terminal",
    "termlog": "_terminal",
    "termwarn": "_terminal",
    "unwatch": "_active_run",
    "use_artifact": "_active_run",
    "use_model": "_active_run",
    "watch": "_active_run",
}


# A child forked while another thread imports would find the module half made, and wait for that thread for ever.
_loading = threading.RLock()
os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)


def __getattr__(name: str) -> Any:
    if name == "run":
        # Another one after each `init`, so it is never kept here.
        return _load("_active_run").active_run()
    if name in ("config", "summary"):
        return _load("_active_run").of_active_run(name)
    if name in ("apis", "data_types", "errors", "plot", "util"):
        return _load(name)  # scripts write `wandb.apis.public.Api` and `wandb.data_types.Image` without importing them
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(_load(home), name)
    globals()[name] = value
    return value


def _load(module: str) -> Any:
    with _loading:
        return import_module(f"holdfast.{module}")


def __dir__() -> list[str]:
    return sorted(__all__)
