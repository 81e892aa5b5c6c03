"""A daemon killed on the way of a distributed version, at every place of it: the part and the finish that it promised are made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.failpoint_names import failpoints_of
from support.own_registry import OwnRegistry
from support.sdk_host import SdkHost

PLACES = [
    *(name for name in failpoints_of("daemon") if name.startswith("finish.")),
    "commit.before_call=kill_group@2",
    "commit.after_call",
    "commit.after_call=kill_group@2",
    "commit.before_result",
    "commit.before_result=kill_group@2",
    "commit.after_result",
]
"""The second passage is that of the job that brings a part and then finishes."""

WRITE = """
import holdfast

def draft(path):
    artifact = holdfast.Artifact("c", "dataset")
    with artifact.new_file(path) as file:
        file.write(path)
    return artifact

with holdfast.init(project="p") as run:
    run.upsert_artifact(draft("first"), distributed_id="d")
    run.finish_artifact(draft("second"), distributed_id="d")
"""
LOOK = """
import holdfast

api = holdfast.Api()
while not api.artifact_exists("local/p/c:latest"):
    pass
versions = api.artifacts("dataset", "local/p/c")
print([(v.version, sorted(v.manifest.entries)) for v in versions])
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path / "registry") as own:
        own.start()
        yield own


@pytest.mark.parametrize("place", PLACES)
def test_part_and_finish_are_made_once(registry: OwnRegistry, tmp_path: Path, place: str) -> None:
    host = SdkHost(tmp_path / "host", registry.daemon_settings())
    try:
        host.environ["HOLDFAST_FAILPOINTS"] = place if "=" in place else f"{place}=kill_group"
        started = host.run("import holdfast; holdfast.Api().artifact_collection_exists('local/p/c', 'dataset')")
        assert started.returncode == 0, started.stderr
        dying = host.daemon()
        assert dying is not None
        del host.environ["HOLDFAST_FAILPOINTS"]
        written = host.run(WRITE)
        assert written.returncode == 0, written.stderr
        host.wait_for_daemon_end(dying)
        seen = host.run(LOOK, timeout_s=100)
        assert seen.stdout.strip() == "[('v0', ['first', 'second'])]", seen.stderr
    finally:
        host.close()
