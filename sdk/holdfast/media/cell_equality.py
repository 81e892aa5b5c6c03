"""When cells of tables are equal: by value, arrays as a whole, and one NaN to another."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = frozenset({str, int, float, bool, type(None)})


def columns_equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Says whether two columns have equal cells."""
    if len(one) != len(other):
        return False
    if _PLAIN.issuperset(map(type, one)) and one == other:
        return True
    return all(map(cells_equal, one, other))


def cells_equal(one: Any, other: Any) -> bool:
    """Says whether two cells are equal."""
    if one is other:
        return True
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(one, numpy.ndarray) or isinstance(other, numpy.ndarray)):
        return _arrays_equal(numpy, one, other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(cells_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(cells_equal(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float) and one != one:
        return other != other
    return bool(one == other)


def _arrays_equal(numpy: Any, one: Any, other: Any) -> bool:
    first, second = numpy.asarray(one), numpy.asarray(other)
    if first.shape != second.shape:
        return False
    equal = first == second
    if first.dtype.kind in "fcM" and second.dtype.kind in "fcM":
        equal |= (first != first) & (second != second)
    return bool(numpy.all(equal))
