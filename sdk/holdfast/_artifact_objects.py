"""Objects in artifacts: which types there are, and how an object becomes a file `<name>.<log_type>.json` and comes back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from holdfast._object_fields import ObjectFields, reading_file, reading_key, writing_file

if TYPE_CHECKING:
    from holdfast.artifact import Artifact


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where an object was read from, or added to."""

    artifact: Artifact
    path: str
    """Of its file, with the suffix."""


class StoredObject(ABC):
    """Base of what `Artifact.add` takes and `Artifact.get` returns.  A subclass that sets `log_type` is known from then on."""

    log_type: ClassVar[str]
    """Part of the names of its files."""
    json_type: ClassVar[type] = dict
    """Of what its file holds."""

    _source: ObjectPlace | None = None
    _target: ObjectPlace | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "log_type" in cls.__dict__:
            _TYPES[cls.log_type] = cls

    @abstractmethod
    def to_json(self, artifact: Artifact) -> Any:
        """Returns what its file holds, nearly always a dict; adds to the artifact what it needs beside it."""

    @classmethod
    @abstractmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the object of a file that was read from a logged artifact.

        Raises:
            MalformedObjectError: it is none; see `ObjectFields`.
        """

    def _is_still(self, place: ObjectPlace) -> bool:
        """Whether it is still what lies at a place where it was read from or added to."""
        return True

    @classmethod
    def get_media_subdir(cls) -> str:
        """Returns the folder of the artifact that files of objects of this type lie in; empty: they have none."""
        return ""

    @classmethod
    def file_name(cls, name: str) -> str:
        """Returns the path of the file of the object of this name."""
        return object_file_name(cls.log_type, name)


@dataclass(frozen=True, slots=True)
class TypeHome:
    """Where a type of ours is, which is imported when it is first needed."""

    module: str
    name: str

    def load(self) -> type[StoredObject]:
        """Imports the type."""
        from holdfast import _load  # imports that a fork cannot break in two

        return cast("type[StoredObject]", getattr(_load(f"media.{self.module}"), self.name))


_TYPES: dict[str, type[StoredObject] | TypeHome] = {
    "table": TypeHome("table", "Table"),
    "joined-table": TypeHome("joined_table", "JoinedTable"),
    "partitioned-table": TypeHome("partitioned_table", "PartitionedTable"),
    "classes": TypeHome("classes", "Classes"),
    "image-file": TypeHome("image", "Image"),
    "mask": TypeHome("image_mask", "ImageMask"),
    "bounding-boxes": TypeHome("bounding_boxes", "BoundingBoxes2D"),
    "audio-file": TypeHome("audio", "Audio"),
    "video-file": TypeHome("video", "Video"),
    "html-file": TypeHome("html", "Html"),
    "object3D-file": TypeHome("object3d", "Object3D"),
    "bokeh-file": TypeHome("bokeh", "Bokeh"),
    "plotly-file": TypeHome("plotly", "Plotly"),
    "molecule-file": TypeHome("molecule", "Molecule"),
    "pytorch-model-file": TypeHome("saved_model", "PytorchModel"),
    "sklearn-model-file": TypeHome("saved_model", "SklearnModel"),
    "tfkeras-model-file": TypeHome("saved_model", "KerasModel"),
}
"""By log type, in the order in which files of one name are looked for."""

_OLDER_NAMES = {f"wandb.{home.name}": log_type for log_type, home in _TYPES.items() if isinstance(home, TypeHome)}
"""What old files say as `_type`."""


def log_types() -> list[str]:
    """Returns the log types that are known; loads none of them."""
    return list(_TYPES)


def object_type(log_type: str) -> type[StoredObject] | None:
    """Returns the type of a log type, or of its older name, imported now; None when it is not known."""
    found = _TYPES.get(_OLDER_NAMES.get(log_type, log_type))
    return found.load() if isinstance(found, TypeHome) else found


def object_file_name(log_type: str, name: str) -> str:
    """Returns the path of the file of an object."""
    suffix = f".{log_type}.json"
    return name if name.endswith(suffix) else name + suffix


def require_object(value: object) -> StoredObject:
    """Returns the value if an artifact can hold it.

    Raises:
        TypeError: it cannot.
    """
    if isinstance(value, StoredObject) and type(value).log_type in _TYPES:
        return value
    makeable = [known for known in _TYPES.values() if not isinstance(known, TypeHome) or known.module != "saved_model"]
    expected = ", ".join(known.name if isinstance(known, TypeHome) else known.__name__ for known in makeable)
    raise TypeError(f"Found object of type {type(value)}, expected one of: {expected}; files are added by add_file")


def encode_object(value: StoredObject, artifact: Artifact, path: str = "") -> str:
    """Returns the text of an object's file; equal objects have equal texts.

    Args:
        value: the object.
        artifact: takes what belongs to it.
        path: of the file.
    """
    with writing_file(path):
        return json.dumps(value.to_json(artifact), sort_keys=True)


def read_object(kind: type[StoredObject], local_path: str, artifact: Artifact, path: str) -> StoredObject:
    """Returns the object of a downloaded file, and remembers where it came from.

    Raises:
        MalformedObjectError: (a ValueError) the file holds no object of this type; it names the key.
    """
    with reading_file(path):
        with open(local_path, "rb") as file:
            try:
                content = json.load(file)
            except (ValueError, RecursionError) as error:
                raise ObjectFields({}, kind.__name__, artifact).malformed("", f"it is no JSON ({error})") from error
        if not isinstance(content, kind.json_type):
            expected = "object" if kind.json_type is dict else "list"
            raise ObjectFields({}, kind.__name__, artifact).malformed("", f"its JSON is no {expected}")
        value = kind.from_json(content, artifact)
    value._source = ObjectPlace(artifact, path)
    return value


def object_from_json(content: Any, artifact: Artifact, key: str = "") -> StoredObject:
    """Returns an object whose JSON lies within that of another one, such as an image in a cell of a table.

    What lies beside it is asked for when it is needed: whoever reads many of them looks at `artifact.manifest` first, which fetches
    the list of all files at once.

    Args:
        content: the JSON; its `_type` says what it is, older names included.
        artifact: where it was read from.
        key: where it lies in the other one, such as "data[3][1]"; for messages.

    Raises:
        MalformedObjectError: it is none, or of an unknown type.
    """
    with reading_key(key):
        fields = ObjectFields(content, "object", artifact)
        kind = object_type(fields.text("_type"))
        if kind is None:
            raise fields.malformed("_type", f"nothing here knows objects of the type {fields.text('_type')!r}")
        return kind.from_json(content, artifact)
