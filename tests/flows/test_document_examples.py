"""The examples of W&B's public documents, in the order in which they stand there, with the import alone changed."""

from pathlib import Path

import pytest

import holdfast as wandb
from support.sdk_calls import fresh_name
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _in_a_project_folder(host: SdkHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the examples speak of."""
    monkeypatch.chdir(tmp_path)
    for path in ("mnist/train.bin", "my_dir/a.txt", "my_dir/sub/b.txt", "path/to/file.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)


def test_basic_usage() -> None:
    wandb.init()

    artifact = wandb.Artifact("mnist", type="dataset")
    artifact.add_dir("mnist/")
    wandb.log_artifact(artifact)

    assert list(artifact.wait().manifest.entries) == ["train.bin"]
    wandb.finish()


def test_directories_are_added_at_the_root_or_below_a_name() -> None:
    artifact = wandb.Artifact(fresh_name(), "dataset")
    artifact.add_dir("my_dir/")
    artifact.add_dir("my_dir/", name="destination")
    artifact.add_dir("my_dir/", path="elsewhere")
    paths = ["a.txt", "sub/b.txt"]
    assert list(artifact.manifest.entries) == sorted(
        [*paths, *(f"{folder}/{path}" for folder in ("destination", "elsewhere") for path in paths)]
    )


def test_files_are_added_under_their_own_or_another_name() -> None:
    artifact = wandb.Artifact("my_dataset", type="dataset")
    artifact.add_file("path/to/file.txt")
    artifact.add_file("path/to/file.txt", name="new/path/file.txt")
    assert artifact.get_added_local_path_name("path/to/file.txt") == "new/path/file.txt"

    artifact = wandb.Artifact("my_dataset", type="dataset")
    artifact.add_file("path/to/file.txt", name="artifact/path/file.txt")
    assert artifact.get_added_local_path_name("path/to/file.txt") == "artifact/path/file.txt"


def test_an_entry_is_found_and_downloaded_by_another_run() -> None:
    # Run logging the artifact
    with wandb.init() as r:
        artifact = wandb.Artifact("my_dataset", type="dataset")
        artifact.add_file("path/to/file.txt")
        wandb.log_artifact(artifact)
        artifact.wait()  # the examples leave out that the run that reads comes later

    # Run using the artifact
    with wandb.init() as r:
        artifact = r.use_artifact("my_dataset:latest")
        path = artifact.get_path("file.txt")

        # Can now download 'file.txt' directly:
        assert Path(path.download()).read_text() == "path/to/file.txt"


def test_a_new_file_is_added_when_it_is_closed() -> None:
    wandb.init()
    artifact = wandb.Artifact("my_data", type="dataset")
    with artifact.new_file("hello.txt") as f:
        f.write("hello!")
    wandb.log_artifact(artifact)
    assert Path(artifact.wait().get_path("hello.txt").download()).read_text() == "hello!"
    wandb.finish()


def test_all_models_that_runs_have_logged_are_deleted() -> None:
    project = fresh_name("models")
    with wandb.init(project=project) as run:
        model = run.log_artifact("path/to/file.txt", name="net", type="model").wait()
        data = run.log_artifact("my_dir", name="data", type="dataset").wait()

    api = wandb.Api()
    runs = api.runs(path=f"local/{project}")
    for run in runs:
        for artifact in run.logged_artifacts():
            if artifact.type == "model":
                artifact.delete(delete_aliases=True)

    assert not api.artifact_exists(model.qualified_name)
    assert api.artifact_exists(data.qualified_name)
