"""Warnings that show the line of the user's script, however deep in the package they arise."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the innermost line outside of this package.

    Args:
        message: what the user should know.
        category: class of the warning.
    """
    # Python 3.12 can skip files by their prefix; 3.11 counts frames, of which this function's is the first.
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
