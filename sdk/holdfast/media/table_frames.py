"""What tables become: tables of Arrow's, and what is made of these."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from holdfast.errors import MissingPackageError
from holdfast.media.dtypes import is_array
from holdfast.media.table_cells import array_of
from holdfast.media.table_parquet import load_pyarrow


def arrow_table(names: Sequence[object], columns: Sequence[Sequence[Any]]) -> Any:
    """Returns a table of Arrow's; arrays in cells become lists.

    Args:
        names: of the columns.
        columns: the cells of each.

    Raises:
        MissingPackageError: pyarrow is not installed.
        TypeError: Arrow has no type for the cells of a column.
    """
    pyarrow = load_pyarrow()
    arrays = []
    for name, cells in zip(names, columns, strict=True):
        plain = [array_of(cell).tolist() if is_array(cell) else cell for cell in cells]
        try:
            arrays.append(pyarrow.array(plain))
        except (pyarrow.ArrowException, OverflowError, TypeError) as error:
            raise TypeError(f"Column {name!r} has cells that Arrow has no one type for: {error}") from error
    return pyarrow.Table.from_arrays(arrays, names=[str(name) for name in names])


def load_library(module: str, needed_for: str) -> Any:
    """Returns a library that users who want its objects have.

    Raises:
        MissingPackageError: it is not installed; the message has the command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"{needed_for} needs {module}: pip install {module}") from error
