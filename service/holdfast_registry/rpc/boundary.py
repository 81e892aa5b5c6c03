"""The one place where a call is let in, logged, and where an exception becomes a status and an ErrorDetail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import Any, NoReturn

import grpc
from grpc.aio import ServicerContext

from holdfast_contract import call_context
from holdfast_contract.call_context import REQUEST_ID_DETAIL, context_of
from holdfast_contract.errors import ContractError
from holdfast_contract.os_layer import FsyncError
from holdfast_contract.reasons import DOMAIN, REASONS, Reason
from holdfast_registry.auth.permissions import PUBLIC
from holdfast_registry.auth.tokens import AUTHORIZATION_KEY
from holdfast_registry.blobstore.directory import SPACE_ERRORS
from holdfast_registry.clock import Clock
from holdfast_registry.errors import RegistryError, invalid
from holdfast_registry.lifecycle import CallGate
from holdfast_registry.metrics.tallies import CallTallies
from holdfast_registry.rpc.admission import Admission, Visit
from holdfast_registry.rpc.flow_limits import STATUS_S, FlowLimits
from holdfast_registry.tracing import Tracing
from holdfastpb.common.v1.error_pb2 import ErrorDetail

logger = logging.getLogger(__name__)

ERROR_KEY = "holdfast-error-bin"
MESSAGE_CHARS_MAX = 1000
"""Three of its bytes for each character, and the particulars, stay below the 4 KiB of an ErrorDetail."""
PARTICULAR_CHARS_MAX = 200
DRAINING_RETRY_MS = 500
CANCELLED = "CANCELLED"
"""How calls are counted whose callers have gone."""

Handler = Any
"""A method handler, which gRPC's stubs know for blocking servers only."""
Context = ServicerContext[Any, Any]


def describe(error: Exception) -> ErrorDetail:
    """Returns what the caller gets to know of an exception."""
    if isinstance(error, RegistryError):
        return _detail(error.reason, error.message, error.metadata, error.retry_after_ms)
    if isinstance(error, ContractError):
        return _detail(error.reason, error.message, {})
    if isinstance(error, OSError) and error.errno in SPACE_ERRORS:
        return _detail(Reason.OUT_OF_SPACE, "The registry's disk is full; make space there, then repeat.", {})
    request_id = call_context.current.get().request_id
    return _detail(Reason.INTERNAL, f"The registry failed; its log has the details under request id {request_id}.", {})


def _detail(reason: Reason, message: str, metadata: dict[str, str], retry_after_ms: int = 0) -> ErrorDetail:
    return ErrorDetail(
        reason=reason.value,
        domain=DOMAIN,
        message=message[:MESSAGE_CHARS_MAX],
        metadata={
            REQUEST_ID_DETAIL: call_context.current.get().request_id,
            **{key: value[:PARTICULAR_CHARS_MAX] for key, value in metadata.items()},
        },
        retryable=REASONS[reason].retryable,
        retry_after_ms=DRAINING_RETRY_MS if reason is Reason.DRAINING else retry_after_ms,
    )


