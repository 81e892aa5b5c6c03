"""The registry's metrics as Prometheus reads them; docs/operations.md has the table of all of them."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from holdfast_contract.reasons import Reason
from holdfast_registry import __version__
from holdfast_registry.auth.permissions import PREFIX
from holdfast_registry.database.figures import StoredFigures
from holdfast_registry.domain.records import PackState, VersionState
from holdfast_registry.gc.report import GcReport
from holdfast_registry.metrics.sources import SlowFigures, Sources

_REFUSED_TOKENS = (Reason.UNAUTHENTICATED, Reason.PERMISSION_DENIED)


class RegistryCollector:
    """Makes all metrics at each scrape, from numbers that are in memory."""

    def __init__(self, sources: Sources) -> None:
        """Makes it; see `Sources`."""
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics."""
        info = GaugeMetricFamily(
            "holdfast_registry_build_info", "1, with the versions as labels.", labels=["version", "python"]
        )
        info.add_metric([__version__, platform.python_version()], 1)
        yield info
        yield from self._calls()
        yield from self._queues()
        yield from self._database()
        yield from self._store()
        slow = self._sources.figures.latest
        if slow is not None:
            age_s = self._sources.clock.monotonic_s() - slow.taken_at_s
            yield GaugeMetricFamily(
                "holdfast_registry_figures_age_seconds", "Age of the figures from the database.", age_s
            )
            yield from _stored(slow.stored)
            yield from _garbage(slow)

    def _calls(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "holdfast_registry_call_duration_seconds", "Calls that have ended, by method.", labels=["method"]
        )
        errors = CounterMetricFamily(
            "holdfast_registry_call_errors", "Calls that failed, by method and reason.", labels=["method", "reason"]
        )
        in_flight = GaugeMetricFamily("holdfast_registry_calls_in_flight", "Calls that run.", labels=["method"])
        refused = dict.fromkeys(_REFUSED_TOKENS, 0)
        for full_name, tally in list(self._sources.calls.methods.items()):
            method = full_name.removeprefix(PREFIX)
            durations.add_metric([method], tally.durations_s.cumulative(), tally.durations_s.total)
            in_flight.add_metric([method], tally.in_flight)
            for reason, count in list(tally.refusals.items()):
                errors.add_metric([method, reason], count)
            for wanted in _REFUSED_TOKENS:
                refused[wanted] += tally.refusals[wanted.value]
        tokens = CounterMetricFamily(
            "holdfast_registry_tokens_refused", "Calls refused for who made them.", labels=["reason"]
        )
        for wanted, count in refused.items():
            tokens.add_metric([wanted.value], count)
        yield from (durations, errors, in_flight, tokens)

    def _queues(self) -> Iterator[Metric]:
        verifier = self._sources.verifier()
        yield GaugeMetricFamily("holdfast_registry_verifier_checking", "Packs that are checked.", verifier.checking)
        yield GaugeMetricFamily("holdfast_registry_verifier_waiting", "Packs that wait for it.", verifier.waiting)
        yield GaugeMetricFamily(
            "holdfast_registry_verifier_lag_seconds", "How long the oldest of both takes so far.", verifier.lag_s
        )
        upkeep = self._sources.maintenance
        rounds = CounterMetricFamily(
            "holdfast_registry_maintenance_rounds", "Rounds of maintenance.", labels=["outcome"]
        )
        rounds.add_metric(["ok"], upkeep.rounds)
        rounds.add_metric(["failed"], upkeep.failures)
        yield rounds
        expired = CounterMetricFamily(
            "holdfast_registry_expired", "Leases and versions whose time was over.", labels=["kind"]
        )
        expired.add_metric(["lease"], upkeep.leases_expired)
        expired.add_metric(["version"], upkeep.versions_expired)
        yield expired
        if upkeep.ended_at_s is not None:
            age_s = self._sources.clock.monotonic_s() - upkeep.ended_at_s
            yield GaugeMetricFamily(
                "holdfast_registry_maintenance_age_seconds", "Since the last round without a failure.", age_s
            )

    def _database(self) -> Iterator[Metric]:
        load = self._sources.database()
        connections = GaugeMetricFamily(
            "holdfast_registry_database_connections", "Of the pool, by state.", labels=["state"]
        )
        connections.add_metric(["in_use"], load.connections_in_use)
        connections.add_metric(["idle"], load.connections_max - load.connections_in_use)
        yield connections
        yield GaugeMetricFamily(
            "holdfast_registry_database_waiting", "Transactions that wait for a connection.", load.waiting
        )
        retries = CounterMetricFamily(
            "holdfast_registry_database_retries", "Transactions that ran again, by why.", labels=["why"]
        )
        for why, count in load.retries.items():
            retries.add_metric([why], count)
        yield retries

    def _store(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "holdfast_registry_store_requests", "Requests to the S3 server.", labels=["operation", "outcome"]
        )
        for (operation, outcome), count in list(self._sources.store.requests.items()):
            requests.add_metric([operation, outcome], count)
        retries = CounterMetricFamily(
            "holdfast_registry_store_retries", "Repeated tries of those.", labels=["operation"]
        )
        for operation, count in list(self._sources.store.retries.items()):
            retries.add_metric([operation], count)
        yield from (requests, retries)


