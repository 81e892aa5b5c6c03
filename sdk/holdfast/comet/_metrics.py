"""What training scripts call beside artifacts: metrics are taken and not kept, the process is told once; files are never dropped."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from holdfast._warn_user import warn_user

_told = threading.Event()


def _tell_once() -> None:
    if not _told.is_set():
        _told.set()
        warn_user("Holdfast keeps artifacts, not metrics: log_metric() and what belongs to it do nothing.")


class ExperimentMetrics:
    """Base of `Experiment`: numbers and texts, which artifacts do not need.

    What would be files has no method here, so that nobody believes them to be kept; the error says what keeps them.
    """

    def log_metric(
        self, name: str, value: Any, step: Any = None, epoch: Any = None, include_context: bool = True
    ) -> None:
        """Does nothing: metrics are not kept."""
        _tell_once()

    def log_metrics(self, dic: Mapping[str, Any], prefix: Any = None, step: Any = None, epoch: Any = None) -> None:
        """Does nothing: metrics are not kept."""
        _tell_once()

    def log_other(self, key: str, value: Any, include_context: bool = True) -> None:
        """Does nothing; `log_parameter` keeps a value."""
        _tell_once()

    def log_others(self, dictionary: Mapping[str, Any]) -> None:
        """Does nothing; `log_parameters` keeps values."""
        _tell_once()

    def log_text(self, text: str, step: int | None = None, metadata: Any = None) -> None:
        """Does nothing: texts of a run are not kept."""
        _tell_once()

    def log_epoch_end(self, epoch: int, step: int | None = None) -> None:
        """Does nothing."""

    def set_step(self, step: int | None) -> None:
        """Does nothing."""

    def set_epoch(self, epoch: int | None) -> None:
        """Does nothing."""

    @contextmanager
    def train(self) -> Generator[Self, None, None]:
        """A context without a meaning here."""
        yield self

    @contextmanager
    def validate(self) -> Generator[Self, None, None]:
        """A context without a meaning here."""
        yield self

    @contextmanager
    def test(self) -> Generator[Self, None, None]:
        """A context without a meaning here."""
        yield self

    def __getattr__(self, name: str) -> Any:
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name.startswith("log_"):
            message += ": experiments keep artifacts and parameters; add the file to an Artifact and log that"
        raise AttributeError(message, name=name, obj=self)
