"""From `log_artifact` to the commit, and what can be changed of a committed version."""

import threading
from pathlib import Path

import pytest

import holdfast
from holdfast._process import reset_process, this_process
from holdfast._waiting import JobWaiter
from holdfast.artifact import Artifact
from holdfast.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    CommError,
    FileChangedError,
    HasAliasesError,
    OutOfSpaceError,
    WaitTimeoutError,
)
from holdfast.progress import Progress
from holdfast.runs import Run
from holdfast_contract.reasons import Reason
from support.fake_daemon import FakeDaemon, Refusal


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    return holdfast.init(project="p", config={"lr": 0.1}, tags=["t"], notes="n", group="g", job_type="train")


def logged(run: Run, tree: Path, name: str = "a", **arguments: list[str]) -> Artifact:
    artifact = Artifact(name, "dataset", description="d", metadata={"k": 1})
    artifact.add_dir(str(tree))
    return run.log_artifact(artifact, **arguments).wait()


def test_log_artifact_returns_a_draft_that_wait_turns_into_a_version(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_commit.clear()
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    assert run.log_artifact(artifact) is artifact
    assert artifact.is_draft()
    with pytest.raises(ArtifactNotLoggedError):
        artifact.version  # noqa: B018
    with pytest.raises(ArtifactFinalizedError):
        artifact.add_file(str(tree / "empty"), name="late")
    daemon.faults.may_commit.set()
    assert artifact.wait() is artifact
    assert (artifact.version, artifact.name, artifact.source_name) == ("v0", "a:v0", "a:v0")
    assert artifact.qualified_name == artifact.source_qualified_name == "local/p/a:v0"
    assert not artifact.is_draft()


def test_version_has_the_documented_attributes(run: Run, tree: Path) -> None:
    artifact = logged(run, tree, aliases=["best"], tags=["two words", "one"])
    assert (artifact.entity, artifact.project, artifact.source_version) == ("local", "p", "v0")
    assert (artifact.source_entity, artifact.source_project) == ("local", "p")
    assert (artifact.type, artifact.state, artifact.description) == ("dataset", "COMMITTED", "d")
    assert artifact.metadata == {"k": 1}
    assert artifact.aliases == ["best", "latest"]
    assert sorted(artifact.tags) == ["one", "two words"]
    assert artifact.file_count == len(artifact.manifest) == 4
    assert artifact.size == artifact.manifest.size()
    assert artifact.digest == artifact.manifest.digest()
    assert artifact.created_at.endswith("Z")
    assert artifact.commit_hash
    assert artifact.history_step is None
    assert artifact.url.endswith("local/p/a:v0")
    assert artifact.json_encode()["sequenceName"] == "a"


def test_finalize_carries_the_run_so_that_nothing_else_has_to(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    logged(run, tree, aliases=["best"])
    [session] = daemon.state.sessions.values()
    assert session.finalize is not None
    sent = session.finalize.run
    assert (sent.run_id, sent.project, sent.group, sent.job_type, list(sent.tags), sent.notes) == (
        run.id,
        "p",
        "g",
        "train",
        ["t"],
        "n",
    )
    assert sent.config_json == b'{"lr":0.1}'
    assert sorted(session.finalize.aliases) == ["best", "latest"]


def test_equal_content_makes_no_version_but_moves_aliases(run: Run, tree: Path) -> None:
    first = logged(run, tree)
    again = logged(run, tree, aliases=["prod"])
    assert (first.is_new_version, again.is_new_version) == (True, False)
    assert again.version == "v0"
    assert "prod" in again.aliases


def test_wait_times_out_while_the_job_goes_on(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_commit.clear()
    artifact = Artifact("a", "dataset")
    run.log_artifact(artifact)
    with pytest.raises(WaitTimeoutError, match="Artifact upload wait timed out"):
        artifact.wait(timeout=0.2)
    with pytest.raises(WaitTimeoutError):
        artifact.wait(timeout=0)
    daemon.faults.may_commit.set()
    assert artifact.wait(timeout=30).version == "v0"


def test_a_version_that_is_there_needs_no_time(run: Run, tree: Path) -> None:
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    run.log_artifact(artifact)
    JobWaiter(this_process().daemon, str(artifact._job_id)).wait(30, lambda _: None)
    assert artifact.wait(timeout=0).version == "v0"


@pytest.mark.parametrize(
    ("reason", "exception"),
    [
        (Reason.FILE_CHANGED, FileChangedError),
        (Reason.OUT_OF_SPACE, OutOfSpaceError),
        (Reason.TYPE_MISMATCH, ValueError),
    ],
)
def test_failed_job_raises_its_reason_at_wait(
    run: Run, daemon: FakeDaemon, reason: Reason, exception: type[Exception]
) -> None:
    daemon.state.commit_refusal = Refusal(reason, "what happened to x")
    artifact = run.log_artifact(Artifact("a", "dataset"))
    with pytest.raises(exception, match="what happened to x"):
        artifact.wait()
    assert artifact.is_draft()


def test_other_type_in_the_same_collection_is_refused(run: Run, tree: Path) -> None:
    logged(run, tree)
    artifact = Artifact("a", "model")
    with pytest.raises(ValueError, match="Artifact a already exists with type 'dataset'; cannot create another"):
        run.log_artifact(artifact)
    assert not artifact.is_final


def test_other_type_is_refused_by_the_commit_when_nobody_could_be_asked_at_once(
    run: Run, daemon: FakeDaemon, tree: Path
) -> None:
    logged(run, tree)
    daemon.faults.refusals["GetCollection"].append(Refusal(Reason.UNAVAILABLE, "the registry is away"))
    artifact = run.log_artifact(Artifact("a", "model"))
    assert daemon.calls.methods.count("GetCollection") == 2
    with pytest.raises(ValueError, match="Artifact a already exists with type 'dataset'; cannot create another"):
        artifact.wait()


def test_type_of_a_collection_is_asked_for_once(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    logged(run, tree)
    logged(run, tree)
    assert daemon.calls.methods.count("GetCollection") == 1


def test_failed_record_is_raised_by_log_artifact(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.state.fail_paths["hello.txt"] = Reason.FILE_UNREADABLE
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree), policy="immutable")
    with pytest.raises(ValueError, match=r"hello\.txt failed"):
        artifact.digest  # noqa: B018
    with pytest.raises(ValueError, match=r"hello\.txt failed"):
        run.log_artifact(artifact)


def test_wait_goes_on_over_a_restart_of_the_daemon(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_commit.clear()
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    run.log_artifact(artifact)
    seen = threading.Event()
    thread = threading.Thread(target=lambda: artifact.wait(progress=lambda progress: seen.set()))
    thread.start()
    assert seen.wait(20)
    daemon.restart()
    thread.join(60)
    assert artifact.version == "v0"


def test_progress_is_told_to_the_callback(run: Run, tree: Path) -> None:
    told: list[Progress] = []
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    run.log_artifact(artifact).wait(progress=told.append)
    assert (told[-1].artifact_name, told[-1].state, told[-1].entries_read) == ("a", "committed", 4)


def test_interrupted_wait_leaves_the_job_running(run: Run, daemon: FakeDaemon) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    daemon.faults.may_commit.clear()
    artifact = run.log_artifact(Artifact("a", "dataset"))
    with pytest.raises(KeyboardInterrupt):
        artifact.wait(progress=interrupt)
    daemon.faults.may_commit.set()
    assert artifact.wait().version == "v0"
    assert "CancelArtifact" not in daemon.calls.methods


def test_many_artifacts_are_logged_at_once(run: Run, tree: Path) -> None:
    versions = []

    def log(number: int) -> None:
        artifact = Artifact(f"a{number}", "dataset")
        artifact.add_file(str(tree / "hello.txt"), name=str(number))
        versions.append(run.log_artifact(artifact).wait().qualified_name)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == [f"local/p/a{number}:v0" for number in range(8)]


def test_one_process_has_one_client_id(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    logged(run, tree)
    logged(run, tree, "b")
    assert len(daemon.calls.client_ids) == 1


# --- paths and names --------------------------------------------------------------------------------------------------


def test_path_is_logged_as_file_folder_or_reference(run: Run, tree: Path) -> None:
    file = run.log_artifact(str(tree / "hello.txt"))
    assert (file.name, file.type) == (f"run-{run.id}-hello.txt", "unspecified")
    folder = run.log_artifact(tree, name="whole", type="dataset").wait()
    assert folder.file_count == 4
    reference = run.log_artifact(f"file://{tree}/hello.txt", name="ref", type="dataset").wait()
    assert reference.get_entry("hello.txt").ref_target() == f"file://{tree}/hello.txt"


def test_what_is_neither_artifact_nor_path_is_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="path must be a file, directory or external reference like s3://bucket/path"):
        run.log_artifact("absent")
    with pytest.raises(TypeError):
        run.log_artifact(5)  # type: ignore[arg-type]


def test_single_alias_may_be_text(run: Run, tree: Path) -> None:
    assert logged(run, tree, aliases="best").aliases == ["best", "latest"]  # type: ignore[arg-type]


# --- without a run, and after the commit ------------------------------------------------------------------------------


def test_save_without_a_run_makes_one_of_type_auto(daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    artifact.save(project="q")
    artifact.wait()
    assert artifact.project == "q"
    made = artifact.logged_by()
    assert made is not None
    assert (made.job_type, holdfast.run) == ("auto", None)


def test_save_logs_with_the_active_run(run: Run, tree: Path) -> None:
    artifact = Artifact("a", "dataset")
    artifact.save()
    made = artifact.wait().logged_by()
    assert made is not None
    assert made.id == run.id


def test_changes_are_kept_by_save_as_a_difference(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = logged(run, tree, aliases=["best"], tags=["one"])
    artifact.aliases.append("prod")
    artifact.aliases.remove("best")
    artifact.tags = ["two", "two"]
    artifact.metadata["k"] = 2
    artifact.description = None
    other = holdfast.Api().artifact("p/a:best")
    artifact.save()
    fresh = holdfast.Api().artifact("p/a:prod")
    assert (fresh.aliases, fresh.tags, fresh.metadata, fresh.description) == (
        ["latest", "prod"],
        ["two"],
        {"k": 2},
        None,
    )
    assert other.metadata == {"k": 1}


def test_save_without_changes_asks_nobody(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = logged(run, tree)
    artifact.save()
    assert "UpdateVersion" not in daemon.calls.methods


@pytest.mark.parametrize("alias", ["a/b", "a:b"])
def test_bad_alias_is_refused_when_set_or_saved(run: Run, tree: Path, alias: str) -> None:
    artifact = logged(run, tree)
    with pytest.raises(ValueError, match="must not contain any of the following characters"):
        artifact.aliases = [alias]
    artifact.aliases.append(alias)
    with pytest.raises(ValueError, match="must not contain any of the following characters"):
        artifact.save()


def test_another_version_is_no_alias_that_could_be_saved(run: Run, tree: Path) -> None:
    artifact = logged(run, tree)
    artifact.aliases = ["latest", artifact.version]
    artifact.save()
    with pytest.raises(ValueError, match="'v7' looks like a version"):
        artifact.aliases = ["v7"]
    artifact.aliases.append("v7")
    with pytest.raises(ValueError, match="'v7' looks like a version"):
        artifact.save()


def test_delete_needs_leave_for_aliases(run: Run, tree: Path) -> None:
    artifact = logged(run, tree)
    with pytest.raises(HasAliasesError) as caught:
        artifact.delete()
    assert isinstance(caught.value, CommError)
    artifact.delete(delete_aliases=True)
    assert artifact.state == "DELETED"
    assert not holdfast.Api().artifact_exists("p/a:v0")


def test_new_draft_begins_with_all_entries(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    first = logged(run, tree, aliases=["best"])
    draft = first.new_draft()
    assert (draft.name, draft.type, draft.description, draft.metadata) == ("a", "dataset", "d", {"k": 1})
    draft.remove("nested")
    draft.add_file(str(tree / "hello.txt"), name="more")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        draft.add_file(str(tree / "empty"), name="hello.txt")
    second = run.log_artifact(draft).wait()
    assert list(second.manifest.entries) == ["empty", "hello.txt", "more"]
    assert (first.version, second.version, second.aliases) == ("v0", "v1", ["latest"])


def test_new_draft_logged_unchanged_is_the_same_version(run: Run, tree: Path) -> None:
    first = logged(run, tree)
    draft = first.new_draft()
    assert draft.digest == first.digest
    assert run.log_artifact(draft).wait().version == "v0"


def test_logged_artifact_logged_again_gets_the_aliases(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    logged(run, tree)
    again = holdfast.Api().artifact("p/a")
    run.log_artifact(again, aliases=["prod"], tags=["t"])
    assert holdfast.Api().artifact("p/a:prod").tags == ["t"]
    with (
        holdfast.init(project="other", reinit=True) as elsewhere,
        pytest.raises(ValueError, match="exists in project 'p'"),
    ):
        elsewhere.log_artifact(again)


def test_process_that_begins_anew_waits_for_nothing(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_commit.clear()
    run.log_artifact(Artifact("a", "dataset"))
    run.finish()
    reset_process()
    daemon.faults.may_commit.set()
    [session] = daemon.state.sessions.values()
    assert session.finalize is not None
