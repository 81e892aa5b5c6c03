"""Puts the daemon together: the only place where its parts are made and know of each other."""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from holdfast_contract.limits import MESSAGE_BYTES_MAX
from holdfast_contract.os_layer import FsyncError
from holdfast_contract.places import Places, socket_address
from holdfast_contract.rates import parse_rate
from holdfast_contract.settings import SettingError, environment_name
from holdfast_daemon import __version__, lifecycle
from holdfast_daemon.bundles.export_bundle import BundleExport
from holdfast_daemon.bundles.import_bundle import BundleImport
from holdfast_daemon.cache.pack_cache import PackCache
from holdfast_daemon.configured_registry import ConfiguredRegistry
from holdfast_daemon.embedded_registry import EmbeddedRegistry
from holdfast_daemon.errors import end_after_fsync_error, first_of
from holdfast_daemon.figures import Figures
from holdfast_daemon.journal.journal import Journal, PlacedFileStates
from holdfast_daemon.journal.placed_store import PlacedStore
from holdfast_daemon.journal.reading_store import ReadingStore
from holdfast_daemon.metrics import metrics_endpoint
from holdfast_daemon.pipeline.bandwidth import Bandwidth
from holdfast_daemon.pipeline.bring_packs import PackSource
from holdfast_daemon.pipeline.commit import Committer
from holdfast_daemon.pipeline.fetch import Fetch
from holdfast_daemon.pipeline.http_transfers import HttpTransfers
from holdfast_daemon.pipeline.ingest import Ingest
from holdfast_daemon.pipeline.ingest_entries import IngestEntries
from holdfast_daemon.pipeline.intake import Intake
from holdfast_daemon.pipeline.jobs import Jobs
from holdfast_daemon.pipeline.known_versions import KnownVersions
from holdfast_daemon.pipeline.leases import Leases
from holdfast_daemon.pipeline.manifest_pages import ManifestPages
from holdfast_daemon.pipeline.read_entry import ReadEntry
from holdfast_daemon.pipeline.seeds import Seeds
from holdfast_daemon.pipeline.upload import Uploader
from holdfast_daemon.pipeline.uses import Uses
from holdfast_daemon.pipeline.verify import Verify
from holdfast_daemon.registry_client import RegistryClient
from holdfast_daemon.registry_login import Login
from holdfast_daemon.registry_tls import wanted_tls
from holdfast_daemon.registry_token import RegistryToken
from holdfast_daemon.rpc.answered_here import AnsweredHere
from holdfast_daemon.rpc.bundle_service import BundleService
from holdfast_daemon.rpc.control_service import About, ControlService, Kept, Line, Rates
from holdfast_daemon.rpc.fetch_service import FetchService
from holdfast_daemon.rpc.forward import Forwarder
from holdfast_daemon.rpc.guard import Guard
from holdfast_daemon.rpc.log_service import LogService
from holdfast_daemon.settings import DaemonSettings
from holdfast_daemon.spool.spool import Spool
from holdfast_daemon.tracing import open_tracing
from holdfast_daemon.workers import Workers
from holdfastpb.daemon.v1.bundle_pb2_grpc import add_BundleServiceServicer_to_server
from holdfastpb.daemon.v1.control_pb2 import GetStatusResponse
from holdfastpb.daemon.v1.control_pb2_grpc import add_ControlServiceServicer_to_server
from holdfastpb.daemon.v1.fetch_pb2_grpc import add_FetchServiceServicer_to_server
from holdfastpb.daemon.v1.log_pb2_grpc import add_LogServiceServicer_to_server

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
RATE_SAMPLE_S = 0.5
CALLS_GRACE_S = 2.0
"""Calls under way have this long to end at a drain: streams of records resume at the next daemon anyway."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Parts:
    """What lives as long as the daemon."""

    journal: Journal
    workers: Workers
    registry: RegistryClient
    http: HttpTransfers
    watched: EmbeddedRegistry | ConfiguredRegistry
    spool: Spool
    jobs: Jobs
    uploader: Uploader
    rates: Rates
    known: KnownVersions
    uses: Uses
    seeds: Seeds


async def serve(settings: DaemonSettings, places: Places, ready_fd: int | None, download_umask: int) -> None:
    """Runs the daemon until it is asked to end, signalled, or idle.

    Args:
        settings: in force.
        places: of this data folder.
        ready_fd: is told READY, and closed.
        download_umask: of the user: downloads get the rights that `cp` gives.  What the daemon makes for itself names its rights.

    Raises:
        AnotherDaemonRunsError: the data folder has one.
        PermissionError: a folder is not ours alone.
        SettingError: the settings contradict each other.
    """
    lifecycle.prepare_folders(places)
    lock = lifecycle.lock(places)
    token = lifecycle.make_token(places.daemon_token)
    guard = Guard(token)
    parts = _make_parts(settings, places)
    ending = lifecycle.Ending(
        settings.idle_exit_s, lambda: guard.calls > 0 or parts.jobs.is_busy or parts.uses.is_waiting
    )
    server = grpc.aio.server(interceptors=(guard,), options=SERVER_OPTIONS)
    control = _add_services(server, settings, places, parts, ending)
    lifecycle.remove_stale_socket(places.daemon_socket)
    server.add_insecure_port(socket_address(places.daemon_socket))
    lost = await parts.spool.recover()
    await parts.known.open()
    os.umask(download_umask)  # for the workers, too, which start now
    tasks = _start_background(parts)
    await parts.jobs.resume(lost)
    await server.start()
    os.chmod(places.daemon_socket, 0o600)
    ending.listen_for_signals()
    _log.info(
        "daemon %s, pid %d, data in %s, registry %s", __version__, os.getpid(), places.data_dir, parts.registry.address
    )
    async with metrics_endpoint(settings.metrics_address, control.status, parts.registry.tally):
        lifecycle.say_ready(ready_fd)
        await ending.wait()
    _log.info("stopping: %s", ending.reason)
    guard.draining = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_stop(server, parts, tasks), settings.shutdown_s)
    lifecycle.remove_stale_socket(places.daemon_socket)
    lifecycle.note_end(places.daemon_ended)
    os.close(lock)


async def _stop(server: grpc.aio.Server, parts: _Parts, tasks: list[asyncio.Task[None]]) -> None:
    """Ends everything in the reverse order; being cut short loses nothing."""
    await server.stop(CALLS_GRACE_S)
    await parts.jobs.close()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await parts.watched.stop()
    await parts.registry.close()
    await parts.http.close()
    parts.workers.close()
    await asyncio.to_thread(parts.journal.close)
    await asyncio.to_thread(parts.registry.tracing.close)


def _make_parts(settings: DaemonSettings, places: Places) -> _Parts:
    journal = Journal(places.journal)
    workers = Workers(settings.worker_processes or None)
    registry = connect_registry(settings, places)
    watched = ConfiguredRegistry(registry) if settings.registry else EmbeddedRegistry(places, registry)
    spool = Spool(places.spool, journal, workers, settings.spool_bytes_max)
    ingest = Ingest(journal, spool, workers, registry)
    jobs = Jobs(journal, spool, ingest, draft_ttl_s=settings.draft_ttl_s, finished_ttl_s=settings.finished_job_ttl_s)
    leases = Leases(journal, registry)
    ingest.connect(IngestEntries(ingest, jobs, jobs.sources, ManifestPages(registry)))
    delay_s = settings.retry_delay_max_s
    committer = Committer(journal, spool, workers, ingest, registry, leases, jobs.turns, delay_s)
    jobs.connect(committer, leases)
    up, down = Bandwidth(wanted_rate("up", settings.up)), Bandwidth(wanted_rate("down", settings.down))
    http = HttpTransfers(up, down)
    uploader = Uploader(
        spool, workers, registry, leases, http, jobs.by_id, slots=settings.uploads_max, retry_delay_max_s=delay_s
    )
    uploader.on_lost_pack = jobs.lost_pack
    jobs.on_set_aside, jobs.on_priority = uploader.cut_unwanted, uploader.look_again
    rates = Rates(lambda: (ingest.bytes_read, uploader.bytes_sent))
    reading_store = ReadingStore(journal)
    known = KnownVersions(reading_store)
    registry.on_answer = known.take_note
    uses = Uses(reading_store, registry, delay_s)
    seeds = Seeds(PlacedStore(journal), workers)
    return _Parts(journal, workers, registry, http, watched, spool, jobs, uploader, rates, known, uses, seeds)


def _add_services(
    server: grpc.aio.Server, settings: DaemonSettings, places: Places, parts: _Parts, ending: lifecycle.Ending
) -> ControlService:
    registry, workers, jobs = parts.registry, parts.workers, parts.jobs
    intake = Intake(parts.journal, parts.spool, workers, jobs.ingest, jobs)
    cache = PackCache(places.cache, settings.cache_bytes_max)
    cache.open()
    manifests, packs = ManifestPages(registry, parts.known), PackSource(registry, cache, workers, parts.http)
    fetch = Fetch(manifests, packs, workers, PlacedFileStates(parts.journal), parts.seeds)
    fetch_service = FetchService(fetch, Verify(manifests, workers), ReadEntry(manifests, packs))
    about = About(
        GetStatusResponse(
            pid=os.getpid(),
            started_at_ms=time.time_ns() // 1_000_000,
            software_version=__version__,
            data_dir=str(places.data_dir),
            registry=settings.registry or "embedded",
            spool_bytes_max=settings.spool_bytes_max,
            cache_bytes_max=settings.cache_bytes_max,
        ),
        uuid.uuid4().hex,
        ending.ask,
        lambda: parts.watched.problem,
        parts.rates,
        lambda: registry.fetched_bytes,
        Figures(jobs, jobs.ingest, parts.uploader, registry).take,
    )
    login = Login(registry, is_needed=bool(settings.registry) and not settings.registry.startswith("unix:"))
    line = Line(parts.http.up, parts.http.down)
    control = ControlService(jobs, parts.journal, parts.spool, workers, Kept(cache, parts.seeds), about, login, line)
    add_ControlServiceServicer_to_server(control, server)
    add_LogServiceServicer_to_server(LogService(intake, jobs, jobs.committer, registry), server)
    add_FetchServiceServicer_to_server(fetch_service, server)
    export = BundleExport(jobs, parts.journal, jobs.committer, parts.spool, manifests, packs, workers, registry)
    bundles = BundleService(export, BundleImport(intake, jobs, parts.journal, workers), workers)
    add_BundleServiceServicer_to_server(bundles, server)
    here = AnsweredHere(parts.known, manifests, parts.uses, registry)
    server.add_generic_rpc_handlers((Forwarder(registry, here),))
    return control


def _start_background(parts: _Parts) -> list[asyncio.Task[None]]:
    parts.workers.warm()
    work = [
        parts.watched.watch(),
        parts.uploader.run(),
        parts.jobs.housekeeping(),
        _sample(parts.rates),
        parts.uses.run(),
        parts.seeds.run(),
    ]
    return [asyncio.create_task(_or_die(w)) for w in work]


async def _or_die(work: Coroutine[Any, Any, None]) -> None:
    """A background loop that ends by an error would leave a daemon that acknowledges and never delivers: end it instead."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  see above
        first = first_of(error)
        if isinstance(first, FsyncError):
            end_after_fsync_error(first)
        _log.critical("a part of the daemon has failed; it ends, and the next start goes on", exc_info=True)
        os._exit(70)


async def _sample(rates: Rates) -> None:
    while True:
        await asyncio.sleep(RATE_SAMPLE_S)
        rates.sample()


def wanted_rate(name: str, text: str) -> int:
    """Bytes a second of a setting; 0: no limit.

    Raises:
        SettingError: it is not understood.
    """
    try:
        return parse_rate(text)
    except ValueError as error:
        raise SettingError(f"{environment_name('daemon', name)}: {error}") from error


def connect_registry(settings: DaemonSettings, places: Places) -> RegistryClient:
    """The client of the configured registry, or of the embedded one.

    Raises:
        SettingError: a token or certificate file cannot be read, or plaintext off this machine was not allowed.
    """
    tracing = open_tracing(settings.traces_url)
    if not settings.registry:
        return RegistryClient(socket_address(places.registry_socket), tracing=tracing)
    named = settings.registry_token_file
    token = RegistryToken(Path(named).expanduser() if named else places.registry_token, required=bool(named))
    return RegistryClient(settings.registry, token, wanted_tls(settings), tracing)
