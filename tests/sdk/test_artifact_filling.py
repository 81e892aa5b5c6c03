"""Adding and removing: what is sent, what is waited for, what is refused at once."""

import os
import threading
from pathlib import Path

import pytest

from holdfast.artifact import Artifact
from holdfast.errors import FileMissingError, FileUnreadableError, PathConflictError
from holdfast_contract.digest import file_digest
from holdfast_contract.limits import INLINE_BYTES_MAX
from holdfast_contract.reasons import Reason
from holdfastpb.daemon.v1 import log_pb2
from support.fake_daemon import FakeDaemon


@pytest.fixture
def artifact() -> Artifact:
    return Artifact("a", "dataset")


def records(daemon: FakeDaemon) -> list[log_pb2.Record]:
    [session] = daemon.state.sessions.values()
    return session.records


def kinds(daemon: FakeDaemon) -> list[str | None]:
    return [record.WhichOneof("what") for record in records(daemon)]


def paths(artifact: Artifact) -> list[str]:
    return list(artifact.manifest.entries)


# --- add_file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES_MAX])
def test_small_mutable_file_travels_as_its_bytes(
    artifact: Artifact, daemon: FakeDaemon, tmp_path: Path, size: int
) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    entry = artifact.add_file(str(tmp_path / "f"))
    (tmp_path / "f").write_bytes(b"changed")
    assert paths(artifact) == ["f"]
    assert kinds(daemon) == ["add_bytes"]
    assert (entry.digest, entry.size) == (file_digest(b"x" * size).hex(), size)
    assert artifact.manifest.entries["f"].digest == entry.digest


def test_large_mutable_file_is_read_before_add_file_returns(
    artifact: Artifact, daemon: FakeDaemon, tmp_path: Path
) -> None:
    data = os.urandom(INLINE_BYTES_MAX + 1)
    (tmp_path / "f").write_bytes(data)
    daemon.faults.may_ingest.clear()
    added = threading.Event()
    entries = []

    def add() -> None:
        entries.append(artifact.add_file(str(tmp_path / "f")))
        added.set()

    thread = threading.Thread(target=add)
    thread.start()
    assert not added.wait(0.2)
    daemon.faults.may_ingest.set()
    assert added.wait(10)
    thread.join()
    assert kinds(daemon) == ["add_file"]
    assert entries[0].digest == file_digest(data).hex()


def test_immutable_file_is_not_waited_for(artifact: Artifact, daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"small")
    daemon.faults.may_ack.clear()
    entry = artifact.add_file(str(tmp_path / "f"), policy="immutable")
    daemon.faults.may_ack.set()
    assert entry.size == 5
    assert entry.digest == file_digest(b"small").hex()
    assert kinds(daemon) == ["add_file"]


