"""`add` and `get`: objects become files by their type, and come back; whose they are decides whether bytes are added."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

import holdfast
from holdfast import _artifact_objects, _version_reading
from holdfast._artifact_objects import StoredObject
from holdfast.artifact import Artifact
from holdfast.errors import ArtifactFinalizedError, ArtifactNotLoggedError, MalformedObjectError
from holdfast.runs import Run
from support.fake_daemon import FakeDaemon


class Note(StoredObject):
    """A text with a file beside it."""

    log_type: ClassVar[str] = "note"

    def __init__(self, text: str) -> None:
        self.text = text

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        with artifact.new_file(f"{self.get_media_subdir()}/{self.text}.txt", "w") as file:
            file.write(self.text)
        return {"text": self.text, "_type": "note"}

    @classmethod
    def from_json(cls, json: dict[str, Any], artifact: Artifact) -> Self:
        path = artifact.get_entry(f"{cls.get_media_subdir()}/{json['text']}.txt").download()
        return cls(Path(path).read_text())

    @classmethod
    def get_media_subdir(cls) -> str:
        return "media/notes"


@pytest.fixture
def run(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(_artifact_objects, "_TYPES", {"note": Note})
    return holdfast.init(project="p")


@pytest.fixture
def logged(run: Run) -> Artifact:
    artifact = Artifact("a", "dataset")
    artifact.add(Note("hello"), "folder/n")
    return run.log_artifact(artifact).wait()


def test_object_becomes_a_file_of_its_type_and_what_belongs_to_it(logged: Artifact) -> None:
    assert list(logged.manifest.entries) == ["folder/n.note.json", "media/notes/hello.txt"]
    with open(logged.get_entry("folder/n").download()) as file:
        text = file.read()
    assert text == json.dumps({"_type": "note", "text": "hello"}, sort_keys=True)


@pytest.mark.parametrize("name", ["folder/n", "folder/n.note.json"])
def test_object_is_got_by_its_name_or_its_file_anew_each_time(logged: Artifact, name: str) -> None:
    first, second = logged.get(name), logged[name]
    assert isinstance(first, Note)
    assert isinstance(second, Note)
    assert first is not second
    assert (first.text, second.text) == ("hello", "hello")


@pytest.mark.parametrize("name", ["absent", "media/notes/hello.txt", "../x"])
def test_what_is_no_object_is_none(logged: Artifact, name: str) -> None:
    assert logged.get(name) is None


def test_entry_of_an_object_is_found_by_its_name(logged: Artifact) -> None:
    assert logged.get_entry("folder/n").path == logged.get_path("folder/n").path == "folder/n.note.json"
    with pytest.raises(KeyError, match="Path not contained in artifact: folder/m"):
        logged.get_entry("folder/m")


def test_same_object_again_is_its_first_entry(run: Run) -> None:
    artifact, note = Artifact("a", "dataset"), Note("x")
    first = artifact.add(note, "one")
    assert artifact.add(note, "one") is first
    with pytest.warns(UserWarning, match=r"as 'one.note.json' already, so 'two.note.json' was not added"):
        assert artifact.add(note, "two") is first
    assert list(artifact.manifest.entries) == ["media/notes/x.txt", "one.note.json"]


def test_entry_that_is_there_stays_unless_told(run: Run) -> None:
    artifact = Artifact("a", "dataset")
    artifact.add(Note("x"), "n")
    kept = artifact.add(Note("y"), "n")
    with open(run.log_artifact(artifact).wait().get_entry("n").download()) as file:
        assert json.load(file)["text"] == "x"
    assert kept.path == "n.note.json"
    other = Artifact("b", "dataset")
    other.add(Note("x"), "n")
    other.add(Note("y"), "n", overwrite=True)
    got = run.log_artifact(other).wait().get("n")
    assert isinstance(got, Note)
    assert got.text == "y"


@pytest.mark.parametrize("value", [5, "text", None, object(), Note])
def test_other_things_are_refused(run: Run, value: Any) -> None:
    with pytest.raises(TypeError, match=r"Found object of type .*, expected one of: Note"):
        Artifact("a", "dataset").add(value, "n")


@pytest.mark.parametrize("name", [3, None, ["a"]])
def test_a_name_that_is_no_path_is_refused_by_its_argument(run: Run, name: Any) -> None:
    with pytest.raises(TypeError, match=r"name argument of Artifact\.add"):
        Artifact("a", "dataset").add(Note("text"), name)


def test_states_are_checked(run: Run) -> None:
    artifact = Artifact("a", "dataset")
    with pytest.raises(ArtifactNotLoggedError, match=r"Artifact\.get"):
        artifact.get("n")
    with pytest.raises(ArtifactNotLoggedError):
        artifact["n"]
    artifact.finalize()
    with pytest.raises(ArtifactFinalizedError, match=r"Artifact\.add'"):
        artifact.add(Note("x"), "n")
    with pytest.raises(ArtifactFinalizedError):
        artifact["n"] = Note("x")


def test_object_file_that_is_none_is_said_to_be(run: Run) -> None:
    artifact = Artifact("a", "dataset")
    with artifact.new_file("n.note.json") as file:
        file.write("[]")
    with pytest.raises(ValueError, match=r"n\.note\.json of a:v0 holds no Note"):
        run.log_artifact(artifact).wait().get("n")


MANIFEST = "ListManifestSegments"


def test_an_object_is_looked_for_under_all_types_at_once(
    logged: Artifact, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {f"other-{number}": _artifact_objects.TypeHome("nowhere", "Other") for number in range(30)}
    monkeypatch.setattr(_artifact_objects, "_TYPES", {**others, "note": Note})
    for name in ("folder/n", "absent"):
        daemon.calls.methods.clear()
        logged.get(name)
        assert daemon.calls.methods.count(MANIFEST) <= 3


def test_who_asks_for_many_entries_gets_the_whole_manifest(logged: Artifact, daemon: FakeDaemon) -> None:
    daemon.calls.methods.clear()
    for _ in range(100):
        assert logged.get_entry("media/notes/hello.txt").path == "media/notes/hello.txt"
    assert daemon.calls.methods.count(MANIFEST) == _version_reading.SINGLE_LOOKUPS_MAX + 1


def test_types_are_named_without_being_loaded() -> None:
    script = """
