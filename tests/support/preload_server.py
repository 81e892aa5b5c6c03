"""The program of a preloaded server: it has imported a package, and each request makes a fork of it that runs `python -m` of that.

It never has a thread, a channel or an open database, so a fork of it is what a fresh interpreter is after its imports.  It is the
parent of what it forks, reports their ends, and ends itself when the one that started it closes the connection, however that ends.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from typing import Any

from holdfast_contract import failpoints

REQUEST_BYTES_MAX = 1 << 18
DESCRIPTORS_MAX = 16
REPORT = struct.Struct("i")
"""Twice on each report pipe: the child's pid, from itself when it may be signalled; its wait status, from the server."""
_ARGUMENTS = slice(45, 47)
"""Where they start and end in memory: the 48th and 49th field of /proc/self/stat, whose third is the first after the name."""


def main() -> None:
    """Serves until the connection closes; in a fork, runs what was asked for and ends as that ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2].split(","):
        importlib.import_module(name)
    # Ctrl-C reaches the whole terminal; what the tests end while they tear down is still to be reported.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    asked = _next_child(control)
    if asked is not None:
        _become(*asked)


def _next_child(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Forks and reports; returns a request and its descriptors in the fork that is to run it, None at the end."""
    children: dict[int, tuple[int, int]] = {}
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    while True:
        for descriptor, _ in waiting.poll():
            if descriptor != control.fileno():
                _report_end(*children.pop(descriptor))
                waiting.unregister(descriptor)
                os.close(descriptor)
                continue
            request, passed, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, DESCRIPTORS_MAX)
            if not request:
                return None
            pid = os.fork()
            if pid == 0:
                control.detach()  # its number will be another file's, which the end of this object must not close
                return json.loads(request), passed
            report, *others = passed
            for other in others:
                os.close(other)
            ended = os.pidfd_open(pid)
            children[ended] = (pid, report)
            waiting.register(ended, select.POLLIN)


def _report_end(pid: int, report: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know
        os.write(report, REPORT.pack(status))
    os.close(report)


def _become(wish: dict[str, Any], passed: list[int]) -> None:
    """Makes this fork what `subprocess.Popen` makes of a new process, and runs the module."""
    if wish["new_session"]:
        os.setsid()
    os.write(passed[0], REPORT.pack(os.getpid()))
    _place_descriptors(passed[1:], wish["descriptors"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(wish["umask"])
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["environ"])
    failpoints.arm(os.environ.get(failpoints.ENVIRONMENT_NAME, ""))  # read when it is imported
    _show_command_line([sys.executable, "-P", "-m", wish["module"], *wish["arguments"]])
    sys.argv[1:] = wish["arguments"]
    runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)


def _place_descriptors(received: list[int], wanted: list[int]) -> None:
    """Gives each received descriptor its number in the process that sent it, and closes all others."""
    above = max(wanted) + 1
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in received]
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in moved:
            with contextlib.suppress(OSError):  # the one that lists them
                os.close(int(name))
    for descriptor, number in zip(moved, wanted, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _show_command_line(command: list[str]) -> None:
    """Writes it over this process's arguments, for `ps` and for tests that look for a process: sys.argv[3] makes the room."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = map(int, fields[_ARGUMENTS])
    text = b"\0".join(map(os.fsencode, command)) + b"\0"
    if len(text) <= end - start:
        ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    main()
