"""Arrays of other libraries as arrays of NumPy."""

from __future__ import annotations

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
