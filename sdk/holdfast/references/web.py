"""References to what web servers serve: `http://` and `https://`."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from holdfast.errors import CommError, PermissionDeniedError, ReferenceChangedError, ReferenceMissingError
from holdfast.manifest import ArtifactManifestEntry
from holdfast.references.handlers import AddedReference, ReferenceRequest, StorageHandler, extra_json
from holdfast.references.network import NetworkLimits
from holdfast.references.target_file import TargetFile
from holdfastpb.daemon.v1.log_pb2 import AddReference

READ_BYTES = 1 << 20
FIRST_RETRY_DELAY_S = 0.2
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Of servers that may be well again soon."""

_MD5 = re.compile("[0-9a-f]{32}")


class Body(Protocol):
    """What bytes are read from."""

    def read(self, amt: int, /) -> bytes:
        """Returns at most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """Head of an answer, and its body."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Body

    @property
    def etag(self) -> str | None:
        """As the server gives it, with its quotes."""
        return self.headers.get("etag")

    @property
    def size(self) -> int | None:
        """Bytes of the body, if the server says so."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdigit() else None


class HTTPHandler(StorageHandler):
    """`http://…` and `https://…`, one file each."""

    def __init__(self, session: Any = None, scheme: str | None = None, *, limits: NetworkLimits | None = None) -> None:
        """Makes a handler.

        Args:
            session: sends the requests, if given: something with the `get` of `requests.Session`, which may add credentials.
            scheme: default: `http`.
            limits: how long and how often a server is asked.
        """
        self._session = session
        self._scheme = scheme or "http"
        self._limits = limits or NetworkLimits()

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return parsed_url.scheme == self._scheme

    # --- adding -------------------------------------------------------------------------------------------------------

    def references(self, request: ReferenceRequest) -> Iterator[AddedReference]:
        """Asks the server for the ETag, which is the digest; without one the URL is.

        Raises:
            ReferenceMissingError: (a ValueError) there is no such file.
            CommError: the server refuses, or cannot be asked.
        """
        uri = request.uri
        path = request.name or os.path.basename(urlsplit(uri).path)
        if not path:
            raise ValueError(f'{uri} has no file name; pass name="<entry_name>" to add_reference.')
        if not request.checksum:
            yield AddedReference(AddReference(path=path, uri=uri, digest=uri))
            return
        etag, size = self._look_at(uri)
        record = AddReference(path=path, uri=uri, digest=_plain(etag) or uri, size=size or 0)
        record.extra_json = extra_json({"etag": etag} if etag else {})
        yield AddedReference(record)

    def _look_at(self, uri: str) -> tuple[str | None, int | None]:
        if self._session is None:
            with contextlib.suppress(CommError, ReferenceMissingError), self._answer(uri, "HEAD") as answer:
                if answer.etag or answer.size is not None:
                    return answer.etag, answer.size
        # Servers that know no HEAD, or sign for GET only.
        with self._answer(uri, "GET") as answer:
            return answer.etag, answer.size

    # --- fetching -----------------------------------------------------------------------------------------------------

    def fetch(self, entry: ArtifactManifestEntry, target: TargetFile) -> None:
        """Fetches the file, if it still has the recorded ETag (or, where there was none, the recorded size)."""
        etag = entry.extra.get("etag")
        plain = _plain(etag) if isinstance(etag, str) else None
        if plain and _MD5.fullmatch(plain) and target.holds(entry.size or 0, plain):
            return
        with target.writing() as file:
            self._fetch_into(file, entry, etag if isinstance(etag, str) else None)

    def _fetch_into(self, file: FileIO, entry: ArtifactManifestEntry, etag: str | None) -> None:
        """Goes on where a connection broke off, if the server can, and only with the same file."""
        uri = entry.ref_target()
        for attempt in range(self._limits.retries_max + 1):
            have = file.tell() if etag and not etag.startswith("W/") else 0
            headers = {"Range": f"bytes={have}-", "If-Range": etag or ""} if have else {}
            try:
                with self._answer(uri, "GET", headers) as answer:
                    have = have if answer.status == http.client.PARTIAL_CONTENT else 0
                    _check(entry, etag, answer, have)
                    file.truncate(have)
                    file.seek(have)
                    # Where the server does not say how much comes, the connection's end alone would not tell a part from the whole.
                    recorded = entry.size - have if entry.size else None
                    if _copy(answer, file, recorded if answer.size is None else answer.size):
                        return
            except ReferenceMissingError as error:
                raise ReferenceMissingError(
                    f"{entry.path} refers to a file that does not exist any more ({error}); put it back,"
                    " or pass allow_missing_references=True."
                ) from error
            self._pause(attempt)
        raise CommError(f"{uri} breaks off each time before its end, or does not end; nothing was written.")

    # --- requests -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _answer(self, uri: str, method: str, headers: Mapping[str, str] | None = None) -> Iterator[WebAnswer]:
        """Sends a request, repeatedly where that may help, and follows redirections.

        Raises:
            ReferenceMissingError: there is no such file.
            CommError: the server refuses, or cannot be asked.
        """
        all_headers = {"User-Agent": "holdfast", "Accept-Encoding": "identity", **(headers or {})}
        with contextlib.ExitStack() as opened:
            yield self._open(opened, uri, method, all_headers)

    def _open(self, opened: contextlib.ExitStack, uri: str, method: str, headers: Mapping[str, str]) -> WebAnswer:
        send = self._send if self._session is None else self._send_with_session
        begun = time.monotonic()
        for attempt in range(self._limits.retries_max + 1):
            problem: Exception
            try:
                answer = opened.enter_context(send(uri, method, headers))
            except (OSError, http.client.HTTPException) as error:
                problem = CommError(f"{uri} cannot be asked: {error}")
                problem.__cause__ = error
            else:
                if answer.status in (http.client.OK, http.client.PARTIAL_CONTENT):
                    return answer
                problem = _refusal(uri, answer.status)
                opened.close()
                if answer.status not in RETRIED_STATUSES:
                    break
            if time.monotonic() - begun > self._limits.retry_total_s:
                break
            self._pause(attempt)
        raise problem

    @contextlib.contextmanager
    def _send(self, uri: str, method: str, headers: Mapping[str, str]) -> Iterator[WebAnswer]:
        request = urllib.request.Request(uri, headers=dict(headers), method=method)
        try:
            response = _opener(tuple(sorted(urllib.request.getproxies().items()))).open(
                request, timeout=self._limits.read_timeout_s
            )
        except urllib.error.HTTPError as error:
            response = error
        with response:
            names = {name.lower(): value for name, value in response.headers.items()}
            yield WebAnswer(response.status, names, response)

    @contextlib.contextmanager
    def _send_with_session(self, uri: str, method: str, headers: Mapping[str, str]) -> Iterator[WebAnswer]:
        limits = (self._limits.connect_timeout_s, self._limits.read_timeout_s)
        # W&B's handlers only ever send GET, so a session need not know more.
        response = self._session.get(uri, stream=True, headers=dict(headers), timeout=limits)
        with contextlib.closing(response):
            names = {name.lower(): value for name, value in response.headers.items()}
            yield WebAnswer(response.status_code, names, response.raw)

    def _pause(self, attempt: int) -> None:
        if attempt < self._limits.retries_max:
            time.sleep(min(FIRST_RETRY_DELAY_S * 2**attempt, self._limits.retry_delay_max_s))


@lru_cache(maxsize=4)
def _opener(proxies: tuple[tuple[str, str], ...]) -> urllib.request.OpenerDirector:
    """Requests to web servers, and to nothing else that a redirection may name.

    Kept, since it holds what the system trusts; for each setting of the proxies one, since a program may change that.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(dict(proxies)),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _copy(answer: WebAnswer, file: FileIO, expected: int | None) -> bool:
    """Writes the body to the end of the file; returns whether all of it came, and no more."""
    came = 0
    while expected is None or came <= expected:
        try:
            data = answer.body.read(READ_BYTES)
        except (OSError, http.client.HTTPException):
            return False
        if not data:
            return expected is None or came == expected
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        came += len(data)
    return False


