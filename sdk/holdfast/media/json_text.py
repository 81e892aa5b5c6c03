"""JSON as the files of media hold it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.media.content_errors import unreadable

if TYPE_CHECKING:
    from holdfast.media.media_file import Media


def json_bytes(value: Any, *, sort_keys: bool = True) -> bytes:
    """Returns the bytes of a value, without spaces; with sorted keys equal ones for equal values."""
    return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys).encode()


def read_json(media: Media) -> Any:
    """Returns what the file of an object holds.

    Raises:
        MalformedObjectError: the artifact's file is no JSON; InvalidInputError: the user's is none.
    """
    with media.open() as file:
        data = file.read()
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unreadable(media._content, f"it is no JSON ({error})") from error


def first_line(error: Exception) -> str:
    """Returns what a library says, short: some print all that they know."""
    return str(error).strip().partition("\n")[0]
