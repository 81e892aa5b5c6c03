"""Logs are objects with the id of the request, which the user has, too; secrets are in none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_contract.call_context import CallContext, current
from operation.conftest import Flow


def events(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.parametrize("process", ["registry", "daemon"])
def test_every_line_is_an_object_with_time_level_logger_and_message(flow: Flow, process: str) -> None:
    found = events(flow.registry_log if process == "registry" else flow.daemon_log)
    assert found
    assert not [event for event in found if not {"time", "level", "logger", "message"} <= event.keys()]


def test_request_id_of_an_error_leads_to_the_registrys_line(flow: Flow) -> None:
    lines = [event for event in events(flow.registry_log) if event.get("request_id") == flow.said["request_id"]]
    assert {line["method"] for line in lines} == {"/holdfast.registry.v1.VersionService/ResolveVersion"}
    assert [line for line in lines if "reason=NOT_FOUND" in line["message"]]
    assert {line["token_id"] for line in lines} == {1}


def test_calls_for_a_job_carry_one_trace_and_a_request_id_each_in_the_log(flow: Flow) -> None:
    calls = [event for event in events(flow.registry_log) if event["message"].startswith("call method=")]
    assert calls
    assert all(call["request_id"] for call in calls)
    sealed = [call for call in calls if call["method"].endswith("/SealPack")]
    committed = [call for call in calls if call["method"].endswith("/CommitVersion")]
    assert {call["trace_id"] for call in sealed} == {call["trace_id"] for call in committed}


def test_secrets_are_in_no_log_and_no_command_line(flow: Flow) -> None:
    assert [secret for secret in flow.secrets if len(secret) > 20] == flow.secrets
    everywhere = "\n".join((flow.registry_log, flow.daemon_log, *flow.said["command_lines"]))
    assert "holdfast_registry" in everywhere
    assert "holdfast_daemon" in everywhere
    assert not [place for secret in flow.secrets for place in everywhere.splitlines() if secret in place]
    assert "Bearer" not in everywhere


def test_a_message_cannot_forge_an_event() -> None:
    import logging

    from holdfast_contract.log_lines import formatter

    record = logging.LogRecord("x", logging.INFO, "", 0, "one\nWARNING \u2028two", None, None)
    token = current.set(CallContext("abc"))
    try:
        text, as_json = formatter("text").format(record), formatter("json").format(record)
    finally:
        current.reset(token)
    assert "\n" not in text
    assert text.endswith("request_id=abc")
    assert len(as_json.splitlines()) == 1
    assert json.loads(as_json)["message"] == "one\nWARNING \u2028two"
