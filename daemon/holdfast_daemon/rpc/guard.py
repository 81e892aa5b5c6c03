"""What every call passes: the token, the drain, and errors by reason in the trailer.  Servicers raise, this translates."""

import errno
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from holdfast_contract import call_context
from holdfast_contract.call_context import REQUEST_ID_DETAIL, context_of
from holdfast_contract.errors import ContractError
from holdfast_contract.os_layer import FsyncError
from holdfast_contract.reasons import REASONS, Reason
from holdfast_daemon.errors import HoldfastError, end_after_fsync_error
from holdfast_daemon.registry_client import ERROR_KEY

WITHOUT_TOKEN = frozenset({"/holdfast.daemon.v1.ControlService/Hello"})
"""The handshake: tells versions, nothing else."""

_log = logging.getLogger(__name__)


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # the stubs make it generic, the class is not
    """Interceptor of all services.

    Args:
        token: what callers must present.
    """

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()
        self.draining = False
        self.calls = 0
        """Calls under way; the daemon is not idle while there are any."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the handler of one call."""
        handler = await continuation(details)
        if handler is None:
            return handler
        problem = self._problem(details)
        if handler.response_streaming:
            wrapped = self._stream(details.method, handler.stream_stream or handler.unary_stream, problem)
        else:
            wrapped = self._unary(details.method, handler.stream_unary or handler.unary_unary, problem)
        return handler._replace(**{_kind(handler): wrapped})

    def _problem(self, details: grpc.HandlerCallDetails) -> HoldfastError | None:
        if details.method not in WITHOUT_TOKEN:
            given = dict(details.invocation_metadata or ()).get("authorization", "")
            if not hmac.compare_digest(str(given).encode(), self._expected):
                return HoldfastError(
                    Reason.UNAUTHENTICATED,
                    "the daemon's token is missing or wrong; read it from daemon.token in the data folder",
                )
        if self.draining:
            return HoldfastError(Reason.DRAINING, "the daemon is stopping; connect to the next one")
        return None

    def _unary(self, method: str, behaviour: Any, problem: HoldfastError | None) -> Any:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            self.calls += 1
            call_context.current.set(context_of(context.invocation_metadata(), method))
            try:
                if problem is not None:
                    raise problem
                return await behaviour(request, context)
            except (HoldfastError, ContractError, OSError) as error:
                await abort(context, error)
            finally:
                self.calls -= 1

        return call

    def _stream(self, method: str, behaviour: Any, problem: HoldfastError | None) -> Any:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            self.calls += 1
            call_context.current.set(context_of(context.invocation_metadata(), method))
            try:
                if problem is not None:
                    raise problem
                async for response in behaviour(request, context):
                    yield response
            except (HoldfastError, ContractError, OSError) as error:
                await abort(context, error)
            finally:
                self.calls -= 1

        return call


def _kind(handler: Any) -> str:
    return ("stream_" if handler.request_streaming else "unary_") + (
        "stream" if handler.response_streaming else "unary"
    )


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", error: Exception) -> None:
    """Ends a call with the status, the message and the detail of an error."""
    if isinstance(error, FsyncError):
        end_after_fsync_error(error)
    if isinstance(error, ContractError):
        error = HoldfastError(error.reason, str(error))
    if not isinstance(error, HoldfastError):
        _log.error("a call failed: %r", error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        error = HoldfastError(Reason.OUT_OF_SPACE if full else Reason.INTERNAL, f"the daemon: {error}")
    error.metadata.setdefault(REQUEST_ID_DETAIL, call_context.current.get().request_id)
    detail = error.to_detail().SerializeToString()
    code = grpc.StatusCode[REASONS[error.reason].status]
    await context.abort(code, error.message[:1000], ((ERROR_KEY, detail),))
