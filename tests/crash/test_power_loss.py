"""What is acknowledged is on stable storage: after a power failure at any moment the artifact still becomes a version.

Everything that daemon and registry do with files is recorded while artifacts are logged; then the folder is rebuilt as the failure
would leave it, and both are started on it.
"""

import asyncio
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from crash.user import Artifact, User
from holdfast_contract import os_layer
from support.crash_fs import VARIANTS, CrashFS
from support.figures import FULL, figure
from support.log_client import LogClient
from support.one_process import OneProcess
from support.processes import Host

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of open files are read from /proc")

IMAGES = 60
"""Of the small figure; each takes a start of daemon and registry."""


@dataclass
class _Acknowledged:
    artifact: Artifact
    at: int
    """Operations recorded by then."""


async def _record(system: OneProcess, data_dir: Path, files: Path) -> tuple[CrashFS, list[_Acknowledged]]:
    """Logs three artifacts: the first to its end, the others at once."""
    async with system.running(data_dir) as places:
        recorder = CrashFS(data_dir, [places.registry_dir / "registry.sqlite3", places.journal])
        os_layer.observe(recorder)
        try:
            acknowledged = await asyncio.to_thread(_log_three, system, files, recorder)
        finally:
            os_layer.observe(None)
            recorder.close()
    return recorder, acknowledged


def _log_three(system: OneProcess, files: Path, recorder: CrashFS) -> list[_Acknowledged]:
    user = User(cast(Host, system), files, random.Random(3))
    acknowledged = []
    with LogClient(system.places) as client:
        for at in range(3):
            artifact = user.make(12, keeps_files=at == 1)
            user.log(client, artifact)
            acknowledged.append(_Acknowledged(artifact, len(recorder)))
            if at != 1:
                client.wait(artifact.session.session_id)
        for one in acknowledged:
            client.wait(one.artifact.session.session_id)
    return acknowledged


@pytest.mark.timeout(figure(120, 7200))
async def test_what_is_acknowledged_survives_a_power_failure_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = OneProcess(monkeypatch)
    recorder, acknowledged = await _record(system, tmp_path / "data", tmp_path / "files")
    images = [(prefix, variant) for prefix in range(len(recorder) + 1) for variant in VARIANTS]
    if not FULL:
        images = random.Random(3).sample(images, IMAGES)
    for prefix, variant in images:
        folder = tmp_path / "image"
        recorder.rebuild(folder, prefix, variant, random.Random(prefix))
        try:
            async with system.running(folder):
                due = [one.artifact for one in acknowledged if one.at <= prefix]
                await asyncio.to_thread(_check, system, due)
        except AssertionError as error:
            raise AssertionError(
                f"after operation {prefix} of {len(recorder)}, unflushed {variant}: {error}"
            ) from error
        shutil.rmtree(folder)


def _check(system: OneProcess, due: list[Artifact]) -> None:
    with LogClient(system.places) as client:
        for artifact in due:
            answer = client.wait(artifact.session.session_id)
            assert answer.HasField("version"), answer.error.message
            assert client.entries(answer.version.version_id) == artifact.content
    assert not system.fsck()
