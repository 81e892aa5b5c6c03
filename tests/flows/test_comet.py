"""Comet's vocabulary over the same store: what is logged in one is found in the other, and downloads move what differs."""

import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
import holdfast.comet as comet_ml
from holdfast import errors
from holdfast.comet import exceptions
from support.sdk_calls import fresh_name, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree

PROJECT = "experiments"


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


@pytest.fixture
def experiment() -> Iterator[comet_ml.Experiment]:
    with comet_ml.Experiment(project_name=PROJECT) as begun:
        yield begun


def logged(
    experiment: comet_ml.Experiment, files: dict[str, bytes], name: str | None = None, **more: object
) -> comet_ml.LoggedArtifact:
    artifact = comet_ml.Artifact(name or fresh_name(), "dataset", **more)  # type: ignore[arg-type]
    for path, data in files.items():
        artifact.add(io.BytesIO(data), path)
    return experiment.log_artifact(artifact).wait()


def brought(experiment: comet_ml.Experiment) -> int:
    """Bytes of assets that downloads of this experiment have moved so far."""
    assets = experiment.generate_summary().get("downloads", {}).get("artifact assets", {})
    return int(assets.get("size_bytes", 0))


# --- one store, two vocabularies --------------------------------------------------------------------------------------


def test_what_comet_logs_is_found_by_the_other_vocabulary(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    artifact = comet_ml.Artifact(fresh_name(), "dataset", aliases=["prod"], metadata={"k": 1}, version_tags=["good"])
    folder = write_tree(tmp_path / "mnist", {"train/a": b"a", "b": bytes(200_000)})
    artifact.add(folder, metadata={"split": "all"})
    artifact.add(io.StringIO("naïve"), "notes.txt")
    artifact.add_remote("other://place/of/things", "thing")
    done = experiment.log_artifact(artifact)
    assert str(done.wait().version) == "1.0.0"
    found = holdfast.Api().artifact(f"{artifact.name}:prod")
    assert (found.type, found.version, found.metadata, found.tags) == ("dataset", "v0", {"k": 1}, ["good"])
    assert set(found.aliases) == {"latest", "prod"}
    assert list(found.manifest.entries) == ["mnist/b", "mnist/train/a", "notes.txt", "thing"]
    assert found.get_entry("mnist/b").extra == {"metadata": {"split": "all"}}
    assert found.get_entry("notes.txt").read_bytes() == "naïve".encode()
    assert found.get_entry("thing").ref == "other://place/of/things"
    logged_by = found.logged_by()
    assert logged_by is not None
    assert (logged_by.id, logged_by.project) == (experiment.get_key(), PROJECT)


def test_what_the_other_vocabulary_logs_is_found_by_comet(experiment: comet_ml.Experiment, tmp_path: Path) -> None:
    theirs = new_artifact()
    theirs.metadata = {"k": [1]}
    with theirs.new_file("a/file") as file:
        file.write("x")
    version = log(theirs, aliases=["best"], tags=["t"], project="uncategorized")
    found = experiment.get_artifact(f"local/{version.source_name.split(':')[0]}:best")
    assert (found.name, found.workspace, found.artifact_type) == (theirs.source_name.split(":")[0], "local", "dataset")
    assert str(found.version) == "1.0.0"
    assert (found.aliases, found.version_tags) == ({"Latest", "best"}, {"t"})
    assert (found.metadata, found.size) == ({"k": [1]}, 1)
    assert found.source_experiment_key == version._logged.logged_by_run_id
    assert [run.id for run in version.used_by()] == [experiment.get_key()]
    asset = found.get_asset("a/file")
    assert (asset.size, asset.remote, asset.link, asset.metadata) == (1, False, None, {})
    assert read_tree(Path(found.download(str(tmp_path)).download_local_path or "")) == {"a/file": b"x"}
