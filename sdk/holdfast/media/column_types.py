"""The types of a table's columns: given by the user or found from the cells, and checked with every row that is added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast._artifact_objects import StoredObject
from holdfast.media.dtypes import (
    NONE,
    NUMBER,
    TIMESTAMP,
    UNKNOWN,
    CannotAssign,
    Type,
    TypedDictType,
    as_type,
    assign_all,
    optional,
    scalar_type,
    type_of,
)
from holdfast.media.dtypes_json import classes_id_type
from holdfast.media.table_keys import ForeignIndexType, ForeignKeyType, PrimaryKeyType, TableIndex, TableKey

ColumnName = str | int
_KEY_KINDS = frozenset({TableKey, TableIndex})


class ColumnTypes:
    """Type by column, in the order of the columns; a set of rows is taken as a whole or not at all."""

    def __init__(self) -> None:
        """Makes the types of a table without columns."""
        self.by_name: dict[ColumnName, Type] = {}
        self.keys: dict[ColumnName, Type] = {}
        """Those of the columns whose cells lead to rows."""
        self.declared: set[ColumnName] = set()
        """Columns that take what their types say and no more."""
        # Classes whose values leave a column's type as it is: what nearly every cell that is added alone is of.
        self._taken: dict[ColumnName, set[type]] = {}

    def set(self, name: ColumnName, dtype: Type, *, declared: bool) -> None:
        """Gives a column its type; `declared`: only what it says is taken."""
        self.by_name[name] = dtype
        self._taken[name] = set()
        self.declared.discard(name)
        if declared:
            self.declared.add(name)
        self.keys.pop(name, None)
        if is_key(dtype):
            self.keys[name] = dtype

    def drop(self, name: ColumnName) -> None:
        """Forgets a column."""
        self.by_name.pop(name)
        self._taken.pop(name)
        self.keys.pop(name, None)
        self.declared.discard(name)

    def as_dict_type(self) -> TypedDictType:
        """Returns the type of a row as a dict."""
        return TypedDictType(self.by_name)

    def add_row(self, row: Sequence[Any], at: int) -> None:
        """Takes one row.

        Args:
            row: a cell for each column.
            at: its number, for the message.

        Raises:
            TypeError: a cell does not fit; nothing has changed.
        """
        changed: dict[ColumnName, Type] = {}
        for (name, dtype), cell in zip(self.by_name.items(), row, strict=True):
            if type(cell) in self._taken[name]:
                continue
            result = self.after(name, dtype, [cell], at)
            if result is not dtype:
                changed[name] = result
            elif _leaves_as_it_is(dtype, type(cell)):
                self._taken[name].add(type(cell))
        for name, dtype in changed.items():
            self.by_name[name] = dtype
            self._taken[name] = set()

    def add_columns(self, columns: Sequence[Sequence[Any]], first_row: int) -> None:
        """Takes many rows.

        Args:
            columns: the cells of each column.
            first_row: number of the first one, for the message.

        Raises:
            TypeError: a cell does not fit; nothing has changed.
        """
        results = {}
        for (name, dtype), cells in zip(self.by_name.items(), columns, strict=True):
            results[name] = self.after(name, dtype, cells, first_row)
        for name, dtype in results.items():
            if dtype is not self.by_name[name]:
                self.by_name[name] = dtype
                self._taken[name] = set()

    def after(self, name: ColumnName, dtype: Type, cells: Sequence[Any], first_row: int = 0) -> Type:
        """Returns what a column's type becomes when cells are added.

        Args:
            name: of the column.
            dtype: its type before.
            cells: all that are added.
            first_row: number of the first one, for the message.

        Raises:
            TypeError: a cell does not fit.
        """
        try:
            return assign_all(dtype, cells, widen=name not in self.declared)
        except CannotAssign as error:
            raise _refusal(error, first_row + error.at, name, declared=name in self.declared) from None


def _refusal(error: CannotAssign, row: int, name: ColumnName, *, declared: bool) -> TypeError:
    remedy = "convert it" if declared else "convert it, or make the table with allow_mixed_types=True"
    return TypeError(f"Data row contained incompatible types: row {row}, column {name!r}: {error}; {remedy}")


def _leaves_as_it_is(dtype: Type, kind: type) -> bool:
    scalar = scalar_type(kind)
    if scalar is None or dtype.by_value or dtype.assign_type(scalar) is not dtype:
        return False
    # NaN is of the class of numbers, and counts as None.
    return scalar not in (NUMBER, TIMESTAMP) or dtype.assign_type(NONE) is dtype


def is_key(dtype: Type) -> bool:
    """Says whether cells of a type lead to rows of a table."""
    return isinstance(dtype, PrimaryKeyType | ForeignKeyType | ForeignIndexType)


def key_type_in(cells: Sequence[Any]) -> Type | None:
    """Returns the type of the first cell that leads to a row of a table, if there is one."""
    if not has_keys(cells):
        return None
    found = next(type_of(cell) for cell in cells if isinstance(cell, TableKey | TableIndex))
    return found if is_key(found) else None


def has_keys(cells: Sequence[Any]) -> bool:
    """Says whether one of the cells leads to a row of a table."""
    return not _KEY_KINDS.isdisjoint(map(type, cells))


def declared_type(dtype: object) -> Type:
    """Returns the type that a user declares; a set of classes stands for the numbers of its classes."""
    if isinstance(dtype, StoredObject) and dtype.log_type == "classes":
        return classes_id_type(dtype)
    return as_type(dtype)


def types_for(columns: Sequence[ColumnName], dtype: object, optionals: bool | Sequence[bool]) -> ColumnTypes:
    """Returns the types of new columns.

    Args:
        columns: their names.
        dtype: None: found from the cells; a list: of each column; else: of all.
        optionals: whether they take None; a list: each.

    Raises:
        ValueError: a list is not as long as there are columns.
    """
    dtypes = list(dtype) if isinstance(dtype, list) else [dtype] * len(columns)
    nones = [optionals] * len(columns) if isinstance(optionals, bool) else list(optionals)
    for argument, given in (("dtype", dtypes), ("optional", nones)):
        if len(given) != len(columns):
            raise ValueError(f"{argument} has {len(given)} items, and the table {len(columns)} columns")
    types = ColumnTypes()
    for name, one, takes_none in zip(columns, dtypes, nones, strict=True):
        wanted = UNKNOWN if one is None else declared_type(one)
        types.set(name, optional(wanted) if takes_none else wanted, declared=one is not None)
    return types
