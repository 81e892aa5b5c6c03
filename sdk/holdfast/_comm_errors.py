"""Lets callers of the public API see every refusal as a `CommError`, as W&B does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from holdfast.errors import CommError, InvalidRequestError

P = ParamSpec("P")
R = TypeVar("R")


def normalize_exceptions(function: Callable[P, R]) -> Callable[P, R]:
    """Turns what is a `ValueError` or `TypeError` elsewhere into a `CommError`; reason and message stay.

    What was a `ValueError` remains one, too: W&B's documents promise that, and its client raises `CommError`.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CommError:
            raise
        except (ValueError, TypeError) as error:
            kind = InvalidRequestError if isinstance(error, ValueError) else CommError
            raise kind(
                str(error), reason=getattr(error, "reason", None), detail=getattr(error, "detail", None)
            ) from error

    return call
