"""fsck finds every damage and names the versions that it hurts."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast_contract.digest import digest_of
from holdfast_registry.fsck import check_store
from registry.client import Client, content_of
from registry.processes import RegistryProcess, run_registry
from support.figures import figure

SHARED = {f"shared/{number}": os.urandom(3000) for number in range(5)}


@pytest.fixture(scope="module")
def sound_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry with two versions that share files, and one that shares nothing."""
    with RegistryProcess(tmp_path_factory.mktemp("sound")) as process:
        with Client(process.target) as client:
            client.log_files("first", SHARED | {"own": b"only in v0"})
            client.log_files("first", SHARED | {"own": b"only in v1"})
            client.log_files("second", {"apart": b"apart"})
        assert process.stop() == 0
        return process.data_dir


@pytest.fixture
def damageable(own_registry: RegistryProcess, sound_data: Path) -> RegistryProcess:
    """A stopped registry with a copy of those data."""
    shutil.copytree(sound_data, own_registry.data_dir)
    return own_registry


def fsck(process: RegistryProcess, *, deep: bool = False) -> dict[str, Any]:
    return check_store(process.data_dir, deep=deep).as_dict()


def hurt(report: dict[str, Any]) -> dict[str, set[str]]:
    """Version → its damaged paths, of all findings."""
    versions: dict[str, set[str]] = {}
    for finding in report["findings"]:
        for version, paths in finding["versions"].items():
            versions.setdefault(version, set()).update(paths)
    return versions


def packs(process: RegistryProcess) -> list[Path]:
    return sorted((process.data_dir / "packs").rglob("*.pack"))


def pack_with(process: RegistryProcess, chunk: bytes) -> Path:
    return next(path for path in packs(process) if chunk in path.read_bytes())


def change_database(process: RegistryProcess, statement: str, *parameters: object) -> None:
    connection = sqlite3.connect(process.data_dir / "registry.sqlite3")
    assert connection.execute(statement, parameters).rowcount > 0
    connection.commit()
    connection.close()


def test_sound_store_is_clean_also_beside_a_running_server(damageable: RegistryProcess) -> None:
    before = (damageable.data_dir / "registry.sqlite3").read_bytes()
    report = fsck(damageable, deep=True)
    assert (report["versions_checked"], report["packs_checked"], report["findings"]) == (3, 3, [])
    assert (damageable.data_dir / "registry.sqlite3").read_bytes() == before
    damageable.start()
    with Client(damageable.target) as client:
        client.log_files("second", {"apart": b"other"})
        assert fsck(damageable, deep=True)["versions_checked"] == 4


def test_flipped_bit_is_found_by_deep_and_named(damageable: RegistryProcess) -> None:
    path = pack_with(damageable, b"only in v1")
    data = bytearray(path.read_bytes())
    data[data.index(b"only in v1")] ^= 1
    path.write_bytes(data)
    assert hurt(fsck(damageable, deep=True)) == {"team/vision/first:v1": {"own"}}
    assert fsck(damageable)["clean"], "the bytes of files are read by --deep alone"


def test_damaged_copy_that_nothing_reads_hurts_no_version(own_registry: RegistryProcess) -> None:
    content = content_of({"a": b"twice in one pack"})
    own_registry.start()
    with Client(own_registry.target) as client:
        begun = client.begin("c")
        client.bring(begun.lease.lease_id, [*content.chunks, b"twice in one pack"])
        client.commit(begun, content)
    own_registry.stop()
    assert fsck(own_registry, deep=True)["clean"]
    path = packs(own_registry)[0]
    data = bytearray(path.read_bytes())
    data[data.rindex(b"twice")] ^= 1
    path.write_bytes(data)
    report = fsck(own_registry, deep=True)
    assert ([finding["kind"] for finding in report["findings"]], hurt(report)) == (["pack"], {})


