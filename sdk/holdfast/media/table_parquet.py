"""The Parquet form of tables: a file of typed columns beside the JSON that describes it, written in batches, read column by column.

Numbers, texts, booleans, datetimes and lists of these are Parquet's own; other cells are texts of JSON, which the schema's metadata
names.  The same metadata has the types of the columns, so that the file is a table without the JSON, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import IO, Any, Final

from holdfast.errors import Error
from holdfast.media.column_types import ColumnName
from holdfast.media.dtypes import (
    BOOLEAN,
    NONE,
    NUMBER,
    STRING,
    TIMESTAMP,
    ListType,
    Type,
    UnionType,
)
from holdfast.media.optional_package import load_package
from holdfast.media.table_cells import EARLIEST_MS, LATEST_MS
from holdfast.media.table_keys import ForeignIndexType, ForeignKeyType, PrimaryKeyType
from holdfast.media.temporary_folder import process_folder

BATCH_ROWS: Final = 16_384
"""Held as Python's objects at a time: some 20 MB of ten columns."""
GROUP_BYTES: Final = 48 << 20
"""Of a row group in memory.  Each of its columns is megabytes in the file, and the store's blocks at its ends, which are fetched with
it, are little beside it."""
GROUP_ROWS_MAX: Final = 1 << 20
CHUNK_ROWS: Final = 131_072
"""Handled at a time where a file is written anew."""
DESCRIPTION_KEY: Final = b"holdfast.table"
Malformed = Callable[[str, str], Exception]
_SCALARS = (NUMBER, STRING, BOOLEAN)


def load_pyarrow() -> Any:
    """Returns pyarrow.

    Raises:
        MissingPackageError: it is not installed.
    """
    return load_package("pyarrow", "A table in Parquet form")


def load_parquet() -> Any:
    """Returns pyarrow's module for Parquet.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    return load_package("pyarrow.parquet", "A table in Parquet form")


def without_none(dtype: Type) -> Type:
    """Returns what a type takes besides None, when that is one type; else the type."""
    if not isinstance(dtype, UnionType):
        return dtype
    others = [one for one in dtype.allowed if one is not NONE]
    return others[0] if len(others) == 1 else dtype


def is_native(dtype: Type) -> bool:
    """Says whether Parquet has cells of a type as they are."""
    only = without_none(dtype)
    if isinstance(only, ListType):
        return without_none(only.element) in _SCALARS
    return only in (*_SCALARS, TIMESTAMP) or isinstance(only, PrimaryKeyType | ForeignKeyType | ForeignIndexType)


def is_scalar(dtype: Type) -> bool:
    """Says whether cells of a type are numbers, texts, booleans or datetimes, all of one kind."""
    return without_none(dtype) in (*_SCALARS, TIMESTAMP)


def arrow_column(cells: Sequence[Any], dtype: Type) -> tuple[Any, bool]:
    """Returns a column of Arrow's, and whether its cells are texts of JSON.

    Args:
        cells: as JSON has them.
        dtype: of the column.
    """
    pyarrow = load_pyarrow()
    if is_native(dtype):
        only = without_none(dtype)
        try:
            if only is TIMESTAMP:
                return pyarrow.array(cells, pyarrow.timestamp("ms", tz="UTC")), False
            if only is NUMBER and any(type(cell) is float for cell in cells):
                whole = [cell for cell in cells if type(cell) is int]
                if all(int(float(cell)) == cell for cell in whole):
                    return pyarrow.array(cells, pyarrow.float64()), False
            else:
                wanted = pyarrow.string() if only is STRING else None
                return pyarrow.array(cells, wanted), False
        # Numbers of more than 64 bits, and texts that are none in UTF-8.
        except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError):
            pass
    return pyarrow.array(
        [None if cell is None else json.dumps(cell, sort_keys=True) for cell in cells], pyarrow.string()
    ), True


class ParquetSpool:
    """A Parquet file that grows by batches, in a temporary folder; a batch whose columns are of other types begins another part."""

    def __init__(self, names: Sequence[ColumnName]) -> None:
        """Makes an empty one.

        Args:
            names: of the columns.
        """
        self._names = [str(name) for name in names]
        self._folder = tempfile.mkdtemp(dir=process_folder())
        # A child that ends leaves its parent's file alone.
        weakref.finalize(self, _remove, self._folder, os.getpid())
        self._parts: list[_Part] = []
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._json_columns: frozenset[str] = frozenset()
        self.row_count = 0

    def append(self, columns: Sequence[Sequence[Any]], types: Sequence[Type]) -> None:
        """Adds rows.

        Args:
            columns: the cells of each column, as JSON has them.
            types: of the columns.
        """
        arrays, json_columns = [], set()
        for name, cells, dtype in zip(self._names, columns, types, strict=True):
            array, is_json = arrow_column(cells, dtype)
            arrays.append(array)
            if is_json:
                json_columns.add(name)
        self._append(load_pyarrow().Table.from_arrays(arrays, names=self._names), frozenset(json_columns))

    def append_arrow(self, table: Any) -> None:
        """Adds a table of Arrow's that has the same columns, all of types that Parquet has as they are."""
        self._append(table, frozenset())

    def _append(self, table: Any, json_columns: frozenset[str]) -> None:
        known = self._waiting[-1].schema if self._waiting else self._parts[-1].schema if self._parts else None
        if known is not None and json_columns == self._json_columns:
            table = _aligned(table, known)
        if known is not None and (table.schema != known or json_columns != self._json_columns):
            self._write()
            self._end_part()
        self._json_columns = json_columns
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self.row_count += table.num_rows
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes >= GROUP_BYTES or self._waiting_rows >= GROUP_ROWS_MAX:
            self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        table = load_pyarrow().concat_tables(self._waiting)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        if not self._parts or self._parts[-1].writer is None:
            path = os.path.join(self._folder, f"{len(self._parts)}.parquet")
            self._parts.append(_Part(path, table.schema, self._json_columns))
        self._parts[-1].write(table)

    def _end_part(self) -> None:
        if self._parts:
            self._parts[-1].close({})

    def finish(self, description: dict[str, Any]) -> str:
        """Writes the rest and returns the path of the file, which lasts as long as this object.

        Args:
            description: for the file's metadata.
        """
        if not self.row_count:
            pyarrow = load_pyarrow()
            self._append(pyarrow.table({name: pyarrow.array([], "string") for name in self._names}), frozenset())
        self._write()
        last = self._parts[-1]
        if len(self._parts) > 1:
            self._end_part()
            last = self._merged()
        last.close({**description, "json_columns": sorted(last.json_columns)})
        return last.path

    def _merged(self) -> _Part:
        """One part of all: a column that one part has as JSON, or that no type of Parquet's holds, is JSON in all."""
        pyarrow = load_pyarrow()
        json_columns = frozenset[str]().union(*(part.json_columns for part in self._parts))
        types: dict[str, Any] = {}
        for name in self._names:
            found = [pyarrow.schema([part.schema.field(name)]) for part in self._parts]
            try:
                types[name] = pyarrow.unify_schemas(found, promote_options="permissive").field(name).type
            except pyarrow.ArrowException:
                json_columns |= {name}
            if name in json_columns or not self._can_cast(name, types[name]):
                json_columns |= {name}
                types[name] = pyarrow.string()
        whole = _Part(os.path.join(self._folder, "whole.parquet"), pyarrow.schema(types), json_columns)
        for part in self._parts:
            for table in part.tables():
                for name in json_columns - part.json_columns:
                    table = _as_json(table, name)
                whole.write(table.cast(whole.schema))
            os.unlink(part.path)
        self._parts = [whole]
        return whole

    def _can_cast(self, name: str, dtype: Any) -> bool:
        """Says whether a column's cells are the same in a type; floats cannot tell all large whole numbers apart."""
        for part in self._parts:
            if part.schema.field(name).type == dtype:
                continue
            try:
                for table in part.tables([name]):
                    table.column(0).cast(dtype)
            except load_pyarrow().ArrowException:
                return False
        return True


