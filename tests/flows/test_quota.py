"""A job over its quota is held and says so, others go on, and it goes on itself when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from support.own_registry import OwnRegistry
from support.sdk_host import SdkHost
from support.status import until_job_waits

WAIT_S = 60.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry"), settings={"HOLDFAST_REGISTRY_STREAM_IDLE_S": "5"}) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    made = SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings())
    with made.entered():
        yield made


def quota(registry: OwnRegistry, where: str, *limits: str) -> None:
    done: subprocess.CompletedProcess[str] = registry.command(
        "quota", "set", where, *limits, "--address", registry.address, "--token-file", str(registry.token_file)
    )
    assert done.returncode == 0, done.stderr


def log(project: str, tmp_path: Path, *, size_bytes: int = 100_000) -> holdfast.Artifact:
    path = tmp_path / f"{project}.bin"
    path.write_bytes(os.urandom(size_bytes))
    artifact = holdfast.Artifact("data", type="dataset")
    artifact.add_file(str(path))
    with holdfast.init(entity="team", project=project) as run:
        run.log_artifact(artifact)
    return artifact


def test_job_over_its_bytes_is_held_while_others_go_on(host: SdkHost, registry: OwnRegistry, tmp_path: Path) -> None:
    quota(registry, "team/full", "--bytes", "50KB")
    # More than there are slots to send with: none of them keeps one.
    held = [log("full", tmp_path) for _ in range(9)]
    until_job_waits("team/full/data", "quota of team/full is 50000 bytes")
    log("free", tmp_path).wait(WAIT_S)
    quota(registry, "team/full", "--bytes", "none")
    versions = [artifact.wait(WAIT_S).version for artifact in held]
    assert sorted(versions) == sorted(f"v{number}" for number in range(9))


def test_job_over_its_versions_is_held_until_one_is_deleted(
    host: SdkHost, registry: OwnRegistry, tmp_path: Path
) -> None:
    quota(registry, "team/few", "--versions", "1")
    first = log("few", tmp_path).wait(WAIT_S)
    second = log("few", tmp_path)
    until_job_waits("team/few/data", "quota of team/few is 1 versions")
    first.delete(delete_aliases=True)
    assert second.wait(WAIT_S).version == "v1"


def test_program_that_calls_too_often_waits_and_goes_on(host: SdkHost, registry: OwnRegistry, tmp_path: Path) -> None:
    logged = log("often", tmp_path).wait(WAIT_S)
    quota(registry, "team", "--rate", "20")
    try:
        for _ in range(150):  # more than a burst
            assert holdfast.Api().artifact_exists(f"team/often/data:{logged.version}")
    finally:
        quota(registry, "team", "--rate", "none")
