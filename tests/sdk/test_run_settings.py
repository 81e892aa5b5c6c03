"""What a run begins with: arguments, then the settings object, then the environment, W&B's names included."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import holdfast
from holdfast._process import reset_process
from holdfast._settings import load_sdk_settings
from holdfast.errors import UsageError
from holdfast_contract.places import Places
from support.fake_daemon import FakeDaemon

pytestmark = pytest.mark.usefixtures("places")

ENVIRONMENT = {
    "RUN_ID": "from-env",
    "RUN_GROUP": "env group",
    "JOB_TYPE": "env job",
    "NAME": "env name",
    "TAGS": "one, two,,one",
    "NOTES": "env notes",
    "DIR": "/env",
    "MODE": "offline",
}


@pytest.mark.parametrize("prefix", ["WANDB", "HOLDFAST"])
def test_environment_is_read_by_each_init(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holdfast.init().finish()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)
    run = holdfast.init()
    assert (run.id, run.group, run.job_type, run.name) == ("from-env", "env group", "env job", "env name")
    assert (run.tags, run.notes, run.dir, run.offline) == (("one", "two"), "env notes", "/env", True)


def test_our_names_come_before_theirs_and_arguments_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_GROUP", "theirs")
    monkeypatch.setenv("HOLDFAST_RUN_GROUP", "ours")
    monkeypatch.setenv("WANDB_JOB_TYPE", "env")
    assert holdfast.init(settings={"run_group": "settings"}).group == "settings"
    run = holdfast.init(reinit=True, job_type="argument", settings={"run_job_type": "settings"})
    assert (run.group, run.job_type) == ("ours", "argument")


def test_entity_project_and_artifact_folder_may_have_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENTITY", "PROJECT", "ARTIFACT_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", f"their-{name}")
    monkeypatch.setenv("HOLDFAST_PROJECT", "ours")
    reset_process()
    run = holdfast.init()
    assert (run.entity, run.project) == ("their-ENTITY", "ours")
    assert load_sdk_settings({"WANDB_ARTIFACT_DIR": "x"}).artifact_dir == "x"


@pytest.mark.parametrize("make", [lambda **v: v, holdfast.Settings, SimpleNamespace])
def test_settings_may_be_of_any_kind(make: Any) -> None:
    settings = make(run_id="r", project="p", mode="disabled", run_tags=("t",), root_dir="d", start_method="fork")
    run = holdfast.init(settings=settings)
    assert (run.id, run.project, run.disabled, run.tags, run.dir) == ("r", "p", True, ("t",), "d")
    assert (run.settings.run_id, run.settings.mode, run.settings.unheard_of) == ("r", "disabled", None)


@pytest.mark.parametrize(
    ("mode", "meant"), [("run", "online"), ("shared", "online"), ("dryrun", "offline"), ("offline", "offline")]
)
def test_older_names_of_modes_are_known(mode: str, meant: str) -> None:
    assert holdfast.init(mode=mode).offline == (meant == "offline")


def test_arguments_without_effect_are_warned_of_only_when_set() -> None:
    holdfast.init(save_code=False, anonymous=None, allow_val_change=True, sync_tensorboard=False)
    with pytest.warns(UserWarning, match=r"holdfast\.init\(\) ignores anonymous, monitor_gym"):
        holdfast.init(reinit=True, anonymous="allow", monitor_gym=True)


def test_config_keys_may_be_chosen() -> None:
    config = {"a": 1, "b": 2, "c": 3}
    assert holdfast.init(config=config, config_exclude_keys=["a"]).config.as_dict() == {"b": 2, "c": 3}
    assert holdfast.init(config=config, config_include_keys=["a"], reinit=True).config.as_dict() == {"a": 1}
    with pytest.raises(UsageError, match="only one of config_exclude_keys or config_include_keys"):
        holdfast.init(config=config, config_include_keys=["a"], config_exclude_keys=["b"])


@pytest.mark.parametrize("resume", ["allow", "auto", True, False, None])
def test_resuming_needs_nobody(resume: Any, places: Places) -> None:
    assert holdfast.init(id="r", resume=resume).id == "r"
    assert not places.data_dir.exists()


def test_run_that_must_or_must_not_be_there_is_asked_for(daemon: FakeDaemon) -> None:
    with pytest.raises(UsageError, match='There is no run local/p/r to resume, and resume="must"'):
        holdfast.init(project="p", id="r", resume="must")
    assert holdfast.run is None
    with holdfast.init(project="p", id="r", resume="never") as run:
        assert not run.resumed
    with holdfast.init(project="p", id="r", resume="must") as run:
        assert run.resumed
    with pytest.raises(UsageError, match='There is a run local/p/r already, and resume="never"'):
        holdfast.init(project="p", id="r", resume="never")
    with pytest.raises(UsageError, match="resume must be one of"):
        holdfast.init(resume="perhaps")


@pytest.mark.parametrize("tags", [["x" * 65], [""], [5], [str(number) for number in range(100)]])
def test_bad_tags_of_a_run_are_refused(tags: Any) -> None:
    with pytest.raises(ValueError, match="tag"):
        holdfast.init(tags=tags)
    run = holdfast.init(tags=["lr=0.1", "any/text"])
    with pytest.raises(ValueError, match="tag"):
        run.tags = tags
    run.tags += ("more",)
    assert run.tags == ("lr=0.1", "any/text", "more")


def test_urls_lie_below_the_address_of_the_web_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    run = holdfast.init(project="my project", id="r")
    assert run.url == run.get_url() == "holdfast://local/my project/runs/r"
    assert run.get_project_url() == "holdfast://local/my project"
    monkeypatch.setenv("HOLDFAST_APP_URL", "https://artifacts.example.org/")
    reset_process()
    assert run.url == "https://artifacts.example.org/local/my%20project/runs/r"
    assert run.project_url == "https://artifacts.example.org/local/my%20project"
    assert holdfast.init(mode="offline", reinit=True).get_url() is None


def test_name_and_notes_may_be_changed(daemon: FakeDaemon) -> None:
    with holdfast.init(project="p") as run:
        run.name, run.notes = "new name", "new notes"
    stored = daemon.state.runs["local", "p", run.id]
    assert (stored.display_name, stored.notes) == ("new name", "new notes")


def test_start_is_a_moment(tmp_path: Path) -> None:
    earlier, later = holdfast.init(), holdfast.init(reinit=True)
    assert 0 < earlier.start_time <= later.start_time
