"""PUTs of files in threads: on a plain connection bytes go from the file into the socket without passing this process.

An event loop takes each block from a thread, keeps what the socket does not take at once, and moves the rest; that costs more than
the bytes do.
"""

import asyncio
import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

from holdfast_contract.http_connections import HttpConnection, KeptConnections
from holdfast_contract.limits import KIB
from holdfast_daemon.pipeline.http_gets import ERROR_BYTES_MAX, SILENCE_MAX_S, BrokenError
from holdfast_daemon.pipeline.http_threads import HttpThreads

BLOCK_BYTES = 512 * KIB
"""Encrypted at once."""
ASKED_S = 1.0
"""A server that wants to answer before the body is given so long; one that waits for the body says nothing."""
_FAILURES = (http.client.HTTPException, OSError, ValueError)
"""ValueError: an address or a header that cannot be sent."""
_CONTINUE = b"HTTP/1.1 100"
_HEAD_END = b"\r\n\r\n"

Allow = Callable[[int], Coroutine[Any, Any, int]]
"""Is told how many bytes are left; returns how many may go now."""


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """What the server says."""

    status: int
    reason: str
    text: bytes
    """Its beginning."""


class HttpPuts:
    """PUTs of one daemon, over connections that are kept; proxies are those of the environment."""

    def __init__(self, at_once_max: int) -> None:
        """Takes how many there are at once, at most; each has a thread."""
        self._threads = HttpThreads(at_once_max, "holdfast-put")

    async def put(
        self, path: Path, size_bytes: int, url: str, headers: Mapping[str, str], allow: Allow, *, asks_first: bool
    ) -> PutAnswer:
        """Brings a file; when this is cancelled nothing of it is sent any more.

        Args:
            path: of the file.
            size_bytes: of the file.
            url: as it was signed.
            headers: that it wants, the length among them.
            allow: is awaited, on this loop, before bytes go.
            asks_first: whether the server is asked if it wants the body; there are proxies that never answer to that.

        Raises:
            BrokenError: there is no answer.
        """
        one = _Put(self._threads.connections, path, size_bytes, url, headers, allow, asks_first=asks_first)
        return await self._threads.run(one)

    def close(self) -> None:
        """Ends connections that are idle; the others end with their calls."""
        self._threads.close()


