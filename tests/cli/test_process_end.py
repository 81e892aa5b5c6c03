"""Waiting for a process that somebody else has started."""

import subprocess
import sys

from holdfast.cli.process_end import wait_for_end


def test_the_end_is_seen_although_nobody_has_collected_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not wait_for_end(process.pid, 0.05)
        process.kill()
        assert wait_for_end(process.pid, 30)


def test_a_process_that_is_gone_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert wait_for_end(process.pid, 0)
