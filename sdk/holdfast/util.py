"""`generate_id`, in a module of this name only because scripts written for W&B call `wandb.util.generate_id()`."""

from __future__ import annotations

from holdfast._run_settings import RUN_ID_CHARS, random_id

__all__ = ["generate_id"]


def generate_id(length: int = RUN_ID_CHARS) -> str:
    """Returns a random id of lower-case letters and digits, good for a run.

    Args:
        length: in characters, at least 1.

    Raises:
        ValueError: the length is less than 1.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, not {length}")
    return random_id(length)
