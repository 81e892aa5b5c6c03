"""`holdfast retention` and `holdfast registry gc`, and the same from Python, against a daemon and its registry."""

import datetime
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.artifact_collections import ArtifactCollection
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.gc_command import is_for_daemon
from holdfast.cli.main import app
from holdfast.retention import RetentionPolicy
from support.sdk_host import SdkHost

PATIENCE_S = 30
POLL_S = 0.05


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    settings = {"HOLDFAST_REGISTRY_RETENTION_INTERVAL_S": "0.3", "HOLDFAST_REGISTRY_GC_INTERVAL_S": "0"}
    with SdkHost(tmp_path_factory.mktemp("host"), settings).entered() as entered:
        yield entered


pytestmark = pytest.mark.usefixtures("host")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def as_json(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def log_steps(project: str, count: int) -> ArtifactCollection:
    with holdfast.init(project=project, reinit=True) as run:
        for step in range(count):
            artifact = holdfast.Artifact("net", type="model", metadata={"step": step})
            with artifact.new_file("net") as file:
                file.write(f"{project} {step}" * 100)
            run.log_artifact(artifact).wait()
    return holdfast.Api().artifact_collection("model", f"{project}/net")


def versions(collection: ArtifactCollection) -> list[str]:
    return [artifact.version for artifact in collection.artifacts()]


def wait_for(collection: ArtifactCollection, wanted: list[str]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while versions(collection) != wanted:
        assert time.monotonic() < give_up_s, versions(collection)
        time.sleep(POLL_S)


def test_policy_is_tried_set_shown_applied_and_taken_back() -> None:
    nets = log_steps("thin", 4)
    where = "local/thin/net"
    rules = ("--keep-last", 1, "--keep-best", "metadata.step:min")
    tried = as_json("retention", "preview", where, *rules)
    assert [one["version"] for one in tried["versions"]] == ["v1", "v2"]
    assert (tried["kept_count"], tried["freed_bytes"] > 0, versions(nets)) == (2, True, ["v3", "v2", "v1", "v0"])
    refused = call("retention", "set", where, *rules)
    assert (refused.exit_code, "2 versions go, 2 stay" in refused.stderr) == (ExitCode.FAILED, True)
    assert "everything is kept" in call("retention", "show", where).stdout
    as_json("retention", "set", where, *rules, "--yes")
    wait_for(nets, ["v3", "v0"])
    assert as_json("retention", "show", where) == {
        "policy": {"keep_last": 1, "keep_best": ["metadata.step:min"]},
        "source": "collection",
    }
    assert call("retention", "clear", where).exit_code == 0
    assert nets.retention.get() is None


def test_policy_in_python_reads_as_it_was_written_and_its_projects_counts() -> None:
    nets = log_steps("python", 3)
    project = holdfast.Api().project("python")
    policy = RetentionPolicy(
        keep_last=2,
        keep_tagged=["checked"],
        keep_best=["metadata.step:max:2"],
        max_bytes=10**9,
        delete_older_than=datetime.timedelta(days=30),
    )
    project.retention.set(policy)
    assert (nets.retention.get(), nets.retention.source()) == (policy, "project")
    nets.retention.set(RetentionPolicy())
    assert (nets.retention.get(), nets.retention.source()) == (RetentionPolicy(), "collection")
    project.retention.set(RetentionPolicy(keep_last=1))
    assert nets.retention.preview().versions == ()
    assert project.retention.preview().version_count == 0
    nets.retention.clear()
    wait_for(nets, ["v2"])
    project.retention.clear()
    with pytest.raises(holdfast.CommError, match="what goes"):
        nets.retention.set(RetentionPolicy(keep_tagged=True))


def test_deleted_version_is_brought_back_from_python() -> None:
    nets = log_steps("undo", 3)
    gone = holdfast.Api().artifact("undo/net:v1")
    gone.delete()
    assert versions(nets) == ["v2", "v0"]
    gone.restore()
    assert versions(nets) == ["v2", "v1", "v0"]
    holdfast.Api().artifact("undo/net:v0").delete()
    assert nets.restore("v0").qualified_name == "local/undo/net:v0"
    assert versions(nets) == ["v2", "v1", "v0"]
    with pytest.raises(holdfast.NotFoundError):
        nets.restore(7)


def test_garbage_is_collected_of_the_daemons_registry() -> None:
    log_steps("garbage", 1)
    counted = as_json("registry", "gc", "--dry-run", "--now")
    assert (counted["manifests_marked"] > 0, counted["problem"]) == (True, "")
    assert as_json("registry", "gc", "status") == []
    ran = call("registry", "gc", "--now")
    assert (ran.exit_code, "chunks seen: " in ran.stdout) == (0, True)
    cycles = as_json("registry", "gc", "status")
    assert [(cycle["phase"], cycle["report"]["problem"]) for cycle in cycles] == [("done", "")]
    assert call("registry", "gc", "status").stdout.startswith(f"cycle {cycles[0]['cycle']}: done")


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "p"),
        ("set", "p", "--keep-all", "--keep-last", 2),
        ("set", "p", "--delete-older-than", "soon"),
        ("set", "p", "--max-bytes", "much"),
        ("show", "a/b/c/d"),
        ("preview", "a/b:v1"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_asked(arguments: tuple[object, ...]) -> None:
    assert call("retention", *arguments).exit_code == ExitCode.USAGE


def test_gc_is_for_the_daemon_unless_the_call_or_a_setting_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_for_daemon(["status", "--json"])
    assert not is_for_daemon(["--data-dir", os.curdir])
    assert not is_for_daemon(["--address=unix:/x"])
    assert not is_for_daemon(["--help"])
    monkeypatch.setenv("HOLDFAST_REGISTRY_DATA_DIR", os.curdir)
    assert not is_for_daemon(["status"])
