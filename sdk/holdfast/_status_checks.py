"""Decorators that refuse a call when the artifact is not in the state for it, in the words of W&B."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from holdfast.errors import ArtifactFinalizedError, ArtifactNotLoggedError


class HasStatus(Protocol):
    """What can be asked for its state."""

    @property
    def is_logged(self) -> bool:
        """Whether there is a committed version."""
        ...

    @property
    def is_final(self) -> bool:
        """Whether nothing can be added or removed any more."""
        ...


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=HasStatus)


def ensure_logged(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Lets the method run on a logged artifact only; else `ArtifactNotLoggedError`."""

    @functools.wraps(method)
    def checked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not self.is_logged:
            raise not_logged(self, method.__name__)
        return method(self, *args, **kwargs)

    return checked


def ensure_not_finalized(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Lets the method run on a draft only; else `ArtifactFinalizedError`."""

    @functools.wraps(method)
    def checked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.is_final:
            name = f"{type(self).__name__}.{method.__name__}"
            message = f"{name!r} used on logged artifact. Can't modify finalized artifact."
            raise ArtifactFinalizedError(message, method.__name__, self)
        return method(self, *args, **kwargs)

    return checked


def not_logged(artifact: object, attribute: str) -> ArtifactNotLoggedError:
    """Returns the error for an attribute that needs a logged artifact."""
    if getattr(artifact, "is_part", False):
        return ArtifactNotLoggedError(
            f"'{type(artifact).__name__}.{attribute}' used on a part of a distributed version."
            " Run.finish_artifact commits it; use the artifact that it returns, after wait().",
            attribute,
            artifact,
        )
    return ArtifactNotLoggedError(
        f"'{type(artifact).__name__}.{attribute}' used prior to logging artifact or while in offline mode."
        " Call Artifact.wait() before accessing logged artifact properties.",
        attribute,
        artifact,
    )
