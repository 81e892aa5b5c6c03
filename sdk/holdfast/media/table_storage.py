"""Rows of a table that are in a Parquet file and not in memory; those that are added later are in memory until they are many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from holdfast.media.column_types import ColumnName
from holdfast.media.dtypes import ANY, BOOLEAN, NONE, NUMBER, STRING, TIMESTAMP, Type, optional
from holdfast.media.table_json import TableReader, description_of, written_column
from holdfast.media.table_parquet import CHUNK_ROWS, ParquetRows, ParquetSpool, is_scalar, load_pyarrow

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.media.table_rows import TableRows

Revive = Callable[[int, list[Any], int], Sequence[Any]]
"""Makes cells of what JSON has for them: number of the column, the cells, number of the first row."""


class StoredRows:
    """Rows in a file."""

    def __init__(self, rows: ParquetRows, revive: Revive, spool: ParquetSpool | None = None) -> None:
        """Takes over a file.

        Args:
            rows: in it.
            revive: makes the cells.
            spool: that holds the file, if it is a temporary one.
        """
        self._rows = rows
        self._revive = revive
        self._spool = spool
        self.row_count = rows.row_count

    def column(self, at: int) -> Sequence[Any]:
        """Returns the cells of a column; the bytes of the others are not read."""
        return self._revive(at, self._rows.column(at), 0)

    def plain_columns(self, types: Sequence[Type]) -> dict[int, Any]:
        """Returns the columns of Arrow's, by number, that are what their cells would be; see `ParquetRows.plain_columns`.

        Args:
            types: of all columns.
        """
        return self._rows.plain_columns({at: dtype for at, dtype in enumerate(types) if is_scalar(dtype)})

    def batches(self) -> Generator[list[list[Any]], None, None]:
        """Yields some rows at a time."""
        first_row = 0
        for columns in self._rows.batches():
            revived = [self._revive(at, cells, first_row) for at, cells in enumerate(columns)]
            rows = list(map(list, zip(*revived, strict=True)))
            first_row += len(rows)
            yield rows


def sealed(spool: ParquetSpool, table: TableRows, revive: Revive) -> StoredRows:
    """Returns the rows of a spool, which takes no more."""
    return opened(spool.finish(plain_description(table, spool.row_count)), revive, spool)


def opened(path: str, revive: Revive, spool: ParquetSpool) -> StoredRows:
    """Returns the rows of the file of a spool that is finished."""

    def open_file() -> IO[bytes]:
        return open(path, "rb")

    return StoredRows(ParquetRows(open_file, _damaged), revive, spool)


def _damaged(key: str, problem: str) -> Exception:
    return OSError(f"A temporary file of a table is damaged: {key}: {problem}")


def plain_description(table: TableRows, row_count: int) -> dict[str, Any]:
    """Returns what a file says of a table whose columns lead to nothing beside it."""
    nowhere: Any = None  # types without tables and classes put nothing into an artifact
    return description_of(table, table.column_types, row_count, nowhere)


def write_rows(table: TableRows, artifact: Artifact) -> tuple[ParquetSpool, dict[str, Any]]:
    """Writes a table that is in memory.

    Args:
        table: the table.
        artifact: takes what its cells need beside it.

    Returns:
        The file, not finished, and what it is to say of itself.

    Raises:
        TypeError: a cell has no form in JSON; the message names row and column.
    """
    types: dict[ColumnName, Type] = dict(table.column_types)
    rows = table._all_rows()
    columns = []
    for at, name in enumerate(table.columns):
        types[name], cells = written_column(types[name], [row[at] for row in rows], name, artifact)
        columns.append(cells)
    spool = ParquetSpool(table.columns)
    for first in range(0, len(rows), CHUNK_ROWS):
        spool.append([cells[first : first + CHUNK_ROWS] for cells in columns], list(types.values()))
    return spool, description_of(table, types, len(rows), artifact)


# --- tables of Arrow's ------------------------------------------------------------------------------------------------


def as_arrow(batch: Any) -> Any:
    """Returns a batch as a table of Arrow's, if its columns are typed already; None for anything else.

    Args:
        batch: of pyarrow, pandas or polars, or a dict of arrays.
    """
    library = type(batch).__module__.partition(".")[0]
    if library not in ("pyarrow", "pandas", "polars") and not isinstance(batch, Mapping):
        return None
    pyarrow = load_pyarrow()
    try:
        if isinstance(batch, pyarrow.RecordBatch):
            return pyarrow.Table.from_batches([batch])
        if library == "pandas":
            return _of_pandas(batch)
        if library == "polars":
            return (batch.collect() if hasattr(batch, "collect") else batch).to_arrow()
        return pyarrow.table(batch) if isinstance(batch, Mapping) else batch
    except (pyarrow.ArrowException, TypeError, ValueError):
        return None  # cells that Arrow has no type for are taken one by one


def _of_pandas(frame: Any) -> Any:
    pyarrow = load_pyarrow()
    table = pyarrow.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    for at, dtype in enumerate(frame.dtypes):
        # NaN is what is in these cells; pyarrow would make nulls of it.
        if str(dtype) in ("float32", "float64") and table.column(at).null_count:
            table = table.set_column(at, table.column_names[at], pyarrow.array(frame.iloc[:, at].to_numpy()))
    return table


def type_of_arrow(arrow_type: Any) -> Type | None:
    """Returns the type of columns that are of a type of Arrow's; None when cells have to be looked at."""
    types = load_pyarrow().types
    if types.is_dictionary(arrow_type):
        return type_of_arrow(arrow_type.value_type)
    if types.is_boolean(arrow_type):
        return BOOLEAN
    if types.is_integer(arrow_type) or types.is_floating(arrow_type):
        return NUMBER
    if types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        return STRING
    if types.is_timestamp(arrow_type) or types.is_date(arrow_type):
        return TIMESTAMP
    return NONE if types.is_null(arrow_type) else None


