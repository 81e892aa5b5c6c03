"""The call that runs: set by the boundary, read where a transaction of it begins, so that no method has to hand it on."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection

from holdfast_registry.domain.access import Caller

Guard = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, from where, with what outcome."""

    at_ms: int
    token_id: int | None
    token_name: str
    peer: str
    method: str
    entity: str
    project: str
    object: str
    outcome: str
    entry_id: int = 0


@dataclass(slots=True)
class CurrentCall:
    """One call on its way."""

    caller: Caller
    guards: tuple[Guard, ...] = ()
    """Look at the database inside of each transaction that changes something, before it does; they raise."""
    entry_of: Callable[[object], AuditEntry | None] | None = None
    """Makes the audit entry from what a transaction came to; None: that was not the one.  Absent: nothing to be recorded."""
    is_recorded: bool = False


_CURRENT: ContextVar[CurrentCall | None] = ContextVar("holdfast_current_call", default=None)


def set_current_call(call: CurrentCall) -> None:
    """Says which call the running task serves; gRPC gives each call a task of its own."""
    _CURRENT.set(call)


def current_call() -> CurrentCall | None:
    """Returns the call that the running task serves; None: it is the registry's own work."""
    return _CURRENT.get()
