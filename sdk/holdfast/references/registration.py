"""The handlers that `add_reference` and `download` use, in the order in which they are asked."""

from __future__ import annotations

from functools import cache

from holdfast.references.handlers import MultiHandler, StorageHandler


@cache
def default_handler() -> MultiHandler:
    """Returns the choice among all handlers: those that were registered, then ours."""
    from holdfast.references.artifact_entry import WBArtifactHandler, WBLocalArtifactHandler
    from holdfast.references.azure import AzureHandler
    from holdfast.references.gcs import GCSHandler
    from holdfast.references.local_file import LocalFileHandler
    from holdfast.references.s3 import S3Handler
    from holdfast.references.tracking import TrackingHandler
    from holdfast.references.web import HTTPHandler

    return MultiHandler(
        [
            S3Handler(),
            GCSHandler(),
            # Before those of http and https, whose schemes it shares.
            AzureHandler(),
            HTTPHandler(scheme="http"),
            HTTPHandler(scheme="https"),
            WBArtifactHandler(),
            WBLocalArtifactHandler(),
            LocalFileHandler(),
        ],
        TrackingHandler(),
    )


def register_handler(handler: StorageHandler) -> None:
    """Lets a handler be asked before all others, in this process, by `add_reference` and by downloads.

    Args:
        handler: has `can_handle`, `store_path` and `load_path`; see `StorageHandler`.

    Raises:
        TypeError: it is no StorageHandler.
    """
    if not isinstance(handler, StorageHandler):
        raise TypeError(f"{handler!r} is no StorageHandler; make its class a subclass of holdfast.StorageHandler.")
    default_handler().ask_first(handler)
