"""Tables in Parquet form: the same objects as in JSON, written in batches, read column by column."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.errors import MalformedObjectError, MissingPackageError
from holdfast.media import table as table_module
from holdfast.media.table import Table
from support.memory_artifact import FolderArtifact

NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
COLUMNS = ["n", "text", "ok", "at", "list"]


@pytest.fixture
def artifact(tmp_path: Path) -> Any:
    return FolderArtifact(tmp_path / "artifact")


def plain_rows(count: int) -> list[list[Any]]:
    return [[n / 2 if n % 3 else None, f"t{n}", n % 2 == 0, NEW_YEAR, [n, n + 1]] for n in range(count)]


def back(artifact: Any, table: Table, name: str = "t") -> Table:
    artifact.add(table, name)
    read = artifact.get(name)
    assert isinstance(read, Table)
    return read


def test_both_forms_give_the_same_table(artifact: Any) -> None:
    plain = Table(columns=COLUMNS, data=plain_rows(20))
    stored = Table(columns=COLUMNS, data=plain_rows(20), format="parquet")
    assert stored == plain
    read = back(artifact, stored)
    assert set(artifact.entries) == {"t.table.json", "t.table.parquet"}
    assert read == plain == artifact.get("t.table.parquet")
    assert read.data == plain.data
    assert (read.format, plain.format) == ("parquet", "json")
    assert pq.read_table(artifact.get_entry("t.table.parquet").download())["text"].to_pylist()[:2] == ["t0", "t1"]


def test_the_file_is_a_table_without_its_description(artifact: Any) -> None:
    stored = Table(columns=[*COLUMNS, "mixed", "dict"], format="parquet", allow_mixed_types=True)
    for row in plain_rows(3):
        stored.add_data(*row, row[0] or "x", {"a": [1, None]})
    typed = Table(columns=COLUMNS, data=plain_rows(3), format="parquet")
    for name, table in (("any", stored), ("typed", typed)):
        artifact.add(table, name)
        described = artifact.get(name)
        Path(artifact.get_entry(f"{name}.table.json").download()).unlink()
        assert artifact.get(name) == described


def test_rows_go_to_a_file_while_they_are_added(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "BATCH_ROWS", 4)
    expected = Table(columns=COLUMNS, data=plain_rows(30))
    stored = Table(columns=COLUMNS, format="parquet")
    for row in plain_rows(30):
        stored.add_data(*row)
    assert len(stored._rows) < 4
    assert repr(stored) == repr(expected)
    assert stored.get_column("text") == expected.get_column("text")
    stored.add_data(*plain_rows(1)[0])
    expected.add_data(*plain_rows(1)[0])
    assert len(stored) == 31
    assert [(int(n), row) for n, row in stored.iterrows()] == list(enumerate(expected.data))
    read = back(artifact, stored)
    assert read == expected == stored
    read.add_data(*plain_rows(2)[1])
    expected.add_data(*plain_rows(2)[1])
    assert back(artifact, read, "again") == expected
    with pytest.raises(TypeError, match="row 32, column 'n'"):
        read.add_data("x", "", True, None, [])


def test_batches_of_all_kinds_are_one_table(artifact: Any) -> None:
    columns: dict[str, list[Any]] = {"a": [1, 2], "b": ["x", None], "c": [NEW_YEAR, None]}
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    arrow = pa.table(columns)
    batches = [
        arrow,
        arrow.to_batches()[0],
        pd.DataFrame(columns),
        pl.DataFrame(columns),
        columns,
        rows,
        arrow.to_pylist(),
        arrow.select(["c", "b", "a"]),
        {"a": np.array([1.0, 2.0]), "b": ["x", None], "c": columns["c"]},
        {"a": [None, None], "b": [None, None], "c": [None, None]},
    ]
    expected = Table(columns=["a", "b", "c"])
    stored = Table(columns=["a", "b", "c"], format="parquet")
    for batch in batches:
        expected.add_batch(batch)
        stored.add_batch(batch)
    assert len(stored) == 20
    assert stored._spool is not None
    assert back(artifact, stored) == expected
    for refused in ({"a": [1]}, {"a": ["x"], "b": ["x"], "c": [None]}, [[1]]):
        with pytest.raises((TypeError, ValueError)):
            stored.add_batch(refused)
    assert stored == expected


def test_a_frame_never_becomes_rows(artifact: Any) -> None:
    frame = pd.DataFrame({"a": [1.0, float("nan")], 5: ["x", None]})
    for one in (frame, pl.DataFrame({"a": [1.0, None]}), pa.table({"a": [1.0, None]})):
        made = Table(dataframe=one, format="parquet")
        assert not made._rows
        assert made == Table(dataframe=one)
    assert str(Table(dataframe=frame, format="parquet").get_column("a")) == "[1.0, nan]"


def test_numbers_that_parquet_cannot_hold_are_not_changed(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "BATCH_ROWS", 2)
    cells = [1, 2**53 + 1, 0.5, None, 2**70, 3, "\ud800", "x"]
    for kept in (cells[:4], cells[:6], cells[6:], cells[:2], cells[2:4]):
        read = back(artifact, Table(columns=["a"], data=[[cell] for cell in kept], format="parquet"))
        added = Table(columns=["a"], format="parquet")
        for cell in kept:
            added.add_data(cell)
        assert read.get_column("a") == kept == back(artifact, added, "u").get_column("a")


def test_cells_that_need_their_artifact_are_kept_until_then(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "BATCH_ROWS", 2)
    people = Table(columns=["id"], data=[["p"]], format="parquet")
    people.set_pk("id")
    stored = Table(columns=["array", "table", "dict", "row"], format="parquet")
    for n in range(5):
        inner = Table(columns=["x"], data=[[n]], format="parquet")
        stored.add_data(np.full((2, 2), n, np.uint8), inner, {"a": NEW_YEAR}, people.index_ref(0))
    read = back(artifact, stored)
    assert read == stored
    assert read.data[0][3].get_row() == {"id": "p"}
    assert read.data[4][0].dtype == np.uint8


def test_columns_are_cast_and_added_in_both_forms(artifact: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "BATCH_ROWS", 2)
    stored, plain = (Table(columns=["a"], data=[[1], [2], [3]], format=form) for form in ("parquet", "json"))  # type: ignore[arg-type]
    for table in (stored, plain):
        table.add_column("b", ["x", "y", "z"])
        table.cast("a", int)
        table.add_computed_columns(lambda ndx, row: {"c": row["a"] + ndx})
    assert back(artifact, stored) == plain
    assert back(artifact, Table(columns=["a"], format="parquet")) == Table(columns=["a"])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_file_is_named(artifact: Any, content: bytes) -> None:
    artifact.add(Table(columns=["a"], data=[[1]], format="parquet"), "t")
    Path(artifact.get_entry("t.table.parquet").download()).write_bytes(content)
    for name in ("t", "t.table.parquet"):
        with pytest.raises(MalformedObjectError, match="parquet_path"):
            artifact.get(name)


def test_a_file_that_is_not_there_or_of_another_table_is_named(artifact: Any) -> None:
    artifact.add(Table(columns=["a"], data=[[1]], format="parquet"), "t")
    content = json.loads(Path(artifact.get_entry("t.table.json").download()).read_text())
    for change in ({"parquet_path": "absent"}, {"parquet_path": 5}, {"columns": ["b"]}):
        artifact.write("t.table.json", {**content, **change})
        with pytest.raises(MalformedObjectError, match=r"t\.table\.json of a:v0"):
            artifact.get("t")


def test_without_pyarrow_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'holdfast\[media\]'"):
        Table(columns=["a"], format="parquet")
    with pytest.raises(ValueError, match="format"):
        Table(format="csv")  # type: ignore[arg-type]