def test_shared_chunk_names_every_version_that_has_it(damageable: RegistryProcess) -> None:
    path = pack_with(damageable, SHARED["shared/3"])
    data = bytearray(path.read_bytes())
    data[data.index(SHARED["shared/3"]) + 7] ^= 128
    path.write_bytes(data)
    report = fsck(damageable, deep=True)
    assert hurt(report) == {"team/vision/first:v0": {"shared/3"}, "team/vision/first:v1": {"shared/3"}}
    assert len(report["findings"]) == 1


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def swap_for_another(path: Path) -> None:
    other = next(one for one in sorted(path.parent.parent.rglob("*.pack")) if one != path)
    path.write_bytes(other.read_bytes())


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


@pytest.mark.parametrize(
    ("damage", "path"),
    # Of a pack that is only cut short, the manifest can still be read, and tells the paths.
    [
        (Path.unlink, "(manifest)"),
        (truncate, "apart"),
        (swap_for_another, "(manifest)"),
        (replace_by_link, "(manifest)"),
    ],
)
def test_pack_that_is_not_there_any_more_is_found_at_once(
    damageable: RegistryProcess, damage: Callable[[Path], None], path: str
) -> None:
    damage(pack_with(damageable, b"apart"))
    assert hurt(fsck(damageable)) == {"team/vision/second:v0": {path}}


def test_damaged_index_is_found_at_once(damageable: RegistryProcess) -> None:
    path = pack_with(damageable, b"apart")
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    assert hurt(fsck(damageable)) == {"team/vision/second:v0": {"apart"}}


def test_lost_row_of_a_chunk_is_found(damageable: RegistryProcess) -> None:
    change_database(damageable, "DELETE FROM chunk WHERE digest = ?", digest_of(b"only in v0"))
    assert hurt(fsck(damageable)) == {"team/vision/first:v0": {"own"}}


def test_lost_row_of_a_manifest_is_found(damageable: RegistryProcess) -> None:
    content = content_of({"apart": b"apart"})
    change_database(damageable, "DELETE FROM chunk WHERE digest = ?", content.root_digest)
    assert hurt(fsck(damageable)) == {"team/vision/second:v0": {"(manifest)"}}


@pytest.mark.parametrize("column", ["offset", "length", "stored_length", "codec"])
def test_row_that_points_elsewhere_is_found(damageable: RegistryProcess, column: str) -> None:
    change_database(
        damageable, f'UPDATE chunk SET "{column}" = "{column}" + 1 WHERE digest = ?', digest_of(b"only in v0")
    )
    assert hurt(fsck(damageable)) == {"team/vision/first:v0": {"own"}}


def test_row_of_a_pack_that_was_given_up_is_found(damageable: RegistryProcess) -> None:
    pack_id = bytes.fromhex(pack_with(damageable, b"apart").stem)
    change_database(damageable, "UPDATE pack SET state = 3 WHERE pack_id = ?", pack_id)
    assert hurt(fsck(damageable)) == {"team/vision/second:v0": {"apart"}}
    change_database(damageable, "DELETE FROM pack WHERE pack_id = ?", pack_id)
    assert hurt(fsck(damageable)) == {"team/vision/second:v0": {"(manifest)"}}


def test_numbers_and_latest_are_checked(damageable: RegistryProcess) -> None:
    change_database(damageable, "UPDATE version SET version_index = 7 WHERE version_index = 1")
    kinds = {(finding["kind"], finding["subject"]) for finding in fsck(damageable)["findings"]}
    assert kinds == {("collection", "team/vision/first")}


