"""JSON as the files of media hold it: without spaces, equal for equal values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from holdfast.media.content_errors import unreadable

if TYPE_CHECKING:
    from holdfast.media.media_file import Media


def json_bytes(value: Any) -> bytes:
    """Returns the bytes of a value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


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
