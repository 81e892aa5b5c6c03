"""Named places where a test can make a process die or a system call fail; free of cost when none is set.

`HOLDFAST_FAILPOINTS` holds `name=action[@n]`, separated by commas: at the n-th passage (default: the first) of the place,
`kill` sends the process SIGKILL, `kill_group` sends it to the whole process group (a daemon and its workers die at once, as when the
machine stops), `exit` ends it with code 70, `stop` sends SIGSTOP, and the name of an errno (`ENOSPC`, `EIO`, …) raises that
OSError; `@n+` stands for the n-th passage and all later ones.  Only tests set it.
"""

import errno
import os
import signal
from dataclasses import dataclass

ENVIRONMENT_NAME = "HOLDFAST_FAILPOINTS"


@dataclass(slots=True)
class _Armed:
    action: str
    at: int
    every: bool
    passed: int = 0


def _parse(text: str) -> dict[str, _Armed]:
    armed: dict[str, _Armed] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = item.partition("=")
        action, _, count = rest.partition("@")
        armed[name] = _Armed(action, int(count.rstrip("+") or 1), count.endswith("+"))
    return armed


_armed: dict[str, _Armed] = _parse(os.environ.get(ENVIRONMENT_NAME, ""))


def failpoint(name: str) -> None:
    """Passes the named place; does what a test has asked for there.

    Raises:
        OSError: the errno that is armed here.
    """
    if not _armed:
        return
    point = _armed.get(name)
    if point is None:
        return
    point.passed += 1
    if point.passed == point.at or (point.every and point.passed > point.at):
        _act(name, point.action)


def _act(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "kill_group":
        os.killpg(0, signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "exit":
        os._exit(70)
    else:
        code = getattr(errno, action)
        raise OSError(code, f"{os.strerror(code)} (failpoint {name})")


def arm(text: str) -> None:
    """Replaces what is armed in this process; `arm("")` disarms."""
    _armed.clear()
    _armed.update(_parse(text))
