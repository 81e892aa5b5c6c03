"""Makes gRPC channels that forks can be survived with; importing gRPC takes 60 ms, so it is imported here, late.

gRPC must not be in the middle of its own shutdown while the process forks: a child would wait for it for ever.  It shuts itself
down with the last object, so one idle channel is kept as long as the process lives.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast_contract.grpc_options import NO_GRPC_RETRIES
from holdfast_contract.limits import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    import grpc

CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # A daemon that hangs is noticed within 50 s, also in the middle of a stream.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Channels would share their connections otherwise, also with one that a fork made useless.
    ("grpc.use_local_subchannel_pool", 1),
    NO_GRPC_RETRIES,
)

_IDLE_TARGET = "unix:/nonexistent"
_VERBOSITY = "GRPC_VERBOSITY"

_lock = threading.Lock()
_kept: grpc.Channel | None = None


def new_channel(target: str) -> grpc.Channel:
    """Returns a channel to `target`; it connects when it is used."""
    import grpc

    global _kept
    with _lock:
        if _kept is None:
            with _quiet():
                _kept = grpc.insecure_channel(_IDLE_TARGET)
    return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lets gRPC start without its remarks about forks, which are harmless and would fill the user's terminal.

    It reads the variable once, as it starts; one that the user has set is left as it is.
    """
    if _VERBOSITY in os.environ:
        yield
        return
    os.environ[_VERBOSITY] = "NONE"
    try:
        yield
    finally:
        os.environ.pop(_VERBOSITY, None)


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
