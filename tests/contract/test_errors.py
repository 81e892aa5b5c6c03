"""Every reason has a rule, and every error survives the way between processes."""

from __future__ import annotations

import pickle

import grpc
import pytest

from holdfast_contract.errors import (
    ContractError,
    InvalidNameError,
    ManifestError,
    ManifestPathError,
    PackDamagedError,
    PackError,
    PackTornError,
)
from holdfast_contract.reasons import REASONS, Reason

ALL_ERRORS = [
    ContractError, InvalidNameError, ManifestPathError, ManifestError, PackError, PackTornError, PackDamagedError,
]  # fmt: skip


def test_every_reason_has_a_rule_with_a_grpc_status_and_one_sentence() -> None:
    assert set(REASONS) == set(Reason)
    for reason, rule in REASONS.items():
        assert reason.value == reason.name
        assert rule.status in grpc.StatusCode.__members__
        assert rule.status != "OK"
        assert rule.meaning.endswith(".")


def test_a_reason_that_is_unavailable_may_be_retried() -> None:
    for rule in REASONS.values():
        assert rule.retryable or rule.status != "UNAVAILABLE"


@pytest.mark.parametrize("error_type", ALL_ERRORS)
def test_errors_keep_message_and_reason_when_pickled(error_type: type[ContractError]) -> None:
    error = pickle.loads(pickle.dumps(error_type("what happened", Reason.TOO_LARGE)))
    assert type(error) is error_type
    assert (error.message, error.reason, str(error)) == ("what happened", Reason.TOO_LARGE, "what happened")
    assert isinstance(error, ValueError)
    assert error_type("x").reason is error_type.default_reason
    assert error_type("x").retryable is REASONS[error_type.default_reason].retryable
