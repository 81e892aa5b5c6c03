"""What a handler of references does, and the choice among them.

Users may write handlers of their own: `can_handle`, `store_path` and `load_path`, as in W&B.  Ours also say what they find bit by bit
(`references`) and bring objects straight to their place (`fetch`); `StorageHandler` derives both from the first three for those that
do not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from holdfast.errors import ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast_contract.paths import check_path, logical_path
from holdfastpb.daemon.v1.log_pb2 import AddEntry, AddReference

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.references.target_file import TargetFile

MAX_OBJECTS_DEFAULT = 10_000_000
"""W&B's limit for one `add_reference`."""


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """What the user has asked `add_reference` for."""

    artifact: Artifact | None
    """The draft that is filled."""
    uri: str
    name: str | None = None
    """Path in the artifact, checked; None: the handler's choice."""
    checksum: bool = True
    """False: the URI serves as digest, and nobody looks at the object."""
    max_objects: int | None = None

    @property
    def objects_max(self) -> int:
        """How many objects the URI may stand for."""
        return MAX_OBJECTS_DEFAULT if self.max_objects is None else self.max_objects

    def path_below(self, relative: str) -> str:
        """Path of an object that lies at `relative` below the folder that was asked for."""
        return f"{self.name}/{relative}" if self.name else relative

    def checked(self, found: Iterable[AddedReference]) -> Iterator[AddedReference]:
        """Passes on what was found, up to the limit.

        Raises:
            ValueError: there is more; nothing is ever left out silently.
            ManifestPathError: (a ValueError) an artifact cannot hold a path like that of the object.
        """
        for count, added in enumerate(found, 1):
            if count > self.objects_max:
                raise ValueError(
                    f"Exceeded {self.objects_max} objects tracked, pass max_objects to add_reference ({self.uri});"
                    " nothing was added."
                )
            if not added.is_folder:
                check_path(added.record.path)
            yield added


@dataclass(frozen=True, slots=True)
class AddedReference:
    """What a handler has found out about a URI, ready for the daemon."""

    record: AddReference | AddEntry
    is_folder: bool = False
    """The daemon makes one entry for each file below it."""
    must_be_read: bool = False
    """The daemon has yet to read it; `add_reference` waits for that."""
    digest: str = ""
    """Of an entry of another artifact, as far as it is known; a reference's stands in its record."""
    size: int | None = None
    """As `digest`."""

    def entry(self) -> ArtifactManifestEntry:
        """Returns the entry that this makes, as far as it is known."""
        record = self.record
        if isinstance(record, AddEntry):
            return ArtifactManifestEntry(record.path, self.digest or None, ref=_origin_of(record), size=self.size)
        return ArtifactManifestEntry(
            record.path,
            record.digest or None,
            ref=record.uri,
            size=None if self.must_be_read else record.size,
            extra=json.loads(record.extra_json) if record.extra_json else None,
        )


