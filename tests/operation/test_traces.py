"""Spans of three real processes, taken by a collector, make one trace."""

from __future__ import annotations

from operation.conftest import Flow
from support.trace_collector import Span


def test_one_trace_goes_from_the_program_through_the_daemon_to_the_registrys_transaction(flow: Flow) -> None:
    [root] = [span for span in flow.spans if (span.service, span.name) == ("holdfast-sdk", "log_artifact")]
    trace = {span.span_id: span for span in flow.spans if span.trace_id == root.trace_id}
    names = {(span.service, span.name) for span in trace.values()}
    assert {("holdfast-daemon", name) for name in ("job ingest", "pack upload", "job commit")} <= names
    [commit] = [span for span in trace.values() if span.name == "holdfast.registry.v1.VersionService/CommitVersion"]
    assert ancestors(commit, trace) == ["job commit", "log_artifact"]
    assert [span for span in trace.values() if span.parent_id == commit.span_id and span.name.startswith("write ")]


def ancestors(span: Span, trace: dict[str, Span]) -> list[str]:
    """Names of the spans above one, nearest first."""
    found = []
    while span.parent_id:
        span = trace[span.parent_id]
        found.append(span.name)
    return found


def test_waiting_is_a_span_of_its_own(flow: Flow) -> None:
    assert [span.service for span in flow.spans if span.name == "wait"] == ["holdfast-sdk"]


def test_work_that_nobody_asked_for_makes_no_spans(flow: Flow) -> None:
    ids = {span.span_id for span in flow.spans}
    roots = {span.name for span in flow.spans if span.parent_id not in ids}
    assert not {name for name in roots if name.startswith(("read ", "write "))}
