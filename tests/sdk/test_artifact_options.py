"""Time to live, patterns, cancel, progress, pickling, and what a failed record leaves: the wire between SDK and daemon."""

import copy
import datetime
import pickle
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import ArtifactTTL
from holdfast._process import reset_process
from holdfast.artifact import Artifact, safe_artifact_name
from holdfast.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    CancelledError,
    FileChangedError,
    FileMissingError,
)
from holdfast.runs import Run
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import fetch_pb2, log_pb2
from holdfastpb.registry.v1 import version_pb2
from support.fake_daemon import FakeDaemon
from support.fake_state import FakeSession

DAY = datetime.timedelta(days=1)


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    return holdfast.init(project="p")


def logged(run: Run, tree: Path, name: str = "a") -> Artifact:
    artifact = Artifact(name, "dataset")
    artifact.add_dir(str(tree))
    return run.log_artifact(artifact).wait()


def session_of(daemon: FakeDaemon) -> FakeSession:
    return list(daemon.state.sessions.values())[-1]


# --- time to live -----------------------------------------------------------------------------------------------------


def test_ttl_of_a_draft_is_what_was_set_and_unknown_when_it_is_inherited() -> None:
    artifact = Artifact("a", "t")
    with pytest.raises(ArtifactNotLoggedError, match=r"'Artifact\.ttl' used prior to logging"):
        artifact.ttl  # noqa: B018
    artifact.ttl = DAY
    assert artifact.ttl == DAY
    artifact.ttl = None
    assert artifact.ttl is None
    artifact.ttl = ArtifactTTL.INHERIT
    with pytest.raises(ArtifactNotLoggedError):
        artifact.ttl  # noqa: B018


@pytest.mark.parametrize(("ttl", "error"), [(datetime.timedelta(0), ValueError), (-DAY, ValueError), (5, TypeError)])
def test_ttl_must_be_a_positive_time(ttl: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="ttl"):
        Artifact("a", "t").ttl = ttl


@pytest.mark.parametrize(
    ("ttl", "kind", "seconds"),
    [(DAY, version_pb2.TTL_KIND_DURATION, 86_400), (None, version_pb2.TTL_KIND_NONE, 0)],
)
def test_ttl_is_logged_with_the_draft(run: Run, daemon: FakeDaemon, ttl: Any, kind: int, seconds: int) -> None:
    artifact = Artifact("a", "t")
    artifact.ttl = ttl
    run.log_artifact(artifact)
    final = session_of(daemon).finalize
    assert final is not None
    assert (final.ttl.kind, final.ttl.seconds) == (kind, seconds)


def test_ttl_that_was_not_set_is_left_to_the_registry(run: Run, daemon: FakeDaemon) -> None:
    run.log_artifact(Artifact("a", "t"))
    final = session_of(daemon).finalize
    assert final is not None
    assert not final.HasField("ttl")


def test_inherited_ttl_is_counted_from_the_creation() -> None:
    version = version_pb2.Version(version_id="v", collection="a", created_at_ms=1_000, expires_at_ms=1_000 + 86_400_000)
    assert Artifact._of_version(version).ttl == DAY
    version.expires_at_ms = 0
    assert Artifact._of_version(version).ttl is None


# --- failed records ---------------------------------------------------------------------------------------------------


