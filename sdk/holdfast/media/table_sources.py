"""What tables are made of: rows, data frames, Arrow tables, data sets, arrays; told apart without importing a library."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.media.dtypes import is_array

Columns = tuple[list[Any], list[list[Any]]]
"""Names, and the cells of each column."""


def columns_of(source: Any) -> Columns | None:
    """Returns the columns of something that knows their names; None for anything else.

    Args:
        source: a data frame of pandas' or polars', a table or batch of pyarrow's, a data set of Hugging Face's, or a list of dicts.
    """
    library = type(source).__module__.partition(".")[0]
    read = _READERS.get(library)
    if read is not None:
        return read(source)
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        names = list(dict.fromkeys(key for row in source for key in row))
        return names, [[row.get(name) for row in source] for name in names]
    return None


def names_of_frame(source: Any) -> list[Any] | None:
    """Returns the names of the columns of a frame or table that lies in memory column by column; None for anything else."""
    library = type(source).__module__.partition(".")[0]
    if library == "pyarrow":
        return list(source.column_names) if hasattr(source, "column_names") else None
    if library in ("pandas", "polars") and (hasattr(source, "iloc") or hasattr(source, "get_columns")):
        return list(source.columns) if hasattr(source, "columns") else None
    return None


def _of_pandas(source: Any) -> Columns | None:
    if not hasattr(source, "iloc") or not hasattr(source, "columns"):
        return None
    return list(source.columns), [_of_series(source.iloc[:, at]) for at in range(len(source.columns))]


def _of_series(series: Any) -> list[Any]:
    cells: list[Any] = series.tolist()
    if str(series.dtype).startswith("float"):
        return cells
    # Among texts and whole numbers, NaN is pandas' word for what is not there.
    return [None if absent else cell for cell, absent in zip(cells, series.isna().tolist(), strict=True)]


def _of_polars(source: Any) -> Columns | None:
    frame = source.collect() if hasattr(source, "collect") else source
    if not hasattr(frame, "get_columns"):
        return None
    return list(frame.columns), [column.to_list() for column in frame.get_columns()]


def _of_pyarrow(source: Any) -> Columns | None:
    if not hasattr(source, "column_names"):
        return None
    return list(source.column_names), [source.column(at).to_pylist() for at in range(source.num_columns)]


def _of_datasets(source: Any) -> Columns | None:
    names = getattr(source, "column_names", None)
    if not isinstance(names, list):  # streams may not know them
        rows = list(source)
        names = list(dict.fromkeys(key for row in rows for key in row))
        return names, [_with_media([row.get(name) for row in rows]) for name in names]
    if hasattr(source, "__getitem__"):
        return names, [_with_media(list(source[name])) for name in names]
    rows = list(source)
    return names, [_with_media([row[name] for row in rows]) for name in names]


def _with_media(cells: list[Any]) -> list[Any]:
    """Makes pictures that the data set has decoded into images."""
    pillow = sys.modules.get("PIL.Image")
    if pillow is None or not any(isinstance(cell, pillow.Image) for cell in cells):
        return cells
    from holdfast.media.image import Image  # only needed with pictures

    return [Image(cell) if isinstance(cell, pillow.Image) else cell for cell in cells]


_READERS = {"pandas": _of_pandas, "polars": _of_polars, "pyarrow": _of_pyarrow, "datasets": _of_datasets}


def rows_of(source: Any) -> list[list[Any]]:
    """Returns the rows of a list of rows or of an array.

    Raises:
        TypeError: it is neither.
    """
    if is_array(source):
        if source.ndim < 2:
            raise TypeError(f"data is an array of {source.ndim} dimensions, a table needs rows and columns")
        return [cells_of(row) for row in source]
    if not isinstance(source, list | tuple):
        raise TypeError(
            f"data argument expects a list of rows, an array or a data frame, not {type(source).__name__}: {source!r:.80}"
        )
    for at, row in enumerate(source):
        if isinstance(row, str | bytes | Mapping) or not hasattr(row, "__iter__"):
            raise TypeError(f"Row {at} is no list of cells, but {type(row).__name__}: {row!r:.80}")
    return list(map(list, source))


def cells_of(column: Any) -> list[Any]:
    """Returns the cells of a column that is a list, an array or a series.

    Raises:
        TypeError: it is none of these.
    """
    if is_array(column):
        dtype = str(getattr(column, "dtype", ""))
        if getattr(column, "ndim", 0) != 1:
            return list(column)
        if dtype.startswith("datetime64"):  # of nanoseconds come whole numbers, of others datetimes
            return column.astype("datetime64[us]").tolist()  # type: ignore[no-any-return]
        return column.tolist() if dtype.startswith(("int", "uint", "float", "bool", "<U")) else list(column)
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__iter__"):
        raise TypeError(f"A column is a list or an array of cells, not {type(column).__name__}: {column!r:.80}")
    to_list = getattr(column, "to_list", None)
    return list(column if to_list is None else to_list())


def check_lengths(columns: Sequence[object], rows: Sequence[Sequence[Any]]) -> None:
    """Refuses rows that have not one cell for each column.

    Raises:
        ValueError: names the first such row.
    """
    if not set(map(len, rows)) - {len(columns)}:
        return
    at, row = next((at, row) for at, row in enumerate(rows) if len(row) != len(columns))
    raise ValueError(f"This table expects {len(columns)} columns: {list(columns)}, found {len(row)} in row {at}")
