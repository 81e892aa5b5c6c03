"""Files of tables: what is written, what is read, and what is said of files that hold none."""

import copy
import gc
import json
import os
import pickle
import shutil
import warnings
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import MalformedObjectError
from holdfast.media.classes import Classes
from holdfast.media.joined_table import JoinedTable
from holdfast.media.partitioned_table import PartitionedTable
from holdfast.media.table import Table
from support.memory_artifact import FolderArtifact

GOLDEN = Path(__file__).parent / "golden"
NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def artifact(tmp_path: Path) -> Any:
    return FolderArtifact(tmp_path / "artifact")


def golden(artifact: Any, name: str, path: str | None = None) -> Any:
    artifact.write(path or f"{name}.table.json", (GOLDEN / f"{name}.table.json").read_text())
    return artifact.get((path or name).removesuffix(".table.json"))


def back(artifact: Any, table: Table) -> Table:
    artifact.add(table, "t")
    read = artifact.get("t")
    assert isinstance(read, Table)
    return read


def test_a_file_of_all_types_is_read(artifact: Any) -> None:
    table = golden(artifact, "types")
    assert table.data[0][:7] == [1, "a", 0.5, True, NEW_YEAR, ["x", "y"], {"n": 1, "at": NEW_YEAR}]
    assert table.data[0][7:] == ["Enum.A", "low", {"k": 1}, "seven"]
    assert table.data[1][0] == 2
    assert np.isnan(table.data[1][2])
    assert table.data[1][6] == {"n": None, "at": None}
    assert table.column_types["future"].wb_name == "any"
    with pytest.raises(TypeError, match="row 2, column 'ok'"):
        table.add_data(3, None, None, "yes", None, [], {"n": 1, "at": None}, "x", "high", 1, None)


def test_an_old_file_without_types_is_read(artifact: Any) -> None:
    table = golden(artifact, "old")
    assert table == Table(columns=["a", "b"], data=[[1, "x"], [2.5, None]])
    assert table.log_mode == "IMMUTABLE"


def test_linked_tables_are_read(artifact: Any) -> None:
    golden(artifact, "old", "media/tables/t_1.table.json")
    table = golden(artifact, "linked")
    assert table.data[0][1].get_row() == {"a": 2.5, "b": None}
    assert table.data[0][0]._table is table.data[0][1]._table


def test_what_is_written_has_the_documented_keys(artifact: Any) -> None:
    artifact.add(Table(columns=["a"], data=[[1]]), "t")
    written = json.loads(Path(artifact.get_entry("t.table.json").download()).read_text())
    number = {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, {"wb_type": "number"}]}}
    assert written == {
        "_type": "table",
        "columns": ["a"],
        "data": [[1]],
        "ncols": 1,
        "nrows": 1,
        "column_types": {"wb_type": "typedDict", "params": {"type_map": {"a": number}}},
        "log_mode": "IMMUTABLE",
    }


def test_arrays_lie_beside_the_table_and_short_vectors_within(artifact: Any) -> None:
    table = Table(columns=["image", "vector", "some", "file"])
    for at in range(2):
        images = np.full((2, 3), at, np.uint8)
        table.add_data(images, np.array([at, 0.5]), images if at else None, np.arange(200.0))
    artifact.add(table, "t")
    written = json.loads(Path(artifact.get_entry("t.table.json").download()).read_text())
    assert written["data"][1] == [None, [1.0, 0.5], [[1, 1, 1], [1, 1, 1]], None]
    types = written["column_types"]["params"]["type_map"]
    assert types["vector"]["params"]["allowed_types"][1]["params"] == {
        "element_type": {"wb_type": "number"},
        "length": 2,
    }
    place = types["image"]["params"]["allowed_types"][0]["params"]["serialization_path"]
    with np.load(artifact.get_entry(place["path"]).download()) as archive:
        assert archive[place["key"]].shape == (2, 2, 3)
    read = artifact.get("t")
    assert read == table
    assert read.data[1][0].dtype == np.uint8
    assert [type(cell) for cell in read.data[1]] == [np.ndarray, list, np.ndarray, np.ndarray]
    assert read.get_column("some")[0] is None
    assert read.get_column("image", convert_to="numpy").shape == (2, 2, 3)
    again = back(artifact, read)
    assert again == read


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (datetime(2020, 1, 1), NEW_YEAR),
        (date(2020, 1, 1), NEW_YEAR),
        (np.datetime64("2020-01-01T00:00:00.000000000"), NEW_YEAR),
        (np.datetime64("NaT"), None),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int64(2**40), 2**40),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (float("-inf"), float("-inf")),
        ((1, (2, None)), [1, [2, None]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        ({"at": [NEW_YEAR]}, {"at": [NEW_YEAR]}),
        (Colour.RED, "RED"),
        (b"text", "text"),
        (2**200, 2**200),
        ("\ud800 \U0001f600", "\ud800 \U0001f600"),
        ({"_type": "of the user"}, {"_type": "of the user"}),
        ({"_type": "table"}, {"_type": "table"}),
    ],
)
def test_cells_come_back(artifact: Any, cell: Any, expected: Any) -> None:
    assert back(artifact, Table(columns=["a"], data=[[cell]])).data == [[expected]]