def test_draft_goes_on_after_a_failed_record_whose_error_was_caught(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.state.fail_paths["large"] = Reason.FILE_CHANGED
    artifact = Artifact("a", "t")
    with pytest.raises(FileChangedError):
        artifact.add_file(str(tree / "nested" / "deep" / "large"))
    artifact.add_file(str(tree / "hello.txt"))
    assert list(artifact.manifest.entries) == ["hello.txt"]
    del daemon.state.fail_paths["large"]
    artifact.add_file(str(tree / "nested" / "deep" / "large"))
    assert list(run.log_artifact(artifact).wait().manifest.entries) == ["hello.txt", "large"]


def test_draft_goes_on_after_a_failed_folder_or_reference(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "t")
    daemon.state.fail_paths["x/hello.txt"] = Reason.FILE_MISSING
    with pytest.raises(FileMissingError):
        artifact.add_dir(str(tree), name="x")
    with pytest.raises(FileMissingError):
        artifact.add_reference(f"file://{tree}/hello.txt", name="x/hello.txt")
    artifact.add_file(str(tree / "hello.txt"), name="y")
    assert list(run.log_artifact(artifact).wait().manifest.entries) == ["y"]


# --- patterns and policies --------------------------------------------------------------------------------------------


def test_patterns_of_a_folder_are_told_to_the_daemon(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "t")
    artifact.add_dir(str(tree), include=["*.txt", "nested/"], exclude="*.tmp", follow_symlinks=False)
    [record] = session_of(daemon).records
    sent = record.add_tree
    assert (list(sent.include), list(sent.exclude), sent.ignore_symlinks) == (["*.txt", "nested/"], ["*.tmp"], True)
    with pytest.raises(TypeError, match="include: a pattern is text"):
        artifact.add_dir(str(tree), include=[5])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("overwrite", "policy"),
    [
        (True, fetch_pb2.OVERWRITE_POLICY_REPLACE),
        (False, fetch_pb2.OVERWRITE_POLICY_FAIL),
        ("fail", fetch_pb2.OVERWRITE_POLICY_FAIL),
        ("keep", fetch_pb2.OVERWRITE_POLICY_KEEP),
    ],
)
def test_what_is_to_be_downloaded_is_told_to_the_daemon(
    run: Run, daemon: FakeDaemon, tree: Path, overwrite: Any, policy: int
) -> None:
    logged(run, tree).download("out", include="*.txt", exclude=["a", "b"], overwrite=overwrite)
    sent = daemon.calls.downloads[-1]
    assert (list(sent.include), list(sent.exclude), sent.overwrite) == (["*.txt"], ["a", "b"], policy)


def test_overwrite_that_is_none_of_these_is_refused(run: Run, tree: Path) -> None:
    with pytest.raises(ValueError, match="overwrite must be True, False, 'fail' or 'keep'"):
        logged(run, tree).download("out", overwrite="maybe")  # type: ignore[arg-type]


def test_verify_downloads_when_there_is_nothing_yet(run: Run, tree: Path, tmp_path: Path) -> None:
    artifact = logged(run, tree)
    assert artifact.verify() is True
    assert (tmp_path / "artifacts" / "a:v0" / "hello.txt").read_bytes() == b"hello"
    with pytest.raises(FileMissingError):
        artifact.verify("elsewhere")


# --- cancel and progress ----------------------------------------------------------------------------------------------


def test_cancelled_draft_is_given_up(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "t")
    artifact.add_file(str(tree / "hello.txt"))
    artifact.digest  # noqa: B018  # the daemon has it
    assert artifact.cancel() is True
    assert session_of(daemon).cancelled
    with pytest.raises(ArtifactFinalizedError):
        artifact.add_file(str(tree / "empty"))
    with pytest.raises(CancelledError, match="Artifact a was cancelled"):
        run.log_artifact(artifact)


def test_draft_that_nobody_knows_of_is_given_up_without_a_daemon(places: Any) -> None:
    artifact = Artifact("a", "t")
    assert artifact.cancel() is True
    with pytest.raises(CancelledError):
        holdfast.init().log_artifact(artifact)
    assert not places.data_dir.exists()


