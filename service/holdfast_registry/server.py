"""Puts the registry together, serves it, and takes it down again; the only module that knows all the parts.

Start: data folder private · lock · database and its schema · store · socket or port · READY.
End (SIGTERM, SIGINT, idle): clients sent away · running calls finished, 10 s at most · database closed · lock free.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from holdfast_contract import os_layer
from holdfast_contract.limits import MESSAGE_BYTES_MAX, SOCKET_PATH_BYTES_MAX
from holdfast_contract.places import socket_address
from holdfast_registry.auth.authorizer import Authorizer
from holdfast_registry.auth.call_limits import CallsAtOnce, RateLimits
from holdfast_registry.auth.tokens import Authenticator, SocketOwner, TokenHolders
from holdfast_registry.blobstore.open_store import OpenStore, file_threads, open_store, records_of
from holdfast_registry.blobstore.store import BlobStore
from holdfast_registry.catalogue_keeper import CatalogueKeeper
from holdfast_registry.chunk_reader import ChunkReader
from holdfast_registry.clock import Clock, IdSource, RandomIds, SystemClock
from holdfast_registry.database.audit import AuditedDatabase, AuditRepository
from holdfast_registry.database.catalogue import CatalogueRepository
from holdfast_registry.database.commits import CommitRepository
from holdfast_registry.database.copy_state import check_complete
from holdfast_registry.database.database import Database, OpenDatabase
from holdfast_registry.database.distributed import DistributedRepository
from holdfast_registry.database.duties import Duty
from holdfast_registry.database.figures import FiguresRepository
from holdfast_registry.database.gc_cycles import GcCycleRepository
from holdfast_registry.database.gc_sweep import GcSweepRepository
from holdfast_registry.database.lineage import LineageRepository
from holdfast_registry.database.links import LinkRepository
from holdfast_registry.database.packs import PackRepository
from holdfast_registry.database.places import PlaceRepository, ProtectedAliasRepository
from holdfast_registry.database.projects import ProjectRepository
from holdfast_registry.database.quotas import QuotaRepository
from holdfast_registry.database.retention import RetentionRepository
from holdfast_registry.database.run_lists import RunListRepository
from holdfast_registry.database.snapshot import snapshots_of
from holdfast_registry.database.sqlite import DATABASE_NAME, SqliteDatabase
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.database.version_lists import VersionListRepository
from holdfast_registry.database.versions import VersionRepository
from holdfast_registry.distributed_version import DistributedVersions
from holdfast_registry.errors import EXIT_CODE_LOCKED, StartError
from holdfast_registry.file_threads import FileThreads
from holdfast_registry.freed_bytes import FreedBytes
from holdfast_registry.gc.collector import GarbageCollector
from holdfast_registry.gc.compaction import Compactor
from holdfast_registry.gc.mark import Marker
from holdfast_registry.gc.on_demand import GcOnDemand
from holdfast_registry.gc.removal import Remover
from holdfast_registry.gc.restore_epoch import RestoreEpoch
from holdfast_registry.gc.schedule import GcSchedule, wish_of
from holdfast_registry.lifecycle import CallGate, DataFolderLock, check_local, die_of_fsync
from holdfast_registry.maintenance import Maintenance, compose_maintenance
from holdfast_registry.manifest_check import ManifestChecker
from holdfast_registry.metrics.endpoint import metrics_endpoint
from holdfast_registry.metrics.sources import FiguresTask, Sources
from holdfast_registry.metrics.tallies import CallTallies, MaintenanceTally
from holdfast_registry.own_packs import OwnPacks
from holdfast_registry.pack_composition import compose_packs
from holdfast_registry.pack_intake import PackIntake
from holdfast_registry.pack_verifier import PackVerifier
from holdfast_registry.retention import DUTY, RetentionKeeper
from holdfast_registry.rpc.access_servicer import AccessRepositories, AccessServicer
from holdfast_registry.rpc.admin_servicer import AdminServicer
from holdfast_registry.rpc.admission import Admission
from holdfast_registry.rpc.boundary import CallBoundary
from holdfast_registry.rpc.collection_servicer import CollectionServicer
from holdfast_registry.rpc.flow_limits import FlowLimits
from holdfast_registry.rpc.health import HealthServicer, add_health, tell_health
from holdfast_registry.rpc.pack_servicer import PackServicer
from holdfast_registry.rpc.registry_servicer import RegistryServicer
from holdfast_registry.rpc.run_servicer import RunServicer
from holdfast_registry.rpc.version_servicer import CommittedVersions, VersionServicer
from holdfast_registry.scrub.composition import compose_scrubber
from holdfast_registry.scrub.scrubber import Scrubber
from holdfast_registry.settings import RegistrySettings
from holdfast_registry.tls import is_loopback, server_credentials
from holdfast_registry.tracing import TracedDatabase, Tracing, open_tracing
from holdfast_registry.version_commit import VersionCommitter
from holdfastpb.registry.v1 import (
    access_pb2_grpc,
    admin_pb2_grpc,
    collection_pb2_grpc,
    pack_pb2_grpc,
    registry_pb2_grpc,
    run_pb2_grpc,
    version_pb2_grpc,
)

logger = logging.getLogger(__name__)

READY = b"READY\n"
STOP_GRACE_S = 0.2
"""For answers that are on their way out when all calls have ended."""
IDLE_LOOKS = 4
"""Looks at the clock in the time after which an idle registry ends."""

# Two servers on one port would each get some of the calls, silently; hence no SO_REUSEPORT.
_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_concurrent_streams", 100),
    # Clients ping each 30 s; the default would take that for an attack.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
_TCP_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_connection_idle_ms", 15 * 60_000),
    ("grpc.max_connection_age_grace_ms", 5 * 60_000),
    # A client that pings more often than every 10 s is sent away at the third time too many.
    ("grpc.http2.max_ping_strikes", 2),
    # Who connects and then says nothing, or never ends its TLS.
    ("grpc.server_handshake_timeout_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What does the work that AdminService asks for."""

    retention: RetentionKeeper
    gc: GcOnDemand


