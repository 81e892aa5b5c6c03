"""Using, downloading, verifying and looking into versions."""

import os
from pathlib import Path

import pytest

import holdfast
from holdfast.artifact import Artifact
from holdfast.errors import NotFoundError
from holdfast.runs import Run
from support.fake_daemon import FakeDaemon


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    return holdfast.init(project="p")


@pytest.fixture
def artifact(run: Run, tree: Path) -> Artifact:
    artifact = Artifact("a", "dataset")
    artifact.add_dir(str(tree))
    return run.log_artifact(artifact, aliases=["best"]).wait()


def contents(root: str | Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


# --- use_artifact -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a:latest", "a:best", "a:v0", "p/a", "local/p/a:v0"])
@pytest.mark.usefixtures("artifact")
def test_use_artifact_takes_all_forms_of_names(run: Run, name: str) -> None:
    used = run.use_artifact(name)
    assert used.qualified_name == "local/p/a:v0"
    assert [one.id for one in used.used_by()] == [run.id]


def test_use_artifact_takes_a_digest(run: Run, artifact: Artifact) -> None:
    assert run.use_artifact(f"a:{artifact.digest}").version == "v0"


def test_use_artifact_checks_the_type(run: Run, artifact: Artifact) -> None:
    assert run.use_artifact("a", type="dataset").version == "v0"
    with pytest.raises(ValueError, match="Supplied type model does not match type dataset"):
        run.use_artifact("a", type="model")


def test_use_artifact_moves_aliases(run: Run, artifact: Artifact) -> None:
    run.use_artifact("a", aliases=["used"])
    assert holdfast.Api().artifact("p/a:used").version == "v0"


def test_use_artifact_logs_a_draft_first(run: Run, daemon: FakeDaemon, tree: Path) -> None:
    draft = Artifact("b", "dataset")
    draft.add_file(str(tree / "hello.txt"))
    used = run.use_artifact(draft)
    assert used is draft
    assert used.version == "v0"
    assert [one.id for one in used.used_by()] == [run.id]


@pytest.mark.parametrize("name", ["absent", "a:v7", "other/a"])
@pytest.mark.usefixtures("artifact")
def test_use_artifact_of_what_is_not_there(run: Run, name: str) -> None:
    with pytest.raises(NotFoundError):
        run.use_artifact(name)


def test_use_artifact_of_nonsense_is_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="artifact path"):
        run.use_artifact("a/b/c/d")
    with pytest.raises(ValueError, match="You must pass an artifact name"):
        run.use_artifact(5)  # type: ignore[arg-type]


# --- download, checkout, verify ---------------------------------------------------------------------------------------


def test_download_goes_to_the_default_folder(artifact: Artifact, tree: Path, tmp_path: Path) -> None:
    root = artifact.download()
    assert root == str(tmp_path / "artifacts" / "a:v0")
    assert contents(root) == contents(tree)