def test_links_deleted_things_and_registries_are_sound(own_registry: RegistryProcess) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        versions = [client.log_files("c", {"a": b"%d" % number}) for number in range(3)]
        links = [client.link(version.version_id, "p", aliases=["x"]) for version in versions]
        client.unlink(links[1].link.link_id)
        client.delete(versions[2].version_id, delete_aliases=True)
        client.link(versions[0].version_id, "r", project="wandb-registry-m")
        client.log_files("gone", {"a": b"gone"})
        client.delete_collection(client.collection("gone").collection_id)
    own_registry.stop()
    assert fsck(own_registry, deep=True)["findings"] == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE version SET state = 3 WHERE version_index = 0", "not committed"),
        ("UPDATE link SET version_index = 7 WHERE version_index = 1", "the next would be v2"),
        ("DELETE FROM alias WHERE name = 'latest'", "highest link"),
        ("DELETE FROM link WHERE version_index = 1", "names no version"),
        ("UPDATE link SET version_id = 'nobody' WHERE version_index = 1", "not there"),
        ("UPDATE collection SET kind = 1 WHERE name = 'p'", "in no portfolio"),
    ],
)
def test_damaged_links_are_found(own_registry: RegistryProcess, statement: str, problem: str) -> None:
    own_registry.start()
    with Client(own_registry.target) as client:
        for number in range(2):
            client.link(client.log_files("c", {"a": b"%d" % number}).version_id, "p")
    own_registry.stop()
    change_database(own_registry, statement)
    assert any(problem in finding["problem"] for finding in fsck(own_registry)["findings"])


def test_version_row_that_contradicts_its_manifest_is_found(damageable: RegistryProcess) -> None:
    change_database(damageable, "UPDATE version SET digest = zeroblob(32) WHERE version_index = 1")
    assert hurt(fsck(damageable, deep=True)) == {"team/vision/first:v1": {"(manifest)"}}


def test_damaged_database_is_reported_and_not_a_traceback(damageable: RegistryProcess) -> None:
    path = damageable.data_dir / "registry.sqlite3"
    path.write_bytes(b"not a database at all" * 300)
    report = fsck(damageable)
    assert [finding["kind"] for finding in report["findings"]] == ["database"]


def test_files_of_nobody_are_noted_and_are_no_damage(damageable: RegistryProcess) -> None:
    strangers = ["notes.txt", "packs/readme", "packs/ab/x", f"packs/aa/{'a' * 32}.pack", f"incoming/{'b' * 32}.part"]
    for name in strangers:
        path = damageable.data_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"?")
    report = fsck(damageable)
    assert report["clean"]
    assert len(report["notes"]) == len(strangers)
    with damageable, Client(damageable.target) as client:
        assert client.log_files("third", {"a": b"a"}).version_index == 0


def test_people_get_lines_that_name_the_versions(damageable: RegistryProcess) -> None:
    pack_with(damageable, b"apart").unlink()
    done = run_registry("fsck", "--data-dir", str(damageable.data_dir))
    assert done.returncode == 1
    assert "hurts team/vision/second:v0: (manifest)" in done.stdout
    assert "its file is gone" in done.stdout


def test_programs_get_json_and_an_exit_code(damageable: RegistryProcess) -> None:
    command = ("fsck", "--data-dir", str(damageable.data_dir), "--deep", "--json")
    sound = run_registry(*command)
    assert (sound.returncode, json.loads(sound.stdout)["clean"]) == (0, True)
    pack_with(damageable, b"apart").unlink()
    damaged = run_registry(*command)
    assert (damaged.returncode, hurt(json.loads(damaged.stdout))) == (1, {"team/vision/second:v0": {"(manifest)"}})


def test_no_registry_is_said_so(tmp_path: Path) -> None:
    done = run_registry("fsck", "--data-dir", str(tmp_path / "nothing"))
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)


def test_random_flips_in_packs_are_all_found(damageable: RegistryProcess) -> None:
    chooser = random.Random(20)
    for _ in range(figure(8, 300)):
        path = chooser.choice(packs(damageable))
        sound = path.read_bytes()
        data = bytearray(sound)
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        path.write_bytes(data)
        report = fsck(damageable, deep=True)
        assert not report["clean"]
        assert hurt(report), report["findings"]
        path.write_bytes(sound)
