"""Runs as the registry knows them: listed, changed field by field, and given artifacts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Api, Run, RunArtifacts
from holdfast.artifact import Artifact
from holdfast.errors import CommError, Error, NotFoundError, WaitTimeoutError
from holdfast_contract.reasons import Reason
from holdfastpb.registry.v1 import run_pb2
from support.fake_daemon import FakeDaemon, Refusal


@pytest.fixture
def logged(daemon: FakeDaemon) -> Artifact:
    """A version of project p, logged by run "maker", which is finished."""
    with holdfast.init(
        project="p", id="maker", name="The maker", group="g", job_type="prepare", tags=["a"], notes="n", config={"x": 1}
    ) as run:
        artifact = Artifact("a", "dataset")
        with artifact.new_file("f") as file:
            file.write("x")
        run.log_artifact(artifact).wait()
    return artifact


@pytest.fixture
def run(logged: Artifact) -> Run:
    return Api().run("p/maker")


def sent(daemon: FakeDaemon, method: str) -> Any:
    """The last request of a method."""
    return daemon.calls.requests[method][-1]


def test_run_tells_what_is_stored(run: Run) -> None:
    assert (run.id, run.name, run.display_name) == ("maker", "The maker", "The maker")
    assert (run.entity, run.project, run.path) == ("local", "p", ["local", "p", "maker"])
    assert (run.group, run.job_type, run.tags, run.notes, run.description) == ("g", "prepare", ["a"], "n", "n")
    assert (run.config, run.summary, run.url) == ({"x": 1}, {}, "holdfast://local/p/runs/maker")
    assert run.created_at <= run.updated_at
    assert run.host
    assert repr(run) == f"<Run local/p/maker ({run.state})>"


@pytest.mark.parametrize("path", ["maker", "p/absent", "other/p/maker"])
def test_absent_run_is_not_found(run: Run, path: str) -> None:
    with pytest.raises(NotFoundError):
        Api().run(path)


@pytest.mark.parametrize("path", ["", "a/b/c/d"])
def test_what_is_no_path_is_a_comm_error(run: Run, path: str) -> None:
    with pytest.raises(CommError):
        Api().run(path)


def test_runs_have_no_files_and_no_history_here(run: Run) -> None:
    assert (run.files(), run.history(samples=5), list(run.scan_history(keys=["loss"]))) == ([], [], [])


# --- lists ------------------------------------------------------------------------------------------------------------


def test_runs_are_paged_filtered_and_ordered_by_the_registry(daemon: FakeDaemon) -> None:
    daemon.faults.answers["ListRuns"] = [
        run_pb2.ListRunsResponse(runs=[run_pb2.Run(run_id="1")], next_page_token="next", total_count=2),
        run_pb2.ListRunsResponse(runs=[run_pb2.Run(run_id="2")], total_count=2),
    ]
    runs = Api().runs("e/p", {"config.x": 1, "jobType": "train"}, per_page=1)
    assert len(runs) == 2
    assert [one.id for one in runs] == ["1", "2"]
    first, second = daemon.calls.requests["ListRuns"]
    assert (first.entity, first.project, first.order, first.page_size) == ("e", "p", "+created_at", 1)
    assert json.loads(first.filter_json) == {"config.x": 1, "jobType": "train"}
    assert (first.page_token, second.page_token) == ("", "next")


def test_runs_of_the_default_project_from_a_cursor_on(daemon: FakeDaemon) -> None:
    daemon.faults.answers["ListRuns"] = [run_pb2.ListRunsResponse()]
    assert list(Api({"project": "mine"}).runs(order="-createdAt", start="there")) == []
    asked = sent(daemon, "ListRuns")
    assert (asked.project, asked.order, asked.page_token) == ("mine", "-created_at", "there")


def test_filter_that_the_registry_refuses_is_a_comm_error_and_a_value_error(daemon: FakeDaemon) -> None:
    daemon.faults.refusals["ListRuns"] = [Refusal(Reason.INVALID_FILTER, "no such field: colour")] * 2
    with pytest.raises(CommError, match="colour") as caught:
        list(Api().runs("p", {"colour": "red"}))
    assert caught.value.reason is Reason.INVALID_FILTER
    with pytest.raises(ValueError, match="colour"):
        list(Api().runs("p", {"colour": "red"}))


@pytest.mark.parametrize("filters", ["name", {"x": float("nan")}])
def test_filter_that_is_none_is_refused_at_once(places: Any, filters: Any) -> None:
    with pytest.raises(CommError):
        Api().runs("p", filters)


# --- changes ----------------------------------------------------------------------------------------------------------


def test_update_sends_what_was_changed_only(run: Run, daemon: FakeDaemon) -> None:
    run.name, run.tags, run.config["y"] = "Another", ["a", "b"], [1, 2]
    before = len(daemon.calls.requests["UpsertRun"])
    run.update()
    request = daemon.calls.requests["UpsertRun"][before]
    expected = run_pb2.Run(
        entity="local",
        project="p",
        run_id="maker",
        display_name="Another",
        tags=["a", "b"],
        config_json=request.run.config_json,
    )
    assert (request.run, list(request.cleared)) == (expected, [])
    assert json.loads(request.run.config_json) == {"x": 1, "y": [1, 2]}
    assert Api().run("p/maker").config == {"x": 1, "y": [1, 2]}


def test_update_without_a_change_asks_nobody(run: Run, daemon: FakeDaemon) -> None:
    before = len(daemon.calls.requests["UpsertRun"])
    run.update()
    run.save()
    assert len(daemon.calls.requests["UpsertRun"]) == before


def test_emptied_fields_are_named(run: Run, daemon: FakeDaemon) -> None:
    run.tags, run.notes, run.group, run.job_type = [], None, None, ""
    run.update()
    request = sent(daemon, "UpsertRun")
    assert sorted(request.cleared) == ["group", "job_type", "notes", "tags"]
    assert (run.tags, run.notes, run.group, run.job_type, run.name) == ([], "", "", "", "The maker")


def test_bad_changes_are_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="A run's tag is a text"):
        run.tags = [" "]
    run.tags.append("")
    with pytest.raises(CommError, match="A run's tag is a text"):
        run.update()


def test_load_forgets_what_was_not_updated(run: Run) -> None:
    run.notes = "never sent"
    assert run.load(force=True).notes == "n"


def test_waiting_for_a_run_ends_with_it(run: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.public_runs.POLL_S", 0.001)
    running = run_pb2.GetRunResponse(run=run_pb2.Run(run_id="maker", state="running"))
    finished = run_pb2.GetRunResponse(run=run_pb2.Run(run_id="maker", state="failed"))
    daemon.faults.answers["GetRun"] = [running, running, finished]
    run.wait_until_finished()
    assert run.state == "failed"


def test_waiting_for_a_run_can_have_an_end_of_its_own(
    run: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.public_runs.POLL_S", 0.001)
    running = run_pb2.GetRunResponse(run=run_pb2.Run(entity="local", project="p", run_id="maker", state="running"))
    daemon.faults.answers["GetRun"] = [running]
    with pytest.raises(WaitTimeoutError, match="local/p/maker was still running"):
        run.wait_until_finished(timeout=0)


# --- artifacts --------------------------------------------------------------------------------------------------------


def test_artifacts_of_a_run_are_sized_and_paged(run: Run, daemon: FakeDaemon) -> None:
    with holdfast.init(project="p", id="maker") as again:
        for number in range(3):
            artifact = Artifact(f"more-{number}", "dataset")
            again.log_artifact(artifact).wait()
    logged = run.logged_artifacts(per_page=2)
    assert len(logged) == 4
    assert [one.name for one in logged] == ["a:v0", "more-0:v0", "more-1:v0", "more-2:v0"]
    assert len(daemon.calls.requests["ListRunArtifacts"]) == 2
    assert len(run.used_artifacts()) == 0


def test_artifacts_of_a_run_are_logged_or_used(run: Run) -> None:
    with pytest.raises(ValueError, match="mode must be 'logged' or 'used'"):
        RunArtifacts(run, "seen")  # type: ignore[arg-type]


def test_run_can_use_and_log_what_exists(run: Run, logged: Artifact, daemon: FakeDaemon) -> None:
    with holdfast.init(project="p", id="later", reinit=True):
        pass
    later = Run(run_pb2.Run(entity="local", project="p", run_id="later"))
    assert later.use_artifact(logged) is logged
    assert later.log_artifact(logged, aliases="best", tags=["good"]) is logged
    assert [one.name for one in later.used_artifacts()] == ["a:v0"]
    assert [one.name for one in later.logged_artifacts()] == ["a:v0"]
    found = Api().artifact("p/a")
    assert (set(found.aliases), found.tags) == ({"best", "latest"}, ["good"])


def test_use_as_is_deprecated(run: Run, logged: Artifact) -> None:
    with pytest.warns(DeprecationWarning, match="use_as"):
        run.use_artifact(logged, use_as="input")


@pytest.mark.parametrize("method", ["use_artifact", "log_artifact"])
def test_drafts_are_refused(run: Run, method: str) -> None:
    with pytest.raises(
        CommError,
        match=r"Only existing artifacts are accepted by this api\. Manually create one with `wandb artifact put`",
    ):
        getattr(run, method)(Artifact("draft", "dataset"))


@pytest.mark.parametrize("method", ["use_artifact", "log_artifact"])
def test_what_is_no_artifact_is_refused(run: Run, method: str) -> None:
    with pytest.raises(CommError, match="You must pass an artifact"):
        getattr(run, method)("p/a:latest")


def test_artifact_of_another_project_is_not_logged(logged: Artifact) -> None:
    elsewhere = Run(run_pb2.Run(entity="local", project="q", run_id="r"))
    with pytest.raises(CommError, match="A run can't log an artifact to a different project"):
        elsewhere.log_artifact(logged)


@pytest.mark.parametrize("names", [{"aliases": ["a/b"]}, {"aliases": ["v7"]}, {"tags": ["a/b"]}])
def test_bad_names_are_refused_before_anything_is_recorded(
    run: Run, logged: Artifact, daemon: FakeDaemon, names: dict[str, list[str]]
) -> None:
    with pytest.raises(CommError):
        run.log_artifact(logged, **names)
    assert daemon.calls.requests["RecordUse"] == []


# --- the files of a version -------------------------------------------------------------------------------------------


def test_file_tells_what_it_is(logged: Artifact) -> None:
    [file] = logged.files()
    assert (file.name, file.size, file.md5, file.path_uri) == ("f", 1, None, "")
    assert (file.url, file.direct_url) == (f"{logged.url}/f", f"{logged.url}/f")
    assert (file.id, file.updated_at) == (f"{logged.id}/f", logged.created_at)
    assert file.mimetype == "application/octet-stream"
    assert file.digest == logged.manifest.entries["f"].digest


def test_file_of_a_reference_has_its_uri(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1,2")
    uri = f"file://{tmp_path}/table.csv"
    with holdfast.init(project="p") as run:
        artifact = Artifact("refs", "dataset")
        artifact.add_reference(uri)
        run.log_artifact(artifact).wait()
    [file] = artifact.files()
    assert (file.path_uri, file.mimetype) == (uri, "text/csv")


def test_file_cannot_be_deleted(logged: Artifact) -> None:
    with pytest.raises(CommError, match="a version never changes"):
        logged.files()[0].delete()


@pytest.mark.parametrize("expected", [CommError, ValueError, Error])
def test_existing_file_is_not_replaced_unless_asked(
    logged: Artifact, tmp_path: Path, expected: type[Exception]
) -> None:
    file = logged.files()[0]
    (tmp_path / "f").write_text("mine")
    with pytest.raises(expected, match="File already exists, pass `replace=True`"):
        file.download(str(tmp_path))
    with file.download(str(tmp_path), exist_ok=True) as opened:
        assert opened.read() == "mine"
    with file.download(str(tmp_path), replace=True) as opened:
        assert opened.read() == "x"


def test_files_of_names_are_looked_up_and_counted(daemon: FakeDaemon) -> None:
    with holdfast.init(project="p") as run:
        artifact = Artifact("many", "dataset")
        for name in ("b", "a/1", "a/2", "é"):
            with artifact.new_file(name) as file:
                file.write(name)
        run.log_artifact(artifact).wait()
    files = artifact.files(["é", "a/2", "absent", "a/1"], per_page=1)
    assert len(files) == 3
    assert [one.name for one in files] == ["a/1", "a/2", "é"]
    assert [one.name for one in artifact.files(per_page=2)] == ["a/1", "a/2", "b", "é"]
    assert len(artifact.files(per_page=4)) == 4
    assert [one.name for one in artifact.files(per_page=4)[3:]] == ["é"]
    assert repr(files) == "<ArtifactFiles local/p/many:v0 (3)>"


def test_public_module_of_wandb_has_the_same_classes() -> None:
    from holdfast.apis import public

    assert public.Api is Api
    assert public.Run is Run
    unknown: Callable[[], Any] = lambda: public.Sweep  # type: ignore[attr-defined]  # noqa: E731
    with pytest.raises(AttributeError):
        unknown()
    assert all(hasattr(public, name) for name in public.__all__)
