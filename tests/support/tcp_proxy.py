"""A bad network between a daemon and a registry on TCP: connections that stall, break, close half or go byte by byte."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BLOCK_BYTES = 65_536
ACCEPT_POLL_S = 0.2


@dataclass(frozen=True)
class Fault:
    """What happens to connections made from now on; each direction counts its own bytes."""

    cut_after_bytes: int | None = None
    """The connection is reset when so many bytes have gone to the registry, or (`of_replies`) have come from it."""
    of_replies: bool = False
    half_close: bool = False
    """Instead of a reset, only the direction that counted is closed."""
    swallow: bool = False
    """Instead of a reset, all that follows is lost without a word, as when a cable is pulled."""
    delay_s: float = 0.0
    """Before each block."""
    segment_bytes: int = BLOCK_BYTES
    """Size of the pieces that are passed on."""
    refuse: bool = False
    """New connections are closed at once."""
    answer: bytes | None = None
    """A connection gets this instead of being passed on, whatever it asks."""
    cuts: int = 1
    """So many connections are cut or answered; later ones are passed on as they are."""


class TcpProxy:
    """Listens on a port and passes on to an upstream (host:port, or a Unix socket's path); `fault` may be changed at any time.

    With several it balances: each connection goes to the next one that accepts it.
    """

    def __init__(self, *upstreams: str) -> None:
        self._upstreams = upstreams
        self.accepted = 0
        """Connections that were passed on."""
        self.fault = Fault()
        self.cuts_done = 0
        """Connections that a fault has ended or silenced."""
        self.sent_bytes = 0
        """That upstreams have taken, on all connections."""
        self.reply_bytes = 0
        """That clients have taken."""
        self._cuts = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(ACCEPT_POLL_S)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, name="tcp-proxy", daemon=True)]
        self._threads[0].start()

    def set_fault(self, fault: Fault) -> None:
        """Changes what happens, counts cuts anew, and breaks the connections that are open."""
        with self._lock:
            self.fault = fault
            self._cuts = 0
        self.break_all()

    def break_all(self) -> None:
        """Resets every connection."""
        with self._lock:
            sockets = list(self._open)
        for each in sockets:
            _reset(each)

    def close(self) -> None:
        """Ends the proxy."""
        self._closed = True
        self.break_all()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.fault.refuse:
                _reset(client)
                continue
            if self.fault.answer is not None and self._may_cut():
                self._start(_answer, client, self.fault.answer)
                continue
            server = self._connect_next()
            if server is None:
                _reset(client)
                continue
            self.accepted += 1
            for each in (client, server):
                each.settimeout(None)
                if each.family != socket.AF_UNIX:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            for source, target, replies in ((client, server, False), (server, client, True)):
                self._start(self._pass_on, source, target, replies)

    def _connect_next(self) -> socket.socket | None:
        first = self.accepted % len(self._upstreams)
        for upstream in (*self._upstreams[first:], *self._upstreams[:first]):
            with contextlib.suppress(OSError):
                return _connect(upstream)
        return None

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, replies: bool) -> None:
        fault = self.fault
        left = fault.cut_after_bytes if replies == fault.of_replies else None
        try:
            while data := source.recv(BLOCK_BYTES):
                time.sleep(fault.delay_s)
                cut = left is not None and len(data) >= left and self._may_cut()
                part = data[:left] if cut else data
                for at in range(0, len(part), fault.segment_bytes):
                    target.sendall(part[at : at + fault.segment_bytes])
                with self._lock:
                    if replies:
                        self.reply_bytes += len(part)
                    else:
                        self.sent_bytes += len(part)
                if cut and fault.swallow:
                    _swallow(source)
                if cut and not fault.half_close:
                    _reset(source)
                    _reset(target)
                if cut:
                    break
                if left is not None:
                    left = left - len(data) if left > len(data) else None
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            if fault.half_close:
                _swallow(source)
        except OSError:  # one side was reset, which the other one must hear of
            _reset(source)
            _reset(target)
        with self._lock:
            self._open -= {source}

    def _may_cut(self) -> bool:
        with self._lock:
            self._cuts += 1
            done = self._cuts <= self.fault.cuts
            self.cuts_done += done
            return done


def _connect(upstream: str) -> socket.socket:
    if upstream.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(10)
        server.connect(upstream)
        return server
    host, _, port = upstream.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def _answer(client: socket.socket, reply: bytes) -> None:
    """Answers a request as a server does that does not want its body, and takes that nevertheless."""
    with contextlib.suppress(OSError):
        client.recv(BLOCK_BYTES)
        client.sendall(reply)
        client.shutdown(socket.SHUT_WR)
        _swallow(client)
    client.close()


def _swallow(source: socket.socket) -> None:
    """Takes all that comes, so that the sender believes it arrives."""
    while source.recv(BLOCK_BYTES):
        pass


def _reset(each: socket.socket) -> None:
    """Ends a connection by RST, as a middle box that forgot it does."""
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