@dataclass(frozen=True, slots=True)
class Parts:
    """What serving needs, put together."""

    database: OpenDatabase
    store: BlobStore
    threads: FileThreads
    maintenance: Maintenance
    gc_schedule: GcSchedule
    scrubber: Scrubber
    verifier: PackVerifier
    gate: CallGate
    server: grpc.aio.Server
    health: HealthServicer
    sources: Sources
    admin: AdminParts


def open_data_folder(data_dir: Path) -> DataFolderLock:
    """Makes the data folder, or checks that it is ours alone, and takes its lock.

    Raises:
        StartError: it is not private, or another registry uses it.
    """
    try:
        os_layer.make_private_folder(data_dir)
    except PermissionError as error:
        raise StartError(str(error)) from error
    check_local(data_dir.resolve())
    return DataFolderLock(data_dir)


async def serve(
    settings: RegistrySettings,
    data_dir: Path,
    socket_path: Path | None,
    *,
    ready_fd: int | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
) -> None:
    """Serves until SIGTERM, SIGINT or the idle limit.

    Args:
        settings: all knobs.
        data_dir: folder of database and packs; made when absent.
        socket_path: where to listen, unless `settings.listen` says a port.
        ready_fd: gets `READY` and is closed once calls are taken.
        clock: for tests.
        ids: for tests.

    Raises:
        StartError: it cannot start; nothing was changed that a later start would mind.
    """
    check_address(settings, socket_path)
    lock = open_data_folder(data_dir)
    try:
        async with _running(settings, data_dir, clock or SystemClock(), ids or RandomIds()) as parts:
            _listen(parts.server, settings, socket_path)
            stop = _stop_signals()
            await parts.server.start()
            logger.info("serving data_dir=%s address=%s", data_dir, settings.listen or socket_path)
            async with metrics_endpoint(settings.metrics_address, parts.sources):
                if ready_fd is not None:
                    os.write(ready_fd, READY)
                    os.close(ready_fd)
                await _until_told(settings, parts, stop)
                await _drain(parts, settings.drain_s)
        if socket_path is not None and not settings.listen:
            os_layer.unlink_if_exists(socket_path)
        logger.info("stopped")
    finally:
        lock.release()


