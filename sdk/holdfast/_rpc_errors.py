"""Turns the failure of a call into the exception that the SDK raises for it."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from holdfast.errors import DaemonStartError, Error, error_of
from holdfast_contract.reasons import Reason
from holdfastpb.common.v1 import error_pb2

ERROR_KEY = "holdfast-error-bin"

_REASON_OF_STATUS = {
    "UNAVAILABLE": Reason.UNAVAILABLE,
    # Ours never cancel a call that they wait for: the channel was closed under it.
    "CANCELLED": Reason.UNAVAILABLE,
    "DEADLINE_EXCEEDED": Reason.DEADLINE,
    "UNAUTHENTICATED": Reason.UNAUTHENTICATED,
    "PERMISSION_DENIED": Reason.PERMISSION_DENIED,
    "NOT_FOUND": Reason.NOT_FOUND,
    "INVALID_ARGUMENT": Reason.INVALID_ARGUMENT,
    "RESOURCE_EXHAUSTED": Reason.TOO_LARGE,
}
"""For answers without our detail: they come from gRPC itself, or from nobody."""

_CONNECTION_LOST = frozenset({"UNAVAILABLE", "CANCELLED"})
_REPEATABLE = frozenset({Reason.UNAVAILABLE, Reason.DRAINING, Reason.RATE_LIMITED})


def translate(error: BaseException) -> Error:
    """Returns what to raise for an `RpcError`, or for the `ValueError` of a closed channel."""
    detail = _detail_of(error)
    if detail is not None:
        return error_from_detail(detail)
    status = _status_of(error)
    reason = _REASON_OF_STATUS.get(status, Reason.INTERNAL)
    details = getattr(error, "details", None)
    text = (details() if callable(details) else str(error)) or status
    return error_of(reason, f"The Holdfast daemon did not answer the call: {text} ({status})")


def error_from_detail(detail: error_pb2.ErrorDetail) -> Error:
    """Returns what to raise for an error that travelled as a message."""
    error = error_of(detail.reason, detail.message, dict(detail.metadata))
    error.retry_after_s = detail.retry_after_ms / 1000
    return error


def connection_is_lost(error: BaseException) -> bool:
    """Whether nobody is at the other end any more (an answer with a detail came from somebody)."""
    return _detail_of(error) is None and _status_of(error) in _CONNECTION_LOST


def may_repeat(error: Error, request: Message) -> bool:
    """Whether a call may be made again by itself: nothing happened, or the request id makes a second time harmless."""
    if isinstance(error, DaemonStartError):
        return False
    if error.reason is Reason.DEADLINE:
        return "request_id" in request.DESCRIPTOR.fields_by_name
    return error.reason in _REPEATABLE


def _status_of(error: BaseException) -> str:
    code = getattr(error, "code", None)
    # A call on a closed channel raises a ValueError.
    return str(code().name) if callable(code) and code() is not None else "UNAVAILABLE"


def _detail_of(error: BaseException) -> error_pb2.ErrorDetail | None:
    trailing_metadata = getattr(error, "trailing_metadata", None)
    for key, value in (trailing_metadata() if callable(trailing_metadata) else None) or ():
        if key == ERROR_KEY:
            try:
                return error_pb2.ErrorDetail.FromString(value)
            except DecodeError:
                return None
    return None
