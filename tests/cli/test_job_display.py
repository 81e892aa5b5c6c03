"""Jobs on the screen and as JSON, also in states that a test cannot easily bring about."""

import io
from typing import Any

from rich.console import Console

from holdfast.cli.job_display import Snapshot, job_as_json, render_snapshot, state_word, status_fields
from holdfastpb.daemon.v1.control_pb2 import GetStatusResponse, Job
from holdfastpb.daemon.v1.log_pb2 import JobProgress, JobState


def make_job(state: Any, **fields: Any) -> Job:
    progress = JobProgress(artifact_name="cats", state=state, bytes_total=4 << 20, bytes_read=1 << 20, entries_total=9)
    return Job(progress=progress, **fields)


def shown(*jobs: Job, **status: Any) -> str:
    console = Console(file=io.StringIO(), width=200, markup=False, highlight=False)
    console.print(render_snapshot(Snapshot(GetStatusResponse(**status), jobs)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_a_job_that_waits_says_for_what() -> None:
    job = make_job(JobState.JOB_STATE_UPLOAD)
    job.progress.waiting_for = "the registry does not answer; next try in 8 s"
    text = shown(job, registry="embedded", registry_reachable=True)
    assert "sending" in text
    assert "25 %" in text
    assert "the registry does not answer; next try in 8 s" in text


def test_a_failed_job_shows_its_error_and_cannot_colour_the_terminal() -> None:
    text = shown(make_job(JobState.JOB_STATE_FAILED, error="a\x1b[31m.bin was changed [bold]twice[/bold]"))
    assert "failed" in text
    assert "a\\x1b[31m.bin was changed [bold]twice[/bold]" in text


def test_a_registry_that_does_not_answer_is_named() -> None:
    text = shown(
        registry="tls", registry_reachable=False, registry_problem="the registry at far:7440 does not answer: refused"
    )
    assert text.count("does not answer") == 1
    assert "registry tls: the registry at far:7440 does not answer: refused" in text
    assert "registry far:7440: does not answer" in shown(registry="far:7440", registry_reachable=False)
    fields = status_fields(GetStatusResponse(registry="far:7440", registry_problem="connection refused"), now_ms=0)
    assert (fields["registry"], fields["problem"]) == ("far:7440 (does not answer)", "connection refused")


def test_a_state_of_a_newer_daemon_is_unknown_and_no_error() -> None:
    job = make_job(99)
    assert state_word(job) == "unknown"
    assert job_as_json(job)["state"] == "unknown"


def test_a_committed_job_is_named_with_its_version() -> None:
    assert "local/p/cats:v3" in shown(
        make_job(JobState.JOB_STATE_COMMITTED, qualified_name="local/p/cats", version="v3")
    )