async def _drain(parts: Parts, seconds: float) -> None:
    """Sends clients away, to another replica if there is one, and lets their calls end."""
    await parts.health.enter_graceful_shutdown()
    parts.gate.close()
    # Connections hear at once that no new call is taken: who waits for the drain instead would be refused as long as it lasts.
    leaving = asyncio.create_task(parts.server.stop(seconds))
    if not await parts.gate.until_empty(seconds):
        logger.warning("calls were still running after %s s", seconds)
    # What is left are those who watch the health.
    await parts.server.stop(STOP_GRACE_S)
    await leaving


async def open_database(settings: RegistrySettings, data_dir: Path) -> OpenDatabase:
    """Opens the database that the settings name, and brings it to the current schema.

    Raises:
        StartError: it is newer than this software, is being filled by a copy, or is old and is not to be migrated here.
    """
    database = await _open_any(settings, data_dir)
    try:
        await database.read(check_complete)
    except BaseException:  # a cancellation, too: nobody else can close it
        await database.aclose()
        raise
    return database


async def _open_any(settings: RegistrySettings, data_dir: Path) -> OpenDatabase:
    migrates = settings.migrate_at_start
    if settings.database_url is None:
        path = data_dir / DATABASE_NAME
        return await asyncio.to_thread(SqliteDatabase, path, settings.database_readers, migrates=migrates)
    # Imported where it is wanted: the embedded registry has neither the driver nor the time to load it.
    from holdfast_registry.database.postgresql import open_database as open_postgresql

    return await open_postgresql(settings.database_url, settings.database_connections, migrates=migrates)


@asynccontextmanager
async def _running(settings: RegistrySettings, data_dir: Path, clock: Clock, ids: IdSource) -> AsyncIterator[Parts]:
    """Builds all parts, and takes them down in the opposite order."""
    os_layer.fsync_folder(data_dir.parent)
    database = await open_database(settings, data_dir)
    threads = file_threads(settings)
    opened_store: OpenStore | None = None
    tracing: Tracing | None = None
    try:
        clock = await database.shared_clock(clock)
        opened_store = await open_store(settings, data_dir, threads, clock)
        tracing = open_tracing(settings.traces_url)
        parts = await _compose(settings, data_dir, database, opened_store, threads, tracing, clock, ids)
        catalogue = _catalogue(settings, data_dir, database, opened_store.store, threads, clock, ids)
        beside = [
            asyncio.create_task(parts.maintenance.run(settings.maintenance_interval_s)),
            asyncio.create_task(parts.gc_schedule.run(settings.gc_interval_s)),
            asyncio.create_task(parts.admin.retention.run(settings.retention_interval_s)),
            asyncio.create_task(catalogue.run(settings.catalogue_interval_s)),
            asyncio.create_task(parts.scrubber.run(settings.scrub_interval_s, settings.scrub_bytes_per_s)),
            asyncio.create_task(parts.verifier.run()),
        ]

        async def told(is_there: bool) -> None:
            await tell_health(parts.health, is_ready=is_there)

        beside.append(asyncio.create_task(database.watch(told)))
        if settings.metrics_address:
            beside.append(asyncio.create_task(parts.sources.figures.run()))
        try:
            yield parts
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await parts.admin.gc.aclose()
    finally:
        await asyncio.to_thread(threads.close)
        if opened_store is not None:
            await asyncio.to_thread(opened_store.store.close)
        await database.aclose()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


