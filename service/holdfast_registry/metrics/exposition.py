"""The registry's metrics as Prometheus reads them; docs/operations.md has the table of all of them."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from holdfast_contract.reasons import Reason
from holdfast_registry import __version__
from holdfast_registry.auth.permissions import PREFIX
from holdfast_registry.database.figures import Amount, StoredFigures
from holdfast_registry.database.scrub_status import ScrubStatus
from holdfast_registry.domain.quotas import PlacedQuota
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
        age = GaugeMetricFamily("holdfast_registry_figures_age_seconds", "Age of the figures from the database.")
        if slow is not None:
            age.add_metric([], self._sources.clock.monotonic_s() - slow.taken_at_s)
        yield age
        yield from _stored(slow.stored if slow is not None else None)
        yield from _quotas(slow.stored.quotas if slow is not None else ())
        yield from _garbage(slow)
        yield from _scrub(slow.stored.scrub if slow is not None else None)

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
        age = GaugeMetricFamily("holdfast_registry_maintenance_age_seconds", "Since the last round without a failure.")
        if upkeep.ended_at_s is not None:
            age.add_metric([], self._sources.clock.monotonic_s() - upkeep.ended_at_s)
        yield age

    def _database(self) -> Iterator[Metric]:
        load = self._sources.database()
        yield GaugeMetricFamily("holdfast_registry_database_up", "Whether the database answers.", float(load.is_there))
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


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Returns a gauge that has no value as long as it is not known."""
    return GaugeMetricFamily(f"holdfast_registry_{name}", text, value)


def _stored(figures: StoredFigures | None) -> Iterator[Metric]:
    packs = GaugeMetricFamily("holdfast_registry_packs", "Packs in the store, by state.", labels=["state"])
    pack_bytes = GaugeMetricFamily("holdfast_registry_pack_bytes", "Their bytes.", labels=["state"])
    versions = GaugeMetricFamily("holdfast_registry_versions", "Versions, by state.", labels=["state"])
    leases = GaugeMetricFamily("holdfast_registry_leases", "Uploads that are under way.", labels=["state"])
    stored = logical = ratio = None
    if figures is not None:
        for state in PackState:
            amount = figures.packs.get(state, Amount())
            packs.add_metric([state.name.lower()], amount.count)
            pack_bytes.add_metric([state.name.lower()], amount.size_bytes)
        for kind in VersionState:
            versions.add_metric([kind.name.lower()], figures.versions.get(kind, Amount()).count)
        leases.add_metric(["active"], figures.leases_active - figures.leases_overdue)
        leases.add_metric(["overdue"], figures.leases_overdue)
        stored, logical = float(figures.stored_bytes), float(figures.logical_bytes)
        ratio = logical / stored if stored else 1.0
    yield from (packs, pack_bytes, versions, leases)
    yield _gauge("stored_bytes", "What the store holds.", stored)
    yield _gauge("logical_bytes", "Files of all committed versions, each counted whole.", logical)
    yield _gauge("dedup_ratio", "Logical bytes for each stored one.", ratio)


def _quotas(quotas: Sequence[PlacedQuota]) -> Iterator[Metric]:
    labels = ["scope", "quota"]
    used = GaugeMetricFamily("holdfast_registry_quota_used", "What is used of a quota.", labels=labels)
    limit = GaugeMetricFamily("holdfast_registry_quota_limit", "What a quota allows.", labels=labels)
    for placed in quotas:
        for name, most, found in (
            ("bytes", placed.quota.bytes_max, placed.bytes_used),
            ("versions", placed.quota.versions_max, placed.versions_used),
        ):
            if most is not None:
                used.add_metric([str(placed.scope), name], found)
                limit.add_metric([str(placed.scope), name], most)
    yield from (used, limit)


def _garbage(slow: SlowFigures | None) -> Iterator[Metric]:
    freed = GaugeMetricFamily(
        "holdfast_registry_gc_last_bytes", "What that cycle deleted, removed, and found waiting.", labels=["kind"]
    )
    begun = slow.last_cycle if slow is not None else None
    ended = slow.last_ended_cycle if slow is not None else None
    ended_at_s = took_s = problem = None
    if ended is not None and ended.ended_at_ms is not None:
        report = GcReport.from_json(ended.report_json)
        ended_at_s, took_s = ended.ended_at_ms / 1000, (ended.ended_at_ms - ended.started_at_ms) / 1000
        problem = float(bool(report.problem))
        freed.add_metric(["deleted"], report.bytes_deleted)
        freed.add_metric(["removed"], report.bytes_removed)
        freed.add_metric(["waiting"], report.bytes_waiting)
    yield freed
    yield _gauge(
        "gc_last_start_timestamp_seconds", "When the last cycle began.", begun.started_at_ms / 1000 if begun else None
    )
    yield _gauge("gc_last_end_timestamp_seconds", "When a cycle ended last.", ended_at_s)
    yield _gauge("gc_last_duration_seconds", "How long that one took.", took_s)
    yield _gauge("gc_last_problem", "1 when it could not do all; its report says why.", problem)


def _scrub(status: ScrubStatus | None) -> Iterator[Metric]:
    latest = status.round if status is not None else None
    yield _gauge("scrub_quarantined_packs", "Damaged packs.", len(status.quarantined) if status else None)
    yield _gauge("scrub_lost_chunks", "Chunks of which no copy is good.", status.lost_chunks if status else None)
    yield _gauge("scrub_hurt_versions", "Versions that cannot be read whole.", len(status.hurt) if status else None)
    yield _gauge(
        "scrub_last_start_timestamp_seconds",
        "When the last reading of all packs began.",
        latest.started_at_ms / 1000 if latest else None,
    )
    ended_at_ms = latest.ended_at_ms if latest else None
    yield _gauge(
        "scrub_last_end_timestamp_seconds",
        "When it ended; no value while it goes on.",
        ended_at_ms / 1000 if ended_at_ms is not None else None,
    )
    yield _gauge("scrub_bytes_read", "What it has read so far.", latest.bytes_read if latest else None)