def _stored(figures: StoredFigures) -> Iterator[Metric]:
    packs = GaugeMetricFamily("holdfast_registry_packs", "Packs in the store, by state.", labels=["state"])
    pack_bytes = GaugeMetricFamily("holdfast_registry_pack_bytes", "Their bytes.", labels=["state"])
    for state in PackState:
        amount = figures.packs.get(state)
        packs.add_metric([state.name.lower()], amount.count if amount else 0)
        pack_bytes.add_metric([state.name.lower()], amount.size_bytes if amount else 0)
    versions = GaugeMetricFamily("holdfast_registry_versions", "Versions, by state.", labels=["state"])
    for kind in VersionState:
        found = figures.versions.get(kind)
        versions.add_metric([kind.name.lower()], found.count if found else 0)
    yield from (packs, pack_bytes, versions)
    yield GaugeMetricFamily("holdfast_registry_stored_bytes", "What the store holds.", figures.stored_bytes)
    yield GaugeMetricFamily(
        "holdfast_registry_logical_bytes", "Files of all committed versions, each counted whole.", figures.logical_bytes
    )
    ratio = figures.logical_bytes / figures.stored_bytes if figures.stored_bytes else 1.0
    yield GaugeMetricFamily("holdfast_registry_dedup_ratio", "Logical bytes for each stored one.", ratio)
    leases = GaugeMetricFamily("holdfast_registry_leases", "Uploads that are under way.", labels=["state"])
    leases.add_metric(["active"], figures.leases_active - figures.leases_overdue)
    leases.add_metric(["overdue"], figures.leases_overdue)
    yield leases


def _garbage(slow: SlowFigures) -> Iterator[Metric]:
    if slow.last_cycle is not None:
        yield GaugeMetricFamily(
            "holdfast_registry_gc_last_start_timestamp_seconds",
            "When the last cycle began.",
            slow.last_cycle.started_at_ms / 1000,
        )
    ended = slow.last_ended_cycle
    if ended is None or ended.ended_at_ms is None:
        return
    report = GcReport.from_json(ended.report_json)
    yield GaugeMetricFamily(
        "holdfast_registry_gc_last_end_timestamp_seconds", "When a cycle ended last.", ended.ended_at_ms / 1000
    )
    took_s = (ended.ended_at_ms - ended.started_at_ms) / 1000
    yield GaugeMetricFamily("holdfast_registry_gc_last_duration_seconds", "How long that one took.", took_s)
    yield GaugeMetricFamily(
        "holdfast_registry_gc_last_problem",
        "1 when it could not do all; its report says why.",
        float(bool(report.problem)),
    )
    freed = GaugeMetricFamily(
        "holdfast_registry_gc_last_bytes", "What it freed of chunks, and removed of objects.", labels=["kind"]
    )
    freed.add_metric(["deleted"], report.bytes_deleted)
    freed.add_metric(["removed"], report.bytes_removed)
    freed.add_metric(["waiting"], report.bytes_waiting)
    yield freed