def endless() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


@pytest.mark.parametrize("cell", [object(), b"\xff", 1j, np.complex64(1), {(1, 2): 3}, [object()]])
def test_a_cell_without_a_form_in_json_is_named(artifact: Any, cell: Any) -> None:
    with pytest.raises(TypeError, match=r"Row 1, column 'a'"):
        artifact.add(Table(columns=["a"], data=[[None], [cell]]), "t")


def test_a_cell_that_holds_itself_is_named(artifact: Any) -> None:
    with pytest.raises(TypeError, match="row 1, column 'a': the value holds itself"):
        Table(columns=["a"], data=[[None], [endless()]])
    table = Table(columns=["a"], data=[[None], [None]])
    table.data[1][0] = endless()
    with pytest.raises(TypeError, match="Row 1, column 'a': the value holds itself"):
        artifact.add(table, "t")


def test_tables_within_tables_and_links_come_back(artifact: Any) -> None:
    people = Table(columns=["id"], data=[["p1"], ["p2"]])
    people.set_pk("id")
    inner = Table(columns=["x"], data=[[NEW_YEAR]])
    table = Table(columns=["key", "row", "inner", "several"], data=[["p1", people.index_ref(1), inner, [inner]]])
    table.set_fk("key", people, "id")
    read = back(artifact, table)
    assert read == table
    assert read.data[0][1].get_row() == {"id": "p2"}
    assert [path for path in artifact.entries if path.startswith("media/tables/t_")]
    people.add_column("back", [table.index_ref(0)] * 2)
    with pytest.raises(ValueError, match="circle"):
        artifact.add(table, "again")


