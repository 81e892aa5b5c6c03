"""An acknowledged artifact survives SIGKILL of the daemon, at every place where it can be hit, and becomes a version exactly once.

One chain of kills: each daemon takes up what the last one left and logs more, until it dies too.
"""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crash.failpoint_names import FIRST_START_OPERATIONS, failpoints_of, os_operations
from crash.user import User, start_or_die
from registry.client import Client, content_of
from support.figures import figure
from support.log_client import ENTITY, PROJECT, LogClient
from support.processes import DidNotStartError, Host

OTHER_SIDES = ("fetch.", "sync.", "bundle.", "finish.")
"""Downloads, held jobs, bundles and distributed versions are killed by tests of their own."""
RANDOM_KILL_S_MAX = 0.6
"""About as long as a daemon needs for the artifacts of one round."""


def _log_side_places() -> list[str]:
    named = [name for name in failpoints_of("daemon") if not name.startswith(OTHER_SIDES)]
    operations = [f"os.{name}" for name in os_operations() if name not in FIRST_START_OPERATIONS]
    return named + operations


@pytest.mark.parametrize("part", range(figure(1, 10)))
@pytest.mark.timeout(figure(300, 7200))
def test_acknowledged_artifacts_survive_a_kill_of_the_daemon_at_every_place(
    host: Host, tmp_path: Path, part: int
) -> None:
    rng = random.Random(part)
    user = User(host, tmp_path / "files", rng)
    places = _log_side_places()
    rng.shuffle(places)
    # The first passages come with the recovery of what the last daemon left, so about a fifth of the kills hits that.
    armed = [f"{name}=kill_group@{rng.choice([1, 2, 3]) if part else 1}" for name in places]
    armed += [f"{name}=kill_group@{rng.randint(2, 4)}" for name in rng.choices(places, k=figure(3, 30))]
    survived = [failpoints for failpoints in armed if not _dies(host, user, failpoints)]
    if not part:
        # What is logged is drawn by lot, so a place that was not passed has more chances.
        first = [failpoints for failpoints in survived if failpoints.endswith("@1")]
        missed = [failpoints for failpoints in first if not any(_dies(host, user, failpoints) for _ in range(6))]
        assert not missed, "places that no daemon passes"
    host.restart()
    user.check()


def _dies(host: Host, user: User, failpoints: str) -> bool:
    return not start_or_die(host, failpoints) or user.log_until_death(artifacts_max=2, files_max=figure(50, 500))


@pytest.mark.parametrize("part", range(figure(1, 10)))
@pytest.mark.timeout(figure(300, 7200))
def test_acknowledged_artifacts_survive_a_kill_of_the_daemon_at_any_time(host: Host, tmp_path: Path, part: int) -> None:
    rng = random.Random(1000 + part)
    user = User(host, tmp_path / "files", rng)
    for _ in range(figure(8, 60)):
        host.restart()
        with _killed_after(host, rng.uniform(0, RANDOM_KILL_S_MAX)):
            user.log_until_death(artifacts_max=4, files_max=figure(50, 500))
    host.restart()
    user.check()


def test_a_commit_that_was_not_heard_of_is_not_made_again_behind_another_version(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(6))
    host.start("commit.after_call=kill_group@1")
    assert user.log_until_death(artifacts_max=1)
    assert host.registry is not None
    with Client(f"unix:{host.registry.socket}") as other:
        begun = other.begin(user.collection, entity=ENTITY, project=PROJECT)
        content = content_of({"theirs": b"of somebody else"})
        other.bring(begun.lease.lease_id, content.chunks)
        assert other.commit(begun, content).version.version_index == 1
    host.restart()
    with LogClient(host.places) as client:
        answer = client.wait(user.artifacts[0].session.session_id)
        assert answer.version.version_index == 0
        assert len(client.list_versions(user.collection)) == 2


@contextmanager
def _killed_after(host: Host, seconds: float) -> Iterator[None]:
    """SIGKILL for the daemon and its workers at a time that nothing is known of."""
    assert host.daemon.process is not None
    timer = threading.Timer(seconds, os.killpg, (host.daemon.process.pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_daemons_killed_at_their_very_first_steps_leave_nothing_that_hurts_the_next(host: Host, tmp_path: Path) -> None:
    for operation in ("mkdir", "create", "write", "fsync", "rename", "fsync_folder"):
        with pytest.raises(DidNotStartError):
            host.start(f"os.{operation}=kill_group@1")
    user = User(host, tmp_path / "files", random.Random(1))
    host.restart()
    assert not user.log_until_death(artifacts_max=1)
    user.check()