def test_artifact_dir_is_a_setting(
    artifact: Artifact, run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_ARTIFACT_DIR", str(tmp_path / "elsewhere"))
    holdfast._process.reset_process()  # type: ignore[attr-defined]
    assert artifact.download() == str(tmp_path / "elsewhere" / "a:v0")


def test_download_returns_the_root_as_it_was_given_and_leaves_other_files(
    artifact: Artifact, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"mine")
    assert artifact.download("out") == "out"
    assert contents("out") == {**contents(tree), "mine": b"mine"}


def test_download_of_a_prefix(artifact: Artifact, daemon: FakeDaemon) -> None:
    assert sorted(contents(artifact.download("out", path_prefix="nest"))) == ["nested/deep/large", "nested/limit"]


def test_checkout_removes_what_does_not_belong(artifact: Artifact, tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "artifacts" / "a"
    root.mkdir(parents=True)
    (root / "stale").touch()
    assert artifact.checkout() == str(root)
    assert contents(root) == contents(tree)


def test_verify_returns_true_or_says_what_is_wrong(artifact: Artifact) -> None:
    root = Path(artifact.download())
    assert artifact.verify() is True
    (root / "extra").touch()
    with pytest.raises(ValueError, match="Found file extra which is not a member of artifact a:v0"):
        artifact.verify()
    (root / "extra").unlink()
    (root / "hello.txt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"Digest mismatch for file: hello\.txt"):
        artifact.verify(str(root))
    (root / "hello.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"hello\.txt"):
        artifact.verify()


def test_verify_warns_of_references(run: Run, tree: Path) -> None:
    artifact = Artifact("r", "dataset")
    artifact.add_reference(f"file://{tree}/hello.txt")
    run.log_artifact(artifact).wait()
    with pytest.warns(UserWarning, match="1 references of r:v0 were not verified"):
        assert artifact.verify("nowhere")


def test_reference_of_an_unknown_scheme_cannot_be_downloaded(run: Run, tree: Path) -> None:
    artifact = Artifact("r", "dataset")
    artifact.add_file(str(tree / "hello.txt"))
    with pytest.warns(UserWarning, match="cannot be checksummed"):
        artifact.add_reference("tape://vault/7", name="seven")
    run.log_artifact(artifact).wait()
    with pytest.raises(ValueError, match="Cannot download file at path tape://vault/7, scheme tape not recognized"):
        artifact.download("out")
    with pytest.warns(UserWarning, match="seven was skipped"):
        artifact.download("out", allow_missing_references=True)
    assert contents("out") == {"hello.txt": b"hello"}


# --- entries and files ------------------------------------------------------------------------------------------------


def test_entry_is_found_without_reading_the_whole_manifest(artifact: Artifact, daemon: FakeDaemon) -> None:
    fresh = holdfast.Api().artifact("p/a")
    entry = fresh.get_entry("nested/limit")
    assert (entry.path, entry.name, entry.size) == ("nested/limit", "nested/limit", 65536)
    assert fresh.get_path("nested/limit") == entry
    assert entry.parent_artifact() is fresh
    assert entry.ref_url().endswith("/nested/limit")


@pytest.mark.parametrize("name", ["absent", "nested", "", "../x"])
def test_entry_that_is_not_there_is_a_key_error(artifact: Artifact, name: str) -> None:
    with pytest.raises(KeyError, match="Path not contained in artifact"):
        artifact.get_entry(name)


def test_entry_downloads_alone(artifact: Artifact, tmp_path: Path) -> None:
    assert artifact.get_entry("hello.txt").download() == str(tmp_path / "artifacts" / "a:v0" / "hello.txt")
    assert contents(tmp_path / "artifacts" / "a:v0") == {"hello.txt": b"hello"}
    assert artifact.manifest.entries["nested/limit"].download("out") == os.path.join("out", "nested/limit")


def test_file_needs_exactly_one(artifact: Artifact, run: Run, tree: Path) -> None:
    with pytest.raises(ValueError, match=r"This artifact contains more than one file, call `.download\(\)`"):
        artifact.file()
    single = Artifact("one", "dataset")
    single.add_file(str(tree / "hello.txt"))
    run.log_artifact(single).wait()
    assert Path(single.file("out")).read_bytes() == b"hello"


def test_files_are_a_paginator(artifact: Artifact, tmp_path: Path) -> None:
    files = artifact.files(per_page=3)
    assert len(files) == 4
    assert [file.name for file in files] == ["empty", "hello.txt", "nested/deep/large", "nested/limit"]
    assert files[1].size == 5
    assert [file.name for file in artifact.files(names=["hello.txt", "absent"])] == ["hello.txt"]
    first = artifact.files(per_page=2)
    assert first[0].name == "empty"
    assert [file.name for file in artifact.files(start=first.cursor)] == ["nested/deep/large", "nested/limit"]
    assert files.path == ["local", "p", "a:v0"]


def test_file_object_downloads_and_opens(artifact: Artifact, tmp_path: Path) -> None:
    file = artifact.files(names=["hello.txt"])[0]
    with file.download("out") as opened:
        assert opened.read() == "hello"
    with pytest.raises(ValueError, match="File already exists"):
        file.download("out")
    file.download("out", exist_ok=True).close()
    file.download("out", replace=True).close()


# --- lineage ----------------------------------------------------------------------------------------------------------


def test_lineage_is_runs(artifact: Artifact, run: Run) -> None:
    logged_by = artifact.logged_by()
    assert logged_by is not None
    assert (logged_by.id, logged_by.path) == (run.id, ["local", "p", run.id])
    with holdfast.init(project="p", reinit=True, job_type="eval", config={"x": 1}) as user:
        user.use_artifact("a")
    [used_by] = artifact.used_by()
    assert (used_by.id, used_by.job_type, used_by.config) == (user.id, "eval", {"x": 1})
    assert [one.name for one in used_by.used_artifacts()] == ["a:v0"]
    assert [one.name for one in logged_by.logged_artifacts()] == ["a:v0"]
