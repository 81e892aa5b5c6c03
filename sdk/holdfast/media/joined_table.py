"""Two tables that are to be looked at as one, row by row with equal keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import ObjectPlace, StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.manifest import ArtifactManifestEntry
from holdfast.media.partitioned_table import PartitionedTable
from holdfast.media.table import Table

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

_SUFFIXES = (".table.json", ".partitioned-table.json", ".table.parquet")
_FOLDER = "media/tables/"
TableInput = str | Table | PartitionedTable | ArtifactManifestEntry


class JoinedTable(StoredObject):
    """Two tables and the columns by which their rows belong together."""

    log_type: ClassVar[str] = "joined-table"

    def __init__(self, table1: TableInput, table2: TableInput, join_key: str | Sequence[str]) -> None:
        """Joins two tables.

        Args:
            table1: the path of a table in the artifact that this is added to, a table, or the entry of another artifact's table.
            table2: the other one.
            join_key: the column that both have, or the first one's and the second one's.

        Raises:
            ValueError: these are no tables, or a table that is at hand has no such column.
        """
        if not isinstance(join_key, str) and not (
            isinstance(join_key, list | tuple) and len(join_key) == 2 and all(isinstance(one, str) for one in join_key)
        ):
            raise ValueError("JoinedTable join_key should be a string or a list of two strings")
        for argument, table in (("table1", table1), ("table2", table2)):
            if not _is_table(table):
                raise ValueError(f"JoinedTable {argument} should be an artifact path to a table or Table object")
        first, second = (join_key, join_key) if isinstance(join_key, str) else join_key
        for argument, table, key in (("table1", table1, first), ("table2", table2, second)):
            if isinstance(table, Table) and key not in map(str, table.columns):
                raise ValueError(f"JoinedTable join_key {key!r} is no column of {argument}, which has {table.columns}")
        self._take(table1, table2, join_key if isinstance(join_key, str) else list(join_key))

    def _take(self, table1: TableInput, table2: TableInput, join_key: str | list[str]) -> None:
        self._table1, self._table2, self._join_key = table1, table2, join_key

    @property
    def table1(self) -> TableInput:
        """The first table; a path when nothing lies there."""
        return self._table1

    @property
    def table2(self) -> TableInput:
        """The second table; a path when nothing lies there."""
        return self._table2

    @property
    def join_key(self) -> str | list[str]:
        """The column that both have, or the two columns."""
        return self._join_key

    def _is_still(self, place: ObjectPlace) -> bool:
        tables = [table for table in (self._table1, self._table2) if isinstance(table, Table)]
        places = [table._source or table._target for table in tables]
        return all(
            lies_at is not None and table._is_still(lies_at) for table, lies_at in zip(tables, places, strict=True)
        )

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Returns the paths of the tables and the key; adds the tables to the artifact.

        Raises:
            ValueError: a path is none of the artifact.
        """
        return {
            "_type": self.log_type,
            "table1": self._path_in(artifact, self._table1, 1),
            "table2": self._path_in(artifact, self._table2, 2),
            "join_key": self._join_key,
        }

    def _path_in(self, artifact: Artifact, table: TableInput, number: int) -> str:
        if isinstance(table, Table | PartitionedTable):
            # Two versions of one table have one name, so neither keeps the name that it has where it comes from.
            source = table._source
            digest = None if source is None else source.artifact.manifest.entries[source.path].digest
            own_name = f"t{number}_{id(self)}" if digest is None else digest[:20]
            return artifact.add(table, _FOLDER + own_name).path
        if isinstance(table, ArtifactManifestEntry):
            suffix = next(one for one in _SUFFIXES if table.path.endswith(one))
            return artifact.add_reference(table, f"{_FOLDER}{table.digest[:20]}{suffix}")[0].path
        if artifact.manifest.get_entry_by_path(table) is None:
            raise ValueError(
                f"JoinedTable table:{table} not found in artifact. Add a table to the artifact using"
                f" Artifact#add(<table>, {table}) before adding this JoinedTable"
            )
        return table

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the joined table of a file.

        Raises:
            MalformedObjectError: it holds none; the message names the key.
        """
        fields = ObjectFields(json, "JoinedTable", artifact)
        tables = []
        for key in ("table1", "table2"):
            path = fields.path(key)
            found = artifact.get(path)
            tables.append(path if found is None else found)
            if not _is_table(tables[-1]):
                raise fields.malformed(key, f"{path!r:.200} is no table")
        join_key = fields.values.get("join_key")
        if not isinstance(join_key, str) and not (
            isinstance(join_key, list) and len(join_key) == 2 and all(isinstance(one, str) for one in join_key)
        ):
            raise fields.malformed("join_key", "is neither a text nor a list of two")
        # Whoever wrote it need not have looked whether the tables have the columns.
        joined = cls.__new__(cls)
        joined._take(tables[0], tables[1], join_key)  # type: ignore[arg-type]  # _is_table has seen to it
        return joined

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JoinedTable):
            return NotImplemented
        return (self._join_key, self._table1, self._table2) == (other._join_key, other._table1, other._table2)

    __hash__ = None  # type: ignore[assignment]  # its tables change

    def __repr__(self) -> str:
        return f"JoinedTable by {self._join_key!r}:\n{self._table1!r}\n{self._table2!r}"


def _is_table(value: object) -> bool:
    if isinstance(value, ArtifactManifestEntry):
        value = value.path
    return isinstance(value, Table | PartitionedTable) or (isinstance(value, str) and value.endswith(_SUFFIXES))
