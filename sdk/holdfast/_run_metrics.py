"""What training scripts call beside artifacts: `log` logs tables, `history` and `summary` keep the last values, the rest does nothing.

Holdfast keeps artifacts, not metrics; scripts written for W&B are to run all the same.  The process is told once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from holdfast._run_tables import RunTables
from holdfast._warn_user import warn_user


class AlertLevel(Enum):
    """How grave an alert is, by W&B's names."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


_told = threading.Event()


def tell_once() -> None:
    """Warns, the first time in this process, that metrics are not kept."""
    if not _told.is_set():
        _told.set()
        warn_user(
            "Holdfast keeps artifacts, not metrics: log() makes artifacts of tables; of all else the last values stay in run.summary.",
        )


class Summary(MutableMapping[str, Any]):
    """The last value of each key that was logged; may be set, too.  Keys are attributes."""

    def __init__(self) -> None:
        """Makes an empty summary."""
        object.__setattr__(self, "_values", {})

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        # Names with "_" are Python's own: a copy that is being made has no values yet.
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"summary has no key {name!r}")
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __repr__(self) -> str:
        return repr(self._values)


class History(Mapping[str, Any]):
    """The values of the last step; those before it are not kept."""

    def __init__(self) -> None:
        """Makes a history without a step."""
        self._row: dict[str, Any] = {}
        self._row_is_open = False
        self.step = 0
        """Number of the step that the next values belong to."""
        self.has_begun = False
        """Whether anything was logged."""

    @property
    def row(self) -> dict[str, Any]:
        """The values of the last step."""
        return dict(self._row)

    def add(self, values: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> bool:
        """Takes values; returns whether they belong to the present step or a later one (others are ignored).

        Args:
            values: by key.
            step: default: the present one.
            commit: ends the step; default: True unless `step` is given.
        """
        if step is not None and step < self.step:
            return False
        if step is not None and step > self.step:
            self.step, self._row_is_open = step, False
        if not self._row_is_open:
            self._row, self._row_is_open = {}, True
        self._row.update(values)
        self.has_begun = True
        if commit or (commit is None and step is None):
            self.step, self._row_is_open = self.step + 1, False
        return True

    def __getitem__(self, key: str) -> Any:
        return self._row[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


@dataclass(frozen=True, slots=True)
class Metric:
    """What `define_metric` returns."""

    name: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What `status` returns: nothing of a run itself waits to be sent."""

    sync_items_total: int = 0
    sync_items_pending: int = 0
    sync_time: None = None


class RunMetrics(RunTables):
    """Base of `Run`: what belongs to metrics, the screen and the processes around a run."""

    _lock: threading.RLock
    history: History
    summary: Summary

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Keeps values in `summary` and `history`, counts the step, and logs tables as artifacts `run-<id>-<key>`.

        Args:
            data: by key.
            step: default: the present one; values of an earlier one are ignored with a warning.
            commit: ends the step; default: True unless `step` is given.
            sync: accepted for compatibility.

        Raises:
            TypeError, ValueError: no mapping, a key that is no text, or a table that `Artifact.add` refuses.
            UnavailableError: there is a table, and the daemon cannot be reached or started.
            UsageError: the run is finished.
        """
        self._check_running("log")
        if not isinstance(data, Mapping):
            raise TypeError(f"log() must be passed a dictionary, not {type(data).__name__}")
        for key in data:
            if not isinstance(key, str):
                raise ValueError(f"Key values passed to log() must be strings, not {key!r:.200}")
        tell_once()
        with self._lock:
            if not self.history.add(data, step, commit):
                warn_user(f"Step {step} is before step {self.history.step}; it was ignored.")
                return
            self.summary.update(data)
            self._log_tables(data)

    @property
    def step(self) -> int:
        """The step that the next logged values belong to."""
        return self.history.step

    @property
    def starting_step(self) -> int:
        """Always 0: the steps of a run that is resumed are not known."""
        return 0

    def define_metric(self, name: str, *arguments: Any, **more: Any) -> Metric:
        """Does nothing; returns something that has the name."""
        tell_once()
        return Metric(name)

    def watch(self, *arguments: Any, **more: Any) -> None:
        """Does nothing."""
        tell_once()

    def unwatch(self, *arguments: Any, **more: Any) -> None:
        """Does nothing."""

    def alert(self, title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
        """Writes a warning: there is nobody else to be told."""
        warn_user(f"Alert of run {self.id}: {title}: {text}")

    def save(self, glob_str: Any = None, base_path: Any = None, policy: str = "live") -> list[str]:
        """Does nothing and returns no file; log an artifact instead."""
        tell_once()
        return []

    def restore(self, name: str, run_path: str | None = None, replace: bool = False, root: str | None = None) -> Any:
        """Does nothing and returns None: runs have no files; use an artifact instead."""
        tell_once()
        return None

    def mark_preempting(self) -> None:
        """Does nothing: what was logged is safe already."""

    def status(self) -> RunStatus:
        """Returns that nothing of the run itself waits to be sent; see `Artifact.progress` for artifacts."""
        return RunStatus()

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Returns False: there is nothing to show."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Returns no text: there is nothing to show."""
        return ""
