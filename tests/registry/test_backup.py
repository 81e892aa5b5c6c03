"""Backups: taken beside a running registry, restored into an empty place, refused when damaged; no garbage goes before fsck."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from holdfast_registry.database.sqlite import DATABASE_NAME
from registry.client import Client
from registry.collecting import collect
from registry.moving import Filled, command, rows_of, run_command, seen
from registry.processes import RegistryProcess
from support.postgres import Postgres


@pytest.fixture(scope="module")
def backup(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup") / "saved"
    assert command("backup", str(folder), "--packs", "--data-dir", str(filled.data_dir)) == 0
    return folder


@pytest.fixture
def saved(backup: Path, tmp_path: Path) -> Path:
    """A copy that the test may damage."""
    return Path(shutil.copytree(backup, tmp_path / "saved"))


def test_what_was_saved_beside_a_running_registry_is_there_again_in_an_empty_place(
    filled: Filled, tmp_path: Path
) -> None:
    data_dir = filled.copied_to(tmp_path / "old")
    folder, restored = tmp_path / "saved", tmp_path / "new"
    with RegistryProcess(tmp_path / "old") as process, Client(process.target) as client:
        before = seen(client)
        assert command("backup", str(folder), "--packs", "--data-dir", str(data_dir)) == 0
        client.log_files("cats", {"later": b"not in the backup"})
    assert command("restore", str(folder), "--data-dir", str(restored / "data")) == 0
    for table in ("version", "alias", "chunk", "pack", "link", "edge", "audit", "lease"):
        assert rows_of(folder / DATABASE_NAME, table) == rows_of(restored / "data" / DATABASE_NAME, table)
    with RegistryProcess(restored) as process, Client(process.target) as client:
        assert seen(client) == before


async def test_no_garbage_is_collected_between_restore_and_fsck(saved: Path, tmp_path: Path) -> None:
    data_dir = str(tmp_path / "new")
    assert await asyncio.to_thread(command, "restore", str(saved), "--data-dir", data_dir) == 0
    assert "fsck" in (await collect(Path(data_dir))).problem
    assert await asyncio.to_thread(command, "fsck", "--data-dir", data_dir) == 0
    assert not (await collect(Path(data_dir))).problem


@pytest.mark.parametrize("damage", ["database", "list", "manifest", "pack", "no manifest"])
def test_damaged_backup_is_refused_before_anything_is_changed(damage: str, saved: Path, tmp_path: Path) -> None:
    victim = {
        "database": saved / DATABASE_NAME,
        "list": saved / "packs.txt",
        "manifest": saved / "backup.json",
        "no manifest": saved / "backup.json",
        "pack": next((saved / "packs").rglob("*.pack")),
    }[damage]
    if damage == "no manifest":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data[: -2 if damage == "manifest" else None])
    assert command("restore", str(saved), "--data-dir", str(tmp_path / "new")) == 1
    assert not (tmp_path / "new").exists()


def test_place_that_has_a_registry_is_not_overwritten(saved: Path, filled: Filled, tmp_path: Path) -> None:
    data_dir = filled.copied_to(tmp_path / "taken")
    before = (data_dir / DATABASE_NAME).read_bytes()
    assert command("restore", str(saved), "--data-dir", str(data_dir)) == 78
    assert (data_dir / DATABASE_NAME).read_bytes() == before


def test_packs_that_are_not_in_the_store_are_counted(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = saved / "backup.json"
    manifest.write_text(manifest.read_text().replace('"with_packs": true', '"with_packs": false'))
    shutil.rmtree(saved / "packs")
    assert command("restore", str(saved), "--data-dir", str(tmp_path / "new")) == 1
    assert "packs are not in the store" in capsys.readouterr().err


def test_restore_into_postgresql_that_dies_goes_on(
    saved: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    monkeypatch.setenv("HOLDFAST_REGISTRY_DATABASE_URL", url)
    restore = ["restore", str(saved), "--data-dir", str(tmp_path / "new")]
    died = run_command(
        *restore, environment={"HOLDFAST_REGISTRY_DATABASE_URL": url}, failpoints="copy.after_rows=kill@4"
    )
    assert died.returncode == -signal.SIGKILL
    assert command("token", "list", "--data-dir", str(tmp_path / "new")) == 78  # nobody serves a part of a registry
    assert command(*restore) == 0
    assert command("backup", str(tmp_path / "again"), "--data-dir", str(tmp_path / "new")) == 0
    for table in ("version", "chunk", "alias", "request"):
        assert rows_of(saved / DATABASE_NAME, table) == rows_of(tmp_path / "again" / DATABASE_NAME, table)
