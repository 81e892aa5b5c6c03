"""Ranges of S3 objects, read in threads: from the socket into the block that is handed on, by addresses signed on the spot.

The asyncio client makes three copies of what it receives, which costs several times what checking it does; packs are read back
whole, so that is most of what a registry over S3 does.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn, ParamSpec, TypeVar
from urllib.parse import SplitResult, urlsplit

from holdfast_contract.http_connections import HttpConnection, KeptConnections
from holdfast_registry.blobstore.store import PackGoneError, StoreUnavailableError
from holdfast_registry.metrics.tallies import StoreTally

P = ParamSpec("P")
T = TypeVar("T")

OPERATION = "GetObject"
CUT_ATTEMPTS = 4
"""Of one range whose bytes stop coming after the answer has begun."""
RETRY_BASE_S = 0.2
SILENCE_MAX_S = 30
ERROR_BYTES_MAX = 4096
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")
_PARTIAL = 206
_GONE = frozenset({"NoSuchKey", "NotFound", "404"})
"""Codes; a bucket that is not there is answered with the same status."""
_ENDS_BEFORE = 416
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_FAILURES = (http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class FoundRange:
    """A range of an object."""

    data: memoryview
    """Less than was asked for only at the end of the object."""
    object_bytes: int
    """Size of the whole object."""


class _PassingError(Exception):
    """What may go well the next time; says why it did not."""


class _CutShortError(_PassingError):
    """An answer began well and did not come to its end."""


class S3Gets:
    """GETs of one store; for any thread."""

    def __init__(
        self, sign: Callable[[str], str], tally: StoreTally, shown: str, at_once_max: int, attempts_max: int
    ) -> None:
        """Connects to nothing yet.

        Args:
            sign: returns an address for a GET of a key; is called in threads and may block.
            tally: of the store.
            shown: the store, for messages.
            at_once_max: ranges that are read at once; each has a thread.
            attempts_max: of a range that gets no answer or a passing refusal.
        """
        self._sign = sign
        self._tally = tally
        self._shown = shown
        self._attempts_max = attempts_max
        self._connections = KeptConnections()
        self._threads = ThreadPoolExecutor(at_once_max, "s3-get")
        # As the asyncio client takes it, so that one setting serves both.
        self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)

    def close(self) -> None:
        """Ends connections that are idle; the others end with their reads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connections.close()

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begins, in a thread, what reads a range."""
        return self._threads.submit(work, *args, **kwargs)

    def read(self, key: str, offset: int, length: int, into: bytearray | None = None) -> FoundRange:
        """Reads a range.

        Args:
            key: of the object.
            offset: of the range.
            length: of the range.
            into: where its bytes are put, from the beginning; None: memory of its own.

        Raises:
            PackGoneError: there is no such object.
            StoreUnavailableError: the server does not answer, or refuses.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._read_once(key, offset, length, into)
            except _PassingError as error:
                attempts_max = CUT_ATTEMPTS if isinstance(error, _CutShortError) else self._attempts_max
                if attempt >= attempts_max:
                    raise StoreUnavailableError(f"{OPERATION} in {self._shown} {error}") from error
                self._tally.note_retry(OPERATION)
            # Full jitter: registries that one server has sent away do not come back together.
            time.sleep(random.uniform(0, RETRY_BASE_S * 2 ** (attempt - 1)))

    def _read_once(self, key: str, offset: int, length: int, into: bytearray | None) -> FoundRange:
        url = self._sign(key)
        parts = urlsplit(url)
        headers = {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"}
        try:
            connection, answer = self._ask(url, parts, headers)
        except _FAILURES as error:
            self._tally.note(OPERATION, type(error).__name__)
            raise _PassingError(f"failed ({type(error).__name__})") from error
        is_whole = False
        try:
            found = self._found(answer, offset, length, into)
            is_whole = answer.isclosed() and connection.http.sock is not None
            return found
        finally:
            if is_whole:
                self._connections.give_back(parts, connection)
            else:
                answer.close()
                connection.http.close()

    def _ask(
        self, url: str, parts: SplitResult, headers: dict[str, str]
    ) -> tuple[HttpConnection, http.client.HTTPResponse]:
        kept = self._connections.take(parts)
        if kept is not None:
            try:
                return kept, kept.ask(url, parts, headers)
            except _FAILURES:
                kept.http.close()  # most likely ended by the server while it was idle
        connection = HttpConnection(parts, self._tls)
        try:
            connection.http.connect()
            connection.http.sock.settimeout(SILENCE_MAX_S)
            return connection, connection.ask(url, parts, headers)
        except BaseException:  # whatever it is, nobody else can close it
            connection.http.close()
            raise

    def _found(self, answer: http.client.HTTPResponse, offset: int, length: int, into: bytearray | None) -> FoundRange:
        if answer.status != _PARTIAL:
            return self._judge(answer, offset)
        self._tally.note(OPERATION, "ok")
        first, object_bytes = _content_range(answer)
        if first != offset:
            raise _PassingError("brought other bytes than were asked for")
        wanted_bytes = min(length, object_bytes - offset)
        data = memoryview(bytearray(wanted_bytes) if into is None else into)[:wanted_bytes]
        filled = 0
        try:
            while filled < len(data) and (count := answer.readinto(data[filled:])):
                filled += count
            # Nothing more may come; who has read that is rid of the answer, and may use the connection again.
            filled += len(answer.read(1))
        except _FAILURES as error:
            raise _CutShortError(f"breaks off ({type(error).__name__})") from error
        if filled != len(data):
            raise _CutShortError(f"breaks off ({filled} of {len(data)} bytes came)")
        return FoundRange(data, object_bytes)

    def _judge(self, answer: http.client.HTTPResponse, offset: int) -> FoundRange:
        """Says what an answer means that is not the wanted range."""
        try:
            matched = _CODE.search(answer.read(ERROR_BYTES_MAX))
        except _FAILURES as error:
            raise _CutShortError(f"breaks off ({type(error).__name__})") from error
        code = matched[1].decode() if matched else str(answer.status)
        self._tally.note(OPERATION, code)
        if answer.status == _ENDS_BEFORE:
            return FoundRange(memoryview(b""), offset)  # an empty one has no range at all
        if code in _GONE:
            raise PackGoneError(code)
        self._refuse(answer.status, code)

    def _refuse(self, status: int, code: str) -> NoReturn:
        text = f"was refused with {code}"
        if status in _PASSING:
            raise _PassingError(text)
        raise StoreUnavailableError(f"{OPERATION} in {self._shown} {text}")


def _content_range(answer: http.client.HTTPResponse) -> tuple[int, int]:
    """Returns the first byte of an answer and the size of the object."""
    matched = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.getheader("Content-Range", ""))
    if matched is None:
        raise _PassingError("brought bytes without saying which")
    return int(matched[1]), int(matched[2])