async def _compose(
    settings: RegistrySettings,
    data_dir: Path,
    opened: OpenDatabase,
    opened_store: OpenStore,
    threads: FileThreads,
    tracing: Tracing,
    clock: Clock,
    ids: IdSource,
) -> Parts:
    on_socket = not settings.listen
    database = AuditedDatabase(TracedDatabase(opened, tracing) if settings.traces_url else opened)
    store = opened_store.store
    commits = CommitRepository(
        database, clock, ids, lease_ttl_s=settings.lease_ttl_s, part_lease_ttl_s=settings.part_lease_ttl_s
    )
    lists = VersionListRepository(database)
    packs = PackRepository(
        database, clock, lease_ttl_s=settings.lease_ttl_s, part_lease_ttl_s=settings.part_lease_ttl_s
    )
    brought = compose_packs(
        packs, opened, opened_store, threads, clock, verified_at_once=settings.packs_verified_at_once
    )
    reader, verifier, intake = brought.reader, brought.verifier, brought.intake
    manifests = ManifestChecker(reader, packs)
    gate = CallGate(clock)
    authenticator = await _authenticator(settings, opened, clock, on_socket=on_socket)
    authorizer = Authorizer(PlaceRepository(database))
    admission = Admission(authenticator, authorizer, AuditRepository(opened), clock)
    calls, upkeep = CallTallies(), MaintenanceTally()
    limits = None if on_socket else _flow_limits(settings, clock)
    boundary = CallBoundary(gate, admission, clock, die_of_fsync, calls, tracing, limits)
    options = _OPTIONS if on_socket else (*_OPTIONS, *_tcp_options(settings))
    server = grpc.aio.server(interceptors=[boundary], options=options)
    parts = DistributedRepository(database, commits, clock, lease_ttl_s=settings.lease_ttl_s)
    own_packs = OwnPacks(packs, intake, store, threads, ids)
    distributed = DistributedVersions(
        parts, commits, manifests, reader, own_packs, verifier, threads, spill_folder=data_dir
    )
    committed = CommittedVersions(
        versions=VersionRepository(database, clock, ids),
        lists=lists,
        links=LinkRepository(database, clock, ids),
        freed=FreedBytes(lists, reader, packs, threads),
        manifests=manifests,
        threads=threads,
    )
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(RegistryServicer(ids.new_id()), server)
    committer = VersionCommitter(commits, manifests, verifier, threads)
    versions = VersionServicer(commits, committer, distributed, packs, committed)
    version_pb2_grpc.add_VersionServiceServicer_to_server(versions, server)
    pack_pb2_grpc.add_PackServiceServicer_to_server(PackServicer(intake, reader), server)
    _add_catalogue(server, database, authorizer, clock, ids)
    _add_access(server, database, authenticator, clock)
    health = await add_health(server, reflection=settings.reflection)
    maintenance = compose_maintenance(settings, database, store, threads, upkeep, clock, ids)
    collector = compose_collector(settings, opened, packs, reader, opened_store, threads, clock)
    admin = _add_admin(server, settings, database, committed.freed, collector, clock, ids)
    sources = _sources(calls, upkeep, opened_store, intake, opened, collector, clock)
    schedule = _schedule(settings, collector, clock)
    scrubber = compose_scrubber(opened, packs, reader, store, threads, clock)
    return Parts(
        opened, store, threads, maintenance, schedule, scrubber, verifier, gate, server, health, sources, admin=admin
    )


def _sources(
    calls: CallTallies,
    upkeep: MaintenanceTally,
    opened_store: OpenStore,
    intake: PackIntake,
    database: OpenDatabase,
    collector: GarbageCollector,
    clock: Clock,
) -> Sources:
    figures = FiguresTask(FiguresRepository(database, clock), collector, clock)
    return Sources(calls, opened_store.tally, upkeep, lambda: intake.load, lambda: database.load, figures, clock)


