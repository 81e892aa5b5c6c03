"""`plot.line` and the like, for scripts written for W&B: charts belong to metrics, so they are taken and not drawn.

The data of a chart is kept by an artifact that has its table; a figure by `Plotly` or `Image`.
"""

from __future__ import annotations

from typing import Any

from holdfast._charts import CustomChart, chart, plot_table

__all__ = [
    "CustomChart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
]


def bar(*arguments: Any, **options: Any) -> CustomChart:
    """Takes a table, two columns and a title."""
    return chart("bar", arguments, options)


def confusion_matrix(*arguments: Any, **options: Any) -> CustomChart:
    """Takes probabilities or guesses, the truth, and names of classes."""
    return chart("confusion_matrix", arguments, options)


def histogram(*arguments: Any, **options: Any) -> CustomChart:
    """Takes a table, a column and a title."""
    return chart("histogram", arguments, options)


def line(*arguments: Any, **options: Any) -> CustomChart:
    """Takes a table, two columns and a title."""
    return chart("line", arguments, options)


def line_series(*arguments: Any, **options: Any) -> CustomChart:
    """Takes places and several rows of values."""
    return chart("line_series", arguments, options)


def pr_curve(*arguments: Any, **options: Any) -> CustomChart:
    """Takes the truth, probabilities, and names of classes."""
    return chart("pr_curve", arguments, options)


def roc_curve(*arguments: Any, **options: Any) -> CustomChart:
    """Takes the truth, probabilities, and names of classes."""
    return chart("roc_curve", arguments, options)


def scatter(*arguments: Any, **options: Any) -> CustomChart:
    """Takes a table, two columns and a title."""
    return chart("scatter", arguments, options)