def _check(entry: ArtifactManifestEntry, etag: str | None, answer: WebAnswer, have: int) -> None:
    """Compares what the server has with what was recorded.

    Raises:
        ReferenceChangedError: it is something else.
    """
    size = None if answer.size is None else answer.size + have
    same_size = not entry.size or size is None or size == entry.size
    if not (answer.etag == etag if etag else same_size):
        recorded = f"ETag {etag}, {entry.size} bytes" if etag else f"{entry.size} bytes"
        raise ReferenceChangedError(
            f"Digest mismatch for {entry.path}: {entry.ref} was recorded with {recorded}, and has ETag {answer.etag} and {size} bytes"
            " now; log the artifact again, or put the file back."
        )


def _plain(etag: str | None) -> str | None:
    """An ETag without its quotes, as W&B takes it for digest."""
    return etag[1:-1] if etag and etag[0] == etag[-1] == '"' else etag


def _refusal(uri: str, status: int) -> Exception:
    reason = http.client.responses.get(status, "no known reason")
    if status in (http.client.NOT_FOUND, http.client.GONE):
        return ReferenceMissingError(f"{uri}: {status} {reason}")
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        text = f"{uri} does not let us in ({status} {reason}); register an HTTPHandler whose session brings the credentials"
        return PermissionDeniedError(f"{text}.")
    return CommError(f"{uri} cannot be had: {status} {reason}.")