import sys
from holdfast import Artifact, _artifact_objects as objects
try:
    objects.require_object(5)
except TypeError as error:
    print(error)
assert not [name for name in sys.modules if name.startswith("holdfast.media")], sys.modules
assert objects.object_type("classes").__name__ == objects.object_type("wandb.Classes").__name__ == "Classes"
assert "holdfast.media.image" not in sys.modules
assert objects.object_type("unheard of") is None
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "expected one of: Table, JoinedTable, PartitionedTable, Classes, Image, ImageMask, BoundingBoxes2D"
        in done.stdout
    )


def test_every_type_has_its_home() -> None:
    for log_type in _artifact_objects.log_types():
        kind = _artifact_objects.object_type(log_type)
        assert kind is not None
        assert kind.log_type == log_type
        assert kind.file_name("a/b") == f"a/b.{log_type}.json"


def test_an_object_within_another_is_found_by_its_type_and_its_place_is_named() -> None:
    artifact = Artifact("a", "dataset")
    content = {"_type": "wandb.Classes", "class_set": [{"id": 1, "name": "one"}]}
    found = _artifact_objects.object_from_json(content, artifact, "data[0][1]")
    assert found == holdfast.Classes([{"id": 1, "name": "one"}])
    for wrong, said in [
        ({"_type": "unheard of"}, r"data\[0\]\[1\]\._type: nothing here knows objects of the type 'unheard of'"),
        ({"_type": "classes"}, r"data\[0\]\[1\]\.class_set: is missing"),
        ({}, r"data\[0\]\[1\]\._type: is missing"),
        ([], r"data\[0\]\[1\]: its JSON is no object"),
    ]:
        with pytest.raises(MalformedObjectError, match=said):
            _artifact_objects.object_from_json(wrong, artifact, "data[0][1]")


@pytest.mark.parametrize("text", ["{", "\xff", "[" * 100_000], ids=["cut off", "bytes", "nested"])
def test_a_file_that_is_no_json_is_named(run: Run, tmp_path: Path, text: str) -> None:
    artifact = Artifact("a", "dataset")
    (tmp_path / "n").write_bytes(text.encode("latin-1"))
    artifact.add_file(str(tmp_path / "n"), "n.note.json")
    with pytest.raises(MalformedObjectError, match=r"n\.note\.json of a:v0 holds no Note: it is no JSON") as caught:
        run.log_artifact(artifact).wait().get("n")
    assert caught.value.detail == {"artifact": "a:v0", "path": "n.note.json", "key": ""}
