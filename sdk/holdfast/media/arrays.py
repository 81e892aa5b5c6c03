"""Arrays of other libraries as arrays of NumPy, and NumPy's values as Python's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def as_array(value: Any, numpy: Any) -> Array:
    """Returns what a user gave as an array; a tensor is brought from wherever it lies.

    Args:
        value: an array, a tensor of torch, TensorFlow or JAX, or nested sequences.
        numpy: the module.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no such type.
        value = value.float() if "bfloat16" in str(value.dtype) else value
    if not isinstance(value, numpy.ndarray) and hasattr(value, "numpy"):
        value = value.numpy()
    return numpy.asarray(value)  # type: ignore[no-any-return]


def array_of_cells(cells: Sequence[Any], numpy: Any) -> Array:
    """Returns cells as one array; an array of objects when they are of several shapes, such as images of several sizes.

    Args:
        cells: numbers, texts, lists, arrays, None.
        numpy: the module.
    """
    try:
        return numpy.array(cells)  # type: ignore[no-any-return]
    except ValueError:
        array: Array = numpy.empty(len(cells), object)
        for at, cell in enumerate(cells):
            array[at] = cell
        return array


def plain_value(value: Any) -> Any:
    """Returns values of numpy and the like as Python's, and tuples as lists: what JSON gives back."""
    if isinstance(value, Mapping):
        return {key: plain_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, str | int | float | None):
        return value
    convert = getattr(value, "tolist", None) or getattr(value, "item", None)
    return value if convert is None else convert()
