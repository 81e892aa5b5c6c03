"""The files of a logged version, one object each, as `Artifact.files()` gives them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from holdfast._pagination import Paginator
from holdfast.manifest import ArtifactManifestEntry

if TYPE_CHECKING:
    from holdfast._version_reading import VersionReading


class File:
    """One file of a logged version."""

    def __init__(self, entry: ArtifactManifestEntry) -> None:
        """Makes the file of an entry."""
        self._entry = entry

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
    def path_uri(self) -> str:
        """A URI that names it."""
        return self._entry.ref or self._entry.ref_url()

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
            ValueError: something of its name is there, and neither `replace` nor `exist_ok` was given.
        """
        path = os.path.join(root, self.name)
        if os.path.exists(path) and not replace:
            if not exist_ok:
                raise ValueError(
                    "File already exists, pass replace=True to overwrite or exist_ok=True to leave it as is and don't"
                    f" error: {path}"
                )
            return open(path)
        return open(self._entry.download(root))

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size} bytes)>"


class ArtifactFiles(Paginator[File]):
    """The files of a logged version, in the order of their paths."""

    def __init__(
        self,
        artifact: VersionReading,
        names: Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        """Makes the paginator; `names` limits it to these paths."""
        super().__init__(per_page, start)
        self._artifact = artifact
        self._names = None if names is None else frozenset(names)

    @property
    def path(self) -> list[str]:
        """Entity, project and name of the artifact."""
        return [self._artifact.entity, self._artifact.project, self._artifact.name]

    def _fetch(self, cursor: str | None) -> tuple[list[File], str | None]:
        # The cursor is the last path of the page before.
        entries = (
            entry
            for path, entry in self._artifact.manifest.items_after(cursor or "")
            if self._names is None or path in self._names
        )
        page = list(islice(entries, self.per_page))
        return [File(entry) for entry in page], page[-1].path if len(page) == self.per_page else None
