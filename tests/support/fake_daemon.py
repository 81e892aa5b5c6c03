"""A daemon in memory: the services of the daemon's socket without journal, spool or registry, with knobs for faults.

In a test: `with FakeDaemon(places) as daemon: …`.  As a process: `python fake_daemon.py serve --ready-fd N`, with the places of its
environment; then it keeps the daemon's lock and the READY handshake, too.
"""

import argparse
import fcntl
import os
import signal
import sys
import threading
from concurrent import futures
from types import FrameType
from typing import Self
from urllib.parse import quote

import grpc

from holdfast_contract import os_layer
from holdfast_contract.places import Places, find_places
from support.fake_services import Calls, Faults, Guard, Services
from support.fake_state import FakeState, Refusal

__all__ = ["Calls", "FakeDaemon", "FakeState", "Faults", "Refusal"]

THREADS = 64
"""Streams hold a thread each."""


class FakeDaemon:
    """A daemon that can be stopped and started again with the same state, as a real one with its journal."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.state = FakeState()
        self.faults = Faults()
        self.calls = Calls()
        self._server: grpc.Server | None = None
        self._lock: int | None = None

    def start(self) -> None:
        """Listens; with a new token and instance id each time.

        Raises:
            BlockingIOError: another daemon of these places lives.
        """
        os_layer.make_private_folder(self.places.runtime_dir)
        os_layer.make_private_folder(self.places.data_dir)
        if self._lock is None:
            self._lock = os.open(self.places.daemon_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        token = os.urandom(16).hex()
        os_layer.write_durably(self.places.daemon_token, token.encode())
        server = grpc.server(
            futures.ThreadPoolExecutor(THREADS),
            interceptors=[Guard(token, self.faults, self.calls)],
            options=[("grpc.so_reuseport", 0)],
        )
        Services(self.state, self.faults, self.calls, os.urandom(8).hex()).add_to(server)
        os_layer.unlink_if_exists(self.places.daemon_socket)
        server.add_insecure_port(f"unix:{quote(os.fsencode(self.places.daemon_socket))}")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Breaks all streams, stops to listen, and lets another daemon be started."""
        self._stop_listening()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _stop_listening(self) -> None:
        self.faults.release()
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None
        os_layer.unlink_if_exists(self.places.daemon_socket)

    def restart(self) -> None:
        """As a daemon that died and was started again: other connections, the same state.

        Nobody else can start one in between.
        """
        self._stop_listening()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def serve(ready_fd: int) -> int:
    """Runs as the daemon's process does; returns its exit code."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    try:
        with FakeDaemon(find_places(os.environ)):
            os.write(ready_fd, b"READY\n")
            os.close(ready_fd)
            ended.wait()
    except BlockingIOError:
        return 75
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--ready-fd", type=int, required=True)
    sys.exit(serve(parser.parse_args().ready_fd))
