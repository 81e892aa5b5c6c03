"""The call that the running task or thread serves: its request id and its trace, so that no function has to hand them on.

Logs read it, and calls that are made for that call carry it on in their metadata.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

REQUEST_ID_KEY = "holdfast-request-id"
"""Metadata of every call."""
TRACEPARENT_KEY = "traceparent"
"""Metadata of calls that belong to a trace, as W3C Trace Context has it."""
REQUEST_ID_DETAIL = "request_id"
"""Key of the request id in the particulars of an error."""

_REQUEST_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class CallContext:
    """What is known of a call."""

    request_id: str = ""
    """The same in all processes and all tries of a request; of a mutation the one that makes its repetition harmless."""
    traceparent: str = ""
    """Empty: it belongs to no trace."""
    method: str = ""
    token_id: int | None = None
    """Number of the caller's token, never the token."""


NO_CALL = CallContext()
current: ContextVar[CallContext] = ContextVar("holdfast_call", default=NO_CALL)


def new_request_id() -> str:
    """Makes a request id: 64 random bits, short enough to be read out."""
    return os.urandom(8).hex()


def context_of(metadata: Iterable[Any] | None, method: str) -> CallContext:
    """Reads what a call brings; what is absent or malformed (it ends up in logs) is replaced.

    Args:
        metadata: pairs, as gRPC gives them.
        method: full name of the RPC.
    """
    request_id = traceparent = ""
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and _REQUEST_ID.fullmatch(str(value)):
            request_id = str(value)
        elif key == TRACEPARENT_KEY and is_traceparent(str(value)):
            traceparent = str(value)
    return CallContext(request_id or new_request_id(), traceparent, method)


def is_traceparent(text: str) -> bool:
    """Tells whether a text names a place in a trace."""
    return _TRACEPARENT.fullmatch(text) is not None


def carried_on(request_id: str = "") -> tuple[tuple[str, str], ...]:
    """Returns the metadata that a call made for the current one carries.

    Args:
        request_id: of the request itself, if it has one.
    """
    context = current.get()
    own = (REQUEST_ID_KEY, request_id or context.request_id or new_request_id())
    return (own, (TRACEPARENT_KEY, context.traceparent)) if context.traceparent else (own,)