def _flow_limits(settings: RegistrySettings, clock: Clock) -> FlowLimits:
    calls = CallsAtOnce(settings.calls_per_token_max, settings.calls_max)
    return FlowLimits(calls, clock, idle_s=settings.stream_idle_s)


def _tcp_options(settings: RegistrySettings) -> Sequence[tuple[str, int]]:
    return (
        *_TCP_OPTIONS,
        ("grpc.max_connection_age_ms", round(settings.connection_age_s * 1000)),
        ("grpc.max_allowed_incoming_connections", settings.connections_max),
    )


def _add_catalogue(
    server: grpc.aio.Server, database: Database, authorizer: Authorizer, clock: Clock, ids: IdSource
) -> None:
    collection_pb2_grpc.add_CollectionServiceServicer_to_server(
        CollectionServicer(CatalogueRepository(database, clock, ids), ProjectRepository(database, clock)), server
    )
    run_pb2_grpc.add_RunServiceServicer_to_server(
        RunServicer(LineageRepository(database, clock), RunListRepository(database), authorizer), server
    )


def _add_access(server: grpc.aio.Server, database: Database, authenticator: Authenticator, clock: Clock) -> None:
    access = AccessRepositories(
        TokenRepository(database),
        ProtectedAliasRepository(database),
        QuotaRepository(database, clock),
        AuditRepository(database),
    )
    access_pb2_grpc.add_AccessServiceServicer_to_server(AccessServicer(access, authenticator, clock), server)


def _add_admin(
    server: grpc.aio.Server,
    settings: RegistrySettings,
    database: Database,
    freed: FreedBytes,
    collector: GarbageCollector,
    clock: Clock,
    ids: IdSource,
) -> AdminParts:
    policies = RetentionRepository(database, clock, ids)
    duty = Duty(database, clock, DUTY, holder=ids.new_id())
    parts = AdminParts(
        RetentionKeeper(policies, duty, freed, die_of_fsync), GcOnDemand(collector, wish_of(settings), die_of_fsync)
    )
    servicer = AdminServicer(policies, parts.retention, parts.gc, AuditRepository(database))
    admin_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
    return parts


def _catalogue(
    settings: RegistrySettings,
    data_dir: Path,
    database: OpenDatabase,
    store: BlobStore,
    threads: FileThreads,
    clock: Clock,
    ids: IdSource,
) -> CatalogueKeeper:
    snapshots = snapshots_of(data_dir / DATABASE_NAME, settings.database_url)
    records = records_of(settings, data_dir, store)
    return CatalogueKeeper(database, snapshots, records, threads, clock, ids, die_of_fsync)


def _schedule(settings: RegistrySettings, collector: GarbageCollector, clock: Clock) -> GcSchedule:
    return GcSchedule(collector, wish_of(settings), clock, die_of_fsync)


def compose_collector(
    settings: RegistrySettings,
    database: OpenDatabase,
    packs: PackRepository,
    reader: ChunkReader,
    opened_store: OpenStore,
    threads: FileThreads,
    clock: Clock,
) -> GarbageCollector:
    """Puts garbage collection together."""
    ids, store = RandomIds(), opened_store.store
    sweeps = GcSweepRepository(database, clock)
    # No other process uses a SQLite file, so a cycle that has not ended there is one that has crashed.
    cycles = GcCycleRepository(database, clock, alone=settings.database_url is None)
    return GarbageCollector(
        cycles,
        sweeps,
        Marker(reader, threads),
        Compactor(sweeps, packs, store, threads, ids),
        Remover(sweeps, store, threads),
        RestoreEpoch(cycles, opened_store.epoch, threads, ids),
        threads,
        clock,
    )


