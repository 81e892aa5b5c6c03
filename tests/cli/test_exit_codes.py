"""Exit codes are a contract with scripts: one meaning each, all documented, none missing."""

import re

import pytest

from architecture.source_tree import PROJECT_ROOT
from holdfast import errors
from holdfast.cli.exit_codes import CommandError, ExitCode, exit_code_of
from holdfast_contract.errors import InvalidNameError, ManifestPathError
from holdfast_contract.reasons import Reason


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x"), ExitCode.FAILED),
        (CommandError("x", ExitCode.USAGE), ExitCode.USAGE),
        (InvalidNameError("x"), ExitCode.USAGE),
        (ManifestPathError("x"), ExitCode.USAGE),
        (errors.InvalidInputError("x"), ExitCode.USAGE),
        (errors.NotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.VersionDeletedError("x"), ExitCode.NOT_FOUND),
        (errors.FileMissingError("x"), ExitCode.NOT_FOUND),
        (FileNotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.DamagedError("x"), ExitCode.DAMAGED),
        (errors.UnavailableError("x"), ExitCode.UNREACHABLE),
        (errors.DaemonStartError("x"), ExitCode.UNREACHABLE),
        (errors.AuthenticationError("x"), ExitCode.UNREACHABLE),
        (errors.ProtocolMismatchError("x"), ExitCode.UNREACHABLE),
        (errors.HasAliasesError("x"), ExitCode.FAILED),
        (errors.FileChangedError("x"), ExitCode.FAILED),
        (errors.WaitTimeoutError("x"), ExitCode.FAILED),
        (errors.PermissionDeniedError("x"), ExitCode.UNREACHABLE),
        (errors.PermissionDeniedError("x", detail={"path": "/read/only"}), ExitCode.FAILED),
        (PermissionError("x"), ExitCode.FAILED),
        (ValueError("x"), ExitCode.FAILED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.name,
)
def test_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_the_wire_ends_with_a_documented_code(reason: Reason) -> None:
    assert exit_code_of(errors.error_of(reason.value, "x")) in set(ExitCode) - {ExitCode.OK}


def test_the_documentation_has_exactly_these_codes() -> None:
    table = (PROJECT_ROOT / "docs" / "cli.md").read_text()
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {int(code) for code in ExitCode}
