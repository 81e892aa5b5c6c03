"""References to files and folders of this machine, or of a file system that all machines mount: `file://`.

The daemon reads the files, to take their digests; it copies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import SplitResult

from holdfast.errors import ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import MAX_OBJECTS_DEFAULT, AddedReference
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1.log_pb2 import AddReference

_PREFIX = "file://"


class LocalFileHandler:
    """Refers to a file, or to all files below a folder."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme; default: `file`."""
        self._scheme = scheme or "file"

    def can_handle(self, url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return url.scheme == self._scheme

    def store_path(
        self, uri: str, *, name: str | None, checksum: bool, max_objects: int | None
    ) -> Sequence[AddedReference]:
        """Lets the daemon read a file or walk a folder.

        Raises:
            ValueError: neither a file nor a folder is there.
        """
        path = _local_path(uri)
        is_folder = os.path.isdir(path)
        if not is_folder and not os.path.isfile(path):
            raise ValueError(f'Path "{uri}" must be a valid file or directory path')
        default_name = "" if is_folder else os.path.basename(path)
        record = AddReference(
            path=default_name if name is None else logical_path(name),
            # Absolute: another process, elsewhere, has to find it.
            uri=_PREFIX + path,
            local_path=os.fsencode(path),
            checksum=checksum,
            objects_max=MAX_OBJECTS_DEFAULT if max_objects is None else max_objects,
        )
        return [AddedReference(record, is_folder=is_folder, must_be_read=True)]

    def load_path(self, entry: ArtifactManifestEntry, *, local: bool) -> str:
        """Returns the file's path, or its URI unless `local`.

        Raises:
            ReferenceMissingError: it is gone.
        """
        uri = entry.ref_target()
        if not local:
            return uri
        path = _local_path(uri)
        if not os.path.isfile(path):
            raise ReferenceMissingError(f"Local file reference: Failed to find file at path {path}")
        return path


def _local_path(uri: str) -> str:
    """The path of a file URI; "#", "?" and "%" are parts of names here, as in W&B."""
    return os.path.abspath(uri.removeprefix(_PREFIX))
