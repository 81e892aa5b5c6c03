"""Tables with all three processes: logged, and got by another process into other folders."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bokeh.plotting
import numpy as np
import plotly.graph_objects
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import holdfast
from holdfast._entry_file import StoredFile
from holdfast._run_tables import run_table_name
from holdfast.errors import MalformedObjectError
from holdfast.media.joined_table import JoinedTable
from holdfast.media.partitioned_table import PartitionedTable
from holdfast.media.table import Table
from support.sdk_calls import PROJECT, fetched, log, new_artifact
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


@pytest.mark.filterwarnings("ignore:Holdfast keeps artifacts, not metrics")
def test_tables_that_a_run_logs_are_artifacts() -> None:
    table = Table(columns=["n", "array"], data=[[1, np.full((2, 2), 1)]], log_mode="MUTABLE")
    steps = Table(columns=["n", "array"], log_mode="INCREMENTAL")
    with holdfast.init(project=PROJECT) as run:
        for number in range(3):
            steps.add_data(number, np.full((2, 2), number))
            run.log({"loss": 0.5, "eval": {"a/b": table}, "steps": steps})
        table.data[0][0] = 2
        run.log({"a/b": table, "steps": steps, "joined": JoinedTable(table, steps, "n")})
        artifact = new_artifact()
        artifact["t"] = table
        assert run.log_artifact(artifact).wait()["t"].data[0][0] == 2

        name = run_table_name(run.id, "a/b")
        read = [run.use_artifact(f"{name}:{alias}", type="run_table")["a/b"] for alias in ("v0", "latest")]
        assert [one.data[0][0] for one in read] == [1, 2]
        assert run.use_artifact(f"{name}:latest").version == "v1"

        joined = run.use_artifact(f"run-{run.id}-joined:latest", type="run_table")["joined"]
        assert (joined.table1, joined.table2) == (table, steps)

        latest = run.use_artifact(f"run-{run.id}-incr-steps:latest", type="wandb-run-incremental-table")
        assert latest.version == "v2"
        paths = sorted(path for path in latest.manifest.entries if path.endswith(".table.json"))
        assert [re.sub("-[0-9]+", "-ms", path) for path in paths] == [f"{n}-ms.steps.table.json" for n in range(3)]
        assert latest[paths[-1]] == steps


def test_cells_that_were_replaced_in_place_are_stored(tmp_path: Path) -> None:
    table = Table(columns=["n"], data=[[1], [2]])
    artifact = new_artifact()
    artifact["t"] = table
    logged = log(artifact)
    read = got(logged, "t")
    assert read.data == [[1], [2]]
    looked_at = new_artifact()
    assert looked_at.add(read, "t").ref is not None
    for changed in (table, read):
        next(changed.iterrows())[1][0] = "one"
        changed.data.append([3])
        other = new_artifact()
        other["t"] = changed
        assert got(log(other), "t").data == [["one"], [2], [3]]


def test_two_versions_of_one_table_are_joined() -> None:
    versions = []
    for number in (1, 2):
        artifact = new_artifact()
        artifact["preds"] = Table(columns=["a"], data=[[number]])
        versions.append(log(artifact))
    for how in (lambda of: got(of, "preds"), lambda of: of.get_entry("preds.table.json")):
        artifact = new_artifact()
        artifact["joined"] = JoinedTable(how(versions[0]), how(versions[1]), "a")
        joined = got(log(artifact), "joined")
        assert (joined.table1.data, joined.table2.data) == ([[1]], [[2]])


def test_tables_of_a_joined_one_may_have_changed() -> None:
    artifact = new_artifact()
    artifact["joined"] = JoinedTable(Table(columns=["a"], data=[[1]]), Table(columns=["a"], data=[[2]]), "a")
    logged = log(artifact)
    joined = got(logged, "joined")
    assert new_artifact().add(joined, "j").ref is not None
    joined.table1.add_data(5)
    other = new_artifact()
    assert other.add(joined, "j").ref is None
    assert got(log(other), "j").table1.data == [[1], [5]]


def test_all_objects_lie_in_the_cells_of_one_table(tmp_path: Path) -> None:
    molecule = tmp_path / "a.pdb"
    molecule.write_text("END")
    plot = bokeh.plotting.figure()
    plot.scatter([1], [2])
    row = {
        "audio": holdfast.Audio(np.arange(100, dtype=np.int16), 8_000, caption=7),
        "video": holdfast.Video(np.zeros((2, 3, 16, 16), np.uint8)),
        "html": holdfast.Html("<b>bold</b>"),
        "points": holdfast.Object3D(np.eye(3)),
        "molecule": holdfast.Molecule(str(molecule)),
        "bokeh": holdfast.Bokeh(plot),
        "plotly": holdfast.Plotly(plotly.graph_objects.Figure({"data": [{"type": "scatter", "y": [1, 2]}]})),
        "image": holdfast.Image(np.zeros((2, 2, 3), np.uint8), grouping=np.int64(2)),
        "classes": holdfast.Classes([{"id": np.int64(0), "name": "cat"}]),
        "table": Table(columns=["x"], data=[[Table(columns=["y"], data=[[holdfast.Html("deep")]])]]),
        "list": [holdfast.Html("one"), None, [holdfast.Html("two")]],
        "dict": {"key": holdfast.Html("three"), "number": 1},
    }
    artifact = new_artifact()
    tables = [Table(columns=list(row), format=form) for form in ("json", "parquet")]
    for table in tables:
        table.add_data(*row.values())
        table.add_data(*[None] * len(row))
        artifact[table.format] = table
    logged = log(artifact)
    for table in tables:
        read = got(logged, table.format)
        assert read == table
        cells = dict(zip(read.columns, read.data[0], strict=True))
        assert {name: type(cell) for name, cell in cells.items()} == {name: type(cell) for name, cell in row.items()}
        assert cells["list"][2][0].html == row["list"][2][0].html
        assert cells["table"].data[0][0].data[0][0].html == row["table"].data[0][0].data[0][0].html
        assert np.array_equal(cells["audio"].to_numpy(), row["audio"].to_numpy())
        assert cells["audio"].caption == "7"


def test_a_file_that_is_no_table_is_named() -> None:
    artifact = new_artifact()
    with artifact.new_file("t.table.json", "w") as file:
        json.dump({"columns": ["a"], "data": [[1, 2]]}, file)
    logged = log(artifact)
    with pytest.raises(MalformedObjectError, match=r"t\.table\.json of .*data\[0\]"):
        got(logged, "t")


def test_a_table_in_parquet_form_comes_back_in_other_folders_and_without_its_description(tmp_path: Path) -> None:
    table = Table(columns=["n", "text", "array"], format="parquet")
    for at in range(5):
        table.add_data(at, f"text {at}" if at else None, np.full((2, 2), at))
    artifact = new_artifact()
    artifact.add(table, "folder/t")
    artifact.add_file(_parquet_of_another_program(tmp_path), name="other.table.parquet")
    logged = log(artifact)
    assert got(logged, "folder/t") == table
    assert got(logged, "folder/t.table.parquet") == table
    other = got(logged, "other")
    assert (other.columns, other.data) == (["x", "when"], [[1, datetime(2020, 1, 1, tzinfo=UTC)], [2, None]])
    second = new_artifact()
    assert second.add(got(logged, "folder/t"), "mine").ref is not None
    assert got(log(second), "mine") == table
    assert got(logged, "absent") is None


def _parquet_of_another_program(folder: Path) -> str:
    path = folder / "other.parquet"
    pq.write_table(pa.table({"x": [1, 2], "when": [datetime(2020, 1, 1), None]}), path)
    return str(path)


def test_one_column_is_read_without_the_others_bytes(host: SdkHost, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 100_000
    noise = np.random.default_rng(7)
    table = Table(columns=[f"c{at}" for at in range(8)], format="parquet")
    table.add_batch({name: noise.random(rows) for name in table.columns})
    artifact = new_artifact()
    artifact["t"] = table
    read_table = got(log(artifact), "t")
    read_bytes = 0
    readinto = StoredFile.readinto

    def counted(self: StoredFile, buffer: Any) -> int:
        nonlocal read_bytes
        count = readinto(self, buffer)
        read_bytes += count
        return count

    monkeypatch.setattr(StoredFile, "readinto", counted)
    column = read_table.get_column("c3")
    assert column == table.get_column("c3")
    assert 0.9 * 8 * rows < read_bytes < 2 * 8 * rows
