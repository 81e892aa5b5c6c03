"""What was measured: rows with baseline, ratio and target, as a table for people and as JSON for machines."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.data_sets import human_size


class Unit(Enum):
    """What a row's figure counts."""

    SECONDS = "s"
    BYTES = "bytes"
    PER_SECOND = "per s"
    COUNT = "count"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the machine needs for the least that has to be done, measured in the same run."""

    what: str
    samples_s: Sequence[float]

    @property
    def median_s(self) -> float:
        return statistics.median(self.samples_s)


@dataclass(frozen=True, slots=True)
class Target:
    """An upper bound: of the ratio to the baseline, or of the figure itself."""

    at_most: float
    of_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; the median of its samples."""

    subject: str
    step: str
    unit: Unit
    samples: Sequence[float]
    baseline: Baseline | None = None
    target: Target | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.samples)

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline.median_s if self.baseline else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is kept; None without one."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.of_ratio else self.value
        assert judged is not None, "a target of the ratio needs a baseline"
        return judged <= self.target.at_most

    def cells(self) -> list[str]:
        return [
            self.subject,
            self.step,
            _human(self.value, self.unit),
            f"{self.baseline.what} {_human(self.baseline.median_s, Unit.SECONDS)}" if self.baseline else "",
            f"{self.ratio:.2f} ×" if self.ratio is not None else "",
            self._target_text(),
            {True: "yes", False: "NO", None: ""}[self.reached],
        ]

    def _target_text(self) -> str:
        if self.target is None:
            return ""
        if self.target.of_ratio:
            return f"≤ {self.target.at_most:g} ×"
        return f"≤ {_human(self.target.at_most, self.unit)}"

    def as_json(self) -> dict[str, object]:
        return {
            "subject": self.subject,
            "step": self.step,
            "unit": self.unit.value,
            "value": self.value,
            "samples": list(self.samples),
            "baseline": self.baseline.what if self.baseline else None,
            "baseline_samples_s": list(self.baseline.samples_s) if self.baseline else None,
            "ratio": self.ratio,
            "target": self.target.at_most if self.target else None,
            "target_of_ratio": self.target.of_ratio if self.target else None,
            "reached": self.reached,
        }


HEADER = ["what", "step", "figure", "baseline", "ratio", "target", "reached"]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, so that a terminal and a document show the same."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def write_json(path: Path, rows: Sequence[Row], machine: dict[str, object]) -> None:
    document = {"machine": machine, "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _human(value: float, unit: Unit) -> str:
    if unit is Unit.SHARE:
        return f"{100 * value:.1f} %"
    if unit is Unit.BYTES:
        return human_size(value)
    if unit is Unit.COUNT:
        return f"{value:,.0f}"
    if unit is Unit.PER_SECOND:
        return f"{value:,.0f} / s"
    return f"{value * 1000:.0f} ms" if value < 0.1 else f"{value:.2f} s"
