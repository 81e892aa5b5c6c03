"""A table whose rows are in many files below one folder of an artifact."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.media.table import Table

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

_PART_SUFFIXES = (".table.json", ".table.parquet")


class PartitionedTable(StoredObject):
    """All tables below a folder, one after another by their paths."""

    log_type: ClassVar[str] = "partitioned-table"

    def __init__(self, parts_path: str) -> None:
        """Makes a table of the tables below a folder of the artifact that it is added to.

        Args:
            parts_path: the folder.
        """
        self.parts_path = parts_path
        self._artifact: Artifact | None = None

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Returns the folder; the parts are added to the artifact by themselves."""
        return {"_type": self.log_type, "parts_path": self.parts_path}

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the table of a file; parts are read when their rows are asked for.

        Raises:
            MalformedObjectError: it holds none; the message names the key.
        """
        fields = ObjectFields(json, "PartitionedTable", artifact)
        table = cls(fields.text("parts_path"))
        table._artifact = artifact
        return table

    def part_paths(self) -> list[str]:
        """Returns the paths of the parts, in the order of their rows; none before the table was logged and got."""
        if self._artifact is None:
            return []
        folder = self.parts_path.strip("/")
        within = "" if folder in ("", ".") else f"{folder}/"
        paths = [path for path in self._artifact.manifest.entries if path.startswith(within)]
        found = sorted(path for path in paths if path.endswith(_PART_SUFFIXES))
        # A table in Parquet form is two files.
        described = {path.removesuffix(".json") for path in found if path.endswith(".json")}
        return [path for path in found if path.endswith(".json") or path.removesuffix(".parquet") not in described]

    def iterrows(self) -> Generator[tuple[int, list[Any]], None, None]:
        """Yields the number of each row and the row; one part is in memory at a time.

        Raises:
            ValueError: two parts have different columns.
            MalformedObjectError: a part is no table.
        """
        number = 0
        columns = None
        for path in self.part_paths():
            part = None if self._artifact is None else self._artifact.get(path)
            if not isinstance(part, Table):
                continue
            if columns is None:
                columns = part.columns
            elif columns != part.columns:
                raise ValueError(f"Table parts have non-matching columns. {columns} != {part.columns} in {path}")
            for _, row in part.iterrows():
                yield number, row
                number += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionedTable) and self.parts_path == other.parts_path

    def __hash__(self) -> int:
        return hash(self.parts_path)

    def __repr__(self) -> str:
        return f"PartitionedTable({self.parts_path!r}): {len(self.part_paths()):,} parts"
