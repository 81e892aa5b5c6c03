"""Copies of a registry: the same on the other side, wherever the copy dies; the source can be read, and not changed, meanwhile."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest

from holdfast_registry.database.sqlite import DATABASE_NAME
from holdfastpb.registry.v1.version_pb2 import BeginVersionResponse, Lease
from registry.client import Client, reason_of
from registry.moving import Filled, command, rows_of, run_command, seen
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
def bucket(seaweedfs: SeaweedFS) -> SeaweedFS:
    seaweedfs.make_bucket(BUCKET)
    return seaweedfs


def test_copy_that_dies_at_every_step_ends_as_the_same_registry_in_the_new_place_and_back(
    filled: Filled,
    bucket: SeaweedFS,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_dir = filled.copied_to(tmp_path / "old")
    url, store = postgres.new_database(), f"s3://{BUCKET}/{uuid.uuid4().hex}"
    there = {**bucket.environ, "NEW_DATABASE": url}
    copy = ("copy", "--data-dir", str(data_dir), "--to", "env:NEW_DATABASE", "--blobs-to", store)
    old = RegistryProcess(tmp_path / "old")
    new = RegistryProcess(
        tmp_path / "new", environment={**bucket.environ, "HOLDFAST_REGISTRY_STORE_URL": store}, database_url=url
    )
    (tmp_path / "new").mkdir()
    with old, Client(old.target) as before:
        for place in KILLS_SHOWN:
            died = run_command(*copy, environment=there, failpoints=place)
            assert died.returncode == -signal.SIGKILL, (place, died.stderr)
        for name, value in there.items():
            monkeypatch.setenv(name, value)
        assert command(*copy, "--deep") == 0
        said = capsys.readouterr().err
        assert "HOLDFAST_REGISTRY_DATABASE_URL" in said
        assert f"STORE_URL={store}" in said
        assert reason_of(lambda: before.log_files("cats", {"x": b"1"})) == "UNAVAILABLE"
        with new, Client(new.target) as after:
            assert seen(before) == seen(after)
            begun = BeginVersionResponse(version_id=filled.version_id, lease=Lease(lease_id=filled.lease_id))
            assert after.commit(begun, filled.waiting).version.version_index == 2  # a job that had waited
            assert after.log_files("cats", {"x": b"1"}).version_index == 3
            new.stop()
    check_way_back(data_dir, store, there, tmp_path, monkeypatch)


def check_way_back(
    data_dir: Path, store: str, there: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = tmp_path / "back"
    databases = ("--from", "env:NEW_DATABASE", "--to", f"sqlite:{back}")
    assert command("copy", *databases, "--blobs-from", store, "--blobs-to", str(back)) == 0
    assert command("fsck", "--deep", "--data-dir", str(back)) == 0
    for table in ("origin", "edge", "audit"):
        old_rows = rows_of(data_dir / DATABASE_NAME, table)
        assert set(old_rows) <= set(rows_of(back / DATABASE_NAME, table))
    # The source is closed now, until somebody opens it again.
    monkeypatch.setenv("HOLDFAST_REGISTRY_DATABASE_URL", there["NEW_DATABASE"])
    at_source = ("token", "create", "--data-dir", str(tmp_path / "new" / "data"))
    assert command(*at_source) == 78
    assert command("copy", "--open-again") == 0
    assert command(*at_source) == 0


def test_password_in_an_argument_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in ("postgresql://me:secret-word@host/db", "postgresql://me@host/db?password=secret-word"):
        assert command("copy", "--data-dir", str(tmp_path), "--to", url) == 78
        said = capsys.readouterr().err
        assert "file:PATH" in said
        assert "secret-word" not in said


def test_target_that_has_a_registry_is_refused_and_the_source_takes_changes_on(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = filled.copied_to(tmp_path / "a"), filled.copied_to(tmp_path / "b")
    before = (target / DATABASE_NAME).read_bytes()
    assert command("copy", "--data-dir", str(source), "--to", f"sqlite:{target}") == 78
    assert "has a registry already" in capsys.readouterr().err
    assert (target / DATABASE_NAME).read_bytes() == before
    assert command("token", "create", "--data-dir", str(source)) == 0


def test_pack_that_is_damaged_in_the_source_is_named_and_nothing_is_served_in_the_target(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = filled.copied_to(tmp_path), tmp_path / "target"
    victim = max((source / "packs").rglob("*.pack"), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[100] ^= 1
    victim.write_bytes(data)
    copy = ("copy", "--data-dir", str(source), "--to", f"sqlite:{target}", "--blobs-to", str(target))
    assert command(*copy, "--deep") == 1
    assert victim.stem in capsys.readouterr().err
    assert command("token", "list", "--data-dir", str(target)) == 78
