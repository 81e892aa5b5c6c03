"""Tables: rows of typed cells, which may be numbers, texts, images or other tables."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from holdfast._object_fields import path_being_written, reading_file, writing_file
from holdfast._warn_user import warn_user
from holdfast.media.arrays import array_of_cells, plain_value
from holdfast.media.cell_equality import columns_equal
from holdfast.media.column_types import ColumnName, declared_type, has_keys, is_key, key_type_in, types_for
from holdfast.media.dtypes import ANY, UNKNOWN, ListType, Type, TypedDictType, UnionType, optional, union_of
from holdfast.media.optional_package import load_package
from holdfast.media.table_display import as_html, as_text
from holdfast.media.table_frames import arrow_table, load_library, pandas_frame
from holdfast.media.table_json import (
    LOG_MODES,
    TableReader,
    is_short_vector,
    known_type,
    read_types,
    table_to_json,
    wrap_keys,
)
from holdfast.media.table_keys import ForeignKeyType, PrimaryKeyType, TableIndex
from holdfast.media.table_parquet import BATCH_ROWS, load_pyarrow
from holdfast.media.table_rows import Format, TableRows
from holdfast.media.table_sources import cells_of, check_lengths, columns_of, names_of_frame, rows_of
from holdfast.media.table_storage import (
    as_arrow,
    described_content,
    opened,
    plain_description,
    read_stored,
    write_rows,
)

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

LogMode = Literal["IMMUTABLE", "MUTABLE", "INCREMENTAL"]
PARQUET_SUFFIX = ".table.parquet"
NAMELESS_FOLDER = "media/tables/"
_SUFFIX = ".table.json"
FORMATS: tuple[Format, ...] = ("json", "parquet")


class Table(TableRows):
    """Rows of cells in columns with names and types.

    Cells may be numbers, texts, booleans, datetimes, None, arrays of numpy's, lists and dicts of all these, and objects such as
    images, audio or other tables.  What a column has taken says what it takes further; see `cast`.

    Attributes:
        columns: names, texts or whole numbers.
        log_mode: what `Run.log` does with a table that it was given before: nothing ("IMMUTABLE"), all rows ("MUTABLE") or the new ones
            ("INCREMENTAL").  `Artifact.add` takes a table as it is, whatever this says.
        format: "json" or "parquet".

    Example:
        table = holdfast.Table(columns=["image", "label"])
        table.add_data(holdfast.Image("cat.png"), "cat")
        artifact.add(table, "animals")
    """

    log_type: ClassVar[str] = "table"
    MAX_ROWS: ClassVar[int] = 10_000
    MAX_ARTIFACT_ROWS: ClassVar[int] = 200_000
    """A table with more rows is written whole in JSON, too, with a warning that Parquet is the better form."""

    _is_being_written = False

    def __init__(  # noqa: PLR0913 - those of W&B, and the format
        self,
        columns: Sequence[ColumnName] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: LogMode | None = "IMMUTABLE",
        format: Format = "json",
    ) -> None:
        """Makes a table.

        Args:
            columns: names; default: those of `data`, else "Input", "Output" and "Expected".
            data: a list of rows, an array, a data frame of pandas' or polars', a table of pyarrow's, a data set of Hugging Face's, or a
                list of dicts.
            rows: older name for `data`.
            dataframe: a data frame; `data` and `columns` are ignored then.
            dtype: what the columns take: a class, an object, a constant, or a list with one for each column; see `cast`.  Default:
                found from the cells.
            optional: whether None and NaN are allowed; a list: in each column.
            allow_mixed_types: columns take anything.
            log_mode: "IMMUTABLE", "MUTABLE" or "INCREMENTAL".
            format: of the file.  "json" is W&B's; "parquet", for millions of rows, needs pyarrow: columns are read singly, and rows of
                plain cells are kept in a temporary file while they are added.

        Raises:
            TypeError: a cell is not of its column's type; the message names row and column.
            ValueError: rows of other lengths, columns of one name, or an unknown mode.
        """
        if log_mode is not None and log_mode not in LOG_MODES:
            raise ValueError(f"Invalid log_mode: {log_mode}. Must be one of {list(LOG_MODES)}")
        if format not in FORMATS:
            raise ValueError(f"format must be one of {list(FORMATS)}, not {format!r:.80}")
        if format == "parquet":
            load_pyarrow()  # better missed now than after hours of work
        self.format = format
        self.log_mode = log_mode or LOG_MODES[0]
        source: Any = next((one for one in (dataframe, data, rows) if one is not None), [])
        names = names_of_frame(source) if format == "parquet" else None
        if names is not None:
            self._begin(None, names)
            self._types = types_for(self.columns, ANY if allow_mixed_types else dtype, optional)
            return self.add_batch(source)
        found = columns_of(source)
        if dataframe is not None and found is None:
            raise TypeError(f"dataframe argument expects a data frame, not {type(dataframe).__name__}")
        if found is not None and not isinstance(source, list):
            columns = None  # as W&B: a data frame knows its columns
        self._begin(columns, found[0] if found else None)
        self._types = types_for(self.columns, ANY if allow_mixed_types else dtype, optional)
        if found is not None:
            by_name = dict(zip(*found, strict=True))
            self._add_columns([by_name[name] for name in self.columns])
        else:
            given = rows_of(source)
            check_lengths(self.columns, given)
            self._add_rows(given)

    def _begin(self, columns: Sequence[ColumnName] | None, found: list[Any] | None) -> None:
        if columns is None:
            columns = ["Input", "Output", "Expected"] if found is None else found
        if isinstance(columns, str | bytes | Mapping) or not hasattr(columns, "__iter__"):
            raise TypeError(f"columns argument expects a list of names, not {columns!r:.200}")
        # Those of data frames and arrays, too.
        names = [str(name) if isinstance(name, str) else plain_value(name) for name in columns]
        for name in names:
            if type(name) not in (str, int):
                raise TypeError(f"columns argument expects a list of strings or ints, found {name!r:.80}")
        if len(set(map(str, names))) < len(names):
            raise ValueError(f"Two columns have one name: {names}")
        if found is not None and not set(names) <= set(found):
            raise ValueError(f"There are no columns {sorted(set(map(str, names)) - set(map(str, found)))} in the data")
        self.columns = names
        self._rows = []
        self._head = []

    # --- rows ---------------------------------------------------------------------------------------------------------

    @property
    def _column_types(self) -> TypedDictType:
        return self._types.as_dict_type()

    def add_data(self, *data: Any) -> None:
        """Adds a row.

        Args:
            data: a cell for each column.

        Raises:
            ValueError: more or fewer cells than columns.
            TypeError: a cell is not of its column's type; the message names row and column.
        """
        if len(data) != len(self.columns):
            raise ValueError(f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}")
        row = list(data)
        if has_keys(row):
            self._take_keys([[cell] for cell in row])
        self._types.add_row(row, len(self))
        for name, dtype in self._types.keys.items():
            at = self.columns.index(name)
            row[at] = wrap_keys([row[at]], dtype, self, name)[0]
        self._rows.append(row)
        self._changed()
        if len(self._rows) >= BATCH_ROWS:
            self._spill()

    def add_row(self, *row: Any) -> None:
        """Adds a row; older name for `add_data`."""
        self.add_data(*row)

    def _add_rows(self, rows: list[list[Any]]) -> None:
        """Adds rows that nobody else holds."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.columns)
        self._take_keys(columns)
        self._types.add_columns(columns, len(self))
        for name, dtype in self._types.keys.items():
            at = self.columns.index(name)
            for row, cell in zip(rows, wrap_keys(columns[at], dtype, self, name), strict=True):
                row[at] = cell
        self._rows.extend(rows)
        self._changed()
        if len(self._rows) >= BATCH_ROWS:
            self._spill()

    def add_batch(self, batch: Any) -> None:
        """Adds many rows.

        A table in Parquet form does not keep them in memory, if their cells are plain; it takes batches of data frames and of
        Arrow's as they are.

        Args:
            batch: a list of rows or of dicts, an array, a data frame of pandas' or polars', a table or batch of pyarrow's, or a dict of
                columns.

        Raises:
            TypeError: a cell is not of its column's type; the message names row and column.
            ValueError: the batch has other columns.
        """
        arrow = as_arrow(batch) if self.format == "parquet" else None
        if arrow is not None and self._add_arrow(arrow):
            return
        found = (
            columns_of(batch) if not isinstance(batch, Mapping) else (list(batch), list(map(cells_of, batch.values())))
        )
        if found is None:
            rows = rows_of(batch)
            check_lengths(self.columns, rows)
            self._add_rows(rows)
            return
        by_name = dict(zip(*found, strict=True))
        self._check_names(list(by_name))
        self._add_columns([by_name[name] for name in self.columns])

    def _add_columns(self, columns: list[list[Any]]) -> None:
        if len(set(map(len, columns))) > 1:
            raise ValueError(
                f"The columns have different lengths: {dict(zip(self.columns, map(len, columns), strict=True))}"
            )
        self._add_rows(list(map(list, zip(*columns, strict=True))))

    def _take_keys(self, columns: Iterable[Sequence[Any]]) -> None:
        """Makes columns lead to the rows that the first cells put into them lead to; to a text, a key is no text."""
        for name, cells in zip(self.columns, columns, strict=True):
            dtype = None if is_key(self._types.by_name[name]) else key_type_in(cells)
            if dtype is not None:
                self.cast(name, dtype)

    def iterrows(self) -> Generator[tuple[TableIndex, list[Any]], None, None]:
        """Yields the number of each row, which another table may have in a cell to lead to this row, and the row."""
        stored, self._is_given_out = self._sealed(), True
        batches = () if stored is None else stored.batches()
        for number, row in enumerate(chain(chain.from_iterable(batches), self._rows)):
            yield self._index(number), row

    # --- columns ------------------------------------------------------------------------------------------------------

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Adds a column.

        Args:
            name: that no column has.
            data: a list or array with a cell for each row; if the table has no columns, as many rows are made.
            optional: whether None and NaN are allowed.

        Raises:
            ValueError: the name is taken, there are more or fewer cells than rows, or `Run.log` has taken rows step by step.
            TypeError: the cells are not of one type; the message names row and column.
        """
        if not isinstance(name, str):
            raise TypeError(f"The name of a column is a text, not {name!r:.80}")
        if name in map(str, self.columns):
            raise ValueError(f"The table has a column {name!r} already")
        cells = cells_of(data)
        self._check_no_steps()
        is_first = not self.columns
        if not is_first and len(cells) != len(self):
            raise ValueError(f"Expected length {len(self)}, found {len(cells)}")
        dtype = key_type_in(cells) or (_optional_type(UNKNOWN) if optional else UNKNOWN)
        self._types.set(name, dtype, declared=False)
        try:
            dtype = self._types.after(name, dtype, cells)
        except TypeError:
            self._types.drop(name)
            raise
        self._types.set(name, dtype, declared=False)
        if is_key(dtype):
            cells = wrap_keys(cells, dtype, self, name)
        if is_first:
            self._rows = [[] for _ in cells]
        self.columns.append(name)
        for row, cell in zip(self._all_rows(), cells, strict=True):
            row.append(cell)
        self._changed()

    def add_computed_columns(self, fn: Callable[[int, dict[ColumnName, Any]], Mapping[str, Any]]) -> None:
        """Adds columns that are computed from the rows.

        Args:
            fn: takes the number of a row and the row by the names of the columns; returns the new cells by the names of the new
                columns, the same for each row.

        Raises:
            ValueError: rows have different new columns, or a name is taken; nothing is added.
            TypeError: `fn` returns no dict, or the cells are not of one type.
        """
        computed: dict[str, list[Any]] = {}
        for number, row in self.iterrows():
            new = fn(number, dict(zip(self.columns, row, strict=True)))
            if not isinstance(new, Mapping):
                raise TypeError(f"Row {number}: a computed row is a dict of columns, not {type(new).__name__}")
            if number and new.keys() != computed.keys():
                raise ValueError(f"Row {number} has the new columns {sorted(new)}, rows before it {sorted(computed)}")
            for name, cell in new.items():
                computed.setdefault(name, []).append(cell)
        for name, cells in computed.items():
            self.add_column(name, cells)

    def get_column(self, name: ColumnName, convert_to: Literal["numpy"] | None = None) -> Any:
        """Returns the cells of a column.

        Args:
            name: of the column.
            convert_to: "numpy": as one array, in which objects such as images are what their data array is (an array of objects when
                these are of several shapes); None: as a list.

        Raises:
            ValueError: there is no such column, or no such form.
            MissingPackageError: numpy is not installed.
        """
        if convert_to not in (None, "numpy"):
            raise ValueError(f"convert_to must be None or 'numpy', not {convert_to!r:.80}")
        cells = self._cells(name)
        if convert_to is None:
            return cells
        numpy = load_package("numpy", "Table.get_column")
        found = [cell.to_data_array() if hasattr(cell, "to_data_array") else cell for cell in cells]
        return array_of_cells(found, numpy)

    def cast(self, col_name: ColumnName, dtype: Any, optional: bool = False) -> Type:
        """Says what a column takes.

        Args:
            col_name: of the column.
            dtype: a class such as `str`, `int`, `datetime` or `Image`; an object, for others of its type; a `Classes`, for the
                numbers of its classes; a list: lists of this, or, of several, one of them; a dict: dicts with such values; a
                constant.
            optional: whether None and NaN are allowed.

        Returns:
            The type that the column has now.

        Raises:
            TypeError: a cell that is there is not of the type; the message names row and column.
            ValueError: no such column, or a key that cannot be one.
        """
        wanted = declared_type(dtype)
        result = _optional_type(wanted) if optional else wanted
        cells = self._cells(col_name)
        if is_key(wanted):
            self._check_key(wanted, col_name, optional=optional)
        before, was_declared = self._types.by_name[col_name], col_name in self._types.declared
        self._types.set(col_name, result, declared=wanted is not UNKNOWN)
        try:
            result = self._types.after(col_name, result, cells)
        except TypeError:
            self._types.set(col_name, before, declared=was_declared)
            raise
        self._types.set(col_name, result, declared=wanted is not UNKNOWN)
        if is_key(result):
            at = self.columns.index(col_name)
            for row, cell in zip(self._all_rows(), wrap_keys(cells, result, self, col_name), strict=True):
                row[at] = cell
        self._changed()
        return result

    def _check_key(self, dtype: Type, name: ColumnName, *, optional: bool) -> None:
        if optional:
            raise ValueError("Primary keys, foreign keys, and foreign indexes cannot be optional.")
        if getattr(dtype, "table", None) is self:
            raise ValueError(f"Column {name!r} cannot lead to rows of its own table.")
        primary = self._primary_key
        if isinstance(dtype, PrimaryKeyType) and primary not in (None, name):
            raise ValueError(f"Cannot have multiple primary keys - {primary!r} is already set as the primary key.")
        if not isinstance(dtype, PrimaryKeyType) and primary == name:
            raise ValueError(f"Column {name!r} is the primary key and cannot lead to another table.")

    @property
    def _primary_key(self) -> ColumnName | None:
        keys = self._types.keys.items()
        return next((name for name, dtype in keys if isinstance(dtype, PrimaryKeyType)), None)

    # --- links between tables -----------------------------------------------------------------------------------------

    def set_pk(self, col_name: ColumnName) -> None:
        """Makes a column of texts the primary key, by which others name the rows.

        Raises:
            ValueError: no such column, or another one is the key.
            TypeError: a cell is no text.
        """
        self.cast(col_name, PrimaryKeyType())

    def set_fk(self, col_name: ColumnName, table: Table, table_col: ColumnName) -> None:
        """Makes a column of texts lead to the rows of another table.

        Args:
            col_name: of this table.
            table: the other one; it is logged with this one.
            table_col: its column in which the texts are found.

        Raises:
            ValueError: no such column, or the column is the primary key.
            TypeError: a cell is no text.
        """
        self.cast(col_name, ForeignKeyType(table, table_col))

    def get_index(self) -> list[TableIndex]:
        """Returns the numbers of all rows, which another table may have in a column to lead to them."""
        return [self._index(number) for number in range(len(self))]

    def index_ref(self, index: int) -> TableIndex:
        """Returns the number of a row, which another table may have in a cell to lead to it.

        Raises:
            IndexError: there is no such row.
        """
        if index >= len(self):
            raise IndexError(f"There is no row {index} in a table of {len(self)}")
        return self._index(index)

    def _index(self, number: int) -> TableIndex:
        index = TableIndex(number)
        index.set_table(self)
        return index

    # --- other forms --------------------------------------------------------------------------------------------------

    def get_dataframe(self) -> Any:
        """Returns a `pandas.DataFrame`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return pandas_frame(self)

    def to_arrow(self) -> Any:
        """Returns a `pyarrow.Table`.

        Raises:
            MissingPackageError: pyarrow is not installed.
            TypeError: Arrow has no type for the cells of a column.
        """
        return arrow_table(self)

    def to_polars(self) -> Any:
        """Returns a `polars.DataFrame`.

        Raises:
            MissingPackageError: polars or pyarrow is not installed.
            TypeError: Arrow has no type for the cells of a column.
        """
        return load_library("polars", "Table.to_polars").from_arrow(self.to_arrow())

    def to_dataset(self) -> Any:
        """Returns a `datasets.Dataset` of Hugging Face's.

        Raises:
            MissingPackageError: datasets or pyarrow is not installed.
            TypeError: Arrow has no type for the cells of a column.
        """
        datasets = load_library("datasets", "Table.to_dataset")
        return datasets.Dataset(datasets.table.InMemoryTable(self.to_arrow()))

    @classmethod
    def get_media_subdir(cls) -> str:
        """See `StoredObject.get_media_subdir`."""
        return "media/table"

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Returns the JSON form; adds images, arrays and other tables to the artifact.

        Raises:
            TypeError: a cell has no form in JSON; the message names row and column.
            ValueError: tables lead to each other in a circle.
        """
        if self._is_being_written:
            raise ValueError(f"Tables lead to each other in a circle; one of them has the columns {self.columns}")
        path = path_being_written()
        if self.format == "json" and len(self) > self.MAX_ARTIFACT_ROWS:
            warn_user(
                f"A table of {len(self):,} rows is slow to read as JSON, and others show only {self.MAX_ARTIFACT_ROWS:,} of them."
            )
        self._is_being_written = True
        try:
            with writing_file(""):  # tables in cells have no name
                # Parquet has no rows without columns.
                if self.format == "parquet" and self.columns:
                    return self._to_parquet(artifact, path)
                return table_to_json(self, artifact)
        finally:
            self._is_being_written = False

    def _to_parquet(self, artifact: Artifact, path: str) -> dict[str, Any]:
        """Adds a file of the rows beside the one that is written at a path; if it has no name, a file named by its content."""
        if self._spool is not None and self._spill():
            spool, description = self._spool, plain_description(self, len(self))
            local_path = spool.finish(description)
            self._stored, self._spool = opened(local_path, self._revive_plain, spool), None
        else:
            spool, description = write_rows(self, artifact)
            local_path = spool.finish(description)
        is_named = path.endswith(_SUFFIX) and not path.startswith(NAMELESS_FOLDER)
        name = path.removesuffix(_SUFFIX) + PARQUET_SUFFIX if is_named else f"{NAMELESS_FOLDER}rows{PARQUET_SUFFIX}"
        entry = artifact.add_file(local_path, name, is_tmp=not is_named, overwrite=True)
        return description | {"data": [], "parquet_path": entry.path}

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the table of a file.

        Raises:
            MalformedObjectError: it holds none; the message names the key.
        """
        reader = TableReader(json, artifact)
        table = cls.__new__(cls)
        table.columns = reader.columns()
        table.log_mode = reader.log_mode()
        table._head, table._rows = [], []
        types = reader.types(table.columns)
        path = reader.parquet_path()
        table.format = "json" if path is None else "parquet"
        if path is None:
            table._rows = reader.revived_rows(table.columns, types)
        else:
            open_file = reader.opener(path)
            table._stored, types = read_stored(open_file, reader, types, table.columns)
        table._types = read_types({name: known_type(types[name], (), 0) for name in table.columns})
        if table._types.keys and table._stored is not None:
            table._rows, table._stored = table._all_rows(), None
        for name, dtype in table._types.keys.items():
            at = table.columns.index(name)
            for row in table._rows:
                row[at] = wrap_keys([row[at]], dtype, table, name)[0]
        return table

    @classmethod
    def from_parquet(cls, path: str, artifact: Artifact) -> Self:
        """Returns the table of a Parquet file, whoever has written it.

        Args:
            path: of the file in the artifact.
            artifact: a logged one.

        Raises:
            MalformedObjectError: it is no such file.
        """
        with reading_file(path):
            reader = TableReader({}, artifact)
            return cls.from_json(described_content(reader.opener(path), reader, path), artifact)

    def __eq__(self, other: object) -> bool:
        """Says whether columns, their types and all cells are equal; one NaN is equal to another."""
        if not isinstance(other, Table):
            return NotImplemented
        return (
            self.columns == other.columns
            and len(self) == len(other)
            and all(_same_type(self.column_types[name], other.column_types[name]) for name in self.columns)
            and all(columns_equal(self._cells(name), other._cells(name)) for name in self.columns)
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return as_text(self.columns, self._first_rows(), len(self))

    def _repr_html_(self) -> str:
        return as_html(self.columns, self._first_rows(), len(self))

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def _optional_type(dtype: Type) -> Type:
    """As the module's `optional`, which the arguments of that name hide."""
    return optional(dtype)


def _same_type(one: Type, other: Type) -> bool:
    if is_key(one):
        return type(one) is type(other)
    return one == other or _with_vectors_as_lists(one) == _with_vectors_as_lists(other)


def _with_vectors_as_lists(dtype: Type) -> Type:
    """The type with short vectors as the lists that they are in files; whether the cells are equal shows in the cells."""
    members = dtype.allowed if isinstance(dtype, UnionType) else (dtype,)
    return union_of([ListType() if isinstance(one, ListType) or is_short_vector(one) else one for one in members])