class CallBoundary(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Surrounds every call."""

    def __init__(
        self,
        gate: CallGate,
        admission: Admission,
        clock: Clock,
        die: Callable[[OSError], NoReturn],
        tallies: CallTallies,
        tracing: Tracing,
        limits: FlowLimits | None = None,
    ) -> None:
        """Puts it together.

        Args:
            gate: knows whether the process is ending.
            admission: knows who calls and whether they may.
            clock: for durations.
            die: ends the process when data could not be made durable.
            tallies: count calls.
            tracing: makes a span of each.
            limits: for clients who are not trusted; with them single messages are read as streams of one, once the caller is known.
        """
        self._gate = gate
        self._admission = admission
        self._clock = clock
        self._die = die
        self._tallies = tallies
        self._tracing = tracing
        self._limits = limits
        self._surrounded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Returns the surrounded handler of a method; the handlers are always the same, so they are kept."""
        method = handler_call_details.method
        known = self._surrounded.get(method)
        if known is None:
            found = await continuation(handler_call_details)
            if found is None or method in PUBLIC:
                return found  # an unknown method: UNIMPLEMENTED
            known = self._surrounded[method] = self._surround(method, found)
        return known

    def _surround(self, method: str, handler: Handler) -> Handler:
        arguments = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.stream_unary or handler.unary_unary:
            streamed = bool(handler.stream_unary)
            call = self._single(method, handler.stream_unary or handler.unary_unary, streamed=streamed)
            if streamed or self._limits is not None:
                return grpc.stream_unary_rpc_method_handler(call, **arguments)
            return grpc.unary_unary_rpc_method_handler(call, **arguments)
        assert handler.unary_stream, "no service of the registry streams both ways"
        if self._limits is not None:
            call = self._many_in_time(method, handler.unary_stream, self._limits)
            return grpc.stream_stream_rpc_method_handler(call, **arguments)
        return grpc.unary_stream_rpc_method_handler(self._many(method, handler.unary_stream), **arguments)

    def _single(
        self, method: str, behaviour: Callable[[Any, Context], Awaitable[Any]], *, streamed: bool
    ) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            with self._watched(method, context) as visit:
                try:
                    with self._gate.pass_through():
                        return await self._admitted(visit, behaviour, request, context, streamed=streamed)
                except Exception as error:  # every failure is answered by its reason
                    await self._refuse(visit, context, error)
                    raise

        return call

    async def _admitted(
        self,
        visit: Visit,
        behaviour: Callable[[Any, Context], Awaitable[Any]],
        request: Any,
        context: Context,
        *,
        streamed: bool,
    ) -> Any:
        await self._recognize(visit, context)
        with self._counted(visit):
            if self._limits is not None:
                request = self._limits.in_time(request)
            first = request if self._limits is None and not streamed else await _first(request, needed=not streamed)
            if first is not None:
                answered = await self._admission.admit(visit, first)
                if answered is not None:
                    return answered
            response = await behaviour(_again(first, request) if streamed else first, context)
            await self._admission.hide(visit, response)
            return response

    def _counted(self, visit: Visit) -> AbstractContextManager[None]:
        return nullcontext() if self._limits is None else self._limits.one_call(visit.caller)

    def _many(self, method: str, behaviour: Callable[[Any, Context], AsyncIterator[Any]]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._watched(method, context) as visit:
                try:
                    with self._gate.pass_through():
                        await self._recognize(visit, context)
                        await self._admission.admit(visit, request)
                        async for response in behaviour(request, context):
                            yield response
                except Exception as error:  # every failure is answered by its reason
                    await self._refuse(visit, context, error)
                    raise

        return call

    def _many_in_time(
        self, method: str, behaviour: Callable[[Any, Context], AsyncIterator[Any]], limits: FlowLimits
    ) -> Callable[..., Any]:
        async def call(requests: Any, context: Context) -> None:
            with self._watched(method, context) as visit:
                try:
                    with self._gate.pass_through():
                        await self._recognize(visit, context)
                        with limits.one_call(visit.caller):
                            request = await _first(limits.in_time(requests), needed=True)
                            await self._admission.admit(visit, request)
                            async with aclosing(behaviour(request, context)) as responses:  # type: ignore[type-var]  # a generator
                                async for response in responses:
                                    await limits.write(context, response)
                except Exception as error:  # every failure is answered by its reason
                    await self._refuse(visit, context, error)
                    raise

        return call

    @contextmanager
    def _watched(self, method: str, context: Context) -> Iterator[Visit]:
        """Surrounds a call with all that is counted, logged and traced of it."""
        tally = self._tallies.of(method)
        visit = Visit(method, context.peer(), context=context_of(context.invocation_metadata(), method))
        call_context.current.set(visit.context)
        started_s = self._clock.monotonic_s()
        tally.in_flight += 1
        try:
            with self._tracing.span(method[1:], of_call=True):
                yield visit
        except BaseException:  # a cancellation, too, is counted
            tally.refusals[visit.refused or CANCELLED] += 1
            raise
        finally:
            tally.in_flight -= 1
            took_s = self._clock.monotonic_s() - started_s
            tally.durations_s.add(took_s)
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("call method=%s ms=%.1f", method, took_s * 1000)

    async def _recognize(self, visit: Visit, context: Context) -> None:
        await self._admission.recognize(visit, _authorization(context))
        if visit.caller is not None:
            # A span has put a copy in its place until it ends.
            visit.context.token_id = call_context.current.get().token_id = visit.caller.token_id

    async def _refuse(self, visit: Visit, context: Context, error: Exception) -> None:
        """Ends the call with a status; gRPC raises through here."""
        method = visit.method
        if isinstance(error, FsyncError):
            self._die(error)
        detail = describe(error)
        visit.refused = detail.reason
        if detail.reason == Reason.INTERNAL:
            logger.error("call failed method=%s", method, exc_info=error)
        else:
            logger.info("call refused method=%s reason=%s message=%s", method, detail.reason, detail.message)
        await self._admission.note_refusal(visit, Reason(detail.reason))
        status = grpc.StatusCode[REASONS[Reason(detail.reason)].status]
        try:
            async with asyncio.timeout(None if self._limits is None else STATUS_S):
                await context.abort(status, detail.message, ((ERROR_KEY, detail.SerializeToString()),))
        except TimeoutError:
            logger.info("client takes no answer method=%s peer=%s", method, visit.peer)


def _authorization(context: Context) -> str | None:
    values = [value for key, value in context.invocation_metadata() or () if key == AUTHORIZATION_KEY]
    return str(values[0]) if values else None


async def _first(messages: AsyncIterator[Any], *, needed: bool) -> Any:
    first = await anext(aiter(messages), None)
    if first is None and needed:
        raise invalid("The call ended before its message.")
    return first


async def _again(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A stream whose first message was read already."""
    if first is not None:
        yield first
    async for message in rest:
        yield message
