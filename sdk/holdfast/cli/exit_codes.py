"""What `holdfast` tells a script when it ends; the same table is in docs/cli.md."""

from enum import IntEnum

from holdfast_contract.reasons import Reason
from holdfast_contract.settings import SettingError


class ExitCode(IntEnum):
    """Exit codes, stable across versions."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DAMAGED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


_REASONS_OF_CODE: dict[ExitCode, frozenset[Reason]] = {
    ExitCode.USAGE: frozenset(
        {
            Reason.INVALID_NAME,
            Reason.INVALID_PATH,
            Reason.INVALID_METADATA,
            Reason.INVALID_ARGUMENT,
            Reason.INVALID_FILTER,
        }
    ),
    ExitCode.NOT_FOUND: frozenset(
        {Reason.NOT_FOUND, Reason.VERSION_DELETED, Reason.FILE_MISSING, Reason.REFERENCE_MISSING}
    ),
    ExitCode.DAMAGED: frozenset(
        {
            Reason.STORE_DAMAGED,
            Reason.DIGEST_MISMATCH,
            Reason.CHUNK_DIGEST_MISMATCH,
            Reason.PACK_DAMAGED,
            Reason.PACK_TORN,
        }
    ),
    ExitCode.UNREACHABLE: frozenset(
        {
            Reason.UNAVAILABLE,
            Reason.DEADLINE,
            Reason.DRAINING,
            Reason.PROTOCOL_MISMATCH,
            Reason.UNAUTHENTICATED,
            Reason.PERMISSION_DENIED,
        }
    ),
}

_CODE_OF_REASON = {reason: code for code, reasons in _REASONS_OF_CODE.items() for reason in reasons}


class CommandError(Exception):
    """A command cannot do what it was asked; the message is for the user, the code for the script."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: BaseException) -> ExitCode:
    """The code for an error that reached the command line."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    reason = getattr(error, "reason", None)
    if reason is Reason.PERMISSION_DENIED and getattr(error, "detail", {}).get("path"):
        return ExitCode.FAILED  # a file of this machine, not a right at the registry
    if isinstance(reason, Reason):
        return _CODE_OF_REASON.get(reason, ExitCode.FAILED)
    if isinstance(error, SettingError):
        return ExitCode.USAGE
    if isinstance(error, FileNotFoundError):
        return ExitCode.NOT_FOUND
    return ExitCode.FAILED
