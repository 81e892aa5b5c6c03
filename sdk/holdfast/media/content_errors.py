"""The error for a media file whose bytes are not what its type needs: it names the artifact's file, or the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ArtifactError, InvalidInputError
from holdfast.media.media_content import StoredFile

if TYPE_CHECKING:
    from holdfast.media.media_content import MediaContent


def unreadable(content: MediaContent, problem: str) -> ArtifactError:
    """Returns the error.

    Args:
        content: the file that was read.
        problem: what is wrong, such as "it holds no frame".
    """
    if isinstance(content, StoredFile):
        return content.unreadable(problem)
    return InvalidInputError(f"{content.name} cannot be read: {problem}.")
