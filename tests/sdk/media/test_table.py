"""Tables in memory: rows, columns, types, links, where they come from and how they are shown."""

import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import holdfast
from holdfast.errors import MissingPackageError
from holdfast.media.dtypes import NUMBER, optional
from holdfast.media.table import Table
from holdfast.media.table_keys import TableIndex, TableKey

ROWS = [[1, "x", None], [2, "y", 2.5]]


def table() -> Table:
    return Table(columns=["a", "b", "c"], data=ROWS)


def test_columns_have_the_names_that_wandb_gives_them() -> None:
    assert Table().columns == ["Input", "Output", "Expected"]
    assert Table(rows=[[1, 2, 3]]).data == [[1, 2, 3]]
    assert Table(columns=[]).data == []


def test_rows_and_columns_are_added_and_read() -> None:
    made = table()
    made.add_data(3, "z", None)
    made.add_row(4, "q", 1)
    made.add_column("d", [True, False, True, False])
    made.add_computed_columns(lambda ndx, row: {"e": f"{ndx}{row['b']}", "f": row["a"] * 2})
    assert made.columns == ["a", "b", "c", "d", "e", "f"]
    assert made.data[2] == [3, "z", None, True, "2z", 6]
    assert made.get_column("a") == [1, 2, 3, 4]
    assert made.get_column("a", convert_to="numpy").tolist() == [1, 2, 3, 4]
    assert [(int(ndx), row[0]) for ndx, row in made.iterrows()] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert ROWS == [[1, "x", None], [2, "y", 2.5]]
    first = Table(columns=[])
    first.add_column("n", np.arange(3))
    assert first.data == [[0], [1], [2]]


