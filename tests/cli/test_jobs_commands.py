"""`holdfast jobs …` and `holdfast daemon limit`, at a real daemon; jobs of offline runs stay where they are while one looks."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app
from holdfast.errors import CancelledError, UsageError
from support.sdk_host import SdkHost


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def jobs() -> dict[str, dict[str, Any]]:
    return {job["artifact_name"]: job for job in json.loads(run("jobs", "--json").stdout)}


def logged(name: str, **settings: str) -> holdfast.Artifact:
    """An artifact that waits for a sync."""
    with holdfast.init(mode="offline", settings=holdfast.Settings(**settings)) as offline:
        artifact = holdfast.Artifact(name, "dataset")
        with artifact.new_file("file") as file:
            file.write(name)
        return offline.log_artifact(artifact)


def test_jobs_are_paused_and_resumed_by_name_and_say_so(host: SdkHost) -> None:
    artifact = logged("resting")
    job_id = jobs()["resting"]["job_id"]
    assert run("jobs", "pause", "resting").stdout == f"paused: {job_id[:8]} local/uncategorized/resting\n"
    assert (jobs()["resting"]["state"], artifact.progress().is_paused) == ("paused", True)
    assert "paused" in run("jobs").stdout
    assert run("jobs", "resume", job_id[:6]).exit_code == 0
    assert (jobs()["resting"]["state"], artifact.progress().is_paused) == ("held", False)
    artifact.cancel()


def test_priority_comes_from_the_run_the_call_or_the_command(host: SdkHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PRIORITY", "low")
    of_run, of_settings = logged("of-run"), logged("of-settings", priority="high")
    assert [artifact.progress().priority for artifact in (of_run, of_settings)] == ["low", "high"]
    with holdfast.init(mode="offline") as offline:
        of_call = offline.log_artifact(holdfast.Artifact("of-call", "dataset"), priority="normal")
        with pytest.raises(UsageError, match="high, normal, low"):
            offline.log_artifact(holdfast.Artifact("wrong", "dataset"), priority="urgent")
    assert of_call.progress().priority == "normal"
    assert run("jobs", "priority", "of-run", "high").exit_code == 0
    assert of_run.progress().priority == "high"
    for artifact in (of_run, of_settings, of_call):
        artifact.cancel()


def test_cancel_ends_all_and_who_waits_gets_a_typed_error(host: SdkHost) -> None:
    artifacts = [logged("one"), logged("two")]
    assert run("jobs", "cancel", "--all").stdout.count("cancelled: ") == 2
    for artifact in artifacts:
        with pytest.raises(CancelledError):
            artifact.wait()
    assert jobs() == {}
    assert run("jobs", "cancel", "--all").exit_code == ExitCode.NOT_FOUND


def test_what_names_no_job_or_several_changes_nothing(host: SdkHost) -> None:
    twins = [logged("twin"), logged("twin")]
    unclear = run("jobs", "pause", "twin")
    assert (unclear.exit_code, "any of 2 jobs" in unclear.stderr) == (ExitCode.FAILED, True)
    assert run("jobs", "pause", "nobody").exit_code == ExitCode.NOT_FOUND
    assert run("jobs", "pause").exit_code == ExitCode.USAGE
    assert run("jobs", "priority", "twin", "urgent").exit_code == ExitCode.USAGE
    assert not any(artifact.progress().is_paused for artifact in twins)
    for artifact in twins:
        artifact.cancel()


def test_limits_are_set_shown_and_lifted(host: SdkHost) -> None:
    assert run("daemon", "limit", "--up", "20MB/s").stdout == "up: 19.1 MiB/s\ndown: off\n"
    shown = json.loads(run("daemon", "limit", "--down", "1MiB/s", "--json").stdout)
    assert shown == {"up_bytes_per_s": 20_000_000, "down_bytes_per_s": 1 << 20}
    assert "up 19.1 MiB/s, down 1.0 MiB/s" in run("daemon", "status").stdout
    assert run("daemon", "limit", "--up", "much").exit_code == ExitCode.USAGE
    assert run("daemon", "limit", "--up", "off", "--down", "off").stdout == "up: off\ndown: off\n"
