"""Semantic versions as Comet's users have them: objects of the package `semantic_version`, which is loaded when one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import MissingPackageError

if TYPE_CHECKING:
    from semantic_version import Version


def semantic_version_of(text: str) -> Version:
    """Returns the version that a text says, strictly `MAJOR.MINOR.PATCH[-prerelease][+build]`.

    Raises:
        ValueError: it says none.
        MissingPackageError: (an ImportError) the package `semantic_version` is not installed.
    """
    try:
        from semantic_version import Version
    except ImportError as error:
        raise MissingPackageError(
            "Versions are objects of a package that is not installed: pip install 'holdfast[comet]'"
        ) from error
    return Version(text)
