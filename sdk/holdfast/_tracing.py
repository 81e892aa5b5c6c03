"""Spans of what a program does with artifacts; imported when traces are wanted, and OpenTelemetry with it.

A library adds to the traces of the program that it is in: when that has a tracer provider, its spans are ours' parents and its
exporters take them.  Otherwise, with `traces_url` set, there is a provider of our own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast._version import __version__
from holdfast.errors import UsageError
from holdfast_contract import call_context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE_NAME = "holdfast-sdk"


class Tracer:
    """Makes spans.

    Args:
        provider: of our own; None: the program's.
    """

    def __init__(self, provider: TracerProvider | None) -> None:
        """Takes a tracer; the program's provider may also be set later."""
        from opentelemetry import trace

        self._provider = provider
        self._tracer = (provider or trace).get_tracer("holdfast", __version__)

    @contextmanager
    def span(self, name: str, **attributes: str) -> Iterator[None]:
        """Surrounds one operation; calls that it makes belong to the trace."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        shown = {f"holdfast.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(name, attributes=shown):
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
            traceparent = carrier.get(call_context.TRACEPARENT_KEY, "")
            token = call_context.current.set(dataclasses.replace(call_context.current.get(), traceparent=traceparent))
            try:
                yield
            finally:
                call_context.current.reset(token)

    def close(self) -> None:
        """Sends what is left of our own; some seconds at most."""
        if self._provider is not None:
            self._provider.shutdown()


def open_tracer(traces_url: str) -> Tracer:
    """Returns what makes spans.

    Raises:
        UsageError: `traces_url` is set and the packages are not installed.
    """
    if not traces_url:
        return Tracer(None)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError(
            f'The setting `traces_url` needs packages ({error.name}): pip install "holdfast[otel]", or leave it empty.'
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": SERVICE_NAME, "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=traces_url)))
    return Tracer(provider)