def test_logged_artifact_is_cancelled_unless_the_commit_came_first(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_commit.clear()
    artifact = Artifact("a", "t")
    run.log_artifact(artifact)
    assert artifact.cancel() is True
    daemon.faults.may_commit.set()
    assert logged(run, tree, "b").cancel() is False


def test_progress_is_told_without_waiting(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    artifact = Artifact("a", "t")
    assert (artifact.progress().state, artifact.progress().entries_read) == ("draft", 0)
    artifact.add_dir(str(tree))
    assert (artifact.progress().state, artifact.progress().entries_read) == ("draft", 4)
    daemon.faults.may_commit.clear()
    run.log_artifact(artifact)
    assert artifact.progress().state == "upload"
    daemon.faults.may_commit.set()
    artifact.wait()
    done = artifact.progress()
    assert (done.state, done.entries_read, done.bytes_done) == ("committed", 4, artifact.size)


# --- offline ----------------------------------------------------------------------------------------------------------


def test_offline_run_logs_what_waits_to_be_sent(daemon: FakeDaemon, tree: Path) -> None:
    run = holdfast.init(project="p", mode="offline")
    artifact = Artifact("a", "t")
    artifact.add_dir(str(tree))
    run.log_artifact(artifact)
    final = session_of(daemon).finalize
    assert final is not None
    assert final.hold
    for timeout in (None, 60):
        with pytest.raises(ArtifactNotLoggedError, match="offline run and waits for `holdfast sync`"):
            artifact.wait(timeout)
    with pytest.raises(ArtifactNotLoggedError):
        artifact.version  # noqa: B018
    with pytest.raises(TypeError, match=r"Cannot use artifact when in offline mode\."):
        run.use_artifact("a")
    with pytest.raises(RuntimeError, match="`use_model` not supported in offline mode"):
        run.use_model("m")
    with pytest.raises(NotImplementedError, match="Linking artifacts is not possible in offline mode"):
        run.link_artifact(artifact, "portfolio")
    run.finish()
    assert (run.entity, run.project, run.id) not in daemon.state.runs
    assert "GetCollection" not in daemon.calls.methods


def test_offline_draft_is_logged_before_it_cannot_be_linked(daemon: FakeDaemon) -> None:
    run = holdfast.init(project="p", mode="offline")
    with pytest.raises(NotImplementedError):
        run.link_model(__file__, "registered", name="m")
    final = session_of(daemon).finalize
    assert final is not None
    assert (final.collection, final.type, final.hold) == ("m", "model", True)


# --- pickling, names --------------------------------------------------------------------------------------------------


def test_logged_artifact_survives_pickling_and_a_draft_says_why_not(run: Run, tree: Path) -> None:
    artifact = logged(run, tree)
    for copied in (pickle.loads(pickle.dumps(artifact)), copy.deepcopy(artifact)):
        assert (copied.qualified_name, copied.id, copied.digest) == (
            artifact.qualified_name,
            artifact.id,
            artifact.digest,
        )
        assert list(copied.manifest.entries) == list(artifact.manifest.entries)
    with pytest.raises(TypeError, match="is a draft and cannot be pickled or copied"):
        pickle.dumps(Artifact("a", "t"))


def test_two_objects_of_a_version_have_their_own_unsaved_changes(run: Run, tree: Path) -> None:
    first = logged(run, tree)
    second = run.use_artifact("a")
    assert first is not second
    first.metadata["k"] = 1
    assert second.metadata == {}


def test_same_content_is_told_and_makes_no_version(run: Run, tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    logged(run, tree)
    assert caplog.text == ""
    logged(run, tree)
    assert "Artifact a:v0 already exists with the same content. No new version will be created." in caplog.text


@pytest.mark.parametrize(("text", "name"), [("a b/c", "a_b_c"), ("ok-1.x_Y", "ok-1.x_Y")])
def test_names_that_are_made_are_allowed(text: str, name: str) -> None:
    assert safe_artifact_name(text) == name
    assert len(safe_artifact_name(text * 100)) <= 128


def test_url_lies_below_the_address_of_the_web_pages(run: Run, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = logged(run, tree)
    assert artifact.url == "holdfast://local/p/a:v0"
    monkeypatch.setenv("HOLDFAST_APP_URL", "https://artifacts.example.org/")
    reset_process()
    assert artifact.url == "https://artifacts.example.org/local/p/artifacts/dataset/a/v0"


def test_incremental_and_distributed_ids_are_kept(run: Run, daemon: FakeDaemon) -> None:
    with pytest.warns(UserWarning, match="incremental"):
        artifact = Artifact("a", "t", incremental=True, storage_region="eu")
    artifact.distributed_id = "group"
    assert (artifact.incremental, artifact.distributed_id, artifact.storage_region) == (True, "group", "eu")
    run.log_artifact(artifact)
    final: log_pb2.Finalize | None = session_of(daemon).finalize
    assert final is not None
    assert final.incremental


@pytest.mark.parametrize("argument", ["aliases", "tags"])
def test_what_is_no_text_is_refused_by_the_arguments_name(run: Run, argument: str) -> None:
    with pytest.raises(TypeError, match=f"{argument} must be a text or several, not 5"):
        run.log_artifact(Artifact("a", "dataset"), **{argument: 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", ["include", "exclude"])
def test_patterns_that_are_no_texts_are_refused_by_the_arguments_name(tmp_path: Path, argument: str) -> None:
    with pytest.raises(TypeError, match=f"{argument} must be a text or several, not 5"):
        Artifact("a", "dataset").add_dir(str(tmp_path), **{argument: 5})  # type: ignore[arg-type]