@asynccontextmanager
async def stopped_registry(
    settings: RegistrySettings, data_dir: Path, clock: Clock | None = None
) -> AsyncIterator[GarbageCollector]:
    """Opens a registry that is not running, for one command.

    Raises:
        StartError: it runs, or cannot be opened.
    """
    clock = clock or SystemClock()
    lock = open_data_folder(data_dir)
    try:
        database = await open_database(settings, data_dir)
        threads = file_threads(settings)
        opened_store: OpenStore | None = None
        try:
            clock = await database.shared_clock(clock)
            opened_store = await open_store(settings, data_dir, threads, clock)
            packs = PackRepository(
                database, clock, lease_ttl_s=settings.lease_ttl_s, part_lease_ttl_s=settings.part_lease_ttl_s
            )
            reader = ChunkReader(packs, opened_store.store, opened_store.transfers, threads)
            yield compose_collector(settings, database, packs, reader, opened_store, threads, clock)
        finally:
            await asyncio.to_thread(threads.close)
            if opened_store is not None:
                await asyncio.to_thread(opened_store.store.close)
            await database.aclose()
    finally:
        lock.release()


async def _authenticator(
    settings: RegistrySettings, database: Database, clock: Clock, *, on_socket: bool
) -> Authenticator:
    if on_socket:
        return SocketOwner()
    # Not the audited database: that a token was used is no work of the call that brings it.
    tokens = TokenRepository(database)
    if not await tokens.has_good(clock.now_ms()):
        raise StartError("This registry has no token yet, so nobody could call; run `holdfast registry init` first.")
    return TokenHolders(tokens, RateLimits(clock, replicas=settings.replicas), clock)


def check_address(settings: RegistrySettings, socket_path: Path | None) -> None:
    """Refuses addresses that cannot or must not be served on.

    Raises:
        StartError: says which and why.
    """
    if not settings.listen:
        if socket_path is None:
            raise StartError("Say where to serve: --socket PATH or --listen HOST:PORT.")
        if len(os.fsencode(socket_path)) > SOCKET_PATH_BYTES_MAX:
            raise StartError(
                f"The socket's path has more than {SOCKET_PATH_BYTES_MAX} bytes, which systems do not allow: {socket_path}"
            )
        return
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdecimal():
        raise StartError(f"--listen {settings.listen!r} is not HOST:PORT.")
    if not (is_loopback(host) or settings.insecure or settings.tls_cert):
        raise StartError(
            f"{host} can be reached by others: without TLS tokens and data would travel in the clear. Give --tls-cert and "
            "--tls-key (`holdfast registry certs` makes them), or --insecure on a network that you trust."
        )


def _listen(server: grpc.aio.Server, settings: RegistrySettings, socket_path: Path | None) -> None:
    if settings.listen:
        try:
            _open_port(server, settings.listen, server_credentials(settings))
        except RuntimeError as error:
            raise StartError(f"Cannot listen on {settings.listen}: {error}", EXIT_CODE_LOCKED) from error
        return
    assert socket_path is not None, "checked before"
    try:
        os_layer.make_private_folder(socket_path.parent)
    except PermissionError as error:
        raise StartError(str(error)) from error
    if _somebody_listens(socket_path):
        raise StartError(f"Another process listens on {socket_path}; stop it first.", EXIT_CODE_LOCKED)
    os_layer.unlink_if_exists(socket_path)
    server.add_insecure_port(socket_address(socket_path))
    os.chmod(socket_path, os_layer.FILE_MODE)


def _open_port(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> None:
    if credentials is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, credentials)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        found = probe.connect_ex(str(path))
    return found not in (errno.ENOENT, errno.ECONNREFUSED)


def _stop_signals() -> asyncio.Event:
    """Returns what SIGTERM and SIGINT set; asked for before READY, after which somebody may send one."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_told(settings: RegistrySettings, parts: Parts, stop: asyncio.Event) -> None:
    if not settings.idle_exit_s:
        await stop.wait()
        return
    while parts.gate.idle_s < settings.idle_exit_s:
        try:
            await asyncio.wait_for(stop.wait(), settings.idle_exit_s / IDLE_LOOKS)
        except TimeoutError:
            continue
        return
    logger.info("no call for %s s", settings.idle_exit_s)
