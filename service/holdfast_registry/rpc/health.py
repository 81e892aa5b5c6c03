"""What balancers and people ask a registry about itself: gRPC's health service, and reflection when it is wanted."""

from __future__ import annotations

from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio  # type: ignore[attr-defined]  # the stubs know the blocking one only

from holdfast_registry.auth.describe import FILES
from holdfast_registry.errors import StartError


class HealthServicer(Protocol):
    """As much of the library's as is used here."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        """Says how a service does."""

    async def enter_graceful_shutdown(self) -> None:
        """Says that all services end."""


def service_names() -> list[str]:
    """Returns the full names of the registry's own services."""
    return [service.full_name for file in FILES for service in file.services_by_name.values()]


async def add_health(server: grpc.aio.Server, *, reflection: bool) -> HealthServicer:
    """Adds the health service (serving from the start, not any more while the registry drains), and reflection if wanted.

    Raises:
        StartError: the package for reflection is not installed.
    """
    servicer: Any = aio.HealthServicer()
    await tell_health(servicer, is_ready=True)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if reflection:
        _add_reflection(server)
    made: HealthServicer = servicer
    return made


async def tell_health(servicer: HealthServicer, *, is_ready: bool) -> None:
    """Says of all services whether calls make sense; a registry that drains says no whatever is told here."""
    status = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in ("", *service_names()):
        await servicer.set(name, status)


def _add_reflection(server: grpc.aio.Server) -> None:
    try:
        from grpc_reflection.v1alpha import reflection
    except ImportError as error:
        raise StartError(
            'The setting `reflection` needs a package: pip install "holdfast[reflection]", or turn it off.'
        ) from error
    reflection.enable_server_reflection([*service_names(), reflection.SERVICE_NAME], server)