def test_name_is_the_files_own_unless_given(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    assert artifact.add_file(str(tree / "hello.txt")).path == "hello.txt"
    assert artifact.add_file(str(tree / "hello.txt"), name="other/place.txt").path == "other/place.txt"
    assert paths(artifact) == ["hello.txt", "other/place.txt"]


def test_is_tmp_names_the_file_by_its_digest(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    entry = artifact.add_file(str(tree / "hello.txt"), name="media/hello.txt.json", is_tmp=True)
    assert entry.path == f"media/{file_digest(b'hello').hex()[:20]}.txt.json"


@pytest.mark.parametrize("local", ["absent", "tree", "pipe"])
def test_what_is_no_file_is_refused(artifact: Artifact, tree: Path, local: str) -> None:
    os.mkfifo(tree.parent / "pipe")
    with pytest.raises(ValueError, match="Path is not a file"):
        artifact.add_file(str(tree.parent / local))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused_at_once(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "f").touch(mode=0)
    with pytest.raises(FileUnreadableError, match="may not be read"):
        artifact.add_file(str(tmp_path / "f"))


@pytest.mark.parametrize("name", ["../up", "/abs", "", ".", "a/../b", "C:file", "a\\b", "a\x00"])
def test_unsafe_path_is_refused_at_once(artifact: Artifact, tree: Path, name: str) -> None:
    with pytest.raises(ValueError, match="Invalid artifact path"):
        artifact.add_file(str(tree / "hello.txt"), name=name)


def test_unknown_policy_is_refused(artifact: Artifact, tree: Path) -> None:
    with pytest.raises(ValueError, match="Invalid policy `sometimes` specified"):
        artifact.add_file(str(tree / "hello.txt"), policy="sometimes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Invalid policy"):
        artifact.add_dir(str(tree), policy="sometimes")  # type: ignore[arg-type]


# --- the same path twice ----------------------------------------------------------------------------------------------


def test_same_path_with_same_content_is_a_no_op(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    for name in ("hello.txt", "nested/deep/large"):
        first = artifact.add_file(str(tree / name), name="p/" + name)
        again = artifact.add_file(str(tree / name), name="p/" + name)
        assert again == first
    assert len(records(daemon)) == 2


@pytest.mark.parametrize("other", ["nested/limit", "nested/deep/large"])
def test_same_path_with_other_content_is_refused_and_the_draft_is_as_before(
    artifact: Artifact, daemon: FakeDaemon, tree: Path, other: str
) -> None:
    artifact.add_file(str(tree / "hello.txt"), name="p")
    with pytest.raises(ValueError, match="Cannot add the same path twice: 'p'"):
        artifact.add_file(str(tree / other), name="p")
    assert artifact.manifest.entries["p"].size == 5
    assert len(records(daemon)) == 1


def test_overwrite_replaces(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "hello.txt"), name="p")
    artifact.add_file(str(tree / "nested" / "deep" / "large"), name="p", overwrite=True)
    assert artifact.manifest.entries["p"].size == 300_000


def test_path_of_an_added_folder_is_taken_too(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_dir(str(tree), name="t")
    artifact.add_file(str(tree / "hello.txt"), name="t/hello.txt")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_file(str(tree / "empty"), name="t/hello.txt")
    artifact.add_file(str(tree / "empty"), name="t/new")
    assert len(artifact.manifest) == 5
    assert kinds(daemon) == ["add_tree", "add_bytes"]


# --- add_dir ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "prefix"), [(None, ""), ("", ""), (".", ""), ("/", ""), ("sub", "sub"), ("sub/deep/", "sub/deep")]
)
def test_folder_is_one_record(
    artifact: Artifact, daemon: FakeDaemon, tree: Path, name: str | None, prefix: str
) -> None:
    assert artifact.add_dir(str(tree), name=name) is None  # type: ignore[func-returns-value]
    [record] = records(daemon)
    assert (record.add_tree.prefix, record.add_tree.overwrite) == (prefix, False)
    assert len(artifact.manifest) == 4
    assert all(path.startswith(prefix) for path in paths(artifact))


def test_mutable_folder_is_read_before_add_dir_returns(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_dir(str(tree))
    before = artifact.digest
    (tree / "hello.txt").write_bytes(b"changed")
    assert artifact.digest == before


def test_immutable_folder_is_not_waited_for(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    daemon.faults.may_ack.clear()
    artifact.add_dir(str(tree), policy="immutable")
    daemon.faults.may_ack.set()
    assert len(artifact.manifest) == 4


def test_merge_overwrites(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_dir(str(tree))
    (tree / "hello.txt").write_bytes(b"changed")
    artifact.add_dir(str(tree), merge=True)
    assert artifact.manifest.entries["hello.txt"].size == 7


def test_folder_over_other_content_is_refused(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "empty"), name="hello.txt")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_dir(str(tree))


def test_what_is_no_folder_is_refused(artifact: Artifact, tree: Path) -> None:
    for local in ("hello.txt", "absent"):
        with pytest.raises(ValueError, match="Path is not a directory"):
            artifact.add_dir(str(tree / local))


# --- new_file ---------------------------------------------------------------------------------------------------------


def test_new_file_is_added_when_it_is_closed(artifact: Artifact, daemon: FakeDaemon) -> None:
    with artifact.new_file("notes/a.txt") as file:
        file.write("text")
    with artifact.new_file("large.bin", mode="wb") as binary:
        binary.write(b"x" * 200_000)
    assert {path: entry.size for path, entry in artifact.manifest.entries.items()} == {
        "large.bin": 200_000,
        "notes/a.txt": 4,
    }


def test_new_file_twice_is_refused_but_mode_w_replaces(artifact: Artifact, daemon: FakeDaemon) -> None:
    for text in ("one", "three"):
        with artifact.new_file("a", mode="w") as file:
            file.write(text)
    assert artifact.manifest.entries["a"].size == 5
    with pytest.raises(ValueError, match="File with name 'a' already exists"), artifact.new_file("a") as file:
        file.write("never")


def test_exception_in_the_block_adds_nothing(artifact: Artifact, places: object) -> None:
    with pytest.raises(ZeroDivisionError), artifact.new_file("a") as file:
        file.write(str(1 / 0))
    assert len(artifact.manifest) == 0


def test_text_that_the_encoding_cannot_hold_says_how(artifact: Artifact, places: object) -> None:
    with pytest.raises(UnicodeEncodeError) as caught, artifact.new_file("a", encoding="ascii") as file:
        file.write("ü")
    assert "encoding='utf-8'" in caught.value.__notes__[0]


# --- add_reference ----------------------------------------------------------------------------------------------------


def test_file_reference_has_the_files_digest_and_copies_nothing(
    artifact: Artifact, daemon: FakeDaemon, tree: Path
) -> None:
    [entry] = artifact.add_reference(f"file://{tree / 'hello.txt'}")
    assert (entry.path, entry.digest, entry.size) == ("hello.txt", file_digest(b"hello").hex(), 5)
    assert entry.ref_target() == f"file://{tree / 'hello.txt'}"


def test_folder_reference_has_one_entry_for_each_file(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    entries = artifact.add_reference(f"file://{tree}", name="refs")
    assert [entry.path for entry in entries] == [
        "refs/empty",
        "refs/hello.txt",
        "refs/nested/deep/large",
        "refs/nested/limit",
    ]
    assert len(entries) == 4
    assert entries[1].ref_target() == f"file://{tree}/hello.txt"


def test_relative_file_reference_becomes_absolute(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    [entry] = artifact.add_reference("file://tree/hello.txt")
    assert entry.ref_target() == f"file://{tree}/hello.txt"


def test_reference_without_checksum_reads_nothing(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    uri = f"file://{tree / 'hello.txt'}"
    [entry] = artifact.add_reference(uri, checksum=False)
    assert entry.digest == file_digest(uri.encode()).hex()


def test_too_many_objects_are_an_error_not_a_cut(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    with pytest.raises(ValueError, match="more than 3 objects"):
        artifact.add_reference(f"file://{tree}", max_objects=3)


def test_unknown_scheme_needs_a_name_and_is_recorded_as_it_is(artifact: Artifact, daemon: FakeDaemon) -> None:
    with pytest.raises(ValueError, match='You must pass name="<entry_name>" when tracking references'):
        artifact.add_reference("tape://vault/7")
    with pytest.warns(UserWarning, match="cannot be checksummed: tape://vault/7"):
        [entry] = artifact.add_reference("tape://vault/7", name="seven")
    assert (entry.path, entry.digest, entry.ref_target(), entry.size) == (
        "seven",
        "tape://vault/7",
        "tape://vault/7",
        0,
    )


def test_reference_must_be_a_uri_of_something(artifact: Artifact, tree: Path) -> None:
    with pytest.raises(ValueError, match=r"References must be URIs\. To reference a local file, use file://"):
        artifact.add_reference(str(tree))
    with pytest.raises(ValueError, match="must be a valid file or directory path"):
        artifact.add_reference(f"file://{tree}/absent")


def test_file_entry_has_no_target(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    with pytest.raises(ValueError, match=r"Only reference entries support ref_target\(\)"):
        artifact.add_file(str(tree / "hello.txt")).ref_target()


# --- remove -----------------------------------------------------------------------------------------------------------


def test_remove_takes_a_path_an_entry_or_a_folder(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_dir(str(tree))
    entry = artifact.add_file(str(tree / "hello.txt"), name="own")
    artifact.remove(entry)
    artifact.remove("nested")
    artifact.remove(Path("empty"))
    assert paths(artifact) == ["hello.txt"]


def test_removed_path_can_be_added_with_other_content(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "hello.txt"), name="p")
    artifact.remove("p")
    artifact.add_file(str(tree / "empty"), name="p")
    assert artifact.manifest.entries["p"].size == 0


def test_a_draft_is_listed_once_however_many_files_are_replaced_and_removed(
    artifact: Artifact, daemon: FakeDaemon, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(20):
        (many / f"f{number}").write_bytes(b"%d" % number)
    artifact.add_dir(str(many))
    for number in range(10):
        artifact.remove(f"f{number}")
        (tmp_path / "new").write_bytes(b"other %d" % number)
        artifact.add_file(str(tmp_path / "new"), name=f"f{number}")
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_file(str(tmp_path / "new"), name="f19")
    assert sum(not request.page_token for request in daemon.calls.requests["ListDraftEntries"]) == 1
    expected = {f"f{i}": file_digest(b"other %d" % i if i < 10 else b"%d" % i).hex() for i in range(20)}
    assert {path: entry.digest for path, entry in artifact.manifest.entries.items()} == expected


def test_what_was_removed_with_its_folder_is_not_there_any_more(
    artifact: Artifact, daemon: FakeDaemon, tree: Path
) -> None:
    artifact.add_dir(str(tree), name="kept")
    artifact.add_dir(str(tree), name="gone")
    below = next(path for path in paths(artifact) if path.startswith("gone/"))
    artifact.remove("gone")
    with pytest.raises(FileNotFoundError):
        artifact.remove(below)
    with pytest.raises(FileNotFoundError):
        artifact.remove("gone")
    assert all(path.startswith("kept/") for path in paths(artifact))


def test_a_folder_that_was_merged_over_a_file_counts_when_the_file_is_added_again(
    artifact: Artifact, daemon: FakeDaemon, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"first")
    artifact.add_file(str(tmp_path / "f"))
    merged = tmp_path / "merged"
    merged.mkdir()
    (merged / "f").write_bytes(b"second")
    artifact.add_dir(str(merged), merge=True)
    with pytest.raises(ValueError, match="Cannot add the same path twice"):
        artifact.add_file(str(tmp_path / "f"))
    assert artifact.manifest.entries["f"].digest == file_digest(b"second").hex()


def test_removing_what_is_not_there_is_refused(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        artifact.remove("absent")
    artifact.add_dir(str(tree))
    with pytest.raises(FileNotFoundError, match="absent"):
        artifact.remove("absent")
    with pytest.raises(FileNotFoundError):
        artifact.remove("neste")


# --- names of local files ---------------------------------------------------------------------------------------------


def test_local_path_is_found_again(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "hello.txt"), name="renamed")
    artifact.add_dir(str(tree / "nested"), name="folder")
    assert artifact.get_added_local_path_name("tree/hello.txt") == "renamed"
    assert artifact.get_added_local_path_name(str(tree / "nested" / "deep" / "large")) == "folder/deep/large"
    assert artifact.get_added_local_path_name(str(tree / "empty")) is None


# --- failures and threads ---------------------------------------------------------------------------------------------


def test_failed_record_is_raised_by_the_call_that_waits(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    daemon.state.fail_paths["nested/deep/large"] = Reason.FILE_CHANGED
    with pytest.raises(ValueError, match="nested/deep/large failed"):
        artifact.add_dir(str(tree))


def test_failed_record_nobody_waited_for_is_raised_later(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "hello.txt"))
    gone = tree / "nested" / "limit"
    daemon.faults.may_ack.clear()
    artifact.add_file(str(gone), policy="immutable")
    gone.unlink()
    daemon.faults.may_ack.set()
    with pytest.raises(FileMissingError):
        artifact.add_file(str(tree / "nested" / "deep" / "large"))


def test_conflict_of_a_folder_reference_is_a_value_error(artifact: Artifact, daemon: FakeDaemon, tree: Path) -> None:
    artifact.add_file(str(tree / "empty"), name="hello.txt")
    with pytest.raises(PathConflictError):
        artifact.add_reference(f"file://{tree}")


def test_many_threads_fill_one_artifact(artifact: Artifact, daemon: FakeDaemon, tmp_path: Path) -> None:
    def fill(number: int) -> None:
        for index in range(50):
            path = tmp_path / f"{number}-{index}"
            path.write_bytes(path.name.encode())
            artifact.add_file(str(path))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(artifact.manifest) == 400
    assert sum(daemon.calls.batches) == 400
