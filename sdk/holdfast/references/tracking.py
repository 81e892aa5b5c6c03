"""References to places that nobody here can look into: the URI is recorded as it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference
from holdfastpb.daemon.v1.log_pb2 import AddReference


class TrackingHandler:
    """Records URIs without looking at what they name; for places that all machines reach in the same way."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme, or of all (the default, asked last)."""
        self._scheme = scheme

    def can_handle(self, url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return self._scheme is None or url.scheme == self._scheme

    def store_path(
        self, uri: str, *, name: str | None, checksum: bool, max_objects: int | None
    ) -> Sequence[AddedReference]:
        """Records the URI; its digest is the URI itself.

        Raises:
            ValueError: no `name` was given.
        """
        if name is None:
            raise ValueError(
                'You must pass name="<entry_name>" when tracking references with unknown schemes. ref: ' + uri
            )
        warnings.warn(f"Artifact references with unsupported schemes cannot be checksummed: {uri}", stacklevel=4)
        record = AddReference(path=name, uri=uri, digest=uri)
        return [AddedReference(record, is_folder=False, must_be_read=False)]

    def load_path(self, entry: ArtifactManifestEntry, *, local: bool) -> str:
        """Returns the entry's path: nothing is known of the object.

        Raises:
            ValueError: when it was to be brought here.
        """
        if local:
            uri = entry.ref_target()
            scheme = urlsplit(uri).scheme
            raise ValueError(f"Cannot download file at path {uri}, scheme {scheme} not recognized")
        return entry.path
