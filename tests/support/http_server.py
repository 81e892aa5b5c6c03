"""A web server in this process, whose files and faults a test chooses.

with WebServer() as web:
    url = web.put("/data.bin", b"bytes", etag='"1"')
    web.files["/data.bin"].break_after = 2
"""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class WebFile:
    """What one path answers."""

    body: bytes = b""
    etag: str | None = None
    redirect_to: str | None = None
    refuses_head: bool = False
    statuses: list[int] = field(default_factory=list)
    """Answered one after another, before the file itself is."""
    break_after: int | None = None
    """The next GET ends after so many bytes."""
    tells_size: bool = True
    """Otherwise the end of the connection is that of the body."""


class WebServer:
    """Serves `files` on a port of the loopback interface; `requests` has what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, WebFile] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path, and the Range header."""
        files, requests = self.files, self.requests

        class Handler(_Handler):
            pass

        Handler.files, Handler.requests = files, requests
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, body: bytes, etag: str | None = None) -> str:
        """Serves a file; returns its URL."""
        self.files[path] = WebFile(body, etag)
        return self.url + path

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
    files: dict[str, WebFile]
    requests: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        self.requests.append((self.command, self.path, self.headers.get("Range")))
        file = self.files.get(self.path.partition("?")[0])
        if file is None:
            self._end(404)
        elif not with_body and file.refuses_head:
            self._end(405)
        elif file.statuses:
            self._end(file.statuses.pop(0))
        elif file.redirect_to is not None:
            self._end(302, Location=file.redirect_to)
        else:
            self._send_file(file, with_body=with_body)

    def _send_file(self, file: WebFile, *, with_body: bool) -> None:
        start = 0
        wanted = self.headers.get("Range", "")
        if wanted and self.headers.get("If-Range") == file.etag:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Length": str(len(file.body) - start)} if file.tells_size else {"Connection": "close"}
        if file.etag:
            headers["ETag"] = file.etag
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not with_body:
            return
        end = len(file.body)
        if file.break_after is not None:
            end, file.break_after = start + file.break_after, None
            self.close_connection = True
        self.wfile.write(file.body[start:end])

    def _end(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
