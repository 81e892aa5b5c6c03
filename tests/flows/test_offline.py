"""Offline: what is logged without a registry arrives later, by a sync, by a bundle, or by both, with the same digests and once each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import holdfast
from holdfast._offline_calls import OfflineCalls
from holdfast._process import this_process
from holdfast.public_runs import Run as PublicRun
from holdfast_contract.limits import KIB, MIB
from support.own_registry import OwnRegistry
from support.sdk_calls import PROJECT, download, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

TREE = {"one": b"1", "folder/medium": random_bytes(200 * KIB, seed=4), "large": random_bytes(2 * MIB)}
NAME = "carried"
WAIT_S = 60


def calls() -> OfflineCalls:
    return OfflineCalls(this_process().daemon)


def log_offline(source: Path, semantic_version: str | None = None) -> holdfast.Artifact:
    artifact = holdfast.Artifact(NAME, type="dataset", description="from afar", metadata={"host": "a"})
    artifact.semantic_version = semantic_version
    artifact.add_dir(str(source))
    with holdfast.init(project=PROJECT, mode="offline", id="the-run") as run:
        return run.log_artifact(artifact, aliases=["clean"], tags=["checked"])


def held_job() -> str:
    [job] = [job for job in calls().jobs(active_only=True) if job.held]
    return job.progress.job_id


@contextmanager
def host_of(folder: Path, registry: OwnRegistry, **settings: str) -> Iterator[SdkHost]:
    with SdkHost(folder, {**registry.daemon_settings(), **settings}).entered() as host:
        yield host


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", TREE)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path / "registry") as own:
        yield own


def versions_of(name: str) -> list[holdfast.Artifact]:
    return list(holdfast.Api().artifacts("dataset", f"{PROJECT}/{name}"))


def digest_when_logged_directly(folder: Path, source: Path) -> str:
    with SdkHost(folder).entered():
        artifact = new_artifact()
        artifact.add_dir(str(source))
        with holdfast.init(project=PROJECT) as run:
            return run.log_artifact(artifact).wait(WAIT_S).digest


def test_a_bundle_and_the_late_registry_of_its_first_host_make_one_version(
    own: OwnRegistry, tmp_path: Path, source: Path
) -> None:
    expected = digest_when_logged_directly(tmp_path / "direct", source)
    bundle = tmp_path / "out.hfb"
    with host_of(tmp_path / "a", own):
        log_offline(source, "1.4.0-rc.1")
        assert list(calls().export_bundle(str(bundle), job_ids=[held_job()]))[-1].done
    own.start()
    with host_of(tmp_path / "b", own):
        [job] = calls().import_bundle(str(bundle))
        bundle.unlink()
        [there] = wait_for_versions(job)
        assert (there.version, there.semantic_version, there.digest) == ("v0", "1.4.0-rc.1", expected)
        assert (there.description, there.metadata, there.aliases) == ("from afar", {"host": "a"}, ["clean", "latest"])
        assert there.tags == ["checked"]
        logged_by = there.logged_by()
        assert logged_by is not None
        assert logged_by.id == "the-run"
        assert read_tree(download(there, tmp_path / "there")) == TREE
    with host_of(tmp_path / "a", own):
        [job] = calls().sync()
        [version] = wait_for_versions(job)
        assert (version.version, version.id, version.digest) == ("v0", there.id, expected)
    own.terminate()
    assert own.fsck().returncode == 0


def wait_for_versions(job_id: str) -> list[holdfast.Artifact]:
    """All versions of the collection once a job is committed."""
    from holdfast._waiting import JobWaiter

    JobWaiter(this_process().daemon, job_id).wait(WAIT_S, lambda progress: None)
    return versions_of(NAME)


def test_a_bundle_that_comes_after_the_sync_changes_nothing_though_the_collection_went_on(
    own: OwnRegistry, tmp_path: Path, source: Path
) -> None:
    bundle = tmp_path / "out.hfb"
    with host_of(tmp_path / "a", own):
        log_offline(source)
        list(calls().export_bundle(str(bundle), job_ids=[held_job()]))
        own.start()
        wait_for_versions(calls().sync()[0])
        write_tree(source, {"one": b"2"})
        log_offline(source)
        first, second = sorted(wait_for_versions(calls().sync()[0]), key=lambda v: v.version)
        own_bundle = tmp_path / "own.hfb"
        assert first.id is not None
        list(calls().export_bundle(str(own_bundle), version_ids=[first.id]))
    with host_of(tmp_path / "b", own):
        for file in (bundle, own_bundle):
            [job] = calls().import_bundle(str(file))
            assert len(wait_for_versions(job)) == 2
        assert {v.digest for v in versions_of(NAME)} == {first.digest, second.digest}


@pytest.mark.parametrize(
    "place", ["sync.after_release", "commit.before_call", "commit.after_call", "upload.after_seal"]
)
def test_a_sync_is_done_once_though_the_daemon_dies(own: OwnRegistry, tmp_path: Path, source: Path, place: str) -> None:
    own.start()
    with host_of(tmp_path / "a", own) as host:
        log_offline(source, "1.4.0")
        job = held_job()
        host.stop_daemon()
        # The SDK starts the next daemon with this process's environment, and the one after that without the failpoint.
        os.environ["HOLDFAST_FAILPOINTS"] = f"{place}=kill_group@1"
        calls().jobs()
        del os.environ["HOLDFAST_FAILPOINTS"]
        calls().sync()
        calls().sync()
        [version] = wait_for_versions(job)
        assert version.semantic_version == "1.4.0"
        assert read_tree(download(version, tmp_path / "there")) == TREE


def test_held_artifacts_of_one_run_arrive_in_their_order(own: OwnRegistry, tmp_path: Path, source: Path) -> None:
    own.start()
    with host_of(tmp_path / "a", own):
        for i in range(4):
            write_tree(source, {"one": str(i).encode()})
            artifact = holdfast.Artifact(NAME, type="dataset")
            artifact.add_dir(str(source), policy="mutable")
            with holdfast.init(project=PROJECT, mode="offline", id="ordered", resume="allow") as run:
                run.log_artifact(artifact)
        for job in calls().sync():
            wait_for_versions(job)
        contents = {v.version: v.get_entry("one").size for v in versions_of(NAME)}
        assert sorted(contents) == ["v0", "v1", "v2", "v3"]
        for index in range(4):
            folder = download(holdfast.Api().artifact(f"{PROJECT}/{NAME}:v{index}"), tmp_path / f"v{index}")
            assert (folder / "one").read_bytes() == str(index).encode()


def registered_run() -> PublicRun:
    return holdfast.Api().run(f"{PROJECT}/the-run")


@pytest.mark.parametrize(("exit_code", "state"), [(0, "finished"), (1, "failed")])
def test_an_offline_run_that_ended_before_the_sync_has_ended_at_the_registry(
    own: OwnRegistry, tmp_path: Path, source: Path, exit_code: int, state: str
) -> None:
    own.start()
    with host_of(tmp_path / "a", own) as host:
        artifact = holdfast.Artifact(NAME, type="dataset")
        artifact.add_dir(str(source), policy="mutable")
        run = holdfast.init(project=PROJECT, mode="offline", id="the-run", config={"begun": 1})
        run.log_artifact(artifact)
        run.config["learned"] = 2
        host.stop_daemon()
        run.finish(exit_code)
        host.stop_daemon()
        wait_for_versions(calls().sync()[0])
        assert registered_run().state == state
        assert dict(registered_run().config) == {"begun": 1, "learned": 2}


def test_an_offline_run_whose_jobs_were_sent_before_its_end_has_ended_at_the_registry(
    own: OwnRegistry, tmp_path: Path, source: Path
) -> None:
    own.start()
    with host_of(tmp_path / "a", own):
        artifact = holdfast.Artifact(NAME, type="dataset")
        artifact.add_dir(str(source), policy="mutable")
        with holdfast.init(project=PROJECT, mode="offline", id="the-run") as run:
            run.log_artifact(artifact)
            wait_for_versions(calls().sync()[0])
            assert registered_run().state == "running"
        assert registered_run().state == "finished"


def test_the_end_of_an_offline_run_that_has_logged_nothing_goes_nowhere(own: OwnRegistry, tmp_path: Path) -> None:
    own.start()
    with host_of(tmp_path / "a", own):
        calls().jobs()
        with holdfast.init(project=PROJECT, mode="offline", id="the-run"):
            pass
        with pytest.raises(holdfast.NotFoundError):
            registered_run()
