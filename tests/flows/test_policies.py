"""When a file may be changed again: with "mutable" when `add_*` returns, with "immutable" after `wait()`."""

import shutil
import time
from pathlib import Path

import pytest

import holdfast
from holdfast.progress import Progress
from holdfast_contract.limits import KIB, MIB, PACK_BYTES_MAX
from support.sdk_calls import download, log, new_artifact
from support.sdk_host import SdkHost
from support.trees import random_bytes, read_tree, write_tree

TREE = {
    "small": random_bytes(1 * KIB),
    "just small": random_bytes(64 * KIB),
    "just large": random_bytes(64 * KIB + 1),
    "sub/large": random_bytes(9 * MIB),
    "empty": b"",
    **{f"many/{n}": random_bytes(500, n) for n in range(300)},
}


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def overwrite(root: Path) -> None:
    """Other bytes of the same size in every file."""
    for name, data in TREE.items():
        (root / name).write_bytes(bytes(len(data)))


@pytest.mark.parametrize("change", [overwrite, shutil.rmtree])
def test_a_folder_may_be_changed_or_deleted_when_add_dir_returns(tmp_path: Path, change: object) -> None:
    source = write_tree(tmp_path / "in", TREE)
    artifact = new_artifact()
    artifact.add_dir(str(source))
    change(source)  # type: ignore[operator]
    assert read_tree(download(log(artifact), tmp_path / "out")) == TREE


def test_a_file_may_be_changed_when_add_file_returns(tmp_path: Path) -> None:
    artifact = new_artifact()
    path = tmp_path / "file"
    for name, data in TREE.items():
        path.write_bytes(data)
        artifact.add_file(str(path), name)
        path.write_bytes(b"something else")
    assert read_tree(download(log(artifact), tmp_path / "out")) == TREE


def test_immutable_files_are_logged_as_they_are(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", TREE)
    artifact = new_artifact()
    artifact.add_dir(str(source), policy="immutable")
    assert read_tree(download(log(artifact), tmp_path / "out")) == TREE


def test_after_wait_immutable_files_may_be_changed(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", TREE)
    artifact = new_artifact()
    artifact.add_dir(str(source), policy="immutable")
    log(artifact)
    shutil.rmtree(source)
    assert read_tree(download(artifact, tmp_path / "out")) == TREE


def test_another_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="policy"):
        new_artifact().add_dir(str(tmp_path), policy="copy")  # type: ignore[arg-type]


def test_a_process_may_end_right_after_log_artifact(host: SdkHost, tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", TREE)
    code = """
import sys, holdfast
artifact = holdfast.Artifact("left-alone", "dataset")
artifact.add_dir(sys.argv[1], policy="immutable")
holdfast.init(project="p").log_artifact(artifact)
"""
    done = host.run(code, source)
    assert done.returncode == 0, done.stderr
    again = new_artifact("left-alone")
    again.add_dir(str(source))
    # Logged to the same collection, so it is committed after the first and finds the same content there.
    with holdfast.init(project="p") as run:
        run.log_artifact(again).wait()
    assert again.version == "v0"
    assert again.is_new_version is False


def test_what_is_sent_ahead_for_a_draft_does_not_count_as_known_already(tmp_path: Path) -> None:
    large = random_bytes(2 * PACK_BYTES_MAX)
    (tmp_path / "large").write_bytes(large)
    artifact = new_artifact()
    artifact.add_file(str(tmp_path / "large"))
    while artifact.progress().bytes_sent < PACK_BYTES_MAX // 2:
        time.sleep(0.02)
    seen: list[Progress] = []
    with holdfast.init(project="flows") as run:
        run.log_artifact(artifact).wait(progress=seen.append)
    assert (seen[-1].bytes_deduplicated, seen[-1].bytes_sent >= len(large)) == (0, True)