def normal_form(batch: Any) -> Any:
    """Returns a table of Arrow's with the types that files have; None when that would change a cell."""
    pyarrow = load_pyarrow()
    wanted = {
        BOOLEAN: pyarrow.bool_(),
        STRING: pyarrow.string(),
        TIMESTAMP: pyarrow.timestamp("ms", tz="UTC"),
        NONE: pyarrow.null(),
    }
    columns = []
    for column in batch.columns:
        dtype = type_of_arrow(column.type)
        if dtype is None:
            return None
        if dtype is NUMBER:
            target = pyarrow.float64() if pyarrow.types.is_floating(column.type) else pyarrow.int64()
        else:
            target = wanted[dtype]
        try:
            # Files have milliseconds, as the JSON form has.
            columns.append(column.cast(target, safe=dtype is not TIMESTAMP))
        except pyarrow.ArrowException:
            return None
    return pyarrow.Table.from_arrays(columns, names=batch.column_names)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_stored(
    open_file: Callable[[], IO[bytes]], reader: TableReader, types: Mapping[ColumnName, Type], columns: list[ColumnName]
) -> tuple[StoredRows, dict[ColumnName, Type]]:
    """Returns the rows of a file in an artifact, and the types of all columns.

    Args:
        open_file: opens the file.
        reader: of the table's JSON.
        types: that the JSON says.
        columns: names.

    Raises:
        MalformedObjectError: the file has not these columns, or is none.
    """
    rows = ParquetRows(open_file, reader.malformed)
    if rows.names != [str(name) for name in columns]:
        raise reader.malformed("parquet_path", f"the file has the columns {rows.names}, not {columns}")
    known = {name: types.get(name) or _type_of_field(rows, at) for at, name in enumerate(columns)}

    def revive(at: int, cells: list[Any], first_row: int) -> Sequence[Any]:
        return reader.revive(at, known[columns[at]], cells, first_row)

    return StoredRows(rows, revive), known


def _type_of_field(rows: ParquetRows, at: int) -> Type:
    found = type_of_arrow(rows.schema.field(at).type)
    return optional(ANY if found in (None, NONE) else found)


def described_content(open_file: Callable[[], IO[bytes]], reader: TableReader, path: str) -> dict[str, Any]:
    """Returns the JSON of a table whose Parquet file stands alone: what the file says of itself, else its columns.

    Args:
        open_file: opens the file.
        reader: for messages.
        path: of the file in the artifact.

    Raises:
        MalformedObjectError: it is no Parquet file.
    """
    rows = ParquetRows(open_file, reader.malformed)
    described = {
        key: value for key, value in rows.description.items() if key in ("columns", "column_types", "log_mode")
    }
    return {"columns": rows.names, **described, "parquet_path": path}
