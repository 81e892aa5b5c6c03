"""The daemon's metrics as Prometheus reads them, and the HTTP server for it; docs/operations.md has the table of all of them.

Served only when `metrics_address` is set, and nothing is imported before.
"""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast_contract.settings import SettingError, environment_name
from holdfast_daemon import __version__
from holdfast_daemon.registry_tally import RegistryTally
from holdfastpb.daemon.v1.control_pb2 import GetStatusResponse

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

SCRAPE_S_MAX = 5.0
"""A loop that does not answer within this is what the scrape's failure then says."""
TakeStatus = Callable[[], GetStatusResponse]


class DaemonCollector:
    """Makes all metrics at each scrape, in a thread; the figures are taken on the event loop."""

    def __init__(self, take: TakeStatus, tally: RegistryTally, loop: asyncio.AbstractEventLoop) -> None:
        self._take = take
        self._tally = tally
        self._loop = loop

    def collect(self) -> "Iterator[Metric]":
        """Yields the metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        status = asyncio.run_coroutine_threadsafe(_on_the_loop(self._take), self._loop).result(SCRAPE_S_MAX)
        figures = status.figures
        info = GaugeMetricFamily(
            "holdfast_daemon_build_info", "1, with the versions as labels.", labels=["version", "python"]
        )
        info.add_metric([__version__, platform.python_version()], 1)
        jobs = GaugeMetricFamily("holdfast_daemon_jobs", "Jobs that have not ended, by state.", labels=["state"])
        for state, count in figures.jobs.items():
            jobs.add_metric([state], count)
        ended = CounterMetricFamily("holdfast_daemon_jobs_ended", "Jobs that have ended, by state.", labels=["state"])
        for state, count in figures.jobs_ended.items():
            ended.add_metric([state], count)
        yield from (info, jobs, ended)
        for name, text, value in (
            ("jobs_held", "Jobs that wait for a sync.", status.jobs_held),
            ("spool_bytes", "Packs that wait to be sent.", status.spool_bytes),
            ("spool_bytes_max", "How many may.", status.spool_bytes_max),
            ("held_bytes", "Packs of held jobs.", status.held_bytes),
            ("cache_bytes", "Packs kept for reading.", status.cache_bytes),
            ("upload_queue", "Packs that wait for a slot to be sent.", figures.upload_queue),
            ("registry_reachable", "1 while the registry answers, as far as known.", status.registry_reachable),
        ):
            yield GaugeMetricFamily(f"holdfast_daemon_{name}", text, float(value))
        for name, text, value in (
            ("hashed_bytes", "Bytes that were read and hashed.", figures.hashed_bytes),
            ("uploaded_bytes", "Bytes that were sent.", figures.uploaded_bytes),
            ("deduplicated_bytes", "Bytes that were not sent, being stored.", figures.deduplicated_bytes),
            ("fetched_bytes", "Bytes that reading took.", status.fetched_bytes),
            ("retries", "Tries that failed and were repeated.", figures.retries),
        ):
            yield CounterMetricFamily(f"holdfast_daemon_{name}", text, value)
        latency = HistogramMetricFamily(
            "holdfast_daemon_registry_call_duration_seconds", "Calls that the registry answered."
        )
        latency.add_metric([], self._tally.durations_s.cumulative(), self._tally.durations_s.total)
        errors = CounterMetricFamily(
            "holdfast_daemon_registry_call_errors", "Calls that failed, by reason.", labels=["reason"]
        )
        for reason, count in list(self._tally.failures.items()):
            errors.add_metric([reason], count)
        yield from (latency, errors)


async def _on_the_loop(take: TakeStatus) -> GetStatusResponse:
    return take()


@asynccontextmanager
async def metrics_endpoint(address: str, take: TakeStatus, tally: RegistryTally) -> AsyncIterator[None]:
    """Serves /metrics as long as the block runs.

    Args:
        address: HOST:PORT; empty: nothing is served.
        take: returns the daemon's status.
        tally: of its calls to the registry.

    Raises:
        SettingError: it cannot listen, or the packages are not installed.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    setting = environment_name("daemon", "metrics_address")
    if not host or not port.isdecimal():
        raise SettingError(f"{setting}: {address!r} is not HOST:PORT")
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
    except ImportError as error:
        raise SettingError(f'{setting} needs a package ({error.name}): pip install "holdfast[metrics]"') from error
    registry = CollectorRegistry()
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise SettingError(f"{setting}: cannot listen on {address}: {error.strerror}") from error
    # Only now: to register is to collect once, for the names.
    ProcessCollector(registry=registry)
    collector = DaemonCollector(take, tally, asyncio.get_running_loop())
    await asyncio.to_thread(registry.register, collector)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)
