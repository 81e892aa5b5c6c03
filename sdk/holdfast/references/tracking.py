"""References to places that nobody here can look into: the URI is recorded as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from holdfast._warn_user import warn_user
from holdfast.errors import UnknownSchemeError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest, StorageHandler
from holdfastpb.daemon.v1.log_pb2 import AddReference

if TYPE_CHECKING:
    from holdfast.references.target_file import TargetFile


class TrackingHandler(StorageHandler):
    """Records URIs without looking at what they name; for places that all machines reach in the same way."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme, or of all (the default, asked last)."""
        self._scheme = scheme

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return self._scheme is None or parsed_url.scheme == self._scheme

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Records the URI; its digest is the URI itself.

        Raises:
            ValueError: no `name` was given.
        """
        if request.name is None:
            raise ValueError(
                'You must pass name="<entry_name>" when tracking references with unknown schemes. ref: ' + request.uri
            )
        warn_user(f"Artifact references with unsupported schemes cannot be checksummed: {request.uri}")
        yield AddedReference(AddReference(path=request.name, uri=request.uri, digest=request.uri))

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """Returns the entry's path: nothing is known of the object.

        Raises:
            UnknownSchemeError: (a ValueError) when it was to be brought here.
        """
        if local:
            raise _not_fetched(manifest_entry)
        return manifest_entry.path

    def fetch(self, entry: ArtifactManifestEntry, target: TargetFile) -> None:
        """Refuses.

        Raises:
            UnknownSchemeError: (a ValueError) always.
        """
        raise _not_fetched(entry)


def _not_fetched(entry: ArtifactManifestEntry) -> UnknownSchemeError:
    uri = entry.ref_target()
    return UnknownSchemeError(
        f"Cannot download file at path {uri}, scheme {urlsplit(uri).scheme} not recognized;"
        " register_handler can add a handler that knows it."
    )
