"""Lines of a script on standard error, by W&B's names: `termlog`, `termwarn`, `termerror`."""

from __future__ import annotations

import sys

PREFIX = "holdfast: "

_said: set[str] = set()
"""Lines that were asked for once; no lock, which a fork could leave taken: at worst one is said twice."""


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Writes a line.

    Args:
        string: what to write.
        newline: end it with a newline.
        repeat: False writes the same text only once in this process.
        prefix: begin with "holdfast: ".
    """
    _say(string, newline=newline, repeat=repeat, prefix=prefix)


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Writes a line marked as a warning; see `termlog`."""
    _say(f"WARNING {string}", newline=newline, repeat=repeat, prefix=prefix)


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Writes a line marked as an error; see `termlog`."""
    _say(f"ERROR {string}", newline=newline, repeat=repeat, prefix=prefix)


def _say(text: str, *, newline: bool, repeat: bool, prefix: bool) -> None:
    if sys.stderr is None or (not repeat and text in _said):
        return
    if not repeat:
        _said.add(text)
    sys.stderr.write((PREFIX if prefix else "") + text + ("\n" if newline else ""))
    sys.stderr.flush()
