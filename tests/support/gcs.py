"""A stand-in for Google Cloud Storage, in this process: the part of its XML API that reading needs, with generations.

No emulator of that API can be had from PyPI or npm, so this is no proof of how Google's own servers behave; it answers as their
documentation says.  A test may also choose an object's ETag, and damage what is sent.
"""

import hashlib
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class StoredObject:
    """One generation of one object."""

    body: bytes
    etag: str
    generation: int
    damaged: list[bytes]
    """Sent one after another instead of the body."""


class GcsStandIn:
    """Buckets are made by what is put into them; `environ` lets a client find the server."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], list[StoredObject]] = {}
        self._next_generation = 1_700_000_000_000_001
        objects = self._objects

        class Handler(_Handler):
            pass

        Handler.objects = objects
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.environ = {"STORAGE_EMULATOR_HOST": f"127.0.0.1:{self._server.server_port}"}

    def put(self, bucket: str, key: str, body: bytes, etag: str | None = None) -> StoredObject:
        """Stores another generation of an object."""
        etag = etag or hashlib.md5(body, usedforsecurity=False).hexdigest()
        stored = StoredObject(body, etag, self._next_generation, [])
        self._next_generation += 1
        self._objects.setdefault((bucket, key), []).append(stored)
        return stored

    def delete(self, bucket: str, key: str) -> None:
        """Removes an object with all its generations."""
        del self._objects[bucket, key]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[tuple[str, str], list[StoredObject]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        query = parse_qs(url.query, keep_blank_values=True)
        if not key:
            self._list(bucket, query.get("prefix", [""])[0])
            return
        generation = query.get("generation", [""])[0]
        generations = self.objects.get((bucket, key), [])
        found = [one for one in generations if not generation or str(one.generation) == generation]
        if found:
            self._send_object(found[-1])
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send_object(self, stored: StoredObject) -> None:
        condition = self.headers.get("If-Match")
        if condition is not None and condition != f'"{stored.etag}"':
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        body = stored.body
        if self.command == "GET" and stored.damaged:
            body = stored.damaged.pop(0)
        self._send(200, body, {"ETag": f'"{stored.etag}"', "x-goog-generation": str(stored.generation)})

    def _list(self, bucket: str, prefix: str) -> None:
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{stored[-1].etag}"</ETag><Size>{len(stored[-1].body)}</Size></Contents>'
            for (owner, key), stored in sorted(self.objects.items())
            if owner == bucket and key.startswith(prefix)
        )
        self._send(200, f"<ListBucketResult><Name>{bucket}</Name>{contents}</ListBucketResult>".encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        defaults = {"Content-Length": str(len(body)), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in {**defaults, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
