"""Versions that many processes on several hosts write together: nothing of anyone's is lost, and nobody waits for ever."""

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from holdfastpb.registry.v1.version_pb2 import AbortVersionRequest
from registry.client import Client
from support.figures import figure
from support.own_registry import OwnRegistry
from support.sdk_host import SdkHost

WRITER = Path(__file__).with_name("distributed_writer.py")
PROJECT = "distributed"
HOSTS = 4
WRITERS_PER_HOST = 2
"""Times four hosts: eight processes."""
DYING = 6
"""Number of the writer whose daemon is killed."""
END_S = 100.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry")) as own:
        own.start()
        yield own


@pytest.fixture(scope="module")
def host(registry: OwnRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    with SdkHost(tmp_path_factory.mktemp("host"), registry.daemon_settings()).entered() as host:
        yield host


@pytest.fixture
def name() -> str:
    return f"d-{uuid.uuid4().hex[:10]}"


def start_writer(
    host: SdkHost, name: str, distributed_id: str, writer: int, entries: int, *, wait: bool
) -> subprocess.Popen[str]:
    arguments = [name, distributed_id, str(writer), str(entries), "wait" if wait else "leave"]
    return subprocess.Popen(
        [sys.executable, str(WRITER), *arguments],
        env=host.environ,
        cwd=host.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(writer: subprocess.Popen[str]) -> list[str]:
    said, errors_said = writer.communicate(timeout=END_S)
    assert writer.returncode == 0, errors_said
    return said.splitlines()


def part(name: str, **files: str) -> holdfast.Artifact:
    artifact = holdfast.Artifact(name, "dataset")
    for path, text in files.items():
        with artifact.new_file(path) as file:
            file.write(text)
    return artifact


def upsert(artifact: holdfast.Artifact, distributed_id: str, run_id: str = "one") -> holdfast.Artifact:
    with holdfast.init(project=PROJECT, id=run_id, reinit="create_new") as run:
        return run.upsert_artifact(artifact, distributed_id=distributed_id)


def finish(
    artifact: holdfast.Artifact, distributed_id: str, *, run_id: str = "finisher", lost: bool = False
) -> holdfast.Artifact:
    with holdfast.init(project=PROJECT, id=run_id, reinit="create_new") as run:
        return run.finish_artifact(artifact, distributed_id=distributed_id, aliases=["done"], without_lost_writers=lost)


def stored(name: str) -> list[holdfast.Artifact]:
    return list(holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}"))


@pytest.mark.timeout(300)
def test_eight_processes_on_four_hosts_write_one_version_although_one_host_dies(
    registry: OwnRegistry, host: SdkHost, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    entries = figure(50, 1000)
    with contextlib.ExitStack() as stack:
        hosts = [SdkHost(tmp_path_factory.mktemp(f"host-{n}"), registry.daemon_settings()) for n in range(HOSTS)]
        for one in hosts:
            stack.callback(one.close)
        writers = [
            start_writer(hosts[number % HOSTS], name, "epoch", number, entries, wait=True)
            for number in range(HOSTS * WRITERS_PER_HOST)
            if number != DYING
        ]
        assert [end_of(writer) for writer in writers] == [["upserted", "PENDING True"]] * len(writers)
        # The last writer's daemon dies after it has promised the part, and before it would bring it.
        dying = hosts[DYING % HOSTS]
        dying.stop_daemon()
        dying.environ["HOLDFAST_FAILPOINTS"] = "commit.before_call=kill_group"
        assert end_of(start_writer(dying, name, "epoch", DYING, entries, wait=False)) == ["upserted"]
        finished = finish(holdfast.Artifact(name, "dataset"), "epoch")
        with pytest.raises(errors.WaitTimeoutError, match=f"rank-{DYING}"):
            finished.wait(timeout=3)
        # Whoever uses that host next starts its daemon, which goes on with what it had promised.
        del dying.environ["HOLDFAST_FAILPOINTS"]
        resumed = dying.run("import holdfast; list(holdfast.Api().artifact_types('local/distributed'))")
        assert resumed.returncode == 0, resumed.stderr
        finished.wait(timeout=END_S)
    assert (finished.version, finished.aliases, finished.distributed_id) == ("v0", ["done", "latest"], "epoch")
    found = {path: entry.size for path, entry in finished.manifest.entries.items()}
    assert len(found) == HOSTS * WRITERS_PER_HOST * entries
    assert set(found) == {
        f"writer-{writer}/{number:05}.txt" for writer in range(HOSTS * WRITERS_PER_HOST) for number in range(entries)
    }
    downloaded = Path(finished.download(str(tmp_path_factory.mktemp("out"))))
    assert (downloaded / "writer-6" / "00007.txt").read_text() == "writer 6 entry 7"


@pytest.mark.timeout(300)
def test_many_processes_upsert_at_once(host: SdkHost, name: str) -> None:
    count = figure(12, 64)
    writers = [start_writer(host, name, "all", number, 5, wait=True) for number in range(count)]
    said = [end_of(writer) for writer in writers]
    assert all(lines == ["upserted", "PENDING True"] for lines in said)
    finished = finish(holdfast.Artifact(name, "dataset"), "all").wait(timeout=END_S)
    assert finished.file_count == count * 5


def test_a_merged_version_is_that_of_one_writer(host: SdkHost, name: str, tmp_path: Path) -> None:
    whole = {f"f{number:03}": f"text {number}" for number in range(40)}
    for start in range(3):
        upsert(part(name, **dict(list(whole.items())[start::3])), "whole")
    merged = finish(holdfast.Artifact(name, "dataset"), "whole").wait(timeout=END_S)
    with holdfast.init(project=PROJECT, reinit="create_new") as run:
        alone = run.log_artifact(part(f"{name}-alone", **whole)).wait(timeout=END_S)
    assert merged.digest == alone.digest
    assert merged._logged.manifest_root == alone._logged.manifest_root


def test_a_part_stays_a_draft_until_the_version_is_finished(host: SdkHost, name: str) -> None:
    brought = upsert(part(name, a="1"), "x").wait(timeout=END_S)
    assert (brought.is_draft(), brought.state, brought.size) == (True, "PENDING", 1)
    assert brought.distributed_id == "x"
    assert list(brought.manifest.entries) == ["a"]
    with pytest.raises(errors.ArtifactNotLoggedError, match="finish_artifact"):
        assert brought.version
    assert stored(name) == []
    # The same object may finish what it has begun.
    finished = finish(brought, "x").wait(timeout=END_S)
    assert (finished is brought, finished.version, finished.file_count) == (True, "v0", 1)


def test_a_conflict_names_path_and_both_writers(host: SdkHost, name: str) -> None:
    upsert(part(name, same="1", own="x"), "c", "first-run").wait(timeout=END_S)
    upsert(part(name, same="2"), "c", "second-run").wait(timeout=END_S)
    finished = finish(holdfast.Artifact(name, "dataset"), "c")
    with pytest.raises(errors.DistributedError, match="same") as refused:
        finished.wait(timeout=END_S)
    assert refused.value.detail["path"] == "same"
    assert "run first-run" in refused.value.detail["writer"]
    assert "run second-run" in refused.value.detail["other_writer"]
    assert stored(name) == []


def test_finishing_twice_and_with_content_of_ones_own_is_harmless(host: SdkHost, name: str) -> None:
    upsert(part(name, a="1"), "twice").wait(timeout=END_S)
    first = finish(part(name, b="2"), "twice", run_id="one").wait(timeout=END_S)
    second = finish(part(name, b="2"), "twice", run_id="two").wait(timeout=END_S)
    third = finish(holdfast.Artifact(name, "dataset"), "twice", run_id="three").wait(timeout=END_S)
    assert first.id == second.id == third.id
    assert (first.is_new_version, second.is_new_version, third.is_new_version) == (True, False, False)
    assert first.file_count == 2
    assert len(stored(name)) == 1


def test_a_part_that_comes_after_the_finish_is_refused(host: SdkHost, name: str) -> None:
    upsert(part(name, a="1"), "late")
    finished = finish(holdfast.Artifact(name, "dataset"), "late").wait(timeout=END_S)
    with pytest.raises(errors.DistributedError, match="finished"):
        upsert(part(name, b="2"), "late").wait(timeout=END_S)
    harmless = upsert(part(name, a="1"), "late").wait(timeout=END_S)
    assert harmless.version == finished.version


def test_a_finish_right_after_the_upserts_has_all_of_them(host: SdkHost, name: str) -> None:
    for number in range(5):
        upsert(part(name, **{f"f{number}": "x" * number}), "soon", f"run-{number}")
    assert finish(holdfast.Artifact(name, "dataset"), "soon").wait(timeout=END_S).file_count == 5


def test_parts_pass_a_finish_that_waits(registry: OwnRegistry, host: SdkHost, name: str) -> None:
    """Else two processes that each finish a version, and then write a part of the other's, would wait for each other."""
    upsert(part(name, a="1"), "first").wait(timeout=END_S)
    with Client(registry.address, registry.token_file.read_text().strip()) as other:
        begun = other.begin_part(name, "first", "somebody slow", entity="local", project=PROJECT)
        finished = finish(part(name, b="2"), "first")
        with pytest.raises(errors.WaitTimeoutError, match="somebody slow"):
            finished.wait(timeout=3)
        upsert(part(name, c="3"), "first").wait(timeout=END_S)
        upsert(part(name, d="4"), "second").wait(timeout=END_S)
        given_up = AbortVersionRequest(version_id=begun.version_id, withdrawn=True)
        other.call(other.versions.AbortVersion, given_up)
    assert sorted(finished.wait(timeout=END_S).manifest.entries) == ["a", "b", "c"]


def test_nobody_has_begun_what_is_finished(host: SdkHost, name: str) -> None:
    with pytest.raises(errors.NotFoundError):
        finish(holdfast.Artifact(name, "dataset"), "nothing").wait(timeout=END_S)


def test_a_group_or_an_id_is_needed(host: SdkHost, name: str) -> None:
    with holdfast.init(project=PROJECT, reinit="create_new") as run:
        with pytest.raises(
            TypeError, match="Cannot upsert artifact unless run is in a group or distributed_id is provided"
        ):
            run.upsert_artifact(part(name, a="1"))
        with pytest.raises(
            TypeError, match="Cannot finish artifact unless run is in a group or distributed_id is provided"
        ):
            run.finish_artifact(holdfast.Artifact(name, "dataset"))
    with holdfast.init(project=PROJECT, group=f"group-of-{name}", reinit="create_new") as run:
        run.upsert_artifact(part(name, a="1"))
        finished = run.finish_artifact(holdfast.Artifact(name, "dataset")).wait(timeout=END_S)
    assert finished.distributed_id == f"group-of-{name}"


@pytest.mark.timeout(300)
def test_a_writer_that_is_gone_is_named_and_can_be_left_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"HOLDFAST_REGISTRY_PART_LEASE_TTL_S": "6"}
    with (
        OwnRegistry(tmp_path_factory.mktemp("registry"), settings=settings) as registry,
        contextlib.ExitStack() as stack,
    ):
        registry.start()
        gone = SdkHost(tmp_path_factory.mktemp("gone"), registry.daemon_settings())
        stack.callback(gone.close)
        stack.enter_context(SdkHost(tmp_path_factory.mktemp("here"), registry.daemon_settings()).entered())
        gone.environ["HOLDFAST_FAILPOINTS"] = "commit.before_call=kill_group"
        assert end_of(start_writer(gone, "c", "d", 13, 3, wait=False)) == ["upserted"]
        upsert(part("c", here="1"), "d").wait(timeout=END_S)
        artifact = holdfast.Artifact("c", "dataset")
        with pytest.raises(errors.DistributedError, match="rank-13") as refused:
            finish(artifact, "d").wait(timeout=END_S)
        assert "rank-13" in refused.value.detail["writers"]
        finished = finish(artifact, "d", lost=True).wait(timeout=END_S)
        assert list(finished.manifest.entries) == ["here"]