def _remove(folder: str, owner_pid: int) -> None:
    if os.getpid() == owner_pid:
        shutil.rmtree(folder, ignore_errors=True)


class _Part:
    """A file whose rows are of one schema."""

    def __init__(self, path: str, schema: Any, json_columns: frozenset[str]) -> None:
        self.path = path
        self.schema = schema
        self.json_columns = json_columns
        self.writer: Any = load_parquet().ParquetWriter(path, schema, compression="zstd")

    def write(self, table: Any) -> None:
        self.writer.write_table(table, row_group_size=GROUP_ROWS_MAX)

    def close(self, description: dict[str, Any]) -> None:
        if self.writer is None:
            return
        if description:
            self.writer.add_key_value_metadata({DESCRIPTION_KEY: json.dumps(description, sort_keys=True)})
        self.writer.close()
        self.writer = None

    def tables(self, names: list[str] | None = None) -> Generator[Any, None, None]:
        with load_parquet().ParquetFile(self.path) as file:
            for batch in file.iter_batches(CHUNK_ROWS, columns=names):
                yield load_pyarrow().Table.from_batches([batch])


def _aligned(table: Any, schema: Any) -> Any:
    """The table with the types of the one before it, where they hold the same cells."""
    if table.schema == schema:
        return table
    try:
        return table.cast(schema)
    except (load_pyarrow().ArrowException, ValueError):
        return table


def _as_json(table: Any, name: str) -> Any:
    pyarrow = load_pyarrow()
    at = table.column_names.index(name)
    column = table.column(at)
    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.int64())
    texts = [None if cell is None else json.dumps(cell, sort_keys=True) for cell in column.to_pylist()]
    return table.set_column(at, name, pyarrow.array(texts, pyarrow.string()))


