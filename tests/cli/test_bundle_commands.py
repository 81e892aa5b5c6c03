"""`holdfast sync` and `holdfast bundle …`: what waits is sent or carried, and the exit codes say what became of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.cli import job_watch
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app
from support.own_registry import OwnRegistry
from support.sdk_host import SdkHost
from support.trees import read_tree, write_tree

TREE = {"a.txt": b"alpha", "deep/b.bin": bytes(200_000)}


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def done(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def as_json(*arguments: object) -> Any:
    return json.loads(done(*arguments, "--json").stdout)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path / "registry") as own:
        yield own


@pytest.fixture
def host(tmp_path: Path, own: OwnRegistry) -> Iterator[SdkHost]:
    with SdkHost(tmp_path / "host", own.daemon_settings()).entered() as host:
        yield host


def log_offline(tmp_path: Path, name: str = "cats") -> holdfast.Artifact:
    artifact = holdfast.Artifact(name, type="dataset")
    artifact.add_dir(str(write_tree(tmp_path / "in", TREE)))
    with holdfast.init(project="vision", mode="offline") as run:
        return run.log_artifact(artifact, aliases=["clean"])


@pytest.mark.usefixtures("host")
def test_sync_sends_what_was_logged_offline(own: OwnRegistry, tmp_path: Path) -> None:
    own.start()
    log_offline(tmp_path)
    assert "held" in done("status").stdout
    assert done("sync").stdout == "local/vision/cats:v0\n"
    assert done("sync").stdout == ""
    assert as_json("sync") == {"jobs": []}


@pytest.mark.usefixtures("host")
def test_sync_takes_the_folders_that_it_does_not_need(own: OwnRegistry, tmp_path: Path) -> None:
    own.start()
    log_offline(tmp_path)
    result = done("sync", "wandb/offline-run-1")
    assert result.stdout == "local/vision/cats:v0\n"
    assert "not needed" in result.stderr


@pytest.mark.usefixtures("host")
def test_sync_gives_up_when_nobody_answers_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: OwnRegistry
) -> None:
    monkeypatch.setattr(job_watch, "PATIENCE_S", 1.0)
    log_offline(tmp_path)
    result = call("sync")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "local/vision/cats" in result.stderr
    assert "does not answer" in result.stderr
    own.start()
    assert done("sync", "--watch").stdout == "local/vision/cats:v0\n"


@pytest.mark.usefixtures("host")
def test_sync_ends_with_1_when_a_version_cannot_be_committed(own: OwnRegistry, tmp_path: Path) -> None:
    own.start()
    log_offline(tmp_path)
    other = holdfast.Artifact("cats", type="another")
    with holdfast.init(project="vision") as run:
        run.log_artifact(other).wait()
    result = call("sync")
    assert result.exit_code == ExitCode.FAILED
    assert "local/vision/cats: failed" in result.stderr


@pytest.mark.usefixtures("host")
def test_unsent_and_committed_versions_go_into_a_bundle_and_come_out_of_it(own: OwnRegistry, tmp_path: Path) -> None:
    log_offline(tmp_path)
    file = tmp_path / "cats.hfb"
    assert as_json("bundle", "export", "--unsent", "-o", file)["versions"] == 1
    [shown] = as_json("bundle", "show", file)
    assert shown["qualified_name"] == "local/vision/cats"
    assert (shown["version"], shown["entry_count"], shown["aliases"]) == (None, 2, ["clean"])
    assert "not sent yet" in done("bundle", "show", file).stdout
    own.start()
    assert done("bundle", "import", file, "--project", "copies").stdout == "local/copies/cats:v0\n"
    root = Path(done("artifact", "get", "copies/cats:clean", "--root", tmp_path / "out").stdout.strip())
    assert read_tree(root) == TREE
    again = tmp_path / "again.hfb"
    assert done("bundle", "export", "copies/cats", "-o", again).stdout == f"{again}\n"
    [shown] = as_json("bundle", "show", again)
    assert shown["version"] == "v0"
    [job] = as_json("bundle", "import", again, "--entity", "team", "--no-wait")["job_ids"]
    assert len(job) == 32


@pytest.mark.usefixtures("host")
def test_bundle_commands_that_cannot_do_what_they_are_asked(own: OwnRegistry, tmp_path: Path) -> None:
    own.start()
    file = tmp_path / "b.hfb"
    assert call("bundle", "export", "-o", file).exit_code == ExitCode.USAGE
    assert call("bundle", "export", "--unsent").exit_code == ExitCode.USAGE
    assert call("bundle", "export", "--unsent", "-o", file).exit_code == ExitCode.NOT_FOUND
    assert call("bundle", "export", "vision/nothing", "-o", file).exit_code == ExitCode.NOT_FOUND
    assert call("bundle", "show", file).exit_code == ExitCode.NOT_FOUND
    file.write_bytes(b"no bundle")
    for command in ("show", "import"):
        result = call("bundle", command, file)
        assert result.exit_code == ExitCode.DAMAGED
        assert "no whole bundle" in result.stderr
