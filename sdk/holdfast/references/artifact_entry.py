"""References to entries of other artifacts: logged ones, and drafts.  The bytes are shared; they are neither read nor sent again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from holdfast.errors import ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest, StorageHandler
from holdfast_contract.paths import logical_path
from holdfastpb.daemon.v1.log_pb2 import AddEntry

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

_ID = re.compile("[0-9a-f]{32}")


class WBArtifactHandler(StorageHandler):
    """`holdfast-artifact://<id>/<path>`, `holdfast-artifact://entity/project/name:alias/<path>`; `wandb-artifact://` means the same."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme; default: both."""
        self._schemes = ("holdfast-artifact", "wandb-artifact") if scheme is None else (scheme,)

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has one of this handler's schemes."""
        return parsed_url.scheme in self._schemes

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Takes over the entry: its digest and its bytes (of an entry that is a reference itself: where it leads).

        Raises:
            ReferenceMissingError: (a ValueError) there is no such artifact or entry.
        """
        yield taken_over(_entry_of(request.uri), request.name)

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """Returns the path of the entry's file, downloaded to where its own artifact puts it, or the URI unless `local`.

        Raises:
            ReferenceMissingError: there is no such artifact or entry.
        """
        uri = manifest_entry.ref_target()
        return _entry_of(uri).download() if local else uri


ArtifactHandler = WBArtifactHandler
"""Our own name for it."""


class WBLocalArtifactHandler(StorageHandler):
    """`holdfast-client-artifact://<id>/<path>`: an entry of a draft of this machine; `wandb-client-artifact://` means the same."""

    def __init__(self, scheme: str | None = None) -> None:
        """Makes a handler of one scheme; default: both."""
        self._schemes = ("holdfast-client-artifact", "wandb-client-artifact") if scheme is None else (scheme,)

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has one of this handler's schemes."""
        return parsed_url.scheme in self._schemes

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Takes over the entry; the daemon commits the other draft first.

        Raises:
            ValueError: the URI is none of a draft.
        """
        session_id, _, source = request.uri.partition("://")[2].partition("/")
        if not _ID.fullmatch(session_id) or not source:
            raise ValueError(f"{request.uri} names no entry of a draft; pass the entry itself to add_reference.")
        source_path = logical_path(source)
        record = AddEntry(
            session_id=session_id, source_path=source_path, path=request.name or os.path.basename(source_path)
        )
        # Whether the other draft has this entry, the daemon alone can say.
        yield AddedReference(record, must_be_read=True)

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """Returns the URI.

        Raises:
            ValueError: the file is wanted, which a draft does not give out.
        """
        if local:
            raise ValueError(f"{manifest_entry.ref_target()} is an entry of a draft; log that artifact first.")
        return manifest_entry.ref_target()


def taken_over(entry: ArtifactManifestEntry, name: str | None) -> AddedReference:
    """Returns what is to be recorded of an entry of another artifact.

    Args:
        entry: of a logged version, or of a draft.
        name: path in the new artifact; default: the entry's own name.

    Raises:
        NotImplementedError: the entry belongs to no artifact.
    """
    owner, _, source_path = entry.ref_url().partition("://")[2].partition("/")
    record = AddEntry(source_path=source_path, path=name or os.path.basename(entry.path))
    if entry.parent_artifact().is_draft():
        record.session_id = owner
        # Whether the other draft comes to its end with this entry, the daemon alone can say.
        return AddedReference(record, must_be_read=True)
    record.version_id = owner
    return AddedReference(record, digest=entry.digest, size=entry.size)


def _entry_of(uri: str) -> ArtifactManifestEntry:
    artifact, path = _find(uri.partition("://")[2], uri)
    try:
        return artifact.get_entry(path)
    except KeyError as error:
        raise ReferenceMissingError(f"{uri}: artifact {artifact.qualified_name} has no entry {path!r}.") from error


def _find(name_and_path: str, uri: str) -> tuple[Artifact, str]:
    """The artifact of a URI, by its id or by its name, and the path of the entry in it."""
    from holdfast._artifact_names import complete_name
    from holdfast._process import this_process
    from holdfast._registry_calls import RegistryCalls
    from holdfast.artifact import Artifact
    from holdfast.errors import NotFoundError

    calls = RegistryCalls(this_process().daemon)
    # W&B writes ids after "_id/" in some places.
    first, _, path = name_and_path.removeprefix("_id/").partition("/")
    try:
        if _ID.fullmatch(first):
            return Artifact._of_version(calls.get_version(first)), path
        entity, project, name, path = name_and_path.split("/", 3)
        version_name = complete_name(f"{entity}/{project}/{name}", entity=entity, project=project)
        return Artifact._of_version(calls.resolve_version(version_name)), path
    except NotFoundError as error:
        raise ReferenceMissingError(f"{uri}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{uri} names no entry; write holdfast-artifact://entity/project/name:alias/path.") from error
