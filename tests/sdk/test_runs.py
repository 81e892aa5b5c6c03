"""`init` and runs: arguments, one active run, nothing needed that is up."""

import argparse
import copy
import os
import pickle
import random
import string
from pathlib import Path

import pytest

import holdfast
from holdfast._process import reset_process, this_process
from holdfast.artifact import Artifact
from holdfast.errors import Error
from holdfast.runs import new_run_id
from holdfast_contract.places import Places
from support.fake_daemon import FakeDaemon

pytestmark = pytest.mark.usefixtures("places")


def test_init_needs_no_daemon_and_starts_none(places: Places) -> None:
    with holdfast.init(project="p") as run:
        assert holdfast.run is run
    assert holdfast.run is None
    assert not this_process().daemon.launcher.is_listening()
    assert not places.data_dir.exists()


def test_arguments_become_attributes() -> None:
    run = holdfast.init(
        entity="team",
        project="p",
        name="Display",
        id="run-1",
        group="g",
        job_type="train",
        config={"lr": 1},
        tags=["a"],
        notes="n",
        dir="somewhere",
    )
    assert (run.entity, run.project, run.name, run.id, run.group, run.job_type) == (
        "team",
        "p",
        "Display",
        "run-1",
        "g",
        "train",
    )
    assert (run.path, run.tags, run.notes, run.dir, run.disabled) == ("team/p/run-1", ("a",), "n", "somewhere", False)
    assert run.config == {"lr": 1}


def test_defaults_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    run = holdfast.init()
    assert (run.entity, run.project, run.name, run.group) == ("local", "uncategorized", run.id, "")
    monkeypatch.setenv("HOLDFAST_PROJECT", "mine")
    reset_process()
    assert holdfast.init(reinit=True).project == "mine"


def test_ids_are_8_characters_whatever_the_seed() -> None:
    random.seed(1)
    first = new_run_id()
    random.seed(1)
    assert new_run_id() != first
    assert len(first) == 8
    assert set(first) <= set(string.digits + string.ascii_lowercase)


@pytest.mark.parametrize(
    "arguments", [{"id": "a/b"}, {"id": " a"}, {"project": "a/b"}, {"entity": "a b"}, {"mode": "sometimes"}]
)
def test_bad_arguments_are_value_errors(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments.values()))):
        holdfast.init(**arguments)  # type: ignore[arg-type]
    assert holdfast.run is None


def test_unknown_arguments_are_accepted_with_one_warning() -> None:
    with pytest.warns(UserWarning, match=r"holdfast\.init\(\) ignores save_code, sync_tensorboard") as warned:
        holdfast.init(sync_tensorboard=True, save_code=True)
    assert len(warned) == 1


def test_config_is_a_dict_with_attributes() -> None:
    run = holdfast.init(config=argparse.Namespace(lr=0.1, layers=[1, 2]))
    run.config.batch = 5
    run.config["lr"] = 0.2
    run.config.update({"more": 1})
    assert run.config.as_dict() == {"lr": 0.2, "layers": [1, 2], "batch": 5, "more": 1}
    assert (run.config.lr, len(run.config), repr(run.config)) == (0.2, 4, repr(run.config.as_dict()))
    del run.config["more"]
    with pytest.raises(AttributeError, match="no key 'more'"):
        run.config.more  # noqa: B018
    with pytest.raises(TypeError, match="config must be a dict"):
        holdfast.init(config=5, reinit=True)


def test_second_init_returns_the_active_run_unless_told() -> None:
    first = holdfast.init(project="p")
    assert holdfast.init(project="q") is first
    third = holdfast.init(project="q", reinit="create_new")
    assert (holdfast.run, first.is_finished) == (third, False)
    fourth = holdfast.init(project="q", reinit=True)
    assert (holdfast.run, third.is_finished) == (fourth, True)