@pytest.mark.parametrize(
    "rows", [[[1, "x", None], ["2", "y", 2.5]], [[1, "x", 2], [2, "y", "z"]], [[1, "x", [1]], [2, "y", ["z"]]]]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_cell_of_another_type_is_named_by_row_and_column(rows: list[Any], at_once: bool) -> None:
    column = "a" if rows[1][0] == "2" else "c"
    if at_once:
        with pytest.raises(TypeError, match=f"row 1, column '{column}'"):
            Table(columns=["a", "b", "c"], data=rows)
        return
    kept = Table(columns=["a", "b", "c"], data=rows[:1])
    with pytest.raises(TypeError, match=f"row 1, column '{column}'"):
        kept.add_data(*rows[1])
    assert kept.data == rows[:1]
    kept.add_data(5, "still", None)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"columns": ["a", "a"]}, ValueError, "one name"),
        ({"columns": ["1", 1]}, ValueError, "one name"),
        ({"columns": "abc"}, TypeError, "list of names"),
        ({"columns": [1.5]}, TypeError, "strings or ints"),
        ({"columns": ["a"], "data": [[1], [1, 2]]}, ValueError, "expects 1 columns: .* found 2 in row 1"),
        ({"columns": ["a"], "data": "x"}, TypeError, "list of rows"),
        ({"columns": ["a"], "data": ["x"]}, TypeError, "Row 0"),
        ({"columns": ["a"], "data": np.zeros(3)}, TypeError, "1 dimensions"),
        ({"dataframe": [[1]]}, TypeError, "data frame"),
        ({"columns": ["a"], "dtype": [int, str]}, ValueError, "dtype has 2 items"),
        ({"columns": ["a"], "optional": [True, False]}, ValueError, "optional has 2 items"),
        ({"columns": ["a"], "data": [[None]], "optional": False}, TypeError, "row 0, column 'a'"),
        ({"columns": ["a"], "data": [["x"]], "dtype": int}, TypeError, "row 0, column 'a'"),
        ({"columns": ["a"], "data": [{"a": 1}, {"a": "x"}]}, TypeError, "row 1, column 'a'"),
        ({"columns": ["z"], "data": [{"a": 1}]}, ValueError, "no columns"),
        ({"log_mode": "OFTEN"}, ValueError, "log_mode"),
    ],
)
def test_what_makes_no_table_is_refused(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Table(**arguments)


def test_mixed_types_are_taken_when_allowed() -> None:
    made = Table(columns=["a"], data=[[1], ["x"], [None], [[1]]], allow_mixed_types=True)
    assert made.get_column("a") == [1, "x", None, [1]]


def test_changes_that_fail_change_nothing() -> None:
    made = table()
    for change in (
        lambda: made.add_column("d", [1]),
        lambda: made.add_column("a", [1, 2]),
        lambda: made.add_column("d", [1, "x"]),
        lambda: made.add_column("d", [1, None]),
        lambda: made.add_computed_columns(lambda ndx, row: {"d": 1} if ndx else {"e": 1}),
        lambda: made.add_computed_columns(lambda ndx, row: 5),  # type: ignore[arg-type,return-value]
        lambda: made.cast("a", str),
        lambda: made.cast("z", str),
        lambda: made.set_pk("a"),
        lambda: made.set_fk("b", made, "b"),
        lambda: made.get_column("z"),
        lambda: made.get_column("a", convert_to="torch"),  # type: ignore[arg-type]
        lambda: made.add_data(1),
        lambda: made.index_ref(2),
    ):
        with pytest.raises((TypeError, ValueError, IndexError)):
            change()
    assert made == table()
    made.add_data(9, "w", None)


def test_columns_are_cast() -> None:
    made = table()
    assert made.cast("a", [1, 2, 3]).wb_name == "union"
    made.add_data(3, "z", None)
    with pytest.raises(TypeError, match="row 3, column 'a'"):
        made.add_data(4, "z", None)
    with pytest.raises(TypeError, match="row 0, column 'c'"):
        made.cast("c", float)
    assert made.cast("c", float, optional=True) == optional(NUMBER)


def test_rows_of_one_table_lead_to_rows_of_another() -> None:
    people = Table(columns=["id", "name"], data=[["p1", "Ann"], ["p2", "Bob"]])
    people.set_pk("id")
    visits = Table(columns=["who", "row"], data=[["p2", people.index_ref(1)]])
    visits.set_fk("who", people, "id")
    visits.add_data("p1", 0)
    assert [row.get_row()["name"] for row in visits.get_column("row")] == ["Bob", "Ann"]
    assert all(isinstance(key, TableKey) and key._table is people for key in visits.get_column("who"))
    assert all(isinstance(key, TableKey) for key in people.get_column("id"))
    assert [int(index) for index in people.get_index()] == [0, 1]
    by_key = Table(columns=["who"], data=[[people.data[0][0]]])
    assert by_key.column_types["who"].wb_name == "foreignKey"
    for refused in (lambda: people.set_pk("name"), lambda: people.set_fk("id", visits, "who")):
        with pytest.raises(ValueError, match="primary key"):
            refused()
    assert TableIndex(5).get_row() == {}


def test_tables_are_made_of_frames() -> None:
    columns = {"a": [1, 2], "b": ["x", None], "c": [datetime(2020, 1, 1), datetime(2021, 1, 1)]}
    expected = Table(columns=["a", "b", "c"], data=[list(row) for row in zip(*columns.values(), strict=True)])
    arrow = pa.table(columns)
    for source in (pd.DataFrame(columns), pl.DataFrame(columns), pl.DataFrame(columns).lazy(), arrow):
        assert Table(data=source) == expected
        assert Table(dataframe=source, columns=["ignored"]) == expected
    assert Table(data=arrow.to_batches()[0]) == expected
    assert Table(data=arrow.to_pylist()) == expected
    assert Table(columns=["b", "a"], data=arrow.to_pylist()).data == [["x", 1], [None, 2]]
    assert Table(columns=["p", "q"], data=np.array([[1, 2], [3, 4]])).data == [[1, 2], [3, 4]]
    assert expected.get_dataframe()["a"].tolist() == [1, 2]


def test_tables_become_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Table(columns=["a", "v", 7], data=[[1, np.zeros((1, 2)), "x"], [None, np.ones((1, 2)), None]])
    rows = [{"a": 1, "v": [[0.0, 0.0]], "7": "x"}, {"a": None, "v": [[1.0, 1.0]], "7": None}]
    assert made.to_arrow().to_pylist() == rows
    assert made.to_polars().to_dicts() == rows
    with pytest.raises(TypeError, match="Column 'a'"):
        Table(columns=["a"], data=[[made]]).to_arrow()
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingPackageError, match="pip install polars"):
        made.to_polars()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError, match="pip install datasets"):
        made.to_dataset()


