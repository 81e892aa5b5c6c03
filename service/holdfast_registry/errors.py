"""What the registry answers when it does not do what was asked; the boundary turns it into a status and a detail.

RegistryError           a call is refused: reason, message for people, particulars for machines
DatabaseError           the database failed in a way that no call explains
StartError              the process cannot start; carries its exit code
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast_contract.reasons import REASONS, Reason

EXIT_CODE_LOCKED = 73
"""Another registry serves this data folder (EX_CANTCREAT)."""
EXIT_CODE_CONFIGURATION = 78
"""Settings, permissions or a database that this software cannot work with (EX_CONFIG)."""


class RegistryError(Exception):
    """A call is refused; the message says what happened, to what, and what to do."""

    def __init__(
        self, reason: Reason, message: str, metadata: Mapping[str, str] | None = None, *, retry_after_ms: int = 0
    ) -> None:
        """Makes the error.

        Args:
            reason: decides the status and whether a repetition helps.
            message: one or two sentences.
            metadata: machine-readable particulars.
            retry_after_ms: before that a repetition is of no use; 0: the caller may choose.
        """
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after_ms = retry_after_ms

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return REASONS[self.reason].retryable


class DatabaseError(Exception):
    """The database failed; its own error is the cause."""


class StartError(Exception):
    """The registry cannot start; the message says why and what to do."""

    def __init__(self, message: str, exit_code: int = EXIT_CODE_CONFIGURATION) -> None:
        """Makes the error with the exit code of the process."""
        super().__init__(message)
        self.exit_code = exit_code


def not_found(what: str) -> RegistryError:
    """The same answer for what is absent and what the caller may not know of."""
    return RegistryError(Reason.NOT_FOUND, f"{what} does not exist; check the name.")


def invalid(message: str) -> RegistryError:
    """A field of the request is malformed."""
    return RegistryError(Reason.INVALID_ARGUMENT, message)
