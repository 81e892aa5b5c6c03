"""The files of a logged version, one object each, as `Artifact.files()` gives them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from holdfast._comm_errors import normalize_exceptions
from holdfast._pagination import Page, SizedPaginator
from holdfast.errors import CommError
from holdfast.manifest import ArtifactManifestEntry

if TYPE_CHECKING:
    from holdfast._version_reading import VersionReading


class File:
    """One file of a logged version."""

    def __init__(self, artifact: VersionReading, entry: ArtifactManifestEntry) -> None:
        """Makes the file of an entry."""
        self._artifact = artifact
        self._entry = entry

    @property
    def id(self) -> str:
        """The version's id and the path in it."""
        return f"{self._artifact.id}/{self.name}"

    @property
    def name(self) -> str:
        """Its path in the artifact."""
        return self._entry.path

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._entry.size or 0

    @property
    def digest(self) -> str:
        """BLAKE3 of its bytes in hex, or what identifies the referenced object."""
        return self._entry.digest

    @property
    def md5(self) -> None:
        """None: contents are known by their `digest`, which is no MD5."""
        return None

    @property
    def mimetype(self) -> str:
        """What its name says of its kind; "application/octet-stream" when it says nothing."""
        import mimetypes  # reads files of the system

        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def updated_at(self) -> str:
        """When the version was committed: ISO 8601, UTC."""
        return self._artifact.created_at

    @property
    def url(self) -> str:
        """A URL that names the file; fsspec opens it."""
        return f"{self._artifact.url}/{self.name}"

    @property
    def direct_url(self) -> str:
        """As `url`."""
        return self.url

    @property
    def path_uri(self) -> str:
        """The URI of the referenced object; empty for a file that is stored here."""
        return self._entry.ref or ""

    @normalize_exceptions
    def download(
        self, root: str = ".", replace: bool = False, exist_ok: bool = False, api: Any = None
    ) -> io.TextIOWrapper:
        """Puts the file below a folder and opens it for reading.

        Args:
            root: the folder.
            replace: replace what has its name there.
            exist_ok: open what has its name there.
            api: accepted for compatibility.

        Raises:
            CommError: (a ValueError) something of its name is there, and neither `replace` nor `exist_ok` was given.
        """
        path = os.path.join(root, self.name)
        if os.path.exists(path) and not replace:
            if not exist_ok:
                raise ValueError(
                    "File already exists, pass `replace=True` to overwrite or `exist_ok=True` to leave it as is and"
                    f" don't error: {path}"
                )
            return open(path)
        return open(self._entry.download(root))

    def delete(self) -> None:
        """Not possible: a version never changes.

        Raises:
            CommError: always.
        """
        raise CommError(
            f"{self.name} cannot be deleted: a version never changes. Log a new one without it"
            " (`new_draft()`, `remove()`), or delete the whole version"
        )

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}) {self.size} bytes>"


class ArtifactFiles(SizedPaginator[File]):
    """The files of a logged version, in the order of their paths."""

    def __init__(
        self,
        artifact: VersionReading,
        names: Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        """Makes the paginator.

        Args:
            artifact: a logged version.
            names: only these paths; those that it does not have are left out.
            per_page: files of one page; the manifest, which they come from, has pages of its own.
            start: `cursor` of an earlier paginator, to go on from there.

        Raises:
            ValueError: `per_page` is not positive.
        """
        super().__init__(per_page, start)
        self._artifact = artifact
        self._names = None if names is None else frozenset(names)
        # By the cursor at which they go on: a page does not decode again what the page before has decoded.
        self._walks: dict[str | None, tuple[list[ArtifactManifestEntry], Iterator[ArtifactManifestEntry]]] = {}
        self._total: int | None = None

    @property
    def path(self) -> list[str]:
        """Entity, project and name of the artifact."""
        return [self._artifact.entity, self._artifact.project, self._artifact.name]

    def _fetch(self, cursor: str | None) -> Page[File]:
        # The cursor is the last path of the page before; one entry more tells whether there is a next page.
        kept = self._walks.pop(cursor, None)
        read, walk = kept or ([], self._entries_after(cursor or ""))
        found = [*read, *islice(walk, self.per_page + 1 - len(read))]
        page, rest = found[: self.per_page], found[self.per_page :]
        next_cursor = page[-1].path if rest else None
        if next_cursor is not None:
            self._walks[next_cursor] = rest, walk
        return Page([File(self._artifact, entry) for entry in page], next_cursor, self._count())

    def _entries_after(self, path: str) -> Iterator[ArtifactManifestEntry]:
        manifest = self._artifact.manifest
        if self._names is None:
            return (entry for _, entry in manifest.items_after(path))
        # Looked up, so that a few files of a large artifact cost no walk over it.
        found = (manifest.get_entry_by_path(name) for name in sorted(self._names, key=_as_sorted) if name > path)
        return (entry for entry in found if entry is not None)

    def _count(self) -> int:
        if self._total is None:
            manifest = self._artifact.manifest
            names = self._names
            if names is None:
                self._total = len(manifest)
            else:
                self._total = sum(manifest.get_entry_by_path(name) is not None for name in names)
        return self._total

    def __repr__(self) -> str:
        return f"<ArtifactFiles {'/'.join(self.path)} ({len(self)})>"


def _as_sorted(path: str) -> bytes:
    return path.encode()