def test_module_functions_need_a_run() -> None:
    with pytest.raises(Error, match=r"You must call holdfast\.init\(\) before holdfast\.log_artifact\(\)"):
        holdfast.log_artifact(Artifact("a", "t"))
    with pytest.raises(Error, match=r"You must call holdfast\.init\(\) before holdfast\.use_artifact\(\)"):
        holdfast.use_artifact("a")
    holdfast.finish()


def test_module_functions_speak_to_the_active_run(daemon: FakeDaemon, tree: Path) -> None:
    run = holdfast.init(project="p")
    artifact = Artifact("a", "t")
    artifact.add_dir(str(tree))
    assert holdfast.log_artifact(artifact, aliases=["x"]).wait().aliases == ["latest", "x"]
    assert [one.id for one in holdfast.use_artifact("a:x").used_by()] == [run.id]


def test_finished_run_logs_nothing_more() -> None:
    run = holdfast.init()
    run.finish()
    run.finish()
    with pytest.raises(Error, match="is finished"):
        run.log_artifact(Artifact("a", "t"))
    with pytest.raises(Error, match="is finished"):
        run.use_artifact("a")


def state(daemon: FakeDaemon, run: holdfast.Run) -> str:
    return daemon.state.runs[(run.entity, run.project, run.id)].state


def test_state_is_told_to_the_registry(daemon: FakeDaemon) -> None:
    with holdfast.init(project="p") as run:
        pass
    assert state(daemon, run) == "finished"
    with pytest.raises(ZeroDivisionError), holdfast.init(project="p") as failed:
        _ = 1 / 0
    assert state(daemon, failed) == "failed"
    other = holdfast.init(project="p")
    other.finish(exit_code=2)
    assert state(daemon, other) == "failed"


def test_finish_does_not_wait_for_a_daemon_that_hangs(daemon: FakeDaemon) -> None:
    daemon.faults.draining = True
    holdfast.init(project="p").finish()
    daemon.faults.draining = False


def test_disabled_run_logs_nothing(daemon: FakeDaemon, tree: Path) -> None:
    run = holdfast.init(mode="disabled")
    artifact = Artifact("a", "t")
    assert run.log_artifact(artifact) is artifact
    assert (artifact.is_final, artifact.is_draft(), artifact.wait()) == (True, True, artifact)
    assert run.use_artifact(artifact) is artifact
    assert run.link_artifact(artifact, "portfolio") is artifact
    assert not run.use_artifact("a").download()
    assert (run.use_model("m"), run.log_code(), run.link_model(tree, "m"), run.get_url()) == ("", None, None, None)
    run.log_model(tree)
    run.finish()
    assert "LogArtifact" not in daemon.calls.methods
    assert (run.entity, run.project, run.id) not in daemon.state.runs


def test_run_directory_may_be_a_path(tmp_path: Path) -> None:
    assert holdfast.init(dir=tmp_path).dir == os.fspath(tmp_path)


def test_run_is_passed_to_another_process(daemon: FakeDaemon) -> None:
    run = holdfast.init(project="p", config={"lr": 1}, tags=["t"], group="g", mode="offline", dir="d")
    passed = pickle.loads(pickle.dumps(run))
    assert (passed.path, passed.config, passed.tags, passed.group) == (run.path, {"lr": 1}, ("t",), "g")
    assert (passed.offline, passed.dir, passed.is_finished) == (True, "d", False)
    passed.log_artifact(Artifact("a", "t"))
    assert holdfast.run is run


def test_config_and_summary_can_be_copied() -> None:
    run = holdfast.init(config={"nested": {"lr": 1}})
    run.summary.best = [1]
    config, summary = copy.deepcopy(run.config), copy.deepcopy(run.summary)
    config["nested"]["lr"] = 2
    summary.best.append(2)
    assert (run.config, run.summary) == ({"nested": {"lr": 1}}, {"best": [1]})
    assert (dict(copy.copy(run.config)), dict(copy.copy(run.summary))) == (dict(run.config), dict(run.summary))
