"""What one process has once: its settings, its id, its connection to the daemon.

This is where the SDK is put together.  Everything is made when first needed, and made anew in a forked child.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING

from holdfast._settings import SdkSettings, load_sdk_settings
from holdfast_contract.places import Places, find_places

if TYPE_CHECKING:
    from holdfast._daemon_client import DaemonClient
    from holdfast._own_writes import OwnWrites
    from holdfast._tracing import Tracer

TRACE_MODULE = "opentelemetry.trace"
"""Is loaded in programs that trace by themselves."""


class ProcessContext:
    """The SDK of one process; its parts are made when first asked for."""

    def __init__(self, settings: SdkSettings | None = None, places: Places | None = None) -> None:
        """Makes the context of this process; reads nothing yet.

        Args:
            settings: those of the parent, for a forked child; default: read when needed.
            places: as `settings`.
        """
        # From the kernel: `random` may be seeded alike in every worker.
        self.client_id = os.urandom(16).hex()
        # Not functools.cached_property: its lock is not brought to rest before a fork.
        self._lock = threading.RLock()
        self._settings = settings
        self._places = places
        self._daemon: DaemonClient | None = None
        self._own_writes: OwnWrites | None = None
        self._tracer: Tracer | None = None

    def for_child(self) -> ProcessContext:
        """Returns the context of a forked child: what the parent has read holds, and what was wrong with it has been said."""
        return ProcessContext(self._settings, self._places)

    @property
    def settings(self) -> SdkSettings:
        """The settings, as the environment had them when they were first needed."""
        with self._lock:
            if self._settings is None:
                self._settings = load_sdk_settings(os.environ)
            return self._settings

    @property
    def places(self) -> Places:
        """Where the daemon is met."""
        with self._lock:
            if self._places is None:
                self._places = find_places(os.environ)
            return self._places

    @property
    def daemon(self) -> DaemonClient:
        """The client of the daemon; not connected yet."""
        with self._lock:
            if self._daemon is None:
                self._daemon = self._new_daemon_client()
            return self._daemon

    @property
    def own_writes(self) -> OwnWrites:
        """What this process has logged."""
        with self._lock:
            if self._own_writes is None:
                from holdfast._own_writes import OwnWrites

                self._own_writes = OwnWrites()
            return self._own_writes

    @property
    def tracer(self) -> Tracer | None:
        """What makes spans; None: nobody wants any."""
        if not self.settings.traces_url and TRACE_MODULE not in sys.modules:
            return None
        with self._lock:
            if self._tracer is None:
                from holdfast._tracing import open_tracer

                self._tracer = open_tracer(self.settings.traces_url)
            return self._tracer

    def _new_daemon_client(self) -> DaemonClient:
        from holdfast._daemon_client import DaemonClient
        from holdfast._daemon_launcher import DaemonLauncher

        return DaemonClient(DaemonLauncher(self.places, start_timeout_s=self.settings.start_timeout_s))

    def before_fork(self) -> None:
        """Brings the connection to rest; see `_daemon_client`."""
        self._lock.acquire()
        if self._daemon is not None:
            self._daemon.before_fork()

    def after_fork_in_parent(self) -> None:
        """Lets the parent go on."""
        if self._daemon is not None:
            self._daemon.after_fork_in_parent()
        self._lock.release()

    def close(self) -> None:
        """Ends the connection, for ever; sends what there is of traces."""
        if self._tracer is not None:
            self._tracer.close()
        if self._daemon is not None:
            self._daemon.close()


_context = ProcessContext()


def this_process() -> ProcessContext:
    """Returns the context of the calling process."""
    return _context


def reset_process() -> None:
    """Forgets settings and connection, as a new process would; for programs that change HOLDFAST_DATA_DIR, and for tests."""
    global _context
    _context.close()
    _context = ProcessContext()


def _after_fork_in_child() -> None:
    global _context
    _context = _context.for_child()


def _close_at_exit() -> None:
    # gRPC's threads must not run into an interpreter that is half gone.
    _context.close()


os.register_at_fork(
    before=lambda: _context.before_fork(),
    after_in_parent=lambda: _context.after_fork_in_parent(),
    after_in_child=_after_fork_in_child,
)
atexit.register(_close_at_exit)