class _Put:
    """One PUT, which its thread runs and the event loop may cancel."""

    def __init__(
        self,
        connections: KeptConnections,
        path: Path,
        size_bytes: int,
        url: str,
        headers: Mapping[str, str],
        allow: Allow,
        *,
        asks_first: bool,
    ) -> None:
        self._connections = connections
        self._path = path
        self._size_bytes = size_bytes
        self._url = url
        self._headers = {**headers, "Expect": "100-continue"} if asks_first else headers
        self._asks_first = asks_first
        self._allow = allow
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._allowing: Future[int] | None = None
        self._is_cancelled = False

    def cancel(self) -> bool:
        """Ends it; returns False when it is only connecting: then it ends by itself, and sends nothing."""
        with self._lock:
            self._is_cancelled = True
            if self._allowing is not None:
                self._allowing.cancel()
            if self._socket is None:
                return False
            with contextlib.suppress(OSError):  # the server was faster
                # Below TLS, whose own state belongs to the thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            return True

    def run(self) -> PutAnswer:
        with self._path.open("rb", buffering=0) as file:
            try:
                parts = urlsplit(self._url)
                connection = self._connected(parts)
                try:
                    return self._exchanged(connection, parts, cast(BinaryIO, file))
                except BaseException:  # whatever it is, nobody else can close it
                    connection.http.close()
                    raise
                finally:
                    with self._lock:
                        self._socket = None
            except _FAILURES as error:
                raise BrokenError(type(error).__name__) from error

    def _connected(self, parts: SplitResult) -> HttpConnection:
        kept = self._connections.take(parts)
        while kept is not None and _is_readable(kept.http.sock):
            kept.http.close()  # ended by the server while it was idle
            kept = self._connections.take(parts)
        connection = kept or HttpConnection(parts)
        if kept is None:
            connection.http.connect()
        with self._lock:
            self._socket = connection.http.sock
            if self._is_cancelled:
                raise ConnectionAbortedError
        connection.http.sock.settimeout(SILENCE_MAX_S)
        return connection

    def _exchanged(self, connection: HttpConnection, parts: SplitResult, file: BinaryIO) -> PutAnswer:
        at_socket = connection.http.sock
        connection.begin("PUT", self._url, parts, self._headers)
        if self._asks_first and (early := _early_answer(at_socket)) is not None:
            connection.http.close()
            return early
        try:
            is_whole = self._send(at_socket, file)
        except OSError:
            if self._is_cancelled:
                raise
            # A server that does not want the rest may have said so before it hung up.
            is_whole = False
            at_socket.settimeout(ASKED_S)
        answer = connection.http.getresponse()
        found = PutAnswer(answer.status, answer.reason, answer.read(ERROR_BYTES_MAX))
        if is_whole and answer.isclosed() and connection.http.sock is not None:
            self._connections.give_back(parts, connection)
        else:
            answer.close()
            connection.http.close()
        return found

    def _send(self, at_socket: socket.socket, file: BinaryIO) -> bool:
        """Returns whether all of it went: a server that answers before the end does not want the rest."""
        at = 0
        while at < self._size_bytes:
            length = self._allowed(self._size_bytes - at)
            if at and not isinstance(at_socket, ssl.SSLSocket) and _is_readable(at_socket):
                return False
            if isinstance(at_socket, ssl.SSLSocket):
                _send_blocks(at_socket, file.fileno(), at, length)
            elif at_socket.sendfile(file, at, length) != length:
                raise ConnectionAbortedError("the file is shorter than it was")
            at += length
        return True

    def _allowed(self, left_bytes: int) -> int:
        with self._lock:
            if self._is_cancelled:
                raise ConnectionAbortedError
            self._allowing = asyncio.run_coroutine_threadsafe(self._allow(left_bytes), self._loop)
        try:
            return self._allowing.result()
        except CancelledError as error:
            raise ConnectionAbortedError from error


def _send_blocks(at_socket: socket.socket, descriptor: int, offset: int, length: int) -> None:
    buffer = memoryview(bytearray(min(BLOCK_BYTES, length)))
    while length:
        count = os.preadv(descriptor, [buffer[: min(length, BLOCK_BYTES)]], offset)
        if not count:
            raise ConnectionAbortedError("the file is shorter than it was")
        at_socket.sendall(buffer[:count])
        offset, length = offset + count, length - count


def _is_readable(at_socket: socket.socket) -> bool:
    """Whether there is an answer, or the end; session tickets of TLS look the same."""
    poll = select.poll()
    poll.register(at_socket, select.POLLIN)
    return bool(poll.poll(0))


def _early_answer(at_socket: socket.socket) -> PutAnswer | None:
    """Waits for a server to say whether it wants the body; None: it does, or does not say."""
    at_socket.settimeout(ASKED_S)
    try:
        begun = at_socket.recv(ERROR_BYTES_MAX)
        while begun.startswith(_CONTINUE) and _HEAD_END not in begun:
            begun += at_socket.recv(ERROR_BYTES_MAX)
    except TimeoutError:
        return None
    finally:
        at_socket.settimeout(SILENCE_MAX_S)
    if begun.startswith(_CONTINUE):
        return None
    answer = http.client.HTTPResponse(cast(socket.socket, _Begun(begun, at_socket)), method="PUT")
    answer.begin()
    return PutAnswer(answer.status, answer.reason, answer.read(ERROR_BYTES_MAX))


class _Begun(io.RawIOBase):
    """A socket of which the first bytes were read already, as `http.client` wants one."""

    def __init__(self, begun: bytes, at_socket: socket.socket) -> None:
        super().__init__()
        self._begun = begun
        self._socket = at_socket

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._begun:
            return self._socket.recv_into(buffer)
        count = min(len(buffer), len(self._begun))
        buffer[:count] = self._begun[:count]
        self._begun = self._begun[count:]
        return count
