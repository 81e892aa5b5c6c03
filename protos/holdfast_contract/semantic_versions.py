"""The grammar of semantic versions (SemVer 2.0.0), and which texts may be meant as one or as a range of them."""

from __future__ import annotations

import re

from holdfast_contract.errors import InvalidNameError

SEMANTIC_VERSION_CHARS_MAX = 128
"""As long as a name may be; dates and commit hashes fit."""

_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRERELEASE = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = r"[0-9a-zA-Z-]+"
SEMANTIC_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRERELEASE}(?:\.{_PRERELEASE})*))?(?:\+({_BUILD}(?:\.{_BUILD})*))?"
)
"""With `fullmatch`: major, minor, patch, pre-release and build, the last two without their sign, or None."""
_RANGE_OPENING = tuple("^~<>=*")


def is_semantic_version(text: str) -> bool:
    """Tells whether a text is a whole semantic version."""
    return len(text) <= SEMANTIC_VERSION_CHARS_MAX and SEMANTIC_VERSION.fullmatch(text) is not None


def opens_range(text: str) -> bool:
    """Tells whether a text can only be meant as a range of semantic versions: it begins with one of `^ ~ < > = *`."""
    return text.startswith(_RANGE_OPENING)


def check_semantic_version(text: str) -> None:
    """Refuses what is no semantic version.

    Raises:
        InvalidNameError: see the message.
    """
    if not isinstance(text, str):
        raise InvalidNameError(f"Semantic version must be a string, not {type(text).__name__}: {text!r:.200}")
    if len(text) > SEMANTIC_VERSION_CHARS_MAX:
        raise InvalidNameError(
            f"Semantic version is longer than {SEMANTIC_VERSION_CHARS_MAX} characters: {text!r:.200}"
        )
    if SEMANTIC_VERSION.fullmatch(text) is None:
        raise InvalidNameError(
            f'Invalid semantic version {text!r}: it is MAJOR.MINOR.PATCH[-prerelease][+build], such as "1.2.0" or "2.0.0-rc.1".'
        )
