"""Histograms and charts, which scripts make in order to log them as metrics: they hold what they were made of and draw nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast._run_metrics import tell_once
from holdfast.media.optional_package import load_package

BINS_MAX = 512
"""W&B's limit."""


class Histogram:
    """How many numbers lie in which range.  Not for artifacts: its numbers can be cells of a table."""

    MAX_LENGTH = BINS_MAX

    def __init__(self, sequence: Any = None, np_histogram: tuple[Any, Any] | None = None, num_bins: int = 64) -> None:
        """Counts numbers, or takes what was counted.

        Args:
            sequence: numbers.
            np_histogram: what `numpy.histogram` returns; goes before `sequence`.
            num_bins: ranges, at most 512.

        Raises:
            ValueError: neither is given, there are too many ranges, or not one range for each count.
        """
        if np_histogram is not None:
            counts, edges = np_histogram
            self.histogram, self.bins = list(counts), list(edges)
        elif sequence is None:
            raise ValueError("Histogram needs a sequence of numbers or np_histogram")
        else:
            counts, edges = load_package("numpy", "Histogram").histogram(sequence, bins=min(num_bins, BINS_MAX + 1))
            self.histogram, self.bins = counts.tolist(), edges.tolist()
        if len(self.histogram) > BINS_MAX:
            raise ValueError(f"A histogram has at most {BINS_MAX} bins, not {len(self.histogram)}")
        if len(self.histogram) + 1 != len(self.bins):
            raise ValueError(f"{len(self.histogram)} counts need one edge more than that, not {len(self.bins)}")

    def __repr__(self) -> str:
        return f"Histogram({len(self.histogram)} bins, {self.bins[0]:g} … {self.bins[-1]:g})"


@dataclass(frozen=True, slots=True)
class CustomChart:
    """What the functions of `holdfast.plot` return."""

    kind: str
    """Name of the function."""
    arguments: tuple[Any, ...] = field(default=(), repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)


def chart(kind: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> CustomChart:
    """Returns a chart that is not drawn; the process is told once that metrics are not kept."""
    tell_once()
    return CustomChart(kind, arguments, options)


def plot_table(*arguments: Any, **options: Any) -> CustomChart:
    """Takes the name of a chart, a table and its fields; log the table in an artifact to keep it."""
    return chart("plot_table", arguments, options)