@pytest.mark.parametrize(
    ("cell", "remedy"), [(PIL.Image.new("L", (2, 2)), "make an Image of it"), (Decimal(1), "its text or its numbers")]
)
def test_the_message_says_what_helps_with_a_cell_without_a_form(artifact: Any, cell: object, remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        artifact.add(Table(columns=["a"], data=[[cell]]), "t")


def test_columns_of_different_classes_keep_their_own(artifact: Any) -> None:
    few, many = Classes([{"id": 0, "name": "a"}]), Classes([{"id": 0, "name": "b"}, {"id": 7, "name": "c"}])
    read = back(artifact, Table(columns=["x", "y"], data=[[0, 7]], dtype=[few, many]))
    read.add_data(0, 7)
    with pytest.raises(TypeError, match="column 'x'"):
        read.add_data(7, 0)


def test_joined_and_partitioned_tables_come_back(artifact: Any) -> None:
    one, two = Table(columns=["a"], data=[[1]]), Table(columns=["a"], data=[[2]])
    artifact.add(one, "parts/1")
    artifact.add(two, "parts/deep/2")
    artifact.add(PartitionedTable("parts"), "p")
    assert list(artifact.get("p").iterrows()) == [(0, [1]), (1, [2])]
    joined = JoinedTable(one, "parts/deep/2.table.json", "a")
    artifact.add(joined, "j")
    read = artifact.get("j")
    assert (read.table1, read.table2, read.join_key) == (one, two, "a")
    assert read == JoinedTable(one, two, "a")
    for tables in ((1, two, "a"), (one, "x.json", "a"), (one, two, ["a"])):
        with pytest.raises(ValueError, match="JoinedTable"):
            JoinedTable(*tables)
    for key in ("b", ["a", "b"]):
        with pytest.raises(ValueError, match=r"join_key 'b' is no column of table\d, which has \['a'\]"):
            JoinedTable(one, two, key)
    written = json.loads(Path(artifact.get_entry("j.joined-table.json").download()).read_text())
    artifact.write("other.joined-table.json", written | {"join_key": "b"})
    assert artifact.get("other").join_key == "b"
    with pytest.raises(ValueError, match="not found in artifact"):
        artifact.add(JoinedTable(one, "absent.table.json", "a"), "k")


def test_a_table_of_many_rows_is_written_whole(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Table, "MAX_ARTIFACT_ROWS", 3)
    table = Table(columns=["a"], data=[[n] for n in range(5)])
    with pytest.warns(UserWarning, match="5 rows"):
        assert back(artifact, table) == table


def test_steps_of_an_incremental_table_are_one_table(artifact: Any) -> None:
    for number, at_ms in ((10, 1700), (2, 1700), (0, 1700), (1, 1800)):
        content = {
            "columns": ["a"],
            "data": [[number]],
            "_type": "table",
            "log_mode": "INCREMENTAL",
            "_increment_num": number,
        }
        artifact.write(f"{number}-{at_ms}.t.table.json", content)
    assert artifact.get("10-1700.t").data == [[0], [2], [10], [1]]


SCALARS: list[st.SearchStrategy[Any]] = [
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.booleans(),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
]
CELLS = [
    *SCALARS,
    *(st.lists(scalar, max_size=3) for scalar in SCALARS),
    *(st.dictionaries(st.text(max_size=3), st.none() | scalar, max_size=3) for scalar in SCALARS),
    st.lists(st.lists(st.none() | SCALARS[0], max_size=2), max_size=2),
]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kinds = draw(st.lists(st.sampled_from(CELLS), max_size=4))
    row = st.tuples(*(st.none() | kind for kind in kinds))
    columns = [f"c{at}" for at in range(len(kinds))]
    return Table(columns=columns, data=[list(cells) for cells in draw(st.lists(row, max_size=5))])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_table_comes_back(artifact: Any, table: Table) -> None:
    assert back(artifact, table) == table


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_table_comes_back_from_parquet(artifact: Any, table: Table) -> None:
    stored = Table(columns=table.columns, data=table.data, format="parquet")
    assert back(artifact, stored) == table


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_numbers_among_datetimes_stay_numbers(artifact: Any, form: Any) -> None:
    table = Table(columns=["x"], data=[[[1, NEW_YEAR]]], format=form)
    assert back(artifact, table).data == [[[1, 1_577_836_800_000]]]


@pytest.mark.parametrize(
    "when",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        np.datetime64("20000-01-01"),
    ],
)
def test_datetimes_that_could_not_be_read_are_refused(artifact: Any, when: Any) -> None:
    ends = Table(columns=["at"], data=[[datetime.min.replace(tzinfo=UTC)], [datetime(9999, 12, 31, tzinfo=UTC)]])
    assert back(artifact, ends) == ends
    with pytest.raises(TypeError, match=r"Row 1, column 'at': .* is not in the years"):
        artifact.add(Table(columns=["at"], data=[[NEW_YEAR], [when]]), "t")


def test_copies_of_tables_with_rows_in_files_have_rows_of_their_own() -> None:
    table = Table(columns=["x", "y"], format="parquet")
    for _ in range(2):
        table.add_batch({"x": np.arange(20_000), "y": np.ones(20_000)})
    copies = [copy.deepcopy(table), pickle.loads(pickle.dumps(table))]
    assert len(table.get_column("x")) == 40_000
    sealed = pickle.loads(pickle.dumps(table))
    assert [len(one.data) for one in (*copies, sealed)] == [40_000] * 3
    copies[0].data[0][0] = -1
    assert copies[0] != table
    assert sealed == table == copies[1]


