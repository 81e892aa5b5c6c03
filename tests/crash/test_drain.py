"""SIGTERM under load: the daemon ends in time, with exit code 0, and the next one goes on where it stopped."""

import random
import threading
from pathlib import Path

from crash.user import User
from support.figures import figure
from support.processes import Host

DRAIN_S_MAX = 10.0
LOAD_S_MAX = 0.6


def test_a_daemon_that_is_told_to_end_ends_in_time_and_loses_nothing(host: Host, tmp_path: Path) -> None:
    rng = random.Random(18)
    user = User(host, tmp_path / "files", rng)
    for _ in range(figure(5, 100)):
        host.start()
        assert host.daemon.process is not None
        told = threading.Timer(rng.uniform(0, LOAD_S_MAX), host.daemon.process.terminate)
        told.start()
        user.log_until_death(artifacts_max=6, files_max=figure(50, 500))
        told.join()
        assert host.daemon.wait(DRAIN_S_MAX) == 0, host.daemon.log_tail()
    host.start()
    user.check()