class StorageHandler:
    """Knows one kind of place where referenced objects lie; base class of handlers that users write."""

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether this handler is the one for a URI, which comes split into its parts."""
        raise NotImplementedError(f"{type(self).__name__}.can_handle is not defined")

    def store_path(
        self,
        artifact: Artifact | None,
        path: str,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """Finds out what is to be recorded of a URI.

        Args:
            artifact: the draft that is filled.
            path: the URI.
            name: path in the artifact; None: the handler's choice.
            checksum: False: do not look at the object.
            max_objects: how many objects the URI may stand for; None: 10,000,000.

        Returns:
            One entry for each object, with `path`, `digest` and `ref`, and `size` and `extra` where known.

        Raises:
            ValueError: the object cannot be referred to; the message says what to do.
        """
        request = ReferenceRequest(artifact, path, name, checksum, max_objects)
        return [added.entry() for added in self.references(request)]

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """Returns where the object is.

        Args:
            manifest_entry: a reference.
            local: bring the object to this machine, and return its path here; else the URI.

        Raises:
            ValueError: it cannot be brought here, or has changed.
            FileNotFoundError: it is gone.
        """
        if not local:
            return manifest_entry.ref_target()
        from holdfast.references.target_file import temporary_target

        with temporary_target(os.path.basename(manifest_entry.path)) as target:
            self.fetch(manifest_entry, target)
            return target.path

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Yields what is to be recorded; as `store_path`, one after another."""
        for entry in self.store_path(
            request.artifact, request.uri, request.name, request.checksum, request.max_objects
        ):
            yield AddedReference(_record_of(entry))

    def fetch(self, entry: ArtifactManifestEntry, target: TargetFile) -> None:
        """Puts the object in place, whole and checked as far as can be, or not at all.

        Raises:
            ReferenceMissingError: it is gone.
            ReferenceChangedError: it is not the one that was recorded.
            ValueError: it cannot be brought here.
        """
        path = self.load_path(entry, local=True)
        if not os.path.isfile(path):
            raise ReferenceMissingError(f"{entry.path} refers to {entry.ref}: there is no file {path}")
        with open(path, "rb", buffering=0) as source, target.writing() as file:
            shutil.copyfileobj(source, file)


class MultiHandler(StorageHandler):
    """Asks its handlers in order; the first that can handle a URI does, else the default one."""

    def __init__(
        self, handlers: Sequence[StorageHandler] | None = None, default_handler: StorageHandler | None = None
    ) -> None:
        """Makes the choice among `handlers`."""
        self._handlers = list(handlers or ())
        self._default = default_handler

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether one of the handlers is for a URI."""
        return self._default is not None or any(handler.can_handle(parsed_url) for handler in self._handlers)

    def handler_of(self, uri: str) -> StorageHandler:
        """Returns the handler for a URI.

        Raises:
            ValueError: none is.
        """
        url = urlsplit(uri)
        for handler in self._handlers:
            if handler.can_handle(url):
                return handler
        if self._default is None:
            raise ValueError(f'No storage handler registered for url "{uri}"')
        return self._default

    def ask_first(self, handler: StorageHandler) -> None:
        """Adds a handler before all others."""
        # Another list: somebody may be going through this one.
        self._handlers = [handler, *self._handlers]

    def store_path(
        self,
        artifact: Artifact | None,
        path: str,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """See `StorageHandler.store_path`."""
        return self.handler_of(path).store_path(artifact, path, name=name, checksum=checksum, max_objects=max_objects)

    def load_path(self, manifest_entry: ArtifactManifestEntry, local: bool = False) -> str:
        """See `StorageHandler.load_path`."""
        return self.handler_of(manifest_entry.ref_target()).load_path(manifest_entry, local=local)

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """See `StorageHandler.references`; keeps to the limit on the number of objects, whatever the handler does."""
        return request.checked(self.handler_of(request.uri).references(request))

    def fetch(self, entry: ArtifactManifestEntry, target: TargetFile) -> None:
        """See `StorageHandler.fetch`."""
        self.handler_of(entry.ref_target()).fetch(entry, target)


def extra_json(extra: dict[str, object]) -> bytes:
    """What is kept with an entry, as a record has it."""
    return json.dumps(extra, sort_keys=True).encode() if extra else b""


def _record_of(entry: ArtifactManifestEntry) -> AddReference:
    """What a handler of the user's has made, as a record."""
    if entry.ref is None:
        raise ValueError(f"A storage handler made an entry without ref: {entry!r}; references need one.")
    return AddReference(
        path=logical_path(entry.path),
        uri=str(entry.ref),
        digest=entry.digest or str(entry.ref),
        size=entry.size or 0,
        extra_json=extra_json(entry.extra),
    )


def _origin_of(record: AddEntry) -> str:
    place = f"artifact://{record.version_id}" if record.version_id else f"client-artifact://{record.session_id}"
    return f"holdfast-{place}/{record.source_path}"
