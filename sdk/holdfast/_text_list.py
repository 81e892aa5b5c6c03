"""Arguments that are several texts, of which one may be given as it is."""

from __future__ import annotations

from collections.abc import Iterable


def text_list(argument: str, given: Iterable[str] | str | None) -> list[str]:
    """Returns what was given as a list; None is none.

    Args:
        argument: how the caller calls it.
        given: one text, or several.

    Raises:
        TypeError: neither; the message names the argument.
    """
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"{argument} must be a text or several, not {given!r:.200}")
    return list(given)
