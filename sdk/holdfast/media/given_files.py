"""What users give where a file is asked for: a path, an opened file that has one, or one that must be read."""

from __future__ import annotations

import os
from typing import Any


def given_path(value: Any) -> str | None:
    """Returns the path of what was given, or None when it has none and must be read.

    Args:
        value: anything; of an opened file, the path that it was opened by is returned if it is still there.
    """
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    name = getattr(value, "name", None)
    if not hasattr(value, "read") or not isinstance(name, str) or not os.path.isfile(name):
        return None
    if hasattr(value, "flush") and not getattr(value, "closed", False):
        value.flush()  # what its user has written is to be in the file
    return name


def read_given(file: Any) -> bytes:
    """Returns all bytes of an opened file, from its beginning if it can be set back; text becomes UTF-8."""
    if hasattr(file, "seek"):
        file.seek(0)
    data = file.read()
    return data.encode() if isinstance(data, str) else bytes(data)


def known_extension(path: str, known: tuple[str, ...]) -> str | None:
    """Returns which of the extensions (without a dot, such as "pts.json") a path ends with."""
    lower = path.lower()
    return next((extension for extension in known if lower.endswith(f".{extension}")), None)
