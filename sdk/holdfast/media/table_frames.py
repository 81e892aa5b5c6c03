"""What tables become: tables of Arrow's, data frames, and what is made of these.

Columns in Parquet files that are plain go over as they are; of all others cells are made first.  The result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingPackageError
from holdfast.media.dtypes import is_array
from holdfast.media.optional_package import load_package
from holdfast.media.table_cells import EPOCH, PLAIN_KINDS, array_of
from holdfast.media.table_parquet import load_pyarrow

if TYPE_CHECKING:
    from holdfast.media.table_rows import TableRows


def arrow_table(table: TableRows) -> Any:
    """Returns a table of Arrow's; arrays in cells become lists.

    Raises:
        MissingPackageError: pyarrow is not installed.
        TypeError: Arrow has no type for the cells of a column.
    """
    pyarrow = load_pyarrow()
    plain = _plain_columns(table)
    arrays = []
    for at, name in enumerate(table.columns):
        if at in plain:
            arrays.append(plain[at])
            continue
        try:
            arrays.append(pyarrow.array(_without_arrays(table._cells(name))))
        except (pyarrow.ArrowException, OverflowError, TypeError) as error:
            raise TypeError(f"Column {name!r} has cells that Arrow has no one type for: {error}") from error
    return pyarrow.Table.from_arrays(arrays, names=[str(name) for name in table.columns])


def pandas_frame(table: TableRows) -> Any:
    """Returns a data frame of pandas'.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    pandas = load_package("pandas", "Table.get_dataframe")
    if not table.columns or len(set(table.columns)) < len(table.columns):
        return pandas.DataFrame.from_records(table._all_rows(), columns=table.columns)
    plain = _plain_columns(table)
    columns = {}
    for at, name in enumerate(table.columns):
        series = _series_of_arrow(plain.pop(at), pandas) if at in plain else None
        columns[name] = _series_of_cells(table._cells(name), pandas) if series is None else series
    return pandas.DataFrame(columns)


def _plain_columns(table: TableRows) -> dict[int, Any]:
    """Columns of Arrow's, by number, of a table whose rows are in a file."""
    stored = table._sealed()
    if stored is None:
        return {}
    found = stored.plain_columns([table.column_types[name] for name in table.columns])
    whole = {at: _followed_by(column, [row[at] for row in table._rows]) for at, column in found.items()}
    return {at: column for at, column in whole.items() if column is not None}


def _followed_by(column: Any, cells: list[Any]) -> Any:
    """A column and cells that come after it; None when they may make another type together."""
    if not cells:
        return column
    if any(not _is_as_in_files(cell) for cell in cells):
        return None
    pyarrow = load_pyarrow()
    try:
        rest = pyarrow.array(cells)
    except (pyarrow.ArrowException, OverflowError, TypeError):
        return None
    if rest.type != column.type:
        return None
    return pyarrow.chunked_array([*column.chunks, rest])


def _is_as_in_files(cell: Any) -> bool:
    kind = type(cell)
    return kind in (str, int, float, bool, type(None)) or (kind is datetime and cell.tzinfo is UTC)


def _without_arrays(cells: Sequence[Any]) -> Sequence[Any]:
    if PLAIN_KINDS.issuperset(map(type, cells)):
        return cells
    return [array_of(cell).tolist() if is_array(cell) else cell for cell in cells]


def _series_of_cells(cells: Sequence[Any], pandas: Any) -> Any:
    numpy = load_package("numpy", "Table.get_dataframe")
    # Lists and arrays in cells are cells, not more dimensions.
    return pandas.Series(numpy.fromiter(cells, object, len(cells))).infer_objects()


def _series_of_arrow(column: Any, pandas: Any) -> Any:
    """What pandas makes of the cells; None: only they themselves tell."""
    pyarrow = load_pyarrow()
    if pyarrow.types.is_null(column.type):
        return None
    if not pyarrow.types.is_timestamp(column.type):
        return column.to_pandas()
    wanted = _series_of_cells([EPOCH], pandas).dtype
    numpy = load_package("numpy", "Table.get_dataframe")
    absent = numpy.datetime64("NaT", "us").astype("int64").item()
    microseconds = column.cast(pyarrow.int64()).fill_null(absent).to_numpy().view("datetime64[us]")
    try:
        return pandas.Series(pandas.DatetimeIndex(microseconds).tz_localize(wanted.tz).as_unit(wanted.unit))
    except pandas.errors.OutOfBoundsDatetime:  # of nanoseconds, which older versions have
        return None


def load_library(module: str, needed_for: str) -> Any:
    """Returns a library that users who want its objects have.

    Raises:
        MissingPackageError: it is not installed; the message has the command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"{needed_for} needs {module}: pip install {module}") from error
