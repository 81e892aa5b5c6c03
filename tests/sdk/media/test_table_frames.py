"""Tables become frames and tables of Arrow's: what is handed over as it lies in the file equals what the cells would become."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.errors import MalformedObjectError
from holdfast.media.table import Table
from holdfast.media.table_parquet import ParquetRows
from support.memory_artifact import FolderArtifact

NEW_YEAR = datetime(2020, 1, 1, microsecond=123_000, tzinfo=UTC)
COLUMNS: dict[str, list[Any]] = {
    "whole": [1, -2, 2**60 + 1],
    "whole or none": [1, None, 2**60 + 1],
    "large": [2**63, 1, 2],
    "huge": [2**70, 1, 2],
    "float": [1.5, float("nan"), float("-inf")],
    "float or none": [1.5, None, float("nan")],
    "whole and float": [1, 2.5, None],
    "nan": [float("nan")] * 3,
    "nothing": [None] * 3,
    "nothing or nan": [None, float("nan"), None],
    "ok": [True, False, True],
    "ok or none": [True, None, False],
    "text": ["a", "", "ü\u0000"],
    "text or none": [None, "a", "b"],
    "at": [NEW_YEAR, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)],
    "at or none": [None, NEW_YEAR, NEW_YEAR + timedelta(milliseconds=1)],
    "microseconds": [NEW_YEAR + timedelta(microseconds=1)] * 3,
    "zone": [NEW_YEAR.astimezone(timezone(timedelta(hours=3)))] * 3,
    "without zone": [datetime(2020, 1, 1)] * 3,
    "list": [[1, 2], [], [3]],
    "list or none": [None, ["a"], [None]],
    "dict": [{"a": 1}, {"a": 2}, {"a": None}],
    "array": [np.zeros((2, 2)), np.ones((2, 2)), np.ones((2, 2))],
    "vector": [np.zeros(2), np.ones(2), np.ones(2)],
}

NONE_OF_ARROW = ("large", "huge")


@pytest.fixture
def artifact(tmp_path: Path) -> Any:
    return FolderArtifact(tmp_path / "artifact")


def arrow_of_cells(cells: list[Any]) -> Any:
    return pa.array([cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells])


def assert_all_forms_are_those_of_the_cells(table: Table) -> None:
    """Compares with what pandas and pyarrow make of the rows themselves."""
    expected = pd.DataFrame.from_records([list(row) for _, row in table.iterrows()], columns=table.columns)
    found = table.get_dataframe()
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert list(found.dtypes) == list(expected.dtypes)
    for name in table.columns:
        assert list(map(type, found[name])) == list(map(type, expected[name])), name
    arrays = [arrow_of_cells(table.get_column(name)) for name in table.columns]
    arrow, by_cells = table.to_arrow(), pa.Table.from_arrays(arrays, names=list(map(str, table.columns)))
    assert arrow.schema == by_cells.schema
    # NaN is not equal to itself, in Arrow neither.
    assert list(map(repr, arrow.to_pylist())) == list(map(repr, by_cells.to_pylist()))
    assert table.to_polars().equals(pl.DataFrame(pl.from_arrow(by_cells)))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("form", ["json", "parquet"])
def test_each_kind_of_column_becomes_what_its_cells_would(artifact: Any, name: str, form: Any) -> None:
    artifact.add(Table(columns=[name], data=[[cell] for cell in COLUMNS[name]], format=form), "t")
    table = artifact.get("t")
    if name in NONE_OF_ARROW:
        with pytest.raises(TypeError, match=f"Column '{name}'"):
            table.to_arrow()
        assert table.get_dataframe()[name].tolist() == COLUMNS[name]
        return
    assert_all_forms_are_those_of_the_cells(table)


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_all_columns_are_one_frame_that_may_be_written_to(artifact: Any, form: Any) -> None:
    columns = {name: cells for name, cells in COLUMNS.items() if name not in NONE_OF_ARROW} | {
        "a": [1, 2, 3],
        "a.b": [4, 5, 6],
    }
    rows = list(map(list, zip(*columns.values(), strict=True)))
    artifact.add(Table(columns=list(columns), data=rows, format=form), "t")
    assert_all_forms_are_those_of_the_cells(artifact.get("t"))
    frame = artifact.get("t").get_dataframe()
    frame.loc[0, ["whole", "text"]] = [7, "b"]
    assert (frame["whole"][0], frame["text"][0]) == (7, "b")
    assert artifact.get("t").get_column("whole") == COLUMNS["whole"]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("whole", 4),
        ("whole", 2.5),
        ("whole", 2**63),
        ("whole", np.int32(4)),
        ("whole or none", None),
        ("nothing", 1.5),
        ("float", 3),
        ("text", "c"),
        ("text", np.str_("c")),
        ("ok", None),
        ("at", NEW_YEAR + timedelta(microseconds=1)),
        ("at", NEW_YEAR.astimezone(timezone(timedelta(hours=3)))),
        ("at or none", date(2020, 1, 1)),
    ],
)
def test_rows_added_to_those_of_a_file_are_in_the_frame(artifact: Any, column: str, cell: Any) -> None:
    artifact.add(Table(columns=[column, 1], data=[[cell, 1] for cell in COLUMNS[column]], format="parquet"), "t")
    table = artifact.get("t")
    table.add_data(cell, 1)
    try:
        arrow_of_cells(table.get_column(column))
    except (pa.ArrowException, OverflowError):
        with pytest.raises(TypeError, match=f"Column '{column}'"):
            table.to_arrow()
        return
    assert_all_forms_are_those_of_the_cells(table)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None], pa.int8()),
        pa.array([1, None], pa.uint64()),
        pa.array([0.1, None], pa.float16()),
        pa.array([0.1, None], pa.float32()),
        pa.array(["a", None], pa.large_string()),
        pa.array(["a", None]).dictionary_encode(),
        pa.array([1_600_000_000_123_456_789, -1], pa.timestamp("ns")),
        pa.array([1_600_000_000, None], pa.timestamp("s", tz="Europe/Berlin")),
        pa.array([1, None], pa.date32()),
        pa.array([None, None], pa.string()),
        pa.array([], pa.int64()),
        pa.array([{"b": 1}, None]),
        pa.array([b"a", None]),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_files_of_others_become_what_their_cells_would(artifact: Any, tmp_path: Path, column: Any) -> None:
    pq.write_table(pa.table({"a": column}), tmp_path / "other.parquet")
    artifact.add_file(tmp_path / "other.parquet", "o.table.parquet")
    assert_all_forms_are_those_of_the_cells(artifact.get("o.table.parquet"))


@pytest.mark.parametrize(("dtype", "value"), [(pa.string(), b"\xff"), (pa.timestamp("s"), 2**50)])
def test_cells_that_cannot_be_are_named_in_all_forms(artifact: Any, tmp_path: Path, dtype: Any, value: Any) -> None:
    raw = pa.array([value], pa.binary() if isinstance(value, bytes) else pa.int64())
    column = pa.Array.from_buffers(dtype, 1, raw.buffers())
    pq.write_table(pa.table({"a": column}), tmp_path / "other.parquet", version="2.6")
    artifact.add_file(tmp_path / "other.parquet", "o.table.parquet")
    for form in (Table.to_arrow, Table.get_dataframe, Table.to_polars):
        with pytest.raises(MalformedObjectError, match=r"o\.table\.parquet"):
            form(artifact.get("o.table.parquet"))


def test_no_cells_are_made_of_plain_columns(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["whole or none", "float or none", "ok or none", "text or none", "at or none"]
    rows = list(map(list, zip(*(COLUMNS[name] for name in names), strict=True)))
    table = Table(columns=names, data=rows, format="parquet")
    artifact.add(table, "t")
    read = artifact.get("t")

    def refuse(*_arguments: Any) -> Any:
        raise AssertionError("cells were made")

    monkeypatch.setattr(ParquetRows, "_cells", refuse)
    assert len(read.get_dataframe()) == read.to_arrow().num_rows == len(read.to_polars()) == 3