class ParquetRows:
    """The rows of a file in Parquet form: a column, or a batch of rows, is read when it is asked for."""

    def __init__(self, open_file: Callable[[], IO[bytes]], malformed: Malformed) -> None:
        """Opens the file and reads what it says of itself.

        Args:
            open_file: opens it anew; only the bytes that are asked for are fetched.
            malformed: makes the error for a key of the file and what is wrong with it.

        Raises:
            Exception: of `malformed`: it is no Parquet file.
        """
        self._open = open_file
        self._malformed = malformed
        with self._file() as file:
            self.row_count: int = file.metadata.num_rows
            self.names: list[str] = list(file.schema_arrow.names)
            self.schema = file.schema_arrow
            written = (file.metadata.metadata or {}).get(DESCRIPTION_KEY)
        self.description: dict[str, Any] = self._described(written)
        self._json_columns = set(self.description.get("json_columns") or ())

    def _described(self, written: bytes | None) -> dict[str, Any]:
        try:
            found = json.loads(written) if written else {}
        except ValueError as error:
            raise self._malformed("holdfast.table", f"the schema's metadata is no JSON ({error})") from error
        return found if isinstance(found, dict) else {}

    @contextlib.contextmanager
    def _file(self) -> Generator[Any, None, None]:
        with contextlib.ExitStack() as stack:
            try:
                # Arrow leaves it to us to close what we have opened.
                file = load_parquet().ParquetFile(stack.enter_context(self._open()), pre_buffer=False)
            except Error:  # the bytes cannot be had, which is not the file's fault
                raise
            except (load_pyarrow().ArrowException, ValueError, OSError) as error:
                raise self._malformed("parquet_path", f"it is no Parquet file ({error})") from error
            yield file

    def column(self, at: int) -> list[Any]:
        """Returns the cells of a column as JSON has them; the bytes of the others are not read.

        Raises:
            Exception: of `malformed`: they cannot be read.
        """
        with self._file() as file:
            name = self.names[at]
            return self._cells(_column_named(name, file.read(columns=[name])), name)

    def plain_columns(self, types: Mapping[int, Type]) -> dict[int, Any]:
        """Returns columns of Arrow's as `pyarrow.array` would make them of the cells, by number.

        Args:
            types: scalar ones of columns, by number; columns whose cells have to be made one by one are left out.
        """
        wanted = [at for at in types if self.names[at] not in self._json_columns]
        if not wanted:
            return {}
        with self._file() as file:
            table = file.read(columns=[self.names[at] for at in wanted])
        columns = {at: _plain_column(_column_named(self.names[at], table), without_none(types[at])) for at in wanted}
        return {at: column for at, column in columns.items() if column is not None}

    def batches(self) -> Generator[list[list[Any]], None, None]:
        """Yields the columns of some rows at a time, as JSON has their cells.

        Raises:
            Exception: of `malformed`: they cannot be read.
        """
        with self._file() as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield [self._cells(column, name) for name, column in zip(self.names, batch.columns, strict=True)]

    def _cells(self, column: Any, name: str) -> list[Any]:
        pyarrow = load_pyarrow()
        try:
            if pyarrow.types.is_timestamp(column.type):
                column = column.cast(pyarrow.timestamp("ms"), safe=False).cast(pyarrow.int64())
            cells: list[Any] = column.to_pylist()
            if name in self._json_columns:
                return [None if cell is None else json.loads(cell) for cell in cells]
        except (pyarrow.ArrowException, ValueError, TypeError) as error:
            raise self._malformed(f"column {name}", f"it cannot be read ({error})") from error
        return cells


def _column_named(name: str, table: Any) -> Any:
    # Parquet takes "a.b" for a field of "a" and reads it, too.
    return table.column(table.column_names.index(name))


def _plain_column(column: Any, dtype: Type) -> Any:
    """A column with the type of Arrow's that cells of a type have; None when these may be other ones than it has."""
    pyarrow = load_pyarrow()
    found = column.type
    if column.null_count == len(column):
        return pyarrow.chunked_array([pyarrow.nulls(len(column))])
    if dtype is BOOLEAN:
        return column if pyarrow.types.is_boolean(found) else None
    if dtype is STRING:
        return column if pyarrow.types.is_string(found) and _is_valid(column) else None
    if dtype is NUMBER:
        if pyarrow.types.is_integer(found) and found != pyarrow.uint64():
            return column.cast(pyarrow.int64())
        return column.cast(pyarrow.float64()) if found in (pyarrow.float32(), pyarrow.float64()) else None
    return _plain_times(column) if pyarrow.types.is_timestamp(found) else None


def _is_valid(column: Any) -> bool:
    """Whether texts are such: who makes cells of them says what is wrong."""
    try:
        column.validate(full=True)
    except load_pyarrow().ArrowException:
        return False
    return True


def _plain_times(column: Any) -> Any:
    """Milliseconds, as cells have them, in the type of datetimes; None: some are none of Python's."""
    pyarrow = load_pyarrow()
    try:
        whole = column.cast(pyarrow.timestamp("ms"), safe=False).cast(pyarrow.int64())
    except pyarrow.ArrowException:
        return None
    limits = load_package("pyarrow.compute", "A table in Parquet form").min_max(whole)
    if limits["min"].as_py() < EARLIEST_MS or limits["max"].as_py() > LATEST_MS:
        return None
    return whole.cast(pyarrow.timestamp("ms", tz="UTC")).cast(pyarrow.timestamp("us", tz="UTC"))
