"""A disk that is full or fails: nothing is acknowledged that is not durable, jobs wait for space, and nothing is ever wrong.

Real processes; the n-th call of every operation is in test_every_error.py.
"""

import random
from pathlib import Path

import pytest

from crash.user import User
from holdfast_contract.os_layer import EXIT_CODE_FSYNC
from support.figures import figure
from support.log_client import LogClient
from support.processes import DidNotStartError, Host


def test_a_daemon_whose_fsync_fails_ends_with_its_code_and_loses_nothing(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(10))
    with pytest.raises(DidNotStartError):
        host.start("os.fsync=EIO@1")
    assert host.daemon.wait() == EXIT_CODE_FSYNC
    host.start()
    assert not user.log_until_death(artifacts_max=1)
    for n in range(1, figure(4, 20)):
        for operation in ("os.fsync", "os.fsync_folder"):
            host.restart(f"{operation}=EIO@{n}")
            if user.log_until_death(artifacts_max=4):
                assert host.daemon.wait() == EXIT_CODE_FSYNC, host.daemon.log_tail()
            else:
                assert n > 1, f"{operation} was not passed"
    host.restart()
    user.check()


def test_a_registry_whose_fsync_fails_ends_with_its_code_and_commits_nothing_wrong(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(11))
    host.start()
    assert not user.log_and_watch(host.registry)
    for failpoints in ("os.fsync=EIO@1", "os.fsync_folder=EIO@3", "os.fsync=EIO@2"):
        host.registry.start(failpoints)
        while not user.log_and_watch(host.registry):
            pass
        assert host.registry.wait() == EXIT_CODE_FSYNC, host.registry.log_tail()
    host.registry.start()
    user.check()


def test_jobs_wait_while_the_disk_is_full_and_go_on_by_themselves(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(12))
    host.start("os.writev=ENOSPC@1")
    with LogClient(host.places) as client:
        artifact = user.make(20, keeps_files=True)
        # Only the tree: bytes that come with their record are spooled before the daemon answers, and would wait there.
        del artifact.records[1:]
        artifact.content = {path: digest for path, digest in artifact.content.items() if path.startswith("tree/")}
        user.log(client, artifact)
        waited_for = {p.progress.waiting_for for p in client.progress(artifact.session.session_id)}
    assert any("space" in reason for reason in waited_for), waited_for
    user.check()


def test_a_registry_on_a_full_disk_delays_jobs_and_nothing_else(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(13))
    host.start()
    host.registry.start("os.rename=ENOSPC@1,os.mkdir=EDQUOT@4")
    assert not user.log_until_death(artifacts_max=2)
    user.check()
