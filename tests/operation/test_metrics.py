"""Both endpoints show what the documented tables promise, and true figures."""

from __future__ import annotations

import re

import pytest

from architecture.source_tree import PROJECT_ROOT
from operation.conftest import Flow

ROW = re.compile(r"^\| `(holdfast_(?:registry|daemon)_\w+)` \|([^|]*)\|", re.MULTILINE)
HELP = re.compile(r"^# HELP (holdfast_\w+) ", re.MULTILINE)
SAMPLE = re.compile(r"^(holdfast_\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="')


def documented(process: str) -> dict[str, set[str]]:
    """Names and labels in the tables."""
    text = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in ROW.findall(text)
        if name.startswith(f"holdfast_{process}_")
    }


def value(metrics: str, sample: str) -> float:
    """Of one sample, written as Prometheus does."""
    [found] = [line.rpartition(" ")[2] for line in metrics.splitlines() if line.rpartition(" ")[0] == sample]
    return float(found)


@pytest.mark.parametrize("process", ["registry", "daemon"])
def test_endpoint_has_the_metrics_of_the_table_and_no_others(flow: Flow, process: str) -> None:
    shown = flow.registry_metrics if process == "registry" else flow.daemon_metrics
    assert set(HELP.findall(shown)) == set(documented(process))


@pytest.mark.parametrize("process", ["registry", "daemon"])
def test_samples_have_the_labels_of_the_table(flow: Flow, process: str) -> None:
    shown = flow.later_metrics if process == "registry" else flow.daemon_metrics
    table = documented(process)
    wrong = []
    for name, labels, _ in SAMPLE.findall(shown):
        family = re.sub("_(bucket|count|sum)$", "", name) if name not in table else name
        if set(LABEL.findall(labels)) - {"le"} != table[family]:
            wrong.append(f"{name}{{{labels}}}")
    assert not wrong


def test_calls_are_counted_by_method_and_reason(flow: Flow) -> None:
    metrics = flow.registry_metrics
    commits = 'holdfast_registry_call_duration_seconds_count{method="VersionService/CommitVersion"}'
    refused = 'holdfast_registry_call_errors_total{method="VersionService/ResolveVersion",reason="NOT_FOUND"}'
    assert value(metrics, commits) == 1
    assert value(metrics, refused) == 1
    assert value(metrics, 'holdfast_registry_calls_in_flight{method="VersionService/CommitVersion"}') == 0


def test_figures_of_the_database_are_true(flow: Flow) -> None:
    metrics = flow.later_metrics
    assert value(metrics, 'holdfast_registry_versions{state="committed"}') == 1
    assert value(metrics, "holdfast_registry_logical_bytes") == len("some content")
    packs = value(metrics, 'holdfast_registry_packs{state="live"}')
    assert packs >= 1
    stored = value(metrics, "holdfast_registry_stored_bytes")
    assert stored == value(metrics, 'holdfast_registry_pack_bytes{state="live"}') > 0
    assert value(metrics, "holdfast_registry_dedup_ratio") == pytest.approx(len("some content") / stored)


def test_quotas_show_what_is_used_and_allowed(flow: Flow) -> None:
    metrics = flow.later_metrics
    assert value(metrics, 'holdfast_registry_quota_limit{quota="versions",scope="team"}') == 5
    assert value(metrics, 'holdfast_registry_quota_used{quota="versions",scope="team"}') == 0


def test_daemon_counts_what_it_did(flow: Flow) -> None:
    metrics, figures = flow.daemon_metrics, flow.status["figures"]
    assert value(metrics, 'holdfast_daemon_jobs_ended_total{state="committed"}') == 1
    assert figures["jobs_ended"] == {"committed": 1, "failed": 0, "cancelled": 0}
    assert value(metrics, "holdfast_daemon_uploaded_bytes_total") == figures["uploaded_bytes"] > len("some content")
    assert figures["registry_calls"] > 0
    assert 0 < figures["registry_latency_p50_s"] <= figures["registry_latency_p99_s"]
