"""`holdfast artifact diff | alias | tag | copy` against a daemon and a registry of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app

pytestmark = pytest.mark.usefixtures("host")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def done(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def as_json(*arguments: object) -> Any:
    return json.loads(done(*arguments, "--json").stdout)


def put(folder: Path, name: str, files: dict[str, str]) -> str:
    """Logs a folder with exactly these files; returns the version's full name."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for path, text in files.items():
        (folder / path).write_text(text)
    return str(as_json("artifact", "put", folder, "-n", name)["qualified_name"])


def test_diff_says_what_was_added_removed_and_changed(tmp_path: Path) -> None:
    old = put(tmp_path / "data", "diffs/cats", {"same": "1", "gone": "22", "other": "333"})
    new = put(tmp_path / "data", "diffs/cats", {"same": "1", "new": "4444", "other": "55555"})
    assert as_json("artifact", "diff", old, new) == [
        {"path": "gone", "change": "removed", "old_size_bytes": 2, "new_size_bytes": None},
        {"path": "new", "change": "added", "old_size_bytes": None, "new_size_bytes": 4},
        {"path": "other", "change": "changed", "old_size_bytes": 3, "new_size_bytes": 5},
    ]
    shown = done("artifact", "diff", old, new)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["-", "+", "~"]
    assert "1 added, 1 removed, 1 changed" in shown.stderr


def test_diff_of_equal_contents_is_empty_and_the_exit_code_says_so(tmp_path: Path) -> None:
    one = put(tmp_path / "data", "diffs/one", {"a": "1"})
    same = put(tmp_path / "data", "diffs/same", {"a": "1"})
    other = put(tmp_path / "data", "diffs/other", {"a": "2"})
    assert as_json("artifact", "diff", one, same, "--exit-code") == []
    assert call("artifact", "diff", one, other, "--exit-code").exit_code == ExitCode.FAILED


def test_aliases_are_given_moved_and_taken_away(tmp_path: Path) -> None:
    first = put(tmp_path / "data", "names/cats", {"a": "1"})
    second = put(tmp_path / "data", "names/cats", {"a": "2"})
    assert as_json("artifact", "alias", first, "prod", "best") == ["best", "prod"]
    assert as_json("artifact", "alias", second, "prod") == ["latest", "prod"]
    assert as_json("artifact", "alias", first) == ["best"]
    assert as_json("artifact", "alias", first, "best", "--remove") == []


def test_tags_are_given_and_taken_away(tmp_path: Path) -> None:
    name = put(tmp_path / "data", "names/tagged", {"a": "1"})
    assert as_json("artifact", "tag", name, "clean", "raw data") == ["clean", "raw data"]
    assert as_json("artifact", "tag", name, "clean", "-r") == ["raw data"]
    assert holdfast.Api().artifact(name).tags == ["raw data"]


@pytest.mark.parametrize("what", ["alias", "tag"])
def test_taking_away_what_is_not_there_is_said(what: str, tmp_path: Path) -> None:
    name = put(tmp_path / "data", "names/absent", {"a": "1"})
    result = call("artifact", what, name, "nothing", "--remove")
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "'nothing'" in result.stderr


def test_a_copy_has_the_content_and_remembers_its_source(tmp_path: Path) -> None:
    name = put(tmp_path / "data", "source/cats", {"a": "1", "b": "22"})
    done("artifact", "tag", name, "clean")
    copied = as_json("artifact", "copy", name, "elsewhere/dogs", "-a", "first")
    source = holdfast.Api().artifact(name)
    assert copied["qualified_name"] == "local/elsewhere/dogs:v0"
    assert (copied["digest"], copied["tags"]) == (source.digest, ["clean"])
    assert copied["aliases"] == ["first", "latest"]
    maker = holdfast.Api().artifact("elsewhere/dogs").logged_by()
    assert maker is not None
    assert [used.qualified_name for used in maker.used_artifacts()] == [source.qualified_name]


def test_a_copy_to_another_entity_says_how_it_can_be_done(tmp_path: Path) -> None:
    name = put(tmp_path / "data", "source/foreign", {"a": "1"})
    result = call("artifact", "copy", name, "others/elsewhere/dogs")
    assert result.exit_code == ExitCode.USAGE
    assert "holdfast bundle" in result.stderr


def test_lineage_shows_makers_and_users(tmp_path: Path) -> None:
    raw = put(tmp_path / "data", "line/raw", {"a": "1"})
    with holdfast.init(project="line", job_type="clean") as run:
        run.use_artifact(raw)
        (tmp_path / "clean.txt").write_text("2")
        run.log_artifact(str(tmp_path / "clean.txt"), name="clean", type="dataset").wait()
    found = as_json("artifact", "lineage", "line/clean")
    (maker,) = found["made_from"]
    assert (maker["kind"], maker["name"]) == ("run", f"local/line/{run.id}")
    assert [child["name"] for child in maker["children"]] == [raw]
    (user,) = as_json("artifact", "lineage", raw)["made_into"]
    assert [child["name"] for child in user["children"]] == ["local/line/clean:v0"]
    assert "local/line/raw:v0" in done("artifact", "lineage", "line/clean").stdout
