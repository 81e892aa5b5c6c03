"""A bad network between a daemon and a registry on TCP: connections that stall, break, close half or go byte by byte."""

import contextlib
import socket
import struct
import threading
import time
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
    delay_s: float = 0.0
    """Before each block."""
    segment_bytes: int = BLOCK_BYTES
    """Size of the pieces that are passed on."""
    refuse: bool = False
    """New connections are closed at once."""
    cuts: int = 1
    """So many connections are cut; later ones are passed on as they are."""


class TcpProxy:
    """Listens on a port of its own and passes on to `upstream` (host:port); `fault` may be changed at any time."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self.fault = Fault()
        self.connections = 0
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
            self.connections += 1
            if self.fault.refuse:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._upstream, timeout=10)
            except OSError:
                _reset(client)
                continue
            for each in (client, server):
                each.settimeout(None)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            for source, target, replies in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pass_on, args=(source, target, replies), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, replies: bool) -> None:
        fault, passed = self.fault, 0
        with contextlib.suppress(OSError):
            while data := source.recv(BLOCK_BYTES):
                time.sleep(fault.delay_s)
                if fault.cut_after_bytes is not None and replies == fault.of_replies:
                    data = data[: fault.cut_after_bytes - passed]
                for at in range(0, len(data), fault.segment_bytes):
                    target.sendall(data[at : at + fault.segment_bytes])
                passed += len(data)
                if passed == fault.cut_after_bytes and replies == fault.of_replies and self._may_cut():
                    if not fault.half_close:
                        _reset(source)
                        _reset(target)
                    break
                if fault.cut_after_bytes is not None and passed >= fault.cut_after_bytes:
                    fault = Fault(delay_s=fault.delay_s, segment_bytes=fault.segment_bytes)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            if fault.half_close:
                # The rest is swallowed: the sender believes that it arrives.
                while source.recv(BLOCK_BYTES):
                    pass
        with self._lock:
            self._open -= {source}

    def _may_cut(self) -> bool:
        with self._lock:
            self._cuts += 1
            return self._cuts <= self.fault.cuts


def _reset(each: socket.socket) -> None:
    """Ends a connection by RST, as a middle box that forgot it does."""
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
