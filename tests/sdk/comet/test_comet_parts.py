"""What Comet's vocabulary is made of: names, strategies, summary, immutable metadata, exceptions."""

import warnings

import pytest

import holdfast.comet as comet_ml
from holdfast import errors
from holdfast._process import reset_process
from holdfast.comet._download_lines import DownloadLines
from holdfast.comet._immutable_dict import ImmutableDict
from holdfast.comet._names import parse_name, shown_aliases, stored_aliases, version_name
from holdfast.comet._strategies import Strategy, strategy_of
from holdfast.comet.exceptions import LogArtifactException, not_logged, told_as
from holdfast_contract.places import Places
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1.fetch_pb2 import DownloadResponse


@pytest.fixture(autouse=True)
def _alone(places: Places) -> None:
    """No test here meets a daemon."""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name", (None, "name", None)),
        ("name:1.2.0", (None, "name", "1.2.0")),
        ("ws/name", ("ws", "name", None)),
        ("ws/name:>=1,<2", ("ws", "name", ">=1,<2")),
    ],
)
def test_names_are_taken_apart(text: str, parts: tuple[str | None, ...]) -> None:
    found = parse_name(text)
    assert (found.workspace, found.name, found.version_or_alias) == parts


@pytest.mark.parametrize("text", ["", "/name", "ws/", ":v1", "name:", "ws/:v1"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is named by"):
        parse_name(text)


def test_an_argument_wins_over_the_name_and_a_difference_is_told() -> None:
    with pytest.warns(UserWarning, match="the argument is taken") as told:
        name = version_name("ws/name:1.0.0", "other", "2.0.0", default_workspace="mine")
    assert (name.entity, name.collection, name.alias, len(told)) == ("other", "name", "2.0.0", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        name = version_name("ws/name:Latest", "ws", None, default_workspace="mine")
    assert (name.entity, name.alias) == ("ws", "latest")
    assert version_name("name", None, None, default_workspace="mine").entity == "mine"


def test_artifacts_of_a_workspace_lie_in_one_project(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_name("name", None, None, default_workspace="ws").project == "uncategorized"
    for variable, value in (("HOLDFAST_PROJECT", "default"), ("HOLDFAST_COMET_PROJECT", "shared")):
        monkeypatch.setenv(variable, value)
        reset_process()
        assert version_name("name", None, None, default_workspace="ws").project == value


def test_comets_variables_stand_in_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_WORKSPACE", "theirs")
    monkeypatch.setenv("COMET_PROJECT_NAME", "their-project")
    with comet_ml.Experiment(disabled=True) as experiment:
        assert (experiment.workspace, experiment.project_name) == ("theirs", "their-project")
    monkeypatch.setenv("HOLDFAST_ENTITY", "ours")
    monkeypatch.setenv("HOLDFAST_PROJECT", "our-project")
    with comet_ml.Experiment(disabled=True) as experiment:
        assert (experiment.workspace, experiment.project_name) == ("ours", "our-project")
    with comet_ml.Experiment(workspace="given", project_name="p", disabled=True) as experiment:
        assert (experiment.workspace, experiment.project_name) == ("given", "p")


def test_latest_is_written_as_each_side_writes_it() -> None:
    assert shown_aliases(["latest", "a"]) == {"Latest", "a"}
    assert stored_aliases(["Latest", "latest", "b", "a", "a"]) == ["a", "b"]


def test_strategies_have_the_documented_words() -> None:
    assert {word: strategy_of(word) for word in (False, "FAIL", "fail")} == dict.fromkeys(
        [False, "FAIL", "fail"], Strategy.FAIL
    )
    assert strategy_of("PRESERVE") is strategy_of("preserve") is Strategy.PRESERVE
    assert strategy_of(True) is strategy_of("Overwrite") is Strategy.OVERWRITE
    for word in ("", "REPLACE", 1, None):
        with pytest.raises(ValueError, match="Invalid user_overwrite value"):
            strategy_of(word)  # type: ignore[arg-type]


def test_metadata_of_what_is_logged_cannot_be_changed() -> None:
    metadata = ImmutableDict({"k": 1})
    for change in ("clear", "popitem"):
        with pytest.raises(TypeError, match="object is immutable"):
            getattr(metadata, change)()
    with pytest.raises(TypeError):
        metadata["k"] = 2
    with pytest.raises(TypeError):
        del metadata["k"]
    with pytest.raises(TypeError):
        metadata |= {"k": 2}
    assert metadata == {"k": 1}


def test_a_summary_counts_by_topic_and_section() -> None:
    summary = comet_ml.Summary()
    summary.increment_section("uploads", "artifacts")
    for size in (10, 5, None):
        summary.increment_section("downloads", "artifact assets", size=size, framework="any")
    assert summary.generate_summary("full") == {
        "uploads": {"artifacts": {"count": 1}},
        "downloads": {"artifact assets": {"count": 3, "size_bytes": 15}},
    }
    with pytest.raises(ValueError, match="topic"):
        summary.increment_section("other things", "x")


def test_exceptions_keep_ours_as_their_cause_and_have_comets_number() -> None:
    ours = errors.error_of(Reason.SEMVER_EXISTS, "taken")
    with pytest.raises(LogArtifactException, match="taken") as caught, told_as(not_logged):
        raise ours
    assert (caught.value.__cause__, caught.value.sdk_error_code) == (ours, 90399)
    assert caught.value.backend_err_msg == "taken"
    with pytest.raises(LogArtifactException) as other, told_as(not_logged):
        raise OSError("disk")
    assert other.value.sdk_error_code is None


def test_a_disabled_experiment_refuses_to_log() -> None:
    experiment = comet_ml.Experiment(project_name="p", disabled=True)
    assert (experiment.alive, experiment.disabled, len(experiment.get_key())) == (False, True, 32)
    with pytest.raises(comet_ml.exceptions.ExperimentDisabledException):
        experiment.log_artifact(comet_ml.Artifact("name"))
    experiment.end()
    assert experiment.ended


def test_log_artifact_takes_artifacts_of_this_vocabulary_only() -> None:
    with comet_ml.Experiment(project_name="p") as experiment, pytest.raises(ValueError, match="Artifact"):
        experiment.log_artifact("name")  # type: ignore[arg-type]


def test_what_an_experiment_does_not_know_is_told_once() -> None:
    with pytest.warns(UserWarning, match=r"ignores auto_log_co2, log_code$"):
        comet_ml.Experiment(project_name="p", log_code=True, auto_log_co2=True, parse_args=False).end()


def test_start_returns_what_is_running() -> None:
    first = comet_ml.start(project_name="p", online=None)
    assert comet_ml.start(project_name="q") is first is comet_ml.get_running_experiment()
    second = comet_ml.start(project_name="q", mode="create", workspace="ws")
    assert (second.project_name, second.workspace) == ("q", "ws")
    comet_ml.end()
    assert comet_ml.get_running_experiment() is None
    assert not first.ended
    first.end()
    with comet_ml.Experiment(project_name="p") as made:
        assert comet_ml.start() is made is comet_ml.get_global_experiment()
    config = comet_ml.ExperimentConfig(name="for people", tags=["t"])
    with comet_ml.start(project_name="p", experiment_config=config) as third:
        assert (third.get_name(), third.get_tags()) == ("for people", ["t"])
    with pytest.warns(UserWarning, match=r"ExperimentConfig\(\) ignores log_code"):
        assert comet_ml.start(experiment_config=comet_ml.ExperimentConfig(disabled=True, log_code=True)).disabled
    assert comet_ml.get_running_experiment() is None
    with pytest.raises(ValueError, match="mode"):
        comet_ml.start(mode="resume")


def test_a_long_download_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = DownloadLines("mnist:v3", enabled=True, monotonic=lambda: now)
    silent = DownloadLines("mnist:v3", enabled=False, monotonic=lambda: now)
    for half_seconds in range(60):
        now = half_seconds / 2
        done = 50 + half_seconds
        message = DownloadResponse(
            entries_total=2_000, entries_done=done, bytes_total=200 << 20, bytes_done=done << 20, bytes_kept=50 << 20
        )
        lines(message)
        silent(message)
    told = "mnist:v3: 1,920 of 2,000 files remain, 120.0 MiB of 200.0 MiB, 2.0 MiB/s, 60 s left\n"
    assert capsys.readouterr().err == told
