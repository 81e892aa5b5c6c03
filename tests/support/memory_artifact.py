"""An artifact in a folder: what objects write into one and read from it, without daemon and registry."""

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from holdfast._artifact_objects import (
    StoredObject,
    encode_object,
    log_types,
    object_file_name,
    object_type,
    read_object,
)
from holdfast.media.table import Table
from holdfast_contract.digest import digest_of, to_hex


@dataclass(frozen=True)
class FolderEntry:
    """One file."""

    path: str
    file: Path

    @property
    def digest(self) -> str:
        return to_hex(digest_of(self.file.read_bytes()))

    def download(self) -> str:
        return str(self.file)

    def open(self, mode: str = "rb") -> IO[Any]:
        return self.file.open(mode)


class FolderArtifact:
    """Draft and version at once."""

    name = "a:v0"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.id = uuid.uuid4().hex
        self.manifest = self

    @property
    def entries(self) -> Mapping[str, FolderEntry]:
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        return {(path := str(file.relative_to(self._folder))): FolderEntry(path, file) for file in files}

    def get_entry(self, path: str) -> FolderEntry:
        return self.entries[path]

    def get_entry_by_path(self, path: str) -> FolderEntry | None:
        return self.entries.get(path)

    def add_file(self, local_path: str, name: str, is_tmp: bool = False, overwrite: bool = False) -> FolderEntry:
        path = Path(name)
        if is_tmp:
            path = path.with_name(to_hex(digest_of(Path(local_path).read_bytes()))[:20] + "".join(path.suffixes))
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local_path, target)
        return FolderEntry(str(path), target)

    def _read_small(self, paths: Sequence[str]) -> dict[str, bytes]:
        files = {path: self._folder / path for path in paths}
        return {path: file.read_bytes() for path, file in files.items() if file.is_file()}

    def write(self, path: str, content: object) -> None:
        """Puts JSON, or text, into a file."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content))

    def add(self, value: StoredObject, name: str) -> FolderEntry:
        path = value.file_name(name)
        self.write(path, encode_object(value, self, path))  # type: ignore[arg-type]
        return FolderEntry(path, self._folder / path)

    def get(self, name: str) -> StoredObject | None:
        for log_type in log_types():
            entry = self.entries.get(object_file_name(log_type, name))
            kind = object_type(log_type)
            if entry is not None and kind is not None:
                return read_object(kind, entry.download(), self, entry.path)  # type: ignore[arg-type]
        path = name.removesuffix(".table.parquet") + ".table.parquet"
        return Table.from_parquet(path, self) if path in self.entries else None  # type: ignore[arg-type]
