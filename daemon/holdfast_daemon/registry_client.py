"""The daemon's connection to the registry: stubs, deadlines, and errors by reason."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from holdfast_contract.call_context import carried_on
from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_contract.limits import MESSAGE_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN, UNARY_DEADLINE_S
from holdfast_contract.reasons import Reason
from holdfast_daemon import __version__
from holdfast_daemon.errors import HoldfastError
from holdfast_daemon.registry_channel import RegistryChannel
from holdfast_daemon.registry_tally import RegistryTally
from holdfast_daemon.registry_tls import RegistryTls, TlsFiles
from holdfast_daemon.registry_token import RegistryToken, metadata_of
from holdfast_daemon.tracing import NoTracing, Tracing
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.common.v1.hello_pb2 import HelloRequest, HelloResponse
from holdfastpb.registry.v1.access_pb2 import WhoAmIRequest, WhoAmIResponse
from holdfastpb.registry.v1.access_pb2_grpc import AccessServiceStub
from holdfastpb.registry.v1.collection_pb2_grpc import CollectionServiceStub
from holdfastpb.registry.v1.pack_pb2_grpc import PackServiceStub
from holdfastpb.registry.v1.registry_pb2_grpc import RegistryServiceStub
from holdfastpb.registry.v1.run_pb2_grpc import RunServiceStub
from holdfastpb.registry.v1.version_pb2_grpc import VersionServiceStub

T = TypeVar("T")

ERROR_KEY = "holdfast-error-bin"
RECONNECT_MS_MAX = 300
"""A registry that restarts is found again within this; between two tries of the channel no call can succeed."""
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The journal has the patience, not the channel.
    NO_GRPC_RETRIES,
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Also the least time that a connection attempt is given: a busy machine may take a second for the handshake.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MS_MAX),
)

# What a failed call means when the other side gave no reason (a proxy, a dead connection, an older version).
_REASON_OF_STATUS = {
    grpc.StatusCode.UNAVAILABLE: Reason.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE,
    grpc.StatusCode.CANCELLED: Reason.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Reason.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND: Reason.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.INVALID_ARGUMENT,
}


RETRY_BASE_S = 0.1


def retry_delay_s(attempt: int, max_s: float) -> float:
    """Jitter over an exponential: many daemons that lost one registry do not come back together."""
    return random.uniform(0.5, 1.0) * min(max_s, RETRY_BASE_S * 2.0 ** min(attempt, 16))


def next_try(error: HoldfastError, delay_s: float) -> str:
    """What a job waits for after a call that is repeated."""
    return f"{error.message}; next try in {max(1, round(delay_s))} s"


def to_error(error: grpc.aio.AioRpcError, address: str) -> HoldfastError:
    """The error that a failed call stands for."""
    trailer: Any = error.trailing_metadata() or ()
    for key, value in trailer:
        if key == ERROR_KEY and isinstance(value, bytes):
            return HoldfastError.from_detail(ErrorDetail.FromString(value))
    reason = _REASON_OF_STATUS.get(error.code(), Reason.INTERNAL)
    silent = " does not answer" if reason in (Reason.UNAVAILABLE, Reason.DEADLINE) else ""
    failed = HoldfastError(reason, f"the registry at {address}{silent}: {error.details() or error.code().name}")
    if reason is Reason.UNAVAILABLE:
        failed.retry_after_ms = RECONNECT_MS_MAX
    return failed


def connection_ended(error: grpc.aio.AioRpcError) -> bool:
    """Whether a call met the end of its connection: registries end theirs after a while, and the next call gets another one."""
    trailer: Any = error.trailing_metadata() or ()
    return error.code() is grpc.StatusCode.UNAVAILABLE and all(key != ERROR_KEY for key, _ in trailer)


class RegistryClient:
    """Stubs over one channel, which reconnects by itself.

    Args:
        address: gRPC target, e.g. `unix:/run/…` or `host:port`.
        token: what is sent with each call; None on a private Unix socket.
        tls: how to connect; None connects in plaintext (loopback and Unix sockets).
        tracing: makes spans of what its callers do; None: nobody wants any.
    """

    def __init__(
        self,
        address: str,
        token: RegistryToken | None = None,
        tls: RegistryTls | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.address = address
        self.tracing = tracing or NoTracing()
        self.tally = RegistryTally()
        self.token = token or RegistryToken(None)
        self.tls = tls
        self._tls_files = None if tls is None else TlsFiles(tls)
        self.channel = RegistryChannel(self._connect)
        # The generated stubs are typed for the blocking channel; on an asyncio channel their calls are awaitable.
        channel = cast(grpc.Channel, self.channel)
        self.versions: Any = VersionServiceStub(channel)
        self.packs: Any = PackServiceStub(channel)
        self.runs: Any = RunServiceStub(channel)
        self.collections: Any = CollectionServiceStub(channel)
        self._registry: Any = RegistryServiceStub(channel)
        self._access: Any = AccessServiceStub(channel)
        self.fetched_bytes = 0
        """Bytes of manifests, of the places of chunks and of packs that reading took; those who read add to it."""
        self.on_answer: Callable[[Any], None] | None = None
        """Is told of the answers to unary calls."""
        self._refusal: HoldfastError | None = None
        self._started = asyncio.Event()
        self._started.set()
        self._hurried = asyncio.Event()

    def _connect(self) -> grpc.aio.Channel:
        if self.tls is None:
            return grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(self.address, self.tls.credentials(), options=CHANNEL_OPTIONS)

    def reread_tls(self) -> None:
        """Takes over certificates that were renewed; calls that are under way go on over the connection that they have."""
        if self._tls_files is not None and self._tls_files.are_new():
            self.channel.renew()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Credentials, and what the current call carries on; for calls that are passed on for others."""
        return (*self.token.metadata, *carried_on())

    def has_new_token(self, error: grpc.aio.AioRpcError) -> bool:
        """Whether a call that was refused for its token is worth repeating: the token's file has another one by now."""
        return error.code() is grpc.StatusCode.UNAUTHENTICATED and self.token.reread()

    async def who_am_i(self, token: str) -> WhoAmIResponse:
        """Asks the registry whose a token is, also while other calls are refused.  Raises as `call`."""
        try:
            answer = await self._access.WhoAmI(WhoAmIRequest(), timeout=UNARY_DEADLINE_S, metadata=metadata_of(token))
        except grpc.aio.AioRpcError as error:
            raise to_error(error, self.address) from error
        return cast(WhoAmIResponse, answer)

    def hold_calls(self) -> None:
        """Lets calls wait: the registry is about to start, and nobody needs to hear that it does not run yet."""
        self._started.clear()

    def release_calls(self) -> None:
        """Ends what `hold_calls` began: it runs, or what it says of itself is the answer."""
        self._started.set()

    def refuse_calls(self, why: HoldfastError | None) -> None:
        """Lets every call fail with `why`, since this registry must not be used; None: no longer."""
        self._refusal = why

    async def until_started(self, deadline_s: float) -> None:
        """Returns when calls can be made, after `deadline_s` in any case.

        Raises:
            HoldfastError: see `refuse_calls`.
        """
        if not self._started.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait(), deadline_s)
        if self._refusal is not None:
            raise self._refusal

    async def call(self, method: Any, request: Any, *, deadline_s: float = UNARY_DEADLINE_S) -> Any:
        """Makes one unary call (or one with a stream of requests).

        Raises:
            HoldfastError: the reason is the registry's, or UNAVAILABLE / DEADLINE when it does not answer.
        """
        await self.until_started(deadline_s)
        # A stream of requests has been used up; whoever made it repeats it.
        patience_s = deadline_s if isinstance(request, Message) else 0.0
        answer = await self.at_rate(lambda: self._call(method, request, deadline_s), patience_s)
        if self.on_answer is not None:
            self.on_answer(answer)
        return answer

    async def at_rate(self, attempt: Callable[[], Awaitable[T]], patience_s: float) -> T:
        """Makes a call; waits and repeats it while the registry says that the token calls too often, but no longer than `patience_s`.

        Raises:
            HoldfastError: as the call.
        """
        ends_s = time.monotonic() + patience_s
        while True:
            try:
                return await attempt()
            except HoldfastError as error:
                # Jitter: those who were told the same do not come back together.
                wait_s = error.retry_after_ms / 1000 * random.uniform(1.0, 1.5)
                if error.reason is not Reason.RATE_LIMITED or time.monotonic() + wait_s >= ends_s:
                    raise
                await asyncio.sleep(wait_s)

    async def _call(self, method: Any, request: Any, deadline_s: float, wait_for_ready: bool = False) -> Any:
        options = {"timeout": deadline_s, "wait_for_ready": wait_for_ready or None}
        own = carried_on(getattr(request, "request_id", ""))
        with self.counted():
            try:
                return await method(request, metadata=(*self.token.metadata, *own), **options)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    self.reread_tls()  # for the next try, which is the caller's
                # A stream of requests has been used up; whoever made it repeats it.
                if not isinstance(request, Message) or not (connection_ended(error) or self.has_new_token(error)):
                    raise to_error(error, self.address) from error
            try:
                return await method(request, metadata=(*self.token.metadata, *own), **options)
            except grpc.aio.AioRpcError as error:
                raise to_error(error, self.address) from error

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Surrounds a call that comes to its end or raises a HoldfastError."""
        began_s = time.monotonic()
        try:
            yield
        except HoldfastError as error:
            self.tally.failures[error.reason.value] += 1
            raise
        self.tally.answered(time.monotonic() - began_s)

    async def stream(self, method: Any, request: Any, *, deadline_s: float | None = None) -> AsyncIterator[Any]:
        """Makes one call that answers with a stream.  Raises as `call`, possibly after some messages."""
        await self.until_started(UNARY_DEADLINE_S if deadline_s is None else deadline_s)
        try:
            async for response in method(request, timeout=deadline_s, metadata=self.metadata):
                yield response
        except grpc.aio.AioRpcError as error:
            self.has_new_token(error)  # for the next try, which is the caller's
            raise to_error(error, self.address) from error

    async def hello(self, *, deadline_s: float = UNARY_DEADLINE_S, wait_for_ready: bool = False) -> HelloResponse:
        """Shakes hands, also while other calls are held; `wait_for_ready` tries until the deadline.  Raises as `call`."""
        request = HelloRequest(protocol_min=PROTOCOL_MIN, protocol_max=PROTOCOL_MAX, software_version=__version__)
        return cast(HelloResponse, await self._call(self._registry.Hello, request, deadline_s, wait_for_ready))

    async def pause(self, delay_s: float) -> None:
        """Waits between two tries of a call, unless somebody hurries."""
        self.tally.retries += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), delay_s)

    def hurry(self) -> None:
        """Ends all pauses: whoever waits tries at once."""
        hurried, self._hurried = self._hurried, asyncio.Event()
        hurried.set()

    async def close(self) -> None:
        """Ends the channel."""
        await self.channel.close()
