"""Which classes an image's boxes and masks speak of: numbers and their names."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.media.arrays import plain_value

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.manifest import ArtifactManifestEntry
    from holdfast.media.type_base import Type

ClassId = int | float | str


class Classes(StoredObject):
    """A set of classes, each with an id and a name."""

    log_type: ClassVar[str] = "classes"

    def __init__(self, class_set: Sequence[Mapping[str, Any]]) -> None:
        """Takes the classes.

        Args:
            class_set: such as `[{"id": 0, "name": "person"}]`; other keys are kept.

        Raises:
            TypeError: a class has no id, no name, or is no dict.
        """
        for number, one in enumerate(class_set):
            if not isinstance(one, Mapping) or "id" not in one or "name" not in one:
                raise TypeError(f"class_set[{number}] must be a dict with the keys 'id' and 'name', not {one!r:.200}")
        self._class_set = [plain_value(one) for one in class_set]
        self._file_path = ""

    @property
    def class_set(self) -> list[dict[str, Any]]:
        """The classes, as they were given; a copy."""
        return [dict(one) for one in self._class_set]

    @property
    def labels(self) -> dict[Any, str]:
        """The names by their ids."""
        return {one["id"]: one["name"] for one in self._class_set}

    def get_type(self) -> Type:
        """Returns the type of a table's column that takes the ids of these classes; see `Table.cast`."""
        from holdfast.media.dtypes_json import classes_id_type  # images need no types of columns

        return classes_id_type(self)

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Returns what its file holds."""
        return {"_type": self.log_type, "class_set": self._class_set}

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the classes of a file.

        Raises:
            MalformedObjectError: `class_set` is missing, or a class has no id or name.
        """
        fields = ObjectFields(json, cls.__name__, artifact)
        try:
            return cls(fields.sequence("class_set"))
        except TypeError as error:
            raise fields.malformed("class_set", str(error)) from error

    @property
    def file_path(self) -> str:
        """Where images put these classes into an artifact; equal classes have one path."""
        if not self._file_path:
            digest = hashlib.md5(str(self._class_set).encode(), usedforsecurity=False).hexdigest()
            self._file_path = self.file_name(f"media/classes/{digest}_cls")
        return self._file_path

    def __eq__(self, other: object) -> bool:
        return self._class_set == other._class_set if isinstance(other, Classes) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the dicts within are not

    def __repr__(self) -> str:
        return f"Classes({self._class_set!r})"


_shared: weakref.WeakValueDictionary[tuple[tuple[Any, Any], ...], Classes] = weakref.WeakValueDictionary()
_read: weakref.WeakKeyDictionary[Artifact, dict[str, Classes]] = weakref.WeakKeyDictionary()
_written: weakref.WeakKeyDictionary[Artifact, dict[str, ArtifactManifestEntry]] = weakref.WeakKeyDictionary()


def classes_of_labels(labels: Mapping[Any, str]) -> Classes:
    """Returns the classes of these labels: for equal ones the same object, since many images have equal ones."""
    key = tuple((id_, name) for id_, name in labels.items())
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = Classes([{"id": id_, "name": name} for id_, name in key])
    return found


def classes_entry(classes: Classes, artifact: Artifact) -> ArtifactManifestEntry:
    """Returns the entry of an image's classes in a draft; added once for all images."""
    path = classes.file_path
    entries = _written.setdefault(artifact, {})
    known = entries.get(path)
    if known is None or not artifact._has_part(known.path, known.digest):
        # A copy unless it was read: what other drafts know of the shared object is none of this one's business.
        added = classes if classes._source is not None else Classes(classes._class_set)
        known = entries[path] = artifact.add(added, path)
    return known


def classes_at(fields: ObjectFields) -> Classes:
    """Returns the classes that an image's key `classes` leads to; read once for all images of an artifact.

    Raises:
        MalformedObjectError: there are none.
    """
    path = fields.path()
    known = _read.setdefault(fields.artifact, {})
    if path not in known:
        found = fields.artifact.get(path)
        if not isinstance(found, Classes):
            raise fields.malformed("path", f"the artifact has no classes {path!r}")
        known[path] = found
    return known[path]


def checked_labels(labels: Any) -> dict[Any, str]:
    """Returns names by ids, as plain values.

    Raises:
        TypeError: an id is no number, or a name no text.
    """
    if not isinstance(labels, Mapping):
        raise TypeError(f"class_labels must be a dict of numbers to text, not {labels!r:.200}")
    plain = {getattr(id_, "item", lambda id_=id_: id_)(): name for id_, name in labels.items()}
    for id_, name in plain.items():
        if not isinstance(id_, int | float) or not isinstance(name, str):
            raise TypeError(f"class_labels must be a dict of numbers to text; it has {id_!r:.80}: {name!r:.80}")
    return plain


def default_labels(ids: Sequence[int]) -> dict[Any, str]:
    """Returns the names of classes that nobody has named."""
    return {id_: f"class_{id_}" for id_ in sorted(set(ids))}
