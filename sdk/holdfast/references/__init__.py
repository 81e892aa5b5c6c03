"""References: entries whose bytes stay where they are.  One handler for each kind of place, asked in a fixed order by URI.

Names are loaded when they are first used: few programs meet more than one kind of reference.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.references.artifact_entry import ArtifactHandler, WBArtifactHandler, WBLocalArtifactHandler
    from holdfast.references.azure import AzureHandler
    from holdfast.references.gcs import GCSHandler
    from holdfast.references.handlers import AddedReference, MultiHandler, ReferenceRequest, StorageHandler
    from holdfast.references.local_file import LocalFileHandler
    from holdfast.references.registration import default_handler, register_handler
    from holdfast.references.s3 import S3Handler
    from holdfast.references.tracking import TrackingHandler
    from holdfast.references.web import HTTPHandler

__all__ = [
    "AddedReference",
    "ArtifactHandler",
    "AzureHandler",
    "GCSHandler",
    "HTTPHandler",
    "LocalFileHandler",
    "MultiHandler",
    "ReferenceRequest",
    "S3Handler",
    "StorageHandler",
    "TrackingHandler",
    "WBArtifactHandler",
    "WBLocalArtifactHandler",
    "default_handler",
    "register_handler",
]

_HOME_OF = {
    "AddedReference": "handlers",
    "ArtifactHandler": "artifact_entry",
    "AzureHandler": "azure",
    "GCSHandler": "gcs",
    "HTTPHandler": "web",
    "LocalFileHandler": "local_file",
    "MultiHandler": "handlers",
    "ReferenceRequest": "handlers",
    "S3Handler": "s3",
    "StorageHandler": "handlers",
    "TrackingHandler": "tracking",
    "WBArtifactHandler": "artifact_entry",
    "WBLocalArtifactHandler": "artifact_entry",
    "default_handler": "registration",
    "register_handler": "registration",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
