"""Where commands about access do their work: at a registry that runs, or on a data folder that no registry uses.

Both ways run the same code of the same service, audit included; only the caller differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_registry.auth.authorizer import Authorizer
from holdfast_registry.auth.permissions import PREFIX
from holdfast_registry.auth.tokens import SocketOwner
from holdfast_registry.clock import SystemClock
from holdfast_registry.database.audit import AuditedDatabase, AuditRepository
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.places import PlaceRepository, ProtectedAliasRepository
from holdfast_registry.database.quotas import QuotaRepository
from holdfast_registry.database.tokens import TokenRepository
from holdfast_registry.errors import StartError
from holdfast_registry.rpc.access_servicer import AccessRepositories, AccessServicer
from holdfast_registry.rpc.admission import Admission, Visit
from holdfast_registry.rpc.boundary import ERROR_KEY
from holdfast_registry.server import open_data_folder, open_database
from holdfast_registry.settings import RegistrySettings
from holdfast_registry.tls import is_loopback
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.registry.v1 import access_pb2_grpc

Metadata = tuple[tuple[str, str], ...]
CALL_TIMEOUT_S = 30
COMMAND_LINE = "command line"
"""Stands for the peer in the audit log."""


class Desk(Protocol):
    """Takes requests of AccessService."""

    def ask(self, method: str, request: Any) -> Any:
        """Makes one call.

        Raises:
            StartError: the registry does not answer.
            RegistryError: it refuses.
        """


class RunningRegistry:
    """A registry that answers on its address."""

    def __init__(self, channel: grpc.Channel, metadata: Metadata) -> None:
        self._stub = access_pb2_grpc.AccessServiceStub(channel)
        self._metadata = metadata

    def ask(self, method: str, request: Any) -> Any:
        """Makes one call."""
        try:
            return getattr(self._stub, method)(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise StartError(refusal(error)) from error


def refusal(error: Any) -> str:
    """Returns what a registry says that does not do what was asked, or that it does not answer."""
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_KEY:
            return ErrorDetail.FromString(value).message
    return f"the registry does not answer: {error.details() or error.code().name}"


class DataFolder:
    """A database that is open in this process."""

    def __init__(self, database: OpenDatabase, runner: asyncio.Runner) -> None:
        clock, audited = runner.run(database.shared_clock(SystemClock())), AuditedDatabase(database)
        authorizer = Authorizer(PlaceRepository(audited))
        self._admission = Admission(SocketOwner(), authorizer, AuditRepository(database), clock)
        access = AccessRepositories(
            TokenRepository(audited),
            ProtectedAliasRepository(audited),
            QuotaRepository(audited, clock),
            AuditRepository(audited),
        )
        self._servicer = AccessServicer(access, SocketOwner(), clock)
        self._runner = runner

    def ask(self, method: str, request: Any) -> Any:
        """Makes one call."""
        return self._runner.run(self._ask(method, request))

    async def _ask(self, method: str, request: Any) -> Any:
        visit = Visit(f"{PREFIX}AccessService/{method}", COMMAND_LINE)
        await self._admission.recognize(visit, None)
        await self._admission.admit(visit, request)
        return await getattr(self._servicer, method)(request, None)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a running registry is called."""

    address: str
    token_file: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False


@contextmanager
def call_running(wanted: Connection) -> Iterator[Desk]:
    """Connects to a registry that runs.

    Raises:
        StartError: a file cannot be read.
    """
    with connect(wanted) as (channel, metadata):
        yield RunningRegistry(channel, metadata)


@contextmanager
def connect(wanted: Connection) -> Iterator[tuple[grpc.Channel, Metadata]]:
    """Opens a channel, and says what every call brings along.

    Raises:
        StartError: a file cannot be read.
    """
    token = _read(wanted.token_file).decode("ascii", "replace").strip() if wanted.token_file else None
    channel = _channel(wanted)
    try:
        yield channel, ((("authorization", f"Bearer {token}"),) if token else ())
    finally:
        channel.close()


def _channel(wanted: Connection) -> grpc.Channel:
    plain = wanted.insecure or wanted.address.startswith("unix:") or is_loopback(wanted.address.rpartition(":")[0])
    if plain and not (wanted.ca_file or wanted.client_cert):
        return grpc.insecure_channel(wanted.address, options=(NO_GRPC_RETRIES,))
    files = (wanted.ca_file, wanted.client_key, wanted.client_cert)
    return grpc.secure_channel(
        wanted.address,
        grpc.ssl_channel_credentials(*[_read(path) if path else None for path in files]),
        options=(NO_GRPC_RETRIES,),
    )


def _read(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def use_data_folder(settings: RegistrySettings, data_dir: Path) -> Iterator[Desk]:
    """Opens the database; SQLite's data folder is locked meanwhile, since two processes must not write one file.

    Raises:
        StartError: a registry uses the folder.
    """
    lock = None if settings.database_url else open_data_folder(data_dir)
    try:
        with asyncio.Runner() as runner:
            database = runner.run(open_database(settings, data_dir))
            try:
                yield DataFolder(database, runner)
            finally:
                runner.run(database.aclose())
    finally:
        if lock is not None:
            lock.release()
