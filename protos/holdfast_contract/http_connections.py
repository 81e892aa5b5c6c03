"""Connections to HTTP servers for threads: kept while they are idle, by way of the environment's proxies.

Bytes of an answer go from the socket into a buffer of whoever reads them, which costs a fraction of what an event loop's streams do.
"""

import base64
import http.client
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

CONNECT_TIMEOUT_S = 10
IDLE_MAX_S = 15
"""Servers end connections that are idle for longer; one that has just been ended costs a further request."""


class HttpConnection:
    """To one server, perhaps by way of a proxy."""

    def __init__(self, parts: SplitResult, context: ssl.SSLContext | None = None) -> None:
        """Does not connect yet.

        Args:
            parts: of an address of the server.
            context: for TLS; None: the system's authorities.

        Raises:
            ValueError: it is no address of a server.
        """
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError("no address of a server")
        self._through: Mapping[str, str] | None = None
        proxy = _proxy_of(parts)
        if parts.scheme == "https":
            context = context or ssl.create_default_context()
            place = (parts.hostname, parts.port) if proxy is None else (proxy.hostname, proxy.port)
            self.http: http.client.HTTPConnection = http.client.HTTPSConnection(
                place[0] or "", place[1], timeout=CONNECT_TIMEOUT_S, context=context
            )
            if proxy is not None:
                self.http.set_tunnel(parts.hostname, parts.port, dict(_proxy_headers(proxy)))
        else:
            place = (parts.hostname, parts.port) if proxy is None else (proxy.hostname, proxy.port)
            self.http = http.client.HTTPConnection(place[0] or "", place[1], timeout=CONNECT_TIMEOUT_S)
            self._through = None if proxy is None else _proxy_headers(proxy)

    def ask(self, url: str, parts: SplitResult, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Sends a GET and returns what begins to come.

        Raises:
            http.client.HTTPException, OSError: there is no answer.
        """
        self.begin("GET", url, parts, headers)
        return self.http.getresponse()

    def begin(self, method: str, url: str, parts: SplitResult, headers: Mapping[str, str]) -> None:
        """Sends a request up to its body.

        Raises:
            http.client.HTTPException, OSError, ValueError: it cannot be sent.
        """
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        if self._through is not None:
            target, headers = url, {**headers, **self._through}
        # The host as it was signed, with its port, whatever that is.
        self.http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": parts.netloc.rpartition("@")[2], **headers}.items():
            self.http.putheader(name, value)
        self.http.endheaders()


class KeptConnections:
    """Those that are open and idle; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[tuple[float, HttpConnection]]] = {}

    def take(self, parts: SplitResult) -> HttpConnection | None:
        """Returns one to this server that is most likely still good; None: there is none."""
        now_s = time.monotonic()
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc), [])
            while idle:
                since_s, connection = idle.pop()
                if now_s - since_s <= IDLE_MAX_S:
                    return connection
                connection.http.close()
        return None

    def give_back(self, parts: SplitResult, connection: HttpConnection) -> None:
        """Keeps one whose last answer was read to its end."""
        with self._lock:
            self._idle.setdefault((parts.scheme, parts.netloc), []).append((time.monotonic(), connection))

    def close(self) -> None:
        """Ends those that are idle."""
        with self._lock:
            for idle in self._idle.values():
                for _, connection in idle:
                    connection.http.close()
            self._idle.clear()


def _proxy_of(parts: SplitResult) -> SplitResult | None:
    address = urllib.request.getproxies().get(parts.scheme)
    if not address or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urlsplit(address if "://" in address else f"http://{address}")


def _proxy_headers(proxy: SplitResult) -> Mapping[str, str]:
    if proxy.username is None:
        return {}
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
