"""The table from reasons to exceptions, and what callers can rely on."""

import pickle

import pytest

from holdfast import errors
from holdfast._rpc_errors import error_from_detail, may_repeat, translate
from holdfast_contract.reasons import REASONS, Reason
from holdfastpb.common.v1.error_pb2 import ErrorDetail
from holdfastpb.daemon.v1 import log_pb2
from holdfastpb.registry.v1 import version_pb2


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_exception(reason: Reason) -> None:
    error = errors.error_of(reason, "what happened", {"path": "a"})
    assert type(error) is errors.EXCEPTION_OF_REASON[reason]
    assert (str(error), error.reason, error.detail) == ("what happened", reason, {"path": "a"})
    assert error.retryable == REASONS[reason].retryable


def test_reason_of_a_newer_peer_is_a_comm_error() -> None:
    error = errors.error_of("NOT_KNOWN_YET", "something")
    assert type(error) is errors.CommError
    assert "NOT_KNOWN_YET" in str(error)


@pytest.mark.parametrize(
    ("reason", "builtin"),
    [
        (Reason.FILE_MISSING, FileNotFoundError),
        (Reason.REFERENCE_MISSING, FileNotFoundError),
        (Reason.FILE_CHANGED, ValueError),
        (Reason.TYPE_MISMATCH, ValueError),
        (Reason.INVALID_NAME, ValueError),
        (Reason.HAS_ALIASES, errors.CommError),
        (Reason.NOT_FOUND, errors.CommError),
    ],
)
def test_exceptions_are_also_what_wandb_raises(reason: Reason, builtin: type[Exception]) -> None:
    assert issubclass(errors.EXCEPTION_OF_REASON[reason], builtin)


def test_status_errors_are_attribute_errors() -> None:
    assert issubclass(errors.ArtifactNotLoggedError, errors.ArtifactStatusError)
    assert issubclass(errors.ArtifactFinalizedError, errors.ArtifactStatusError)
    assert issubclass(errors.ArtifactStatusError, AttributeError)
    assert issubclass(errors.WaitTimeoutError, errors.Error)


@pytest.mark.parametrize("reason", [Reason.FILE_MISSING, Reason.FILE_CHANGED, Reason.UNAVAILABLE])
def test_error_survives_pickling_between_processes(reason: Reason) -> None:
    error = errors.error_of(reason, "gone", {"path": "a"})
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.reason, copy.detail) == (type(error), "gone", reason, {"path": "a"})


def test_tree_in_the_docstring_names_every_exception() -> None:
    drawn = errors.__doc__ or ""
    defined = [name for name, thing in vars(errors).items() if isinstance(thing, type) and name.endswith("Error")]
    assert [name for name in defined if name not in drawn] == []


def test_closed_channel_is_unavailable_and_may_be_repeated() -> None:
    error = translate(ValueError("Cannot invoke RPC on closed channel!"))
    assert isinstance(error, errors.UnavailableError)
    assert may_repeat(error, log_pb2.WaitArtifactRequest())


def test_deadline_is_repeated_only_with_a_request_id() -> None:
    error = errors.error_of(Reason.DEADLINE, "late")
    assert may_repeat(error, version_pb2.UpdateVersionRequest())
    assert not may_repeat(error, log_pb2.CancelArtifactRequest())


def test_start_failure_is_not_repeated() -> None:
    assert not may_repeat(errors.DaemonStartError("no"), log_pb2.WaitArtifactRequest())


def test_refusal_is_not_repeated() -> None:
    assert not may_repeat(errors.error_of(Reason.NOT_FOUND, "no"), log_pb2.WaitArtifactRequest())


def test_pause_that_the_server_asks_for_is_kept() -> None:
    detail = ErrorDetail(reason="UNAVAILABLE", message="busy", retryable=True, retry_after_ms=1500)
    assert error_from_detail(detail).retry_after_s == 1.5
