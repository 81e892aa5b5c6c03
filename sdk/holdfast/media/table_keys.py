"""Cells that lead to rows of other tables, and the types of columns of such cells."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

from holdfast._artifact_objects import StoredObject
from holdfast.media.dtypes import INVALID, NUMBER, STRING, UNKNOWN, ConstType, Type, register_class

if TYPE_CHECKING:
    from holdfast.media.table import Table


class TableKey(str):
    """A text that names a row of a table by what is in one of its columns."""

    _table: Table | None = None
    _col_name: str | int | None = None

    def set_table(self, table: Table, col_name: str | int) -> None:
        """Says which table, and in which of its columns the text is found.

        Raises:
            ValueError: the table has no such column.
        """
        table.column_index(col_name)
        self._table, self._col_name = table, col_name


class TableIndex(int):
    """The number of a row of a table, from 0."""

    _table: Table | None = None

    def set_table(self, table: Table) -> None:
        """Says which table."""
        self._table = table

    def get_row(self) -> dict[str | int, Any]:
        """Returns the row by the names of the columns; empty when no table is known.

        Raises:
            IndexError: the table has no such row.
        """
        if self._table is None:
            return {}
        return dict(zip(self._table.columns, self._table._all_rows()[self], strict=True))


class PrimaryKeyType(Type):
    """Texts that name the rows of their own table."""

    name = "primaryKey"
    legacy_names = ("wandb.TablePrimaryKey",)
    __slots__ = ()

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        is_text = other is STRING or isinstance(other, PrimaryKeyType | ForeignKeyType)
        return self if is_text or other is UNKNOWN else INVALID


class ForeignKeyType(Type):
    """Texts that name the rows of another table."""

    name = "foreignKey"
    legacy_names = ("wandb.TableForeignKey",)
    __slots__ = ("col_name", "table")

    def __init__(self, table: Table, col_name: str | int) -> None:
        """Makes the type of texts that are found in a column of a table.

        Raises:
            ValueError: the table has no such column.
        """
        table.column_index(col_name)
        self.table = table
        self.col_name = col_name

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"table": self.table, "col_name": self.col_name}

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        same = isinstance(other, ForeignKeyType) and other.table is self.table and other.col_name == self.col_name
        return self if same or other is STRING or other is UNKNOWN else INVALID

    def __repr__(self) -> str:
        return f"Foreignkey({self.col_name!r})"


class ForeignIndexType(Type):
    """Numbers of rows of another table."""

    name = "foreignIndex"
    legacy_names = ("wandb.TableForeignIndex",)
    __slots__ = ("table",)

    def __init__(self, table: Table) -> None:
        """Makes the type of numbers of rows of a table."""
        self.table = table

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"table": self.table}

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        same = isinstance(other, ForeignIndexType) and other.table is self.table
        return self if same or other is NUMBER or other is UNKNOWN else INVALID

    def __repr__(self) -> str:
        return "Foreignindex"


class ClassesIdType(Type):
    """Numbers of classes of a set of classes."""

    name = "classesId"
    legacy_names = ("wandb.Classes_id",)
    __slots__ = ("classes", "ids")

    def __init__(self, classes: StoredObject, ids: frozenset[object]) -> None:
        """Makes the type.

        Args:
            classes: the set, a `Classes`.
            ids: the numbers in it.
        """
        self.classes = classes
        self.ids = ids

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"classes_obj": self.classes}

    @property
    def by_value(self) -> bool:
        """See `Type.by_value`."""
        return True

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        is_known = isinstance(value, Integral | str) and not isinstance(value, bool) and value in self.ids
        return self if is_known else INVALID

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        is_known = isinstance(other, ConstType) and other.val in self.ids
        return self if is_known or other == self or other is UNKNOWN else INVALID

    def __repr__(self) -> str:
        return "Classesid"


def _type_of_key(key: TableKey) -> Type:
    return STRING if key._table is None or key._col_name is None else ForeignKeyType(key._table, key._col_name)


def _type_of_index(index: TableIndex) -> Type:
    return NUMBER if index._table is None else ForeignIndexType(index._table)


register_class(TableKey, _type_of_key)
register_class(TableIndex, _type_of_index)
