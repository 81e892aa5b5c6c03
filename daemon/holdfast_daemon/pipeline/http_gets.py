"""GETs of ranges in threads: bytes go from the socket into one buffer, and out of it to whoever takes them.

An event loop makes new blocks of what it receives, once for the socket and once for the parser, and hands each to a thread; that
costs several times what the bytes do.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from holdfast_contract.http_connections import HttpConnection, KeptConnections
from holdfast_contract.limits import KIB
from holdfast_daemon.pipeline.http_threads import HttpThreads

SILENCE_MAX_S = 60
"""A server that neither takes nor sends a byte for so long is gone."""
BLOCK_BYTES = 512 * KIB
"""Of each connection: few enough calls to cost nothing, small enough for the processor's cache."""
ERROR_BYTES_MAX = 4096
_PARTIAL = 206
_FAILURES = (http.client.HTTPException, OSError, ValueError)
"""ValueError: an address or a header that cannot be sent."""

Take = Callable[[memoryview], None]
"""Uses the next bytes, before it returns; is called in a thread."""


class BrokenError(Exception):
    """The answer did not come, or not whole; says why without the address, which is a secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says."""

    status: int
    reason: str
    content_range: str
    text: bytes
    """Of an answer that is not the wanted range, its beginning."""


class HttpGets:
    """GETs of one daemon, over connections that are kept; proxies are those of the environment."""

    def __init__(self, at_once_max: int) -> None:
        """Takes how many there are at once, at most; each has a thread."""
        self._threads = HttpThreads(at_once_max, "holdfast-get")

    async def get(self, url: str, headers: Mapping[str, str], offset: int, length: int, take: Take) -> Answer:
        """Brings a range.  When this is cancelled or raises, `take` is not called any more.

        Args:
            url: as it was signed.
            headers: that it wants.
            offset: of the first byte.
            length: of the range.
            take: gets all of it, in order.

        Raises:
            BrokenError: see there.
            Exception: whatever `take` raises.
        """
        one = _Get(self._threads.connections, url, headers, (offset, length), take)
        return await self._threads.run(one)

    def close(self) -> None:
        """Ends connections that are idle; the others end with their calls."""
        self._threads.close()


class _Get:
    """One GET, which its thread runs and the event loop may cancel."""

    _of_thread = threading.local()

    def __init__(
        self, connections: KeptConnections, url: str, headers: Mapping[str, str], wanted: tuple[int, int], take: Take
    ) -> None:
        self._connections = connections
        self._url = url
        self._offset, self._length = wanted
        last = self._offset + self._length - 1
        self._headers = {**headers, "Range": f"bytes={self._offset}-{last}", "Accept-Encoding": "identity"}
        self._range = f"bytes {self._offset}-{last}/"
        self._take = take
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cancelled = False

    def cancel(self) -> bool:
        """Ends it; returns False when it is only connecting: then it ends by itself, without a further call of `take`."""
        with self._lock:
            self._is_cancelled = True
            if self._socket is None:
                return False
            try:
                # Below TLS, whose own state belongs to the thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return True  # the server was faster
            return True

    def run(self) -> Answer:
        try:
            parts = urlsplit(self._url)
            connection, answer = self._ask(parts)
        except _FAILURES as error:
            raise BrokenError(type(error).__name__) from error
        is_whole = False
        try:
            found = self._read(answer)
            is_whole = answer.isclosed() and connection.http.sock is not None
            return found
        finally:
            with self._lock:
                self._socket = None
            if is_whole:
                self._connections.give_back(parts, connection)
            else:
                answer.close()
                connection.http.close()

    def _ask(self, parts: SplitResult) -> tuple[HttpConnection, http.client.HTTPResponse]:
        kept = self._connections.take(parts)
        if kept is not None:
            try:
                self._attach(kept)
                return kept, kept.ask(self._url, parts, self._headers)
            except (http.client.HTTPException, OSError):
                kept.http.close()  # most likely ended by the server while it was idle
                with self._lock:
                    self._socket = None
        connection = HttpConnection(parts)
        try:
            connection.http.connect()
            self._attach(connection)
            return connection, connection.ask(self._url, parts, self._headers)
        except BaseException:  # whatever it is, nobody else can close it
            with self._lock:
                self._socket = None
            connection.http.close()
            raise

    def _attach(self, connection: HttpConnection) -> None:
        with self._lock:
            if self._is_cancelled:
                raise ConnectionAbortedError
            self._socket = connection.http.sock
        connection.http.sock.settimeout(SILENCE_MAX_S)

    def _read(self, answer: http.client.HTTPResponse) -> Answer:
        content_range = answer.getheader("Content-Range", "")
        text = b""
        if answer.status == _PARTIAL and content_range.startswith(self._range):
            self._pass_on(answer)
        else:
            try:
                text = answer.read(ERROR_BYTES_MAX)
            except _FAILURES as error:
                raise BrokenError(type(error).__name__) from error
        return Answer(answer.status, answer.reason, content_range, text)

    def _pass_on(self, answer: http.client.HTTPResponse) -> None:
        buffer = self._buffer()
        rest = self._length
        while rest:
            try:
                count = answer.readinto(buffer[: min(rest, BLOCK_BYTES)])
            except _FAILURES as error:
                raise BrokenError(type(error).__name__) from error
            if not count:
                raise BrokenError(f"{self._length - rest} of {self._length} bytes came")
            self._take(buffer[:count])
            rest -= count

    @classmethod
    def _buffer(cls) -> memoryview:
        """The thread's own: new ones for each range would have to be had from the system page by page."""
        found: memoryview | None = getattr(cls._of_thread, "buffer", None)
        if found is None:
            found = cls._of_thread.buffer = memoryview(bytearray(BLOCK_BYTES))
        return found
