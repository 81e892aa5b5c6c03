"""References to files and folders of this machine, or of a file system that all machines mount: `file://`.

The daemon reads the files, to take their digests, and copies them when they are downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote

from holdfast._local_file import LocalFile, digest_of_file
from holdfast.errors import ReferenceChangedError, ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest, StorageHandler
from holdfast_contract.digest import file_digest
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1.log_pb2 import AddReference

if TYPE_CHECKING:
    from holdfast.artifact import Artifact


class LocalFileHandler(StorageHandler):
    """Refers to a file, or to all files below a folder."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme; default: `file`."""
        self._scheme = scheme or "file"

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return parsed_url.scheme == self._scheme

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Lets the daemon read a file or walk a folder.

        Raises:
            ValueError: neither a file nor a folder is there.
        """
        path = self._existing_path(request.uri)
        is_folder = os.path.isdir(path)
        default_name = "" if is_folder else os.path.basename(path)
        record = AddReference(
            path=default_name if request.name is None else request.name,
            uri=self._uri_of(path),
            local_path=os.fsencode(path),
            checksum=request.checksum,
            objects_max=request.objects_max,
        )
        yield AddedReference(record, is_folder=is_folder, must_be_read=True)

    def store_path(
        self,
        artifact: Artifact | None,
        path: str,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """Reads a file, or all files below a folder, in this process (`add_reference` lets the daemon do it)."""
        request = ReferenceRequest(artifact, path, name, checksum, max_objects)
        root = self._existing_path(path)
        if not os.path.isdir(root):
            return [self._read(root, request.name or os.path.basename(root), checksum)]
        entries = []
        for folder, _, names in os.walk(root):
            for file_name in sorted(names):
                file = os.path.join(folder, file_name)
                if os.path.isfile(file):
                    entries.append(self._read(file, request.path_below(os.path.relpath(file, root)), checksum))
                if len(entries) > request.objects_max:
                    raise ValueError(
                        f"Exceeded {request.objects_max} objects tracked, pass max_objects to add_reference ({path})"
                    )
        return entries

    def _read(self, file: str, path: str, checksum: bool) -> ArtifactManifestEntry:
        size, uri = os.path.getsize(file), self._uri_of(file)
        digest = digest_of_file(LocalFile(file, size)) if checksum else file_digest(uri.encode()).hex()
        return ArtifactManifestEntry(logical_path(path), digest, ref=uri, size=size)

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """Returns the file's path, or its URI unless `local`.

        Raises:
            ReferenceMissingError: it is gone.
            ReferenceChangedError: it is not what was recorded.
        """
        uri = manifest_entry.ref_target()
        if not local:
            return uri
        path = os.path.abspath(unquote(uri.removeprefix(f"{self._scheme}://")))
        if not os.path.isfile(path):
            raise ReferenceMissingError(f"Local file reference: Failed to find file at path {path}")
        recorded = manifest_entry.digest
        if recorded != file_digest(uri.encode()).hex():
            found = digest_of_file(LocalFile(path, os.path.getsize(path)))
            if found != recorded:
                raise ReferenceChangedError(
                    f"Local file reference: Digest mismatch for path {path}: expected {recorded} but found {found}"
                )
        return path

    def _existing_path(self, uri: str) -> str:
        # "#", "?" and "%" are parts of names, as in W&B; what `Path.as_uri` makes is understood as well.
        given = uri.removeprefix(f"{self._scheme}://")
        for path in (os.path.abspath(given), os.path.abspath(unquote(given))):
            if os.path.isdir(path) or os.path.isfile(path):
                return path
        raise ValueError(f'Path "{uri}" must be a valid file or directory path')

    def _uri_of(self, path: str) -> str:
        # Absolute and quoted: another process, elsewhere, has to find it.
        return f"{self._scheme}://{quote(os.fsencode(path))}"
