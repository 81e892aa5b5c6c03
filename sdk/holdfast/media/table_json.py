"""The JSON form of tables: `{_type, columns, data, ncols, nrows, column_types, log_mode}`, with large arrays in files beside it.

A column of arrays of one shape lies in `media/serialized_data/` as an `.npz` file; a column of short vectors, and one with Nones
between the arrays, is written as lists.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from holdfast._object_fields import ObjectFields, reading_file
from holdfast.errors import ArtifactError, MalformedObjectError
from holdfast.media.column_types import ColumnTypes, is_key
from holdfast.media.dtypes import (
    ANY,
    BOOLEAN,
    NUMBER,
    STRING,
    TIMESTAMP,
    UNKNOWN,
    CannotAssign,
    ListType,
    NDArrayType,
    Type,
    TypedDictType,
    UnionType,
    assign_all,
    is_array,
    optional,
)
from holdfast.media.dtypes_json import TypeReader, type_to_json
from holdfast.media.optional_package import load_package
from holdfast.media.read_ahead import noting_order
from holdfast.media.table_cells import Decode, array_of, decoder_of, encode_column
from holdfast.media.table_keys import ForeignIndexType, ForeignKeyType, TableIndex, TableKey

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.media.table import Table
    from holdfast.media.table_rows import TableRows

VECTOR_LENGTH_MAX = 150
"""Of vectors that are written as lists, so that whoever shows the table can show them."""
_ARRAYS_FOLDER = "media/serialized_data"
_INCREMENT = re.compile(r"(\d+)(?:-(\d+))?\..*\.table\.json")
"""Files of a table that was logged step by step."""
_ELEMENTS = {"b": BOOLEAN, "U": STRING, "M": TIMESTAMP}
"""By numpy's letter for the kind of an array's elements; others are numbers."""
LOG_MODES = ("IMMUTABLE", "MUTABLE", "INCREMENTAL")


def table_to_json(table: TableRows, artifact: Artifact) -> dict[str, Any]:
    """Returns the JSON of a table; adds to the artifact what lies beside it.

    Raises:
        TypeError: a cell has no form in JSON; the message names row and column.
    """
    rows = table._all_rows()
    types = dict(table.column_types)
    replaced: dict[int, Sequence[Any]] = {}
    for at, name in enumerate(table.columns):
        cells = [row[at] for row in rows]
        types[name], written = written_column(types[name], cells, name, artifact)
        if written is not cells:
            replaced[at] = written
    if replaced:
        rows = list(map(list, rows))
        for at, written in replaced.items():
            for row, cell in zip(rows, written, strict=True):
                row[at] = cell
    return description_of(table, types, len(rows), artifact) | {"data": rows}


def description_of(table: TableRows, types: Mapping[Any, Type], row_count: int, artifact: Artifact) -> dict[str, Any]:
    """Returns all of the JSON but the rows."""
    content = {
        "_type": "table",
        "columns": table.columns,
        "ncols": len(table.columns),
        "nrows": row_count,
        "column_types": type_to_json(TypedDictType(types), artifact),
        "log_mode": table.log_mode,
    }
    return content | ({"_increment_num": table._step_number} if table.log_mode == "INCREMENTAL" else {})


def written_column(dtype: Type, cells: list[Any], name: object, artifact: Artifact) -> tuple[Type, Sequence[Any]]:
    """Returns the type and the cells that stand in the file; adds to the artifact what lies beside it.

    Raises:
        TypeError: a cell has no form in JSON; the message names row and column.
    """
    array_type = _array_type(dtype)
    if array_type is None or not cells:
        return dtype, encode_column(cells, name, artifact)
    found = [array_of(cell) for cell in cells if is_array(cell) or isinstance(cell, list | tuple)]
    kinds = {array.dtype.kind for array in found}
    if kinds and not kinds & {"c", "O", "V"} and is_short_vector(array_type):
        element = _ELEMENTS.get(min(kinds), NUMBER) if len(kinds) == 1 else NUMBER
        lists = ListType(element, array_type.shape[0])
        return _with_member(dtype, array_type, lists), encode_column(cells, name, artifact)
    if len(found) < len(cells) or "O" in kinds:
        return _with_member(dtype, array_type, NDArrayType(array_type.shape)), encode_column(cells, name, artifact)
    place = {"path": _add_arrays(found, str(name), artifact), "key": str(name)}
    return _with_member(dtype, array_type, NDArrayType(array_type.shape, place)), [None] * len(cells)


def is_short_vector(dtype: Type) -> bool:
    """Says whether arrays of a type are written as lists."""
    return isinstance(dtype, NDArrayType) and len(dtype.shape) == 1 and dtype.shape[0] <= VECTOR_LENGTH_MAX


def _array_type(dtype: Type) -> NDArrayType | None:
    members = dtype.allowed if isinstance(dtype, UnionType) else (dtype,)
    return next((one for one in members if isinstance(one, NDArrayType)), None)


def _with_member(dtype: Type, old: Type, new: Type) -> Type:
    if not isinstance(dtype, UnionType):
        return new
    return UnionType([new if one is old else one for one in dtype.allowed])


def _add_arrays(arrays: list[Any], key: str, artifact: Artifact) -> str:
    """Adds a file of the arrays as one; equal ones of two tables are one file."""
    numpy = load_package("numpy", "Table")
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        path = os.path.join(folder, "column.npz")
        # numpy's own savez takes the keys as arguments, of which "file" is none.
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as file,
        ):
            numpy.lib.format.write_array(file, numpy.stack(arrays), allow_pickle=False)
        return artifact.add_file(path, f"{_ARRAYS_FOLDER}/column.npz", is_tmp=True).path


class TableReader:
    """Reads one table."""

    def __init__(self, content: Any, artifact: Artifact) -> None:
        """Takes over the JSON.

        Raises:
            MalformedObjectError: it is no JSON object.
        """
        self._fields = ObjectFields(content, "Table", artifact)
        self._artifact = artifact

    def columns(self) -> list[Any]:
        """Returns the names of the columns.

        Raises:
            MalformedObjectError: they are no names.
        """
        names = self._fields.sequence("columns")
        for at, name in enumerate(names):
            if type(name) not in (str, int):
                raise self._fields.malformed(f"columns[{at}]", "is neither a text nor a whole number")
        return names

    def malformed(self, key: str, problem: str) -> MalformedObjectError:
        """Returns the error for a key; see `ObjectFields`."""
        return self._fields.malformed(key, problem)

    def parquet_path(self) -> str | None:
        """Returns the path of the file that has the rows; None: they are in this one.

        Raises:
            MalformedObjectError: it is no path.
        """
        return self._fields.path("parquet_path") if self._fields.values.get("parquet_path") is not None else None

    def opener(self, path: str) -> Callable[[], IO[bytes]]:
        """Returns what opens another file of the artifact.

        Raises:
            MalformedObjectError: there is none.
        """
        try:
            entry = self._artifact.get_entry(path)
        except KeyError as error:
            raise self._fields.malformed("parquet_path", f"there is no {path!r:.200} in the artifact") from error
        return lambda: entry.open("rb")

    def log_mode(self) -> str:
        """Returns how the table was logged; a mode that nothing here knows is the first."""
        written = self._fields.text_or_none("log_mode")
        return written if written in LOG_MODES else LOG_MODES[0]

    def types(self, columns: list[Any]) -> dict[Any, Type]:
        """Returns the types of those columns that the file has types of.

        Raises:
            MalformedObjectError: they are no types.
        """
        written = self._fields.values.get("column_types")
        if written is None:
            return {}
        dtype = TypeReader(self._fields, self._artifact).read(written, "column_types")
        if not isinstance(dtype, TypedDictType):
            raise self._fields.malformed("column_types", "is not the type of a dict of columns")
        return {name: dtype.type_map[str(name)] for name in columns if str(name) in dtype.type_map}

    def revived_rows(self, columns: list[Any], types: dict[Any, Type]) -> list[list[Any]]:
        """Returns the rows, of a table that was logged step by step those of all its files, and finds types that the file does not say.

        Raises:
            MalformedObjectError: they are no rows of these columns.
        """
        rows: list[list[Any]] = []
        parts = self._increments() if self._fields.values.get("log_mode") == "INCREMENTAL" else []
        for path, part in parts:
            with reading_file(path):
                found = part.rows(columns)
                # Each file has the arrays of its own rows.
                part.revive_rows(columns, found, part.types(columns))
            rows.extend(found)
        if not parts:
            rows = self.rows(columns)
            self.revive_rows(columns, rows, types)
        else:
            types.update({name: known_type(types.get(name), rows, at) for at, name in enumerate(columns)})
        return rows

    def rows(self, columns: list[Any]) -> list[list[Any]]:
        """Returns the rows of this file as JSON has them.

        Raises:
            MalformedObjectError: they are no rows of these columns.
        """
        rows = self._fields.sequence("data")
        if set(map(type, rows)) - {list} or set(map(len, rows)) - {len(columns)}:
            at = next(at for at, row in enumerate(rows) if type(row) is not list or len(row) != len(columns))
            raise self._fields.malformed(f"data[{at}]", f"is no list of {len(columns)} cells")
        return rows

    def _increments(self) -> list[tuple[str, TableReader]]:
        """The files of a table that was logged step by step, in the order of their rows.

        That is the order of their times: a run that goes on in another process may count its steps from 0 again.
        """
        found = []
        for path in self._artifact.manifest.entries:
            match = _INCREMENT.fullmatch(path)
            if match is not None:
                found.append((int(match[2] or 0), int(match[1]), path))
        parts = []
        for _, _, path in sorted(found):
            with self._artifact.get_entry(path).open("r") as file:
                part = json.load(file)
            if not isinstance(part, dict):
                raise self._fields.malformed("data", f"{path} has none")
            parts.append((path, TableReader(part, self._artifact)))
        return parts

    def revive_rows(self, columns: list[Any], rows: list[list[Any]], types: dict[Any, Type]) -> None:
        """Makes the cells, in place, of what JSON has for them, and finds the types that the file does not say.

        Raises:
            MalformedObjectError: it has no such cells.
        """
        for at, name in enumerate(columns):
            dtype = types.get(name)
            if dtype is None or not self._is_plain(dtype):
                cells = self.revive(at, dtype, [row[at] for row in rows])
                for row, cell in zip(rows, cells, strict=True):
                    row[at] = cell
            types[name] = known_type(dtype, rows, at)

    def _is_plain(self, dtype: Type) -> bool:
        return decoder_of(dtype, self._artifact) is None and not is_key(dtype)

    def revive(self, at: int, dtype: Type | None, cells: list[Any], first_row: int = 0) -> Sequence[Any]:
        """Returns the cells of a column, made of what JSON has for them.

        Args:
            at: number of the column.
            dtype: its type, if the file says it.
            cells: as JSON has them.
            first_row: number of the first of them.

        Raises:
            MalformedObjectError: JSON has no such cells.
        """
        place = _array_place(dtype)
        if place is not None:
            return self._arrays(at, place, cells, first_row)
        decode = decoder_of(ANY if dtype is None else dtype, self._artifact)
        if dtype is not None and is_key(dtype):
            wanted = int if isinstance(dtype, ForeignIndexType) else str
            decode = _key_decoder(wanted)
        if decode is None:
            return cells
        with noting_order():
            return [
                self._decoded(decode, cell, f"data[{number}][{at}]") for number, cell in enumerate(cells, first_row)
            ]

    def _decoded(self, decode: Decode, cell: Any, where: str) -> Any:
        try:
            return decode(cell, where)
        except MalformedObjectError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise self._fields.malformed(where, f"{cell!r:.80} is none of the column's type ({error})") from error

    def _arrays(self, at: int, dtype: NDArrayType, cells: list[Any], first_row: int) -> Sequence[Any]:
        place = dtype.serialization_path
        assert place is not None, "only called for arrays in a file"
        numpy = load_package("numpy", "Reading arrays of a table")
        key = f"column_types.params.type_map.{at}.params.serialization_path"
        try:
            entry = self._artifact.get_entry(place["path"])
            with numpy.load(entry.download(), allow_pickle=False) as archive:
                arrays = archive[place["key"]]
        except ArtifactError:  # the bytes cannot be had, which is not the file's fault
            raise
        except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise self._fields.malformed(key, f"the arrays cannot be read ({error})") from error
        if len(arrays) < first_row + len(cells):
            raise self._fields.malformed(key, f"{len(arrays)} arrays are there for {first_row + len(cells)} rows")
        return list(arrays[first_row : first_row + len(cells)])


def _key_decoder(wanted: type) -> Decode:
    def decode(cell: Any, where: str) -> Any:
        if type(cell) is not wanted:
            raise TypeError("it leads to no row of a table")
        return cell

    return decode


def known_type(dtype: Type | None, rows: Sequence[Sequence[Any]], at: int) -> Type:
    """Returns the type of a column that was read: what the file says, without the place of its arrays; else what is in the cells."""
    place = _array_place(dtype)
    if dtype is not None:
        return dtype if place is None else _with_member(dtype, place, NDArrayType(place.shape))
    return _found_type([row[at] for row in rows])


def _array_place(dtype: Type | None) -> NDArrayType | None:
    found = None if dtype is None else _array_type(dtype)
    return found if found is not None and found.serialization_path is not None else None


def _found_type(cells: list[Any]) -> Type:
    """The type of a column of an older file, which says none."""
    try:
        return assign_all(optional(UNKNOWN), cells, widen=True)
    except CannotAssign:
        return optional(ANY)


def wrap_keys(cells: Sequence[Any], dtype: Type, table: Table, name: str | int) -> list[Any]:
    """Returns the cells of a column as what leads to rows of a table.

    Args:
        cells: texts or numbers.
        dtype: of the column.
        table: that they are in.
        name: of the column.
    """
    wrapped: list[Any] = []
    for cell in cells:
        if isinstance(dtype, ForeignIndexType):
            index = TableIndex(cell)
            index.set_table(dtype.table)
            wrapped.append(index)
        else:
            key = TableKey(cell)
            if isinstance(dtype, ForeignKeyType):
                key.set_table(dtype.table, dtype.col_name)
            else:
                key.set_table(table, name)
            wrapped.append(key)
    return wrapped


def read_types(types: dict[Any, Type]) -> ColumnTypes:
    """Returns the types of columns that were read; cells that are added later must fit them."""
    found = ColumnTypes()
    for name, dtype in types.items():
        found.set(name, dtype, declared=False)
    return found
