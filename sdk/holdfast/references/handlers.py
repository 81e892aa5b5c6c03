"""What a handler of references does, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from holdfast.manifest import ArtifactManifestEntry
from holdfastpb.daemon.v1.log_pb2 import AddReference

MAX_OBJECTS_DEFAULT = 10_000_000
"""W&B's limit for one `add_reference`."""


@dataclass(frozen=True, slots=True)
class AddedReference:
    """What a handler has found out about a URI, ready for the daemon."""

    record: AddReference
    is_folder: bool
    """The daemon makes one entry for each file below it."""
    must_be_read: bool
    """The daemon has yet to read it; `add_reference` waits for that."""


class StorageHandler(Protocol):
    """Knows one kind of place where referenced objects lie."""

    def can_handle(self, url: SplitResult) -> bool:
        """Whether this handler is the one for a URI."""
        ...

    def store_path(
        self, uri: str, *, name: str | None, checksum: bool, max_objects: int | None
    ) -> Sequence[AddedReference]:
        """Finds out what is to be recorded.

        Raises:
            ValueError: the object cannot be referred to; the message says what to do.
        """
        ...

    def load_path(self, entry: ArtifactManifestEntry, *, local: bool) -> str:
        """Returns where the object is: a local path when `local`, else its URI.

        Raises:
            ValueError: it cannot be brought here.
            FileNotFoundError: it is gone.
        """
        ...


class MultiHandler:
    """Asks its handlers in order; the first that can handle a URI does, else the default one."""

    def __init__(self, handlers: Sequence[StorageHandler], default: StorageHandler) -> None:
        """Makes the choice among `handlers`."""
        self._handlers = list(handlers)
        self._default = default

    def handler_of(self, uri: str) -> StorageHandler:
        """Returns the handler for a URI."""
        url = urlsplit(uri)
        return next((handler for handler in self._handlers if handler.can_handle(url)), self._default)

    def store_path(
        self, uri: str, *, name: str | None, checksum: bool, max_objects: int | None
    ) -> Sequence[AddedReference]:
        """See `StorageHandler.store_path`."""
        return self.handler_of(uri).store_path(uri, name=name, checksum=checksum, max_objects=max_objects)

    def load_path(self, entry: ArtifactManifestEntry, *, local: bool) -> str:
        """See `StorageHandler.load_path`."""
        return self.handler_of(entry.ref_target()).load_path(entry, local=local)


@cache
def default_handler() -> MultiHandler:
    """Returns the handlers that `add_reference` and `download` use."""
    from holdfast.references.local_file import LocalFileHandler
    from holdfast.references.tracking import TrackingHandler

    return MultiHandler([LocalFileHandler()], TrackingHandler())
