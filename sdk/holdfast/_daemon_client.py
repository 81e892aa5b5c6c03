"""Calls to the daemon over one channel a process, made when first needed and again after a fork or a restart of the daemon.

Forks: gRPC's threads do not survive one, and a fork in the middle of its work leaves the child hanging.  So before a fork the
channel is closed, which ends all calls; they begin again in the parent when it is over, and the child makes its own channel.

Retries: only what cannot have done harm is repeated: nobody answered, or a request id makes a second time harmless.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from holdfast._daemon_launcher import POLL_S, DaemonLauncher
from holdfast._grpc_channel import new_channel
from holdfast._rpc_errors import connection_is_lost, may_repeat, translate
from holdfast._version import __version__
from holdfast.errors import Error, ProtocolMismatchError, UnavailableError
from holdfast_contract.call_context import carried_on
from holdfast_contract.limits import PROTOCOL_MAX, PROTOCOL_MIN, RECORDS_BATCH_MAX, UNARY_DEADLINE_S
from holdfast_contract.places import socket_address
from holdfast_contract.reasons import Reason
from holdfastpb.common.v1 import hello_pb2

if TYPE_CHECKING:
    import grpc

R = TypeVar("R", bound=Message)
Sleep = Callable[[float], None]
Metadata = tuple[tuple[str, str], ...]

HELLO = "/holdfast.daemon.v1.ControlService/Hello"
HELLO_DEADLINE_S = 10.0
"""A busy daemon still answers this; one that is stopped by a signal does not, and the user is to be told."""

ATTEMPTS_MAX = 5
"""Of one call: with waits of at most 0.1, 0.2, 0.4 and 0.8 s a caller learns within seconds that nobody answers."""

DRAIN_TIMEOUT_S = 15.0
"""A daemon that is told to stop does so within 10 s; half as much again for a loaded machine."""

CLOSE_PATIENCE_S = 0.5
"""The end of a process is held up no longer than this."""

FORK_PATIENCE_S = 1.0
"""Threads leave a call within milliseconds when its channel is closed; one that is in a program's own code may not."""

BACKOFF_BASE_S = 0.1
BACKOFF_MAX_S = 30.0

_system_random = random.SystemRandom()


def backoff_s(attempt: int) -> float:
    """Returns the pause after attempt number `attempt` (from 1): exponential with full jitter, at most 30 s."""
    return _system_random.uniform(0.0, min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** (attempt - 1)))


