"""The HTTP server that Prometheus asks; a thread of its own, so that a scrape takes no turn of the loop that answers calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast_registry.errors import EXIT_CODE_LOCKED, StartError
from holdfast_registry.metrics.sources import Sources


@asynccontextmanager
async def metrics_endpoint(address: str | None, sources: Sources) -> AsyncIterator[None]:
    """Serves /metrics as long as the block runs.

    Args:
        address: HOST:PORT; None: nothing is served.
        sources: what is shown.

    Raises:
        StartError: it cannot listen, or the packages are not installed.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise StartError(f"metrics_address = {address!r} is not HOST:PORT.")
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

        from holdfast_registry.metrics.exposition import RegistryCollector
    except ImportError as error:
        raise StartError(
            f'The setting `metrics_address` needs a package ({error.name}): pip install "holdfast[metrics]", or leave it empty.'
        ) from error
    registry = CollectorRegistry()
    registry.register(RegistryCollector(sources))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise StartError(f"Cannot serve metrics on {address}: {error.strerror}", EXIT_CODE_LOCKED) from error
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)
