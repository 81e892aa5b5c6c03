"""What W&B's documents promise of `Run` and of the module's functions, with all three processes."""

import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast import _known_types, errors
from support.sdk_calls import PROJECT, fetched, fresh_name, log, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def holding(text: str = "x", name: str | None = None, type: str = "dataset") -> holdfast.Artifact:
    """A draft with one file."""
    artifact = new_artifact(name, type)
    with artifact.new_file("file") as file:
        file.write(text)
    return artifact


def test_every_form_of_a_name_is_used() -> None:
    name = fresh_name()
    log(holding("a", name), aliases=["best"])
    version = log(holding("b", name))
    with holdfast.init(project=PROJECT) as run:
        for text, expected in {
            name: "v1",
            f"{name}:v0": "v0",
            f"{name}:best": "v0",
            f"{name}:latest": "v1",
            f"{name}:{version.digest}": "v1",
            version.digest: "v1",
            f"{PROJECT}/{name}:v0": "v0",
            f"local/{PROJECT}/{name}:best": "v0",
        }.items():
            assert run.use_artifact(text).version == expected, text
        with pytest.raises(errors.NotFoundError):
            run.use_artifact("0" * 64)


def test_a_collection_of_another_type_is_told_before_anything_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer is what counts here, however busy the machine is.
    monkeypatch.setattr(_known_types, "DEADLINE_S", 30.0)
    _known_types.known_types.cache_clear()
    name = fresh_name()
    log(holding("a", name))
    artifact = holding("b", name, "model")
    with (
        holdfast.init(project=PROJECT) as run,
        pytest.raises(ValueError, match=f"Artifact {name} already exists with type 'dataset'; cannot create another"),
    ):
        run.log_artifact(artifact)
    assert not artifact.is_final


def test_models_are_logged_and_used() -> None:
    name, dataset = fresh_name("model"), log(holding("x"))
    with holdfast.init(project=PROJECT) as run:
        holdfast.log_model(__file__, name=name, aliases=["first"])
        # Versions of one process are committed in their order: with the second one the first one is there.
        run.log_artifact(holding("y", name, "model")).wait()
        path = holdfast.use_model(f"{name}:first")
        assert Path(path).read_text() == Path(__file__).read_text()
        with pytest.raises(AssertionError, match="You can only use this method for 'model' artifacts"):
            run.use_model(dataset.name)


def test_a_model_of_several_files_is_a_folder() -> None:
    artifact = new_artifact(type="my model")
    for number in range(2):
        with artifact.new_file(f"part-{number}") as file:
            file.write(str(number))
    version = log(artifact)
    with holdfast.init(project=PROJECT) as run:
        assert {path.name for path in Path(run.use_model(version.name)).iterdir()} == {"part-0", "part-1"}


def test_code_is_logged(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print()")
    with holdfast.init(project=PROJECT) as run:
        code = run.log_code(str(tmp_path), name=f"source-{fresh_name()}")
        assert code is not None
        assert (code.wait().type, list(code.manifest.entries)) == ("code", ["train.py"])


def test_a_run_knows_what_it_has_logged_and_used() -> None:
    source = log(holding("in"))
    with holdfast.init(project=PROJECT) as run:
        run.use_artifact(source)
        made = run.log_artifact(holding("out")).wait()
        assert [one.qualified_name for one in run.logged_artifacts()] == [made.qualified_name]
        assert [one.qualified_name for one in run.used_artifacts()] == [source.qualified_name]


def test_config_values_become_artifacts() -> None:
    source = log(holding())
    config = {"data": f"wandb-artifact://{source.qualified_name}", "id": f"holdfast-artifact://_id/{source.id}"}
    with holdfast.init(project=PROJECT, config=config, tags=["lr=0.1"]) as run:
        assert run.config.data.qualified_name == run.config["id"].qualified_name == source.qualified_name
        made = run.log_artifact(holding("out")).wait()
    assert run.id in [by.id for by in source.used_by()]
    logged_by = made.logged_by()
    assert logged_by is not None
    assert logged_by.config["data"]["id"] == source.id
    assert list(logged_by.tags) == ["lr=0.1"]


@pytest.mark.filterwarnings("ignore:Holdfast keeps artifacts")
def test_history_step_is_where_the_run_was() -> None:
    with holdfast.init(project=PROJECT) as run:
        before = run.log_artifact(holding("a")).wait()
        for _ in range(5):
            run.log({"loss": 1})
        after = run.log_artifact(holding("b")).wait()
    assert (before.history_step, after.history_step, fetched(after).history_step) == (None, 4, 4)


def test_a_run_that_is_resumed_must_be_there() -> None:
    run_id = fresh_name("run")
    with pytest.raises(errors.UsageError, match="There is no run"):
        holdfast.init(project=PROJECT, id=run_id, resume="must")
    with holdfast.init(project=PROJECT, id=run_id, resume="allow") as run:
        run.log_artifact(holding()).wait()
    with holdfast.init(project=PROJECT, id=run_id, resume="must") as run:
        assert run.resumed
    with pytest.raises(errors.UsageError, match="There is a run"):
        holdfast.init(project=PROJECT, id=run_id, resume="never")


def test_a_large_config_hinders_nothing() -> None:
    config = {f"key{number}": {"value": number} for number in range(300)}
    with holdfast.init(project=PROJECT, config=config) as run:
        version = run.log_artifact(holding()).wait()
    logged_by = version.logged_by()
    assert logged_by is not None
    assert logged_by.config == config


def test_saving_without_a_run_takes_the_settings_it_is_given() -> None:
    artifact = holding()
    artifact.save(project=PROJECT, settings=holdfast.Settings(run_group="harness"))
    made = artifact.wait().logged_by()
    assert made is not None
    assert (made.job_type, made.group, artifact.project) == ("auto", "harness", PROJECT)


FORK_AND_LEAVE = """
import os, sys, holdfast
run = holdfast.init(project=sys.argv[1])
run.log_artifact(sys.argv[2], name="before", type="code").wait()
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print(holdfast.Api().run("/".join(("local", sys.argv[1], run.id))).state)
"""


def test_the_end_of_a_forked_child_is_not_the_runs() -> None:
    command = [sys.executable, "-c", FORK_AND_LEAVE, PROJECT, __file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "running"), done.stderr