class _Inside:
    """Counts the threads that are inside gRPC: it leaves the child of a fork that meets one in a state that hangs.

    Args:
        gate: who holds it lets nobody in.
    """

    def __init__(self, gate: AbstractContextManager[object]) -> None:
        self._gate = gate
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._gate, self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            if not self._count:
                self._changed.notify_all()

    def wait_empty(self, timeout_s: float) -> None:
        """Returns when no thread is inside, after `timeout_s` in any case."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, timeout_s)


class _Connection:
    """A channel to a daemon that has said Hello."""

    __slots__ = ("channel", "closed_for_fork", "hello", "metadata", "token")

    def __init__(self, channel: grpc.Channel, token: str, hello: hello_pb2.HelloResponse) -> None:
        self.channel = channel
        self.token = token
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.hello = hello
        self.closed_for_fork = False


class DaemonClient:
    """Calls of the daemon's services, and of the registry's that it passes on.  Thread-safe; connects when first used."""

    def __init__(self, launcher: DaemonLauncher, *, sleep: Sleep = time.sleep) -> None:
        """Makes a client that finds or starts its daemon through `launcher`."""
        self.launcher = launcher
        self._places = launcher.places
        self._sleep = sleep
        self._lock = threading.RLock()
        self._inside = _Inside(self._lock)
        self._connection: _Connection | None = None
        self._is_closed = False
        # Of a daemon that said it is stopping: it is not spoken to again, though it may listen for some seconds more.
        self._draining_instance_id: str | None = None

    # --- calls --------------------------------------------------------------------------------------------------------

    def unary(
        self,
        method: str,
        request: Message,
        response_type: type[R],
        *,
        deadline_s: float = UNARY_DEADLINE_S,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> R:
        """Makes one call, with retries where they are safe.

        Args:
            method: full name, "/package.Service/Method".
            request: sent unchanged each time; mutations carry their request id.
            response_type: class of the answer.
            deadline_s: of one attempt.
            attempts_max: 1 for what is not worth waiting for.

        Raises:
            Error: by the table in `errors`.
        """
        # The same for all tries: operators find them together.
        carried = carried_on(getattr(request, "request_id", ""))
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._unary_once(method, request, response_type, deadline_s, carried)
            except Error as error:
                error.request_id = error.request_id or carried[0][1]
                if attempt >= attempts_max or not may_repeat(error, request):
                    raise
                self._sleep(max(backoff_s(attempt), error.retry_after_s))

    def _unary_once(
        self, method: str, request: Message, response_type: type[R], deadline_s: float, carried: Metadata
    ) -> R:
        while True:
            connection = self._connect()
            import grpc  # after connecting, which is under the lock that a fork waits for

            try:
                with self._inside:
                    call = connection.channel.unary_unary(method, _serialize, response_type.FromString)
                    response: R = call(request, timeout=deadline_s, metadata=(*connection.metadata, *carried))
                return response
            except (grpc.RpcError, ValueError) as error:
                if not connection.closed_for_fork:
                    raise self._failed(connection, error) from None

    def server_stream(
        self, method: str, request: Message, response_type: type[R], *, deadline_s: float | None = None
    ) -> Iterator[R]:
        """Yields the messages of one streaming call; one attempt, which the caller may repeat as the service allows.

        Leaving the iteration early cancels the call.

        Raises:
            Error: by the table in `errors`; `UnavailableError` also when a fork broke the stream.
        """
        connection = self._connect()
        return self._messages(
            connection,
            lambda: connection.channel.unary_stream(method, _serialize, response_type.FromString)(
                request, timeout=deadline_s, metadata=(*connection.metadata, *carried_on())
            ),
        )

    def bidi_stream(self, method: str, requests: Iterator[Message], response_type: type[R]) -> Iterator[R]:
        """Yields the answers of one bidirectional call; a thread of gRPC's takes its requests.

        Raises:
            Error: as `server_stream`.
        """
        connection = self._connect()
        return self._messages(
            connection,
            lambda: connection.channel.stream_stream(method, _serialize, response_type.FromString)(
                requests, metadata=(*connection.metadata, *carried_on())
            ),
        )

    def _messages(self, connection: _Connection, start: Callable[[], Any]) -> Iterator[Any]:
        import grpc

        call = None
        try:
            with self._inside:
                call = start()
            while True:
                with self._inside:
                    message = next(call, None)
                if message is None:
                    return
                yield message
        except (grpc.RpcError, ValueError) as error:
            if connection.closed_for_fork:
                raise UnavailableError("The process forked in the middle of the call; it is made again.") from None
            raise self._failed(connection, error) from None
        finally:
            if call is not None:
                with self._inside:
                    call.cancel()

    def pause(self, seconds: float) -> None:
        """Waits before a stream is begun again."""
        self._sleep(seconds)

    # --- the connection -----------------------------------------------------------------------------------------------

    @property
    def records_batch_max(self) -> int:
        """How many records the daemon takes in one message, and we send."""
        return min(RECORDS_BATCH_MAX, self._connect().hello.limits.records_batch_max or RECORDS_BATCH_MAX)

    def connect(self) -> hello_pb2.HelloResponse:
        """Makes sure that a daemon answers, and returns its Hello.

        Raises:
            UnavailableError: none answers.
            ProtocolMismatchError: its version is too far from ours.
        """
        return self._connect().hello

    def _connect(self) -> _Connection:
        with self._lock:
            if self._is_closed:
                raise Error("The SDK was closed in this process; no daemon is asked any more.")
            if self._connection is None:
                self._connection = self._new_connection()
            return self._connection

    def _new_connection(self) -> _Connection:
        attempt = 0
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            attempt += 1
            self.launcher.ensure_listening()
            try:
                connection = self._greet()
                if connection.hello.instance_id != self._draining_instance_id:
                    return connection
                connection.channel.close()
            except UnavailableError as error:
                if error.reason is Reason.DEADLINE:
                    raise self._no_answer() from error
                if error.reason is not Reason.DRAINING and attempt >= ATTEMPTS_MAX:
                    raise
            if time.monotonic() > deadline:
                raise self._no_answer()
            self._sleep(POLL_S)

    def _no_answer(self) -> UnavailableError:
        return UnavailableError(f"The Holdfast daemon does not answer, or does not end; see {self._places.daemon_log}.")

    def _greet(self) -> _Connection:
        import grpc

        # Quoted: gRPC takes the path for a URI, in which "%", "#" and "?" mean something.
        channel = new_channel(socket_address(self._places.daemon_socket))
        request = hello_pb2.HelloRequest(
            protocol_min=PROTOCOL_MIN, protocol_max=PROTOCOL_MAX, software_version=__version__
        )
        try:
            response: hello_pb2.HelloResponse = channel.unary_unary(
                HELLO, _serialize, hello_pb2.HelloResponse.FromString
            )(request, timeout=HELLO_DEADLINE_S)
            _check_protocol(response)
            return _Connection(channel, self.launcher.read_token(), response)
        except grpc.RpcError as error:
            channel.close()
            raise translate(error) from None
        except (Error, OSError):
            channel.close()
            raise

    def _failed(self, connection: _Connection, error: BaseException) -> Error:
        """Translates an error; forgets the connection when it is of no more use."""
        translated = translate(error)
        if translated.reason is Reason.UNAUTHENTICATED and self.launcher.read_token() != connection.token:
            translated = UnavailableError("The Holdfast daemon was replaced by another one.")
        elif translated.reason is not Reason.DRAINING and not connection_is_lost(error):
            return translated
        with self._lock:
            if translated.reason is Reason.DRAINING:
                self._draining_instance_id = connection.hello.instance_id
            if self._connection is connection:
                self._connection = None
        connection.channel.close()
        return translated

    # --- fork and exit ------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Ends all calls and lets nobody begin one; `after_fork_in_parent` must follow in this process."""
        self._lock.acquire()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.closed_for_fork = True
            connection.channel.close()
        self._inside.wait_empty(FORK_PATIENCE_S)

    def after_fork_in_parent(self) -> None:
        """Lets calls begin again."""
        self._lock.release()

    def close(self) -> None:
        """Ends all calls, for ever: threads that still have something to send must not start a daemon as the process ends."""
        self._is_closed = True
        if not self._lock.acquire(timeout=CLOSE_PATIENCE_S):
            return  # somebody is waiting for a daemon to start; an end does not wait for that
        try:
            connection, self._connection = self._connection, None
        finally:
            self._lock.release()
        if connection is not None:
            connection.channel.close()


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _check_protocol(hello: hello_pb2.HelloResponse) -> None:
    if not PROTOCOL_MIN <= hello.protocol <= PROTOCOL_MAX:
        raise ProtocolMismatchError(
            f"This is Holdfast {__version__} (protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}), the running daemon is"
            f" {hello.software_version} (protocol {hello.protocol}). Stop it with: holdfast daemon stop"
        )