def test_data_sets_of_hugging_face_are_read_by_their_columns() -> None:
    class Dataset:
        def __init__(self) -> None:
            self.column_names = ["text", "label"]

        def __getitem__(self, name: str) -> list[Any]:
            columns: dict[str, list[Any]] = {"text": ["a", "b"], "label": [0, 1]}
            return columns[name]

    Dataset.__module__ = "datasets.arrow_dataset"
    made = Table(data=Dataset())
    assert (made.columns, made.data) == (["text", "label"], [["a", 0], ["b", 1]])


def test_equality_is_by_value_with_arrays_and_nan() -> None:
    def with_cells(value: float) -> Table:
        return Table(columns=["a", "b"], data=[[np.array([1, float("nan")]), {"x": [value, float("nan")]}]])

    assert with_cells(1.0) == with_cells(1.0)
    assert with_cells(1.0) != with_cells(2.0)
    assert table() != 5
    assert table() != Table(columns=["a", "b", "d"], data=ROWS)


def test_cells_are_shown_as_people_write_them() -> None:
    made = Table(columns=["a", "b"], data=[[np.int64(3), datetime(2020, 1, 2, 3, 4, tzinfo=UTC)]])
    assert "3  2020-01-02 03:04:00+00:00" in repr(made)


def test_the_message_says_what_helps_with_cells_of_another_type() -> None:
    table = Table(columns=["a"], data=[[np.zeros(200)]])
    with pytest.raises(TypeError, match="allow_mixed_types=True") as caught:
        table.add_data(np.zeros(300))
    assert "\n" not in str(caught.value)


def test_a_table_shows_its_first_rows_escaped() -> None:
    made = Table(columns=["<b>", *range(30)], data=[[f"<script>{n}", *range(30)] for n in range(15)])
    text, page = repr(made), made._repr_html_()
    assert "15 rows × 31 columns" in text
    assert "<script>9" in text
    assert "<script>10" not in text
    assert "&lt;script&gt;9" in page
    assert "&lt;b&gt;" in page
    assert "<script>" not in page
    assert made._repr_mimebundle_(include=None) == {"text/plain": text, "text/html": page}
    assert "0 rows" in repr(Table(columns=[]))


def test_columns_are_named_as_frames_and_arrays_name_them() -> None:
    for names in (pd.Index(["a", "b"]), np.array(["a", "b"]), ("a", "b"), {"a": 1, "b": 2}.keys()):
        assert Table(columns=names, data=[[1, 2]]).columns == ["a", "b"]
    assert Table(columns=np.array([3, 4])).columns == [3, 4]
    with pytest.raises(TypeError, match="list of names"):
        Table(columns="ab")


def test_cells_of_several_shapes_become_an_array_of_objects() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    table = Table(columns=["image"], data=[[holdfast.Image(pixels)], [None], [holdfast.Image(pixels[:1])]])
    array = table.get_column("image", convert_to="numpy")
    assert array.dtype == object
    assert [array[0][1][2], array[1], len(array[2])] == [(0, 0, 0), None, 1]


def test_classes_give_the_type_of_their_ids() -> None:
    table = Table(columns=["id"])
    table.cast("id", holdfast.Classes([{"id": np.int64(3), "name": "cat"}]).get_type())
    table.add_data(3)
    table.add_data(np.int64(3))
    with pytest.raises(TypeError, match="row 2, column 'id'"):
        table.add_data(4)
