"""`log_code`: which files of a program are logged, and under which name."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import holdfast
from holdfast.runs import Run
from support.fake_daemon import FakeDaemon


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    return holdfast.init(project="my project")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    root = tmp_path / "program"
    for path in ("train.py", "lib/deep.py", "requirements.txt", "Dockerfile.gpu", "data.csv", "wandb/run/x.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "wandb.py").write_text("not a run's")
    return root


def paths(artifact: holdfast.Artifact | None) -> list[str]:
    assert artifact is not None
    return list(artifact.wait().manifest.entries)


def test_code_is_python_and_what_it_needs_but_no_run_of_it(run: Run, program: Path) -> None:
    artifact = run.log_code(str(program))
    assert paths(artifact) == ["Dockerfile.gpu", "lib/deep.py", "requirements.txt", "train.py", "wandb.py"]
    assert artifact is not None
    assert artifact.type == "code"


def test_name_says_whose_code_it_is(run: Run, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__file__ = str(program / "lib" / "deep.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    artifact = run.log_code(str(program))
    assert artifact is not None
    assert artifact.name == "source-my_project-lib_deep.py"
    named = run.log_code(str(program), name="source-mine")
    assert named is not None
    assert named.name == "source-mine"


@pytest.mark.parametrize(
    "include",
    [
        lambda path: path.endswith(".csv"),
        lambda path, root: path == f"{root}/data.csv",
        lambda *arguments: arguments[0].endswith(".csv"),
    ],
)
def test_filters_take_one_argument_or_two(run: Run, program: Path, include: Any) -> None:
    assert paths(run.log_code(str(program), include_fn=include)) == ["data.csv"]


def test_exclusion_wins(run: Run, program: Path) -> None:
    code = run.log_code(str(program), include_fn=lambda path: True, exclude_fn=lambda path, root: path.endswith(".py"))
    assert paths(code) == ["Dockerfile.gpu", "data.csv", "requirements.txt"]


def test_no_file_is_no_artifact(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run.log_code(str(tmp_path / "empty")) is None
    with pytest.raises(ValueError, match="root is not a directory"):
        run.log_code(str(tmp_path / "absent"))