def test_files_of_rows_are_closed() -> None:
    table = Table(columns=["x", "y"], format="parquet")
    table.add_batch({"x": np.arange(20_000), "y": np.ones(20_000)})
    before = len(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        table.get_column("x")
        next(table.iterrows())
        assert len(table.data) == 20_000
        gc.collect()
    assert [str(one.message) for one in caught] == []
    assert len(os.listdir("/proc/self/fd")) == before


def broken(content: Any, at: list[Any], value: Any) -> Any:
    """The JSON with one place replaced."""
    changed = copy.deepcopy(content)
    target = changed
    for key in at[:-1]:
        target = target[key]
    target[at[-1]] = value
    return changed


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    return [found for key, item in items for found in [(*path, key), *places(item, (*path, key))]]


TYPES = json.loads((GOLDEN / "types.table.json").read_text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "number", "union", "image-file"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["wb_type", "params", "_type"]), inner),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(places(TYPES)), value=JSON)
def test_a_damaged_file_is_read_or_refused_by_name_and_key(artifact: Any, place: tuple[Any, ...], value: Any) -> None:
    artifact.write("t.table.json", broken(TYPES, list(place), value))
    refusal = refusal_of(artifact)
    if refusal is not None:
        assert "t.table.json of a:v0" in str(refusal)
        assert refusal.detail["path"] == "t.table.json"
        assert refusal.detail["key"]


def refusal_of(artifact: Any) -> MalformedObjectError | None:
    """What is said of the table; None: it was read."""
    try:
        assert isinstance(artifact.get("t"), Table)
    except MalformedObjectError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (["columns"], 5, "columns"),
        (["columns", 0], 1.5, "columns[0]"),
        (["data"], None, "data"),
        (["data", 1], [1], "data[1]"),
        (["data", 0, 4], 1e300, "data[0][4]"),
        (["data", 0, 4], float("nan"), "data[0][4]"),
        (["column_types"], {"wb_type": "number"}, "column_types"),
        (["column_types", "params"], 5, "column_types.params"),
        (["column_types", "params", "type_map", "id"], {}, "column_types.params.type_map.id"),
        (["column_types", "params", "type_map", "id"], {"wb_type": "foreignIndex", "params": {"table": "x"}}, "table"),
        (["column_types", "params", "type_map", "id"], {"wb_type": "ndarray", "params": {"shape": [-1]}}, "shape"),
        (["column_types", "params", "type_map", "id"], {"wb_type": "primaryKey"}, "data[0][0]"),
        (
            ["column_types", "params", "type_map", "id"],
            {"wb_type": "ndarray", "params": {"shape": [1], "serialization_path": {"path": "x", "key": "k"}}},
            "serialization_path",
        ),
        (["column_types", "params", "type_map", "tags"], {"wb_type": "list", "params": {"length": "x"}}, "length"),
    ],
)
def test_the_key_that_is_wrong_is_named(artifact: Any, path: list[Any], value: Any, key: str) -> None:
    artifact.write("t.table.json", broken(TYPES, path, value))
    with pytest.raises(MalformedObjectError, match=r"t\.table\.json of a:v0") as refused:
        artifact.get("t")
    assert refused.value.detail["key"].endswith(key)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", "\x00"])
def test_what_is_no_table_at_all_is_refused(artifact: Any, text: str) -> None:
    for suffix in ("table", "joined-table", "partitioned-table"):
        artifact.write(f"t.{suffix}.json", text)
        with pytest.raises(MalformedObjectError, match=rf"t\.{suffix}\.json of a:v0"):
            artifact.get("t")
        Path(artifact.get_entry(f"t.{suffix}.json").download()).unlink()


def test_damaged_arrays_are_refused(artifact: Any) -> None:
    table = Table(columns=["a"], data=[[np.zeros((2, 2))]])
    for content in ("", "no archive"):
        artifact.add(table, "t")
        path = next(path for path in artifact.entries if path.endswith(".npz"))
        artifact.write(path, content)
        with pytest.raises(MalformedObjectError, match="serialization_path"):
            artifact.get("t")
    shutil.rmtree(artifact._folder)
