"""Where the rows of a table are: in memory, or, of one in Parquet form, those that came first in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from holdfast._artifact_objects import ObjectPlace, StoredObject
from holdfast._warn_user import warn_user
from holdfast.media.column_types import ColumnName, ColumnTypes
from holdfast.media.dtypes import INVALID, NONE, Type
from holdfast.media.table_cells import encode_plain, revive_plain
from holdfast.media.table_display import SHOWN_ROWS
from holdfast.media.table_parquet import ParquetSpool, is_native
from holdfast.media.table_storage import StoredRows, normal_form, sealed, type_of_arrow

Format = Literal["json", "parquet"]


class LoggedSteps(NamedTuple):
    """What a run has logged of a table step by step."""

    step_count: int = 0
    row_count: int = 0
    at_ms: int = 0
    """Time of the last step."""


class TableRows(StoredObject):
    """Base of `Table`: its rows."""

    columns: list[ColumnName]
    log_mode: str
    format: Format
    _types: ColumnTypes
    _rows: list[list[Any]]
    """In memory; rows in files come before them."""
    _stored: StoredRows | None = None
    _spool: ParquetSpool | None = None
    """Is given rows; then nothing is in `_stored`."""
    _is_given_out = False
    """Whether somebody has had the lists in memory, and may have changed cells."""
    _head: list[list[Any]]
    """The first rows, if they are in files."""
    _logged_in: str | None = None
    """Path of the run whose `log` has taken it as it is; if it is immutable, as it was."""
    _steps: Mapping[tuple[str, str], LoggedSteps] = MappingProxyType({})
    """What `log` has taken step by step, by run and key."""
    _step_number = 0
    """Of a table that is a step of another."""
    _is_told = False
    """Whether its user knows that `log` will not take changes."""

    @property
    def data(self) -> list[list[Any]]:
        """The rows, each a list of cells.  Cells may be replaced; what is put there is not checked.

        Of a table in Parquet form, all rows are read into memory and stay there; `iterrows` and `get_column` read less.
        """
        self._is_given_out = True
        return self._all_rows()

    def _all_rows(self) -> list[list[Any]]:
        """As `data`, for those who change none."""
        stored = self._sealed()
        if stored is not None:
            self._rows[:0] = [row for batch in stored.batches() for row in batch]
            self._stored = None
        return self._rows

    @property
    def column_types(self) -> Mapping[ColumnName, Type]:
        """What each column takes."""
        return self._types.by_name

    def __len__(self) -> int:
        return self._row_count_in_files() + len(self._rows)

    def _row_count_in_files(self) -> int:
        return sum(rows.row_count for rows in (self._stored, self._spool) if rows is not None)

    def column_index(self, name: ColumnName) -> int:
        """Returns the place of a column in the rows.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self.columns:
            raise ValueError(f"The table has no column {name!r}; its columns: {self.columns}")
        return self.columns.index(name)

    def _cells(self, name: ColumnName) -> list[Any]:
        at = self.column_index(name)
        stored = self._sealed()
        in_files = () if stored is None else stored.column(at)
        return [*in_files, *(row[at] for row in self._rows)]

    def _first_rows(self) -> list[list[Any]]:
        if self._stored is not None and not self._head:
            self._head = next(self._stored.batches(), [])[:SHOWN_ROWS]
        return (
            [*self._head, *self._rows[:SHOWN_ROWS]][:SHOWN_ROWS]
            if self._row_count_in_files()
            else self._rows[:SHOWN_ROWS]
        )

    def _changed(self) -> None:
        # What was logged, or read, is not this table any more.
        self._source = self._target = None
        if self._logged_in is None:
            return
        if self.log_mode != "IMMUTABLE":
            self._logged_in = None
        elif not self._is_told:
            self._is_told = True
            warn_user(
                'This table changes after run.log has taken it, and log will not take it again; log_mode="MUTABLE" makes that possible.'
            )

    @property
    def _is_logged_in_steps(self) -> bool:
        """Whether `log` takes only the rows that are new; a file of Parquet's is always whole."""
        return self.log_mode == "INCREMENTAL" and self.format == "json"

    def _rows_from(self, first_row: int, number: int) -> Self:
        """Returns a table of the rows from one on: a step of this one."""
        part = copy(self)
        part._rows = part._rows[first_row:]
        part._step_number = number
        return part

    def _check_no_steps(self) -> None:
        """Refuses other columns for a table of whose rows some were logged.

        Raises:
            ValueError: they were.
        """
        if self._steps:
            raise ValueError(
                'Rows of this table were logged step by step and stay as they are; add columns before, or use log_mode="MUTABLE".'
            )

    def _is_still(self, place: ObjectPlace) -> bool:
        if not self._is_given_out:
            return True
        # What is not committed yet cannot be read to compare; the table is written again then.
        return place.artifact.is_logged and self == place.artifact.get(place.path)

    def __getstate__(self) -> dict[str, Any]:
        """Copies, here or in other processes, have all rows in memory, and do not know where this one was added to."""
        stored = self._sealed()
        in_files = [] if stored is None else [row for batch in stored.batches() for row in batch]
        left_out = ("_target", "_stored", "_spool", "_logged_in", "_steps", "_is_told")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return state | {"_rows": [*in_files, *self._rows], "_head": []}

    def _check_names(self, names: list[Any]) -> None:
        if set(names) != set(self.columns):
            raise ValueError(f"This table expects the columns {self.columns}, found {names}")

    def _add_arrow(self, batch: Any) -> bool:
        """Adds a table of Arrow's without looking at its cells; False: that cannot be, and nothing is added."""
        names = {str(name): name for name in self.columns}
        self._check_names([names.get(name, name) for name in batch.column_names])
        batch = normal_form(batch.select(list(names)))
        if batch is None or not self._spill():
            return False
        types = {}
        for column, name in zip(batch.columns, self.columns, strict=True):
            before = self._types.by_name[name]
            found = type_of_arrow(column.type) or NONE
            types[name] = before.assign_type(found)
            # Cells that may not be absent, or whose values count, are looked at.
            if before.assign_type(NONE) is INVALID or before.by_value or not is_native(types[name]):
                return False
        for name, dtype in types.items():
            if dtype is not self._types.by_name[name]:
                self._types.set(name, dtype, declared=name in self._types.declared)
        shown = batch.slice(0, SHOWN_ROWS - len(self._head)).to_pylist()
        self._head.extend(list(row.values()) for row in shown)
        self._begin_spool().append_arrow(batch)
        self._changed()
        return True

    def _spill(self) -> bool:
        """Moves what is in memory to a file; False: the table is none in Parquet form, or has cells that need their artifact first."""
        if self.format != "parquet" or self._types.keys or not self.columns:
            return False
        dtypes = list(self._types.by_name.values())
        if self._rows and not all(map(is_native, dtypes)):
            return False
        if not self._rows:
            return True
        self._head.extend(map(list, self._rows[: SHOWN_ROWS - len(self._head)]))
        columns = [
            encode_plain(cells, name) for name, cells in zip(self.columns, zip(*self._rows, strict=True), strict=True)
        ]
        self._begin_spool().append(columns, dtypes)
        self._rows = []
        return True

    def _begin_spool(self) -> ParquetSpool:
        if self._spool is None:
            spool = ParquetSpool(self.columns)
            dtypes = list(self._types.by_name.values())
            for rows in self._stored.batches() if self._stored is not None else ():
                cells = zip(*rows, strict=True)
                spool.append([encode_plain(one, name) for name, one in zip(self.columns, cells, strict=True)], dtypes)
            self._spool, self._stored = spool, None
        return self._spool

    def _sealed(self) -> StoredRows | None:
        """Returns the rows in files, which are not added to any more."""
        if self._spool is not None:
            self._stored = sealed(self._spool, self, self._revive_plain)
            self._spool = None
        return self._stored

    def _revive_plain(self, at: int, cells: list[Any], first_row: int) -> Sequence[Any]:
        return revive_plain(self._types.by_name[self.columns[at]], cells)
