"""A registry killed at any place has committed a version or has not: the daemon tries again, and each artifact is there once."""

import contextlib
import random
import threading
import uuid
from pathlib import Path

import grpc
import psutil
import pytest

from crash.failpoint_names import failpoints_of
from crash.user import User
from holdfast_registry.failpoint_names import FAILPOINTS
from holdfastpb.registry.v1.version_pb2 import UpdateVersionRequest
from support.figures import figure
from support.log_client import LogClient
from support.processes import DidNotStartError, Host, running_host

OPERATIONS = ("os.mkdir", "os.unlink", "os.fsync", "os.fsync_folder", "os.rename")
"""What a registry does with files when packs come by link."""
UPDATE_SIDE = "update."
COLLECTOR_SIDE = "gc."
"""Passed by garbage collection only, whose crash tests are those of `tests/registry/test_gc_crashes.py`."""
DISTRIBUTED_SIDE = ("part.", "finish.")
"""Passed by distributed versions only, whose crash tests are those of `tests/registry/test_distributed_crashes.py`."""
COPY_SIDE = "copy."
"""Passed by copies of a registry only, whose crash tests are those of `tests/registry/test_copy.py`."""
VERIFIER_SIDE = "verifier."
"""Passed by large packs in an S3 store only, whose crash tests are those of `tests/registry/test_unread_packs.py`."""
SCRUB_SIDE = "scrub."
"""Passed when a damaged pack is found only, whose crash tests are those of `tests/registry/test_scrub_crashes.py`."""
LINK_SIDE = "link."
"""Passed by links only, whose crash tests are those of `tests/registry/test_crashes.py`."""
RANDOM_KILL_S_MAX = 0.5


def test_the_list_of_places_is_complete() -> None:
    assert sorted(FAILPOINTS) == failpoints_of("service")


@pytest.mark.timeout(figure(300, 7200))
def test_each_artifact_is_committed_once_although_the_registry_dies_at_every_place(host: Host, tmp_path: Path) -> None:
    rng = random.Random(2)
    user = User(host, tmp_path / "files", rng)
    places = [
        name
        for name in FAILPOINTS
        if not name.startswith(
            (UPDATE_SIDE, LINK_SIDE, COLLECTOR_SIDE, COPY_SIDE, SCRUB_SIDE, VERIFIER_SIDE, *DISTRIBUTED_SIDE)
        )
    ] + list(OPERATIONS)
    armed = [f"{name}=kill@1" for name in places]
    rng.shuffle(armed)
    armed += [f"{name}=kill@{rng.randint(1, 4)}" for name in rng.choices(places, k=figure(6, 900))]
    host.start()
    survived = []
    for failpoints in armed:
        if _start_or_die(host, failpoints) and not user.log_and_watch(host.registry):
            survived.append(failpoints)
    assert not [s for s in survived if s.endswith("@1")], "places that no registry passes"
    host.registry.start()
    user.check()


def test_each_artifact_is_committed_once_although_the_registry_dies_at_any_time(host: Host, tmp_path: Path) -> None:
    rng = random.Random(3)
    user = User(host, tmp_path / "files", rng)
    host.start()
    for _ in range(figure(8, 100)):
        host.registry.start()
        timer = threading.Timer(rng.uniform(0, RANDOM_KILL_S_MAX), host.registry.process.kill)
        timer.start()
        user.log_and_watch(host.registry)
        timer.join()
    host.registry.start()
    user.check()


def test_aliases_are_moved_once_although_the_registry_dies_in_the_middle(host: Host, tmp_path: Path) -> None:
    user = User(host, tmp_path / "files", random.Random(4))
    host.start()
    assert not user.log_and_watch(host.registry)
    with LogClient(host.places) as client:
        version = client.list_versions("c")[0]
        for name in [name for name in FAILPOINTS if name.startswith(UPDATE_SIDE)]:
            host.registry.start(f"{name}=kill@1")
            request = UpdateVersionRequest(
                request_id=str(uuid.uuid4()), version_id=version.version_id, aliases_to_add=[name.replace(".", "-")]
            )
            with contextlib.suppress(grpc.RpcError):
                client.call(client.versions.UpdateVersion, request)
            assert host.registry.wait() < 0
            host.registry.start()
            updated = client.patiently(client.versions.UpdateVersion, request).version
            assert name.replace(".", "-") in updated.aliases
    assert not host.fsck()


def test_an_embedded_registry_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with running_host(tmp_path / "host", own_registry=False) as host:
        host.start()
        user = User(host, tmp_path / "files", random.Random(5))
        assert not user.log_until_death(artifacts_max=1)
        for _ in range(2):
            registry = host.embedded_registry()
            assert registry is not None
            registry.kill()
            psutil.wait_procs([registry])
            assert not user.log_until_death(artifacts_max=1)
        user.check()


def _start_or_die(host: Host, failpoints: str) -> bool:
    with contextlib.suppress(DidNotStartError):
        host.registry.start(failpoints)
        return True
    return False
