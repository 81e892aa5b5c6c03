"""Spans of calls and transactions, for whoever has set `traces_url`; without it nothing is imported and a span costs nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast_contract import call_context
from holdfast_registry import __version__
from holdfast_registry.database.database import Database, Unit
from holdfast_registry.errors import StartError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

T = TypeVar("T")
SERVICE_NAME = "holdfast-registry"
_NOTHING: AbstractContextManager[None] = nullcontext()


class Tracing(Protocol):
    """Makes spans."""

    def span(self, name: str, *, of_call: bool = False) -> AbstractContextManager[None]:
        """Surrounds work that belongs to the current call.

        Args:
            name: of the span.
            of_call: it answers a caller, whose span is its parent.
        """

    def close(self) -> None:
        """Sends what is left.  Blocks for some seconds at most."""


class NoTracing:
    """What is used when nobody wants traces."""

    def span(self, name: str, *, of_call: bool = False) -> AbstractContextManager[None]:
        """Does nothing."""
        return _NOTHING

    def close(self) -> None:
        """Has nothing to send."""


def open_tracing(traces_url: str | None) -> Tracing:
    """Returns what makes spans.

    Raises:
        StartError: the packages are not installed.
    """
    if not traces_url:
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise StartError(
            f'The setting `traces_url` needs packages ({error.name}): pip install "holdfast[otel]", or leave it empty.'
        ) from error
    resource = Resource.create({"service.name": SERVICE_NAME, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=traces_url)))
    return _Spans(provider)


class _Spans:
    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("holdfast", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = {True: SpanKind.SERVER, False: SpanKind.INTERNAL}

    @contextmanager
    def span(self, name: str, *, of_call: bool = False) -> Iterator[None]:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        call = call_context.current.get()
        if not (of_call or call.traceparent):
            yield  # the registry's own work, which nobody waits for
            return
        carrier = {call_context.TRACEPARENT_KEY: call.traceparent} if call.traceparent else {}
        span = self._tracer.start_span(name, self._propagator.extract(carrier), self._kinds[of_call])
        span.set_attribute("holdfast.request_id", call.request_id)
        self._propagator.inject(carrier, set_span_in_context(span))
        call_context.current.set(dataclasses.replace(call, traceparent=carrier[call_context.TRACEPARENT_KEY]))
        try:
            yield
        except BaseException as error:  # a cancellation, too: a trace shows how each span has ended
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            # Not reset by a token: a stream that its caller has left is closed in another context.
            call_context.current.set(call)
            span.end()

    def close(self) -> None:
        self._provider.shutdown()


class TracedDatabase:
    """A database with a span for each transaction that a call waits for."""

    def __init__(self, database: Database, tracing: Tracing) -> None:
        self._database = database
        self._tracing = tracing

    async def write(self, unit: Unit[T]) -> T:
        """Runs a unit that may change things."""
        with self._tracing.span(f"write {_name_of(unit)}"):
            return await self._database.write(unit)

    async def read(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """Runs a unit that only reads."""
        with self._tracing.span(f"read {_name_of(unit)}"):
            return await self._database.read(unit, one_state=one_state)

    def read_here(self, unit: Unit[T], *, one_state: bool = True) -> T:
        """As `read`, from a thread that is not the event loop's; blocks."""
        with self._tracing.span(f"read {_name_of(unit)}"):
            return self._database.read_here(unit, one_state=one_state)


def _name_of(unit: Callable[..., object]) -> str:
    """Returns where a unit is written: those of one transaction have one name."""
    while hasattr(unit, "func"):
        unit = unit.func  # of a partial, also one of a partial
    return str(getattr(unit, "__qualname__", type(unit).__name__)).replace(".<locals>", "")
