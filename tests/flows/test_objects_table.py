"""Tables with all three processes: logged, and got by another process into other folders."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast.errors import MalformedObjectError
from holdfast.media.joined_table import JoinedTable
from holdfast.media.partitioned_table import PartitionedTable
from holdfast.media.table import Table
from support.sdk_calls import fetched, log, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test here logs, and downloads to folders of its own."""
    monkeypatch.chdir(tmp_path)


def with_everything() -> Table:
    people = Table(columns=["id", "name"], data=[["p1", "Ann"], ["p2", None]])
    people.set_pk("id")
    table = Table(columns=["n", "text", "at", "array", "vector", "nested", "who", "row", "table"])
    for at in range(3):
        table.add_data(
            float("nan") if at == 1 else at,
            None if at == 1 else f"text {at}",
            datetime(2020, 1, 1 + at, 1, 2, 3, 4000, tzinfo=UTC),
            np.full((2, 3), at, np.float32),
            [at, at + 0.5],
            {"list": [[at], []], "none": None},
            people.data[at % 2][0],
            people.index_ref(at % 2),
            Table(columns=["x"], data=[[at]]),
        )
    return table


def got(artifact: holdfast.Artifact, name: str) -> Any:
    return fetched(artifact).get(name)


def test_tables_come_back_and_go_on_to_other_artifacts() -> None:
    table = with_everything()
    artifact = new_artifact()
    artifact.add(table, "folder/t")
    artifact["parts/1"] = Table(columns=["x"], data=[[1]])
    artifact["parts/2"] = Table(columns=["x"], data=[[2]])
    artifact["joined"] = JoinedTable(table, "parts/1.table.json", ["n", "x"])
    artifact["all"] = PartitionedTable("parts")
    logged = log(artifact)
    read = got(logged, "folder/t")
    assert read == table
    assert read.data[2][3].dtype == np.float32
    assert read.data[0][7].get_row() == {"id": "p1", "name": "Ann"}
    assert list(got(logged, "all").iterrows()) == [(0, [1]), (1, [2])]
    assert got(logged, "joined").table1 == table

    other = new_artifact()
    entry = other.add(read, "mine")
    assert entry.ref is not None
    assert got(log(other), "mine") == table

    read.add_data(*read.data[0][:6], "p2", 1, read.data[0][8])
    changed = new_artifact()
    assert changed.add(read, "mine").ref is None
    assert got(log(changed), "mine") == read


def test_a_file_that_is_no_table_is_named() -> None:
    artifact = new_artifact()
    with artifact.new_file("t.table.json", "w") as file:
        json.dump({"columns": ["a"], "data": [[1, 2]]}, file)
    logged = log(artifact)
    with pytest.raises(MalformedObjectError, match=r"t\.table\.json of .*data\[0\]"):
        got(logged, "t")
