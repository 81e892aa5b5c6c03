"""Copies of a registry: the same on the other side, wherever the copy dies; the source can be read, and not changed, meanwhile."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest

from holdfast_registry.database.sqlite import DATABASE_NAME
from registry.client import Client, reason_of
from registry.moving import Filled, fill, rows_of, run_command, seen
from registry.processes import RegistryProcess
from support.figures import FULL
from support.postgres import Postgres
from support.seaweedfs import SeaweedFS

BUCKET = "registry-moving"
KILLS = (
    "copy.after_begin=kill",
    "copy.after_close=kill",
    "copy.after_pack=kill@2",
    "copy.after_rows=kill@3",
    "copy.after_rows=kill@6",
    "copy.before_compare=kill",
    "copy.after_complete=kill",
)
KILLS_SHOWN = KILLS if FULL else KILLS[2:4]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return fill(tmp_path_factory.mktemp("filled"))


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> SeaweedFS:
    seaweedfs.make_bucket(BUCKET)
    return seaweedfs


def test_copy_that_dies_at_every_step_ends_as_the_same_registry_in_the_new_place_and_back(
    filled: Filled, bucket: SeaweedFS, postgres: Postgres, tmp_path: Path
) -> None:
    data_dir = filled.copied_to(tmp_path / "old")
    url, store = postgres.new_database(), f"s3://{BUCKET}/{uuid.uuid4().hex}"
    there = {**bucket.environ, "NEW_DATABASE": url}
    copy = ("copy", "--data-dir", str(data_dir), "--to", "env:NEW_DATABASE", "--blobs-to", store)
    for place in KILLS_SHOWN:
        died = run_command(*copy, environment=there, failpoints=place)
        assert died.returncode == -signal.SIGKILL, (place, died.stderr)
    done = run_command(*copy, "--deep", environment=there)
    assert done.returncode == 0, done.stderr
    assert "HOLDFAST_REGISTRY_DATABASE_URL" in done.stderr
    assert f"STORE_URL={store}" in done.stderr
    settings = {**bucket.environ, "HOLDFAST_REGISTRY_STORE_URL": store}
    old = RegistryProcess(tmp_path / "old")
    new = RegistryProcess(tmp_path / "new", environment=settings, database_url=url)
    (tmp_path / "new").mkdir()
    with old, new, Client(old.target) as before, Client(new.target) as after:
        assert seen(before) == seen(after)
        refused = reason_of(lambda: before.log_files("cats", {"x": b"1"}))
        assert refused == "UNAVAILABLE"
        committed = after.log_files("cats", {"x": b"1"})
        assert committed.version_index == 2
        new.stop()
    back = tmp_path / "back"
    back_again = run_command(
        *(
            "copy",
            "--from",
            "env:NEW_DATABASE",
            "--to",
            f"sqlite:{back}",
            "--blobs-from",
            store,
            "--blobs-to",
            str(back),
        ),
        environment=there,
    )
    assert back_again.returncode == 0, back_again.stderr
    assert run_command("fsck", "--deep", "--data-dir", str(back)).returncode == 0
    for table in ("origin", "edge", "audit"):
        old_rows = rows_of(data_dir / DATABASE_NAME, table)
        assert set(old_rows) <= set(rows_of(back / DATABASE_NAME, table))
