"""Trees that cannot be read as they are: a clear error that names the file, no hang, and nothing else is lost."""

import gc
import os
import threading
from pathlib import Path

import pytest

import holdfast
from holdfast import errors
from support.sdk_calls import download, log, new_artifact
from support.sdk_host import SESSION_THREAD, SdkHost
from support.trees import read_tree, write_tree

WAIT_S = 60

AS_ORDINARY_USER = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
if os.getuid() == 0:
    # Root reads everything, unless it and all that it starts may not.
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""

LOG_AN_UNREADABLE_FILE = """
import sys, holdfast
folder = sys.argv[1]
artifact = holdfast.Artifact("unreadable", "dataset")
for name, add in (("dir", lambda: artifact.add_dir(folder)), ("file", lambda: artifact.add_file(folder + "/secret"))):
    try:
        add()
        print(name, "was added")
    except holdfast.ArtifactError as error:
        print(name, type(error).__name__, error)
good = holdfast.Artifact("readable", "dataset")
good.add_file(folder + "/open")
with holdfast.init(project="p") as run:
    print("good", run.log_artifact(good).wait(60).version)
"""


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {"a/one": b"1", "z": b"last"})


def assert_others_can_be_logged(source: Path, tmp_path: Path) -> None:
    """The daemon goes on with what is sound."""
    artifact = new_artifact()
    artifact.add_file(str(source / "z"))
    assert read_tree(download(log(artifact), tmp_path / "sound")) == {"z": b"last"}


def assert_refused(source: Path, error: type[errors.Error], *words: str) -> None:
    """Both policies tell of the trouble: `mutable` at once, and who has heard of it can go on; `immutable` by `wait` at the latest."""
    artifact = new_artifact()
    with pytest.raises(error) as told:
        artifact.add_dir(str(source))
    for word in words:
        assert word in str(told.value)
    artifact.add_file(__file__, name="sound")
    assert list(log(artifact).manifest.entries) == ["sound"]
    later = new_artifact()
    later.add_dir(str(source), policy="immutable")
    with pytest.raises(error) as told, holdfast.init(project="p") as run:
        run.log_artifact(later).wait(WAIT_S)
    for word in words:
        assert word in str(told.value)


def test_a_cycle_of_links_is_named(source: Path, tmp_path: Path) -> None:
    (source / "a" / "again").symlink_to(source)
    assert_refused(source, errors.SymlinkCycleError, "again")
    assert_others_can_be_logged(source, tmp_path)


def test_a_link_to_itself_is_named(source: Path, tmp_path: Path) -> None:
    (source / "self").symlink_to("self")
    assert_refused(source, errors.ArtifactError, "self")
    assert_others_can_be_logged(source, tmp_path)


def test_a_broken_link_is_named(source: Path, tmp_path: Path) -> None:
    (source / "a" / "broken").symlink_to("nowhere")
    assert_refused(source, errors.FileMissingError, "a/broken")
    assert_others_can_be_logged(source, tmp_path)


def test_a_pipe_is_named_and_nobody_waits_for_a_writer(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "a" / "pipe")
    assert_refused(source, errors.FileUnreadableError, "a/pipe")
    with pytest.raises(ValueError, match="not a file"):
        new_artifact().add_file(str(source / "a" / "pipe"))
    assert_others_can_be_logged(source, tmp_path)


def test_a_file_name_that_is_not_utf_8_is_named(source: Path, tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(source), b"bad\xff"), "wb"):
        pass
    assert_refused(source, errors.InvalidInputError, "bad")
    assert_others_can_be_logged(source, tmp_path)


def test_a_file_that_vanishes_before_it_is_read_is_named(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "in", {"large": bytes(1 << 20)})
    artifact = new_artifact()
    artifact.add_file(str(source / "large"))
    (source / "large").unlink()
    with pytest.raises(ValueError, match="not a file"):
        artifact.add_file(str(source / "large"), "again")
    assert read_tree(download(log(artifact), tmp_path / "out")) == {"large": bytes(1 << 20)}


def test_an_unreadable_file_is_named_and_others_are_logged(tmp_path: Path) -> None:
    host = SdkHost(tmp_path)
    source = write_tree(tmp_path / "in", {"secret": b"s" * 200_000, "open": b"o"})
    (source / "secret").chmod(0)
    try:
        done = host.run(AS_ORDINARY_USER, LOG_AN_UNREADABLE_FILE, source)
    finally:
        host.close()
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert lines.get("good") == "v0", done
    for name in ("dir", "file"):
        assert lines[name].startswith("FileUnreadableError"), done
        assert "secret" in lines[name]


def test_a_refused_draft_is_given_up_when_nobody_has_it_any_more(source: Path) -> None:
    (source / "broken").symlink_to("nowhere")
    before = set(threading.enumerate())

    def try_it() -> None:
        with pytest.raises(errors.FileMissingError):
            new_artifact().add_dir(str(source))

    try_it()
    gc.collect()
    sessions = [thread for thread in set(threading.enumerate()) - before if thread.name == SESSION_THREAD]
    for thread in sessions:
        thread.join(WAIT_S)
    assert not any(thread.is_alive() for thread in sessions)


def test_missing_paths_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a file"):
        new_artifact().add_file(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="not a directory"):
        new_artifact().add_dir(str(tmp_path / "absent"))


@pytest.mark.parametrize("path", ["../up", "/absolute", "a/../b", "C:/drive", "back\\slash", "nul\0", "", "a" * 256])
def test_unsafe_paths_are_refused_and_the_draft_goes_on(tmp_path: Path, path: str) -> None:
    source = write_tree(tmp_path, {"file": b"content"})
    artifact = new_artifact()
    with pytest.raises(ValueError, match=r"\w"):
        artifact.add_file(str(source / "file"), path)
    artifact.add_file(str(source / "file"), "good")
    assert list(log(artifact).manifest.entries) == ["good"]
