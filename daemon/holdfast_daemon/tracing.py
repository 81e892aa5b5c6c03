"""Spans of the stages of jobs and of calls, for whoever has set `traces_url`; without it nothing is imported."""

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from holdfast_contract import call_context
from holdfast_contract.settings import SettingError, environment_name
from holdfast_daemon import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE_NAME = "holdfast-daemon"
_NOTHING: AbstractContextManager[None] = nullcontext()


class Tracing(Protocol):
    """Makes spans."""

    def span(self, name: str, **attributes: str) -> AbstractContextManager[None]:
        """Surrounds work that belongs to the current call; nothing is made of one that belongs to no trace."""

    def close(self) -> None:
        """Sends what is left.  Blocks for some seconds at most."""


class NoTracing:
    """What is used when nobody wants traces; those of callers are passed on all the same."""

    def span(self, name: str, **attributes: str) -> AbstractContextManager[None]:
        """Does nothing."""
        return _NOTHING

    def close(self) -> None:
        """Has nothing to send."""


def open_tracing(traces_url: str) -> Tracing:
    """Returns what makes spans.

    Raises:
        SettingError: the packages are not installed.
    """
    if not traces_url:
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        setting = environment_name("daemon", "traces_url")
        raise SettingError(f'{setting} needs packages ({error.name}): pip install "holdfast[otel]"') from error
    resource = Resource.create({"service.name": SERVICE_NAME, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=traces_url)))
    return _Spans(provider)


class _Spans:
    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("holdfast", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, **attributes: str) -> Iterator[None]:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        call = call_context.current.get()
        if not call.traceparent:
            yield
            return
        carrier = {call_context.TRACEPARENT_KEY: call.traceparent}
        shown = {f"holdfast.{key}": value for key, value in attributes.items()}
        span = self._tracer.start_span(name, self._propagator.extract(carrier), attributes=shown)
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
