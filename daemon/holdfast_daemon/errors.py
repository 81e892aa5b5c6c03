"""The one exception that crosses the daemon's modules: a reason for machines, a message for people."""

import logging
import os
from typing import NoReturn

from holdfast_contract.os_layer import EXIT_CODE_FSYNC, FsyncError
from holdfast_contract.reasons import REASONS, Reason
from holdfastpb.common.v1.error_pb2 import ErrorDetail

_PASSING = (
    Reason.OUT_OF_SPACE,
    Reason.QUOTA_EXCEEDED,
    Reason.INTERNAL,
    Reason.UNAUTHENTICATED,
    Reason.PROTOCOL_MISMATCH,
)

_log = logging.getLogger(__name__)


class HoldfastError(Exception):
    """Something that a caller must hear of.

    Attributes:
        reason: decides the gRPC status and what a client does.
        message: what happened, to which file or version, and what to do.
        metadata: machine-readable particulars.
        retry_after_ms: how long whoever repeats the call should wait at least; 0: as it likes.
    """

    def __init__(self, reason: Reason, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata
        self.retry_after_ms = 0

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anyone changing it."""
        return REASONS[self.reason].retryable

    @property
    def may_pass(self) -> bool:
        """Whether an acknowledged job waits for it to pass.

        That is what is retryable, a full disk or quota (somebody makes space), a token or a version that somebody will mend, and a
        failure inside the registry: every call to it is safe to repeat, and the job says what it waits for.
        """
        return self.retryable or self.reason in _PASSING

    def to_detail(self) -> ErrorDetail:
        """The error as it travels and as it is kept in the journal."""
        return ErrorDetail(
            reason=self.reason.value,
            domain="holdfast",
            message=self.message[:2000],
            metadata={k: v[:500] for k, v in self.metadata.items()},
            retryable=self.retryable,
            retry_after_ms=self.retry_after_ms,
        )

    @classmethod
    def from_detail(cls, detail: ErrorDetail) -> "HoldfastError":
        """The reverse of `to_detail`; a reason of a newer version becomes INTERNAL."""
        known = detail.reason in Reason.__members__.values()
        reason = Reason(detail.reason) if known else Reason.INTERNAL
        error = cls(reason, detail.message, **dict(detail.metadata))
        error.retry_after_ms = detail.retry_after_ms
        return error


def first_of(error: BaseException) -> BaseException:
    """The first single exception in a group of them (a task group raises groups), or the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def end_after_fsync_error(error: FsyncError) -> NoReturn:
    """Ends the process: what it holds may not be what the disk holds, and nothing more may be acknowledged."""
    _log.critical("%s; stopping before anything wrong is acknowledged", error)
    os._exit(EXIT_CODE_FSYNC)
