"""Objects of artifacts with all three processes: taken over from where they were got, without their bytes."""

from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

import holdfast
from holdfast import _artifact_objects, errors
from holdfast._artifact_objects import StoredObject
from support.sdk_calls import PROJECT, fetched, fresh_name, log, new_artifact
from support.sdk_host import SdkHost


class Note(StoredObject):
    """A text, kept in a file beside the object's."""

    log_type: ClassVar[str] = "note"

    def __init__(self, text: str) -> None:
        self.text = text

    def to_json(self, artifact: holdfast.Artifact) -> dict[str, Any]:
        with artifact.new_file("media/text", "w") as file:
            file.write(self.text)
        return {"path": "media/text"}

    @classmethod
    def from_json(cls, json: dict[str, Any], artifact: holdfast.Artifact) -> Self:
        return cls(Path(artifact.get_entry(json["path"]).download()).read_text())


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test here logs, and downloads to folders of its own."""
    monkeypatch.setattr(_artifact_objects, "_TYPES", {"note": Note})
    monkeypatch.chdir(tmp_path)


def with_note(text: str) -> holdfast.Artifact:
    artifact = new_artifact()
    artifact["n"] = Note(text)
    return artifact


def text_of(value: object) -> str:
    assert isinstance(value, Note)
    return value.text


def test_an_object_comes_back() -> None:
    assert text_of(fetched(log(with_note("hello")))["n"]) == "hello"


def test_an_object_of_another_version_is_taken_over_with_what_lies_beside_it_there() -> None:
    source = fetched(log(with_note("hello")))
    note = source.get("n")
    assert isinstance(note, Note)
    other = new_artifact()
    entry = other.add(note, "mine")
    assert entry.path == "mine.note.json"
    version = fetched(log(other))
    assert list(version.manifest.entries) == ["mine.note.json"]
    assert text_of(version.get("mine")) == "hello"


def test_an_object_that_is_being_logged_elsewhere_is_taken_over_from_there() -> None:
    note, first, second = Note("hello"), new_artifact(), new_artifact()
    first.add(note, "n")
    with holdfast.init(project=PROJECT) as run:
        run.log_artifact(first)
        second.add(note, "n")
        version = run.log_artifact(second).wait()
    assert list(version.manifest.entries) == ["n.note.json"]
    assert text_of(fetched(version).get("n")) == "hello"


def test_an_object_of_a_draft_that_may_never_be_logged_is_added_once_more() -> None:
    note, first, second = Note("hello"), new_artifact(), new_artifact()
    first.add(note, "n")
    second.add(note, "n")
    assert list(log(second).manifest.entries) == ["media/text", "n.note.json"]


def test_an_offline_run_logs_what_a_sync_commits() -> None:
    from holdfast._process import this_process
    from holdfastpb.daemon.v1 import control_pb2

    name = fresh_name()
    artifact = new_artifact(name)
    with artifact.new_file("file") as file:
        file.write("x")
    with holdfast.init(project=PROJECT, mode="offline") as run:
        run.log_artifact(artifact, aliases=["best"])
        with pytest.raises(errors.ArtifactNotLoggedError, match="holdfast sync"):
            artifact.wait()
    assert not holdfast.Api().artifact_exists(f"{PROJECT}/{name}")
    this_process().daemon.unary(
        "/holdfast.daemon.v1.ControlService/Sync", control_pb2.SyncRequest(), control_pb2.SyncResponse
    )
    assert artifact.wait(timeout=30).version == "v0"
    assert [one.id for one in [artifact.logged_by()] if one is not None] == [run.id]
