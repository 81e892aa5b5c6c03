"""Whatever JSON stands in the file of a sound, a video or the like: an object comes of it, or an error that names file and key."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast._artifact_objects import StoredObject, object_type
from holdfast._object_fields import reading_file
from holdfast.artifact import Artifact
from holdfast.errors import MalformedObjectError
from holdfast.media.media_file import Media

TYPES = [
    *("audio-file", "video-file", "html-file", "object3D-file", "bokeh-file", "plotly-file", "molecule-file"),
    *("pytorch-model-file", "sklearn-model-file", "tfkeras-model-file"),
]
KEYS = ("_type", "path", "sha256", "size", "caption", "width", "height", "format", "dep_py_files_path", "unknown")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("media/x.wav"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=120, deadline=None)
@given(log_type=st.sampled_from(TYPES), content=VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_json_is_an_object_or_a_named_error(log_type: str, content: Any) -> None:
    kind = object_type(log_type)
    assert kind is not None
    artifact = Artifact("a", "dataset")
    with reading_file(f"n.{log_type}.json"):
        found = read(kind, content, artifact)
    if isinstance(found, MalformedObjectError):
        assert f"n.{log_type}.json" in str(found)
        assert found.detail["key"] in ("", *KEYS)
        return
    assert isinstance(found, kind)
    assert kind.__name__ in repr(found)
    assert not isinstance(found, Media) or isinstance(found.caption, str | None)


def read(kind: type[StoredObject], content: Any, artifact: Artifact) -> StoredObject | MalformedObjectError:
    try:
        return kind.from_json(content, artifact)
    except MalformedObjectError as error:
        return error
