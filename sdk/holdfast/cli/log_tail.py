"""The end of a log file, and what is appended to it while one looks, across rotations."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_S = 0.25
"""Pause between two looks at a followed file: quick enough for a person, nothing for the machine."""


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, without their ends; memory for `count` lines, however long the file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(path: Path, count: int, pause: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """The last lines of a file, then each line appended to it, for ever; a new file of its name is read from its start.

    Raises:
        FileNotFoundError: there is no such file at the beginning.
    """
    file = path.open(encoding="utf-8", errors="replace")
    try:
        yield from (line.rstrip("\n") for line in deque(file, maxlen=count))
        partial = ""
        while True:
            partial += file.readline()
            if partial.endswith("\n"):
                yield partial.rstrip("\n")
                partial = ""
            elif _was_replaced(path, file.fileno()):
                file.close()
                file, partial = path.open(encoding="utf-8", errors="replace"), ""
            else:
                pause(POLL_S)
    finally:
        file.close()


def _was_replaced(path: Path, descriptor: int) -> bool:
    """Whether the name stands for another file than the one that is open; not while it stands for none."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return not os.path.samestat(named, os.fstat(descriptor))
