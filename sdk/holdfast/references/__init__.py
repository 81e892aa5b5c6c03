"""References: entries whose bytes stay where they are.  One handler for each kind of place, chosen by the URI's scheme."""

from holdfast.references.handlers import AddedReference, MultiHandler, StorageHandler, default_handler
from holdfast.references.local_file import LocalFileHandler
from holdfast.references.tracking import TrackingHandler

__all__ = [
    "AddedReference",
    "LocalFileHandler",
    "MultiHandler",
    "StorageHandler",
    "TrackingHandler",
    "default_handler",
]
