"""What W&B's documents promise of `Artifact`, with all three processes."""

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast import ArtifactTTL, errors
from support.sdk_calls import PROJECT, fetched, fresh_name, log, new_artifact
from support.sdk_host import SdkHost

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def holding(text: str = "x", name: str | None = None) -> holdfast.Artifact:
    """A draft with one file."""
    artifact = new_artifact(name)
    with artifact.new_file("file") as file:
        file.write(text)
    return artifact


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path in ("a.txt", "b.log", "deep/c.txt", "deep/d.log"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


# --- time to live -----------------------------------------------------------------------------------------------------


def test_ttl_is_kept_and_can_be_changed() -> None:
    artifact = holding()
    artifact.ttl = DAY
    log(artifact)
    assert artifact.ttl == fetched(artifact).ttl == DAY
    artifact.ttl = None
    artifact.save()
    assert (artifact.ttl, fetched(artifact).ttl) == (None, None)
    artifact.ttl = ArtifactTTL.INHERIT
    with pytest.raises(errors.ArtifactNotLoggedError):
        artifact.ttl  # noqa: B018
    artifact.save()
    assert (artifact.ttl, fetched(artifact).ttl) == (None, None)


def test_ttl_is_inherited_from_the_collection() -> None:
    artifact = log(holding())
    collection = artifact.collection
    collection.ttl = 2 * DAY
    collection.save()
    assert fetched(artifact).ttl == 2 * DAY


# --- what is added ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "exclude", "paths"),
    [
        (["*.txt"], None, ["a.txt", "deep/c.txt"]),
        (None, "deep/", ["a.txt", "b.log"]),
        (["*.txt"], ["deep"], ["a.txt"]),
    ],
)
def test_folders_are_added_by_patterns(
    tree: Path, include: list[str] | None, exclude: list[str] | str | None, paths: list[str]
) -> None:
    artifact = new_artifact()
    artifact.add_dir(str(tree), include=include, exclude=exclude)
    assert list(log(artifact).manifest.entries) == paths


def test_links_are_followed_unless_told(tree: Path) -> None:
    (tree / "link").symlink_to("a.txt")
    for follow, expected in ((True, True), (False, False)):
        artifact = new_artifact()
        artifact.add_dir(str(tree), follow_symlinks=follow)
        assert ("link" in artifact.manifest.entries) is expected


def test_a_draft_goes_on_after_an_error_that_was_caught(tree: Path) -> None:
    (tree / "cycle").symlink_to(tree)
    artifact = new_artifact()
    with pytest.raises(errors.ArtifactError, match="cycle"):
        artifact.add_dir(str(tree))
    artifact.add_file(str(tree / "a.txt"))
    assert list(log(artifact).manifest.entries) == ["a.txt"]


def test_an_entry_of_another_artifact_is_added_without_its_bytes() -> None:
    source = log(holding("shared"))
    artifact = new_artifact()
    artifact.add_reference(source.get_entry("file"), name="taken")
    version = log(artifact)
    assert Path(version.get_entry("taken").download()).read_text() == "shared"


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.fixture
def version(tree: Path) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact.add_dir(str(tree))
    return log(artifact)


def found(root: str | os.PathLike[str]) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


def test_downloads_are_chosen_by_patterns(version: holdfast.Artifact, tmp_path: Path) -> None:
    assert found(version.download(tmp_path / "in", include=["*.txt"])) == ["a.txt", "deep/c.txt"]
    assert found(version.download(tmp_path / "ex", exclude="*.txt")) == ["b.log", "deep/d.log"]
    assert found(version.download(tmp_path / "both", path_prefix="deep", include="*.txt", recursive=True)) == [
        "deep/c.txt"
    ]


def test_files_that_are_in_the_way_are_replaced_kept_or_refused(version: holdfast.Artifact, tmp_path: Path) -> None:
    root = tmp_path / "out"
    root.mkdir()
    (root / "a.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"a\.txt"):
        version.download(root, overwrite=False)
    assert found(root) == ["a.txt"]
    version.download(root, overwrite="keep")
    assert (root / "a.txt").read_text() == "mine"
    assert len(found(root)) == 4
    version.download(root)
    assert (root / "a.txt").read_text() == "a.txt"


def test_verify_returns_true_or_raises_value_errors(version: holdfast.Artifact, tmp_path: Path) -> None:
    root = Path(version.download(tmp_path / "out"))
    assert version.verify(str(root)) is True
    (root / "extra").touch()
    with pytest.raises(ValueError, match="Found file extra which is not a member of artifact"):
        version.verify(str(root))
    version.checkout(str(root))
    (root / "a.txt").write_text("other")
    with pytest.raises(ValueError, match=r"Digest mismatch for file: a\.txt"):
        version.verify(str(root))
    (root / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"a\.txt"):
        version.verify(str(root))


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_cancelled_draft_leaves_nothing() -> None:
    name = fresh_name()
    artifact = holding("x", name)
    assert artifact.digest
    assert artifact.progress().state == "draft"
    assert artifact.cancel() is True
    with holdfast.init(project=PROJECT) as run, pytest.raises(errors.CancelledError):
        run.log_artifact(artifact)
    assert not holdfast.Api().artifact_exists(f"{PROJECT}/{name}")
    committed = log(holding())
    assert (committed.cancel(), committed.progress().state) == (False, "committed")


def test_progress_of_a_committed_artifact_says_what_was_sent_for_it() -> None:
    name, content = fresh_name(), os.urandom(3000).hex()
    first, again = log(holding(content, name)).progress(), log(holding(content, fresh_name())).progress()
    assert (first.state, first.bytes_total, first.bytes_deduplicated) == ("committed", len(content), 0)
    assert first.bytes_sent > 0
    assert again.bytes_deduplicated > first.bytes_deduplicated
    assert again.bytes_sent < first.bytes_sent


def test_a_version_is_passed_to_another_process_by_pickling(host: SdkHost, version: holdfast.Artifact) -> None:
    import pickle

    code = "import pickle, sys; a = pickle.loads(bytes.fromhex(sys.argv[1])); print(a.qualified_name, len(a.manifest))"
    done = subprocess.run(
        [sys.executable, "-c", code, pickle.dumps(version).hex()],
        capture_output=True,
        text=True,
        env=host.environ,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [version.qualified_name, "4"]
