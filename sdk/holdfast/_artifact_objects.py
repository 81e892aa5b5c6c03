"""Objects in artifacts: which types there are, and how an object becomes a file `<name>.<log_type>.json` and comes back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

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

    _source: ObjectPlace | None = None
    _target: ObjectPlace | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "log_type" in cls.__dict__:
            _TYPES[cls.log_type] = cls

    @abstractmethod
    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Returns what its file holds; adds to the artifact what it needs beside it."""

    @classmethod
    @abstractmethod
    def from_json(cls, json: dict[str, Any], artifact: Artifact) -> Self:
        """Returns the object of a file that was read from a logged artifact."""

    @classmethod
    def get_media_subdir(cls) -> str:
        """Returns the folder of the artifact that files of objects of this type lie in; empty: they have none."""
        return ""

    @classmethod
    def file_name(cls, name: str) -> str:
        """Returns the path of the file of the object of this name."""
        suffix = f".{cls.log_type}.json"
        return name if name.endswith(suffix) else name + suffix


_TYPES: dict[str, type[StoredObject]] = {}


def object_types() -> list[type[StoredObject]]:
    """Returns all types that are known, in the order in which they became known."""
    return list(_TYPES.values())


def require_object(value: object) -> StoredObject:
    """Returns the value if an artifact can hold it.

    Raises:
        TypeError: it cannot.
    """
    if isinstance(value, StoredObject) and type(value).log_type in _TYPES:
        return value
    expected = ", ".join(known.__name__ for known in object_types()) or "none is loaded"
    raise TypeError(f"Found object of type {type(value)}, expected one of: {expected}")


def encode_object(value: StoredObject, artifact: Artifact) -> str:
    """Returns the text of an object's file; equal objects have equal texts."""
    return json.dumps(value.to_json(artifact), sort_keys=True)


def read_object(kind: type[StoredObject], local_path: str, artifact: Artifact, path: str) -> StoredObject:
    """Returns the object of a downloaded file, and remembers where it came from.

    Raises:
        ValueError: the file is no JSON object.
    """
    with open(local_path, encoding="utf-8") as file:
        content = json.load(file)
    if not isinstance(content, dict):
        raise ValueError(f"{path} of {artifact.name} holds no {kind.__name__}: its JSON is no object.")
    value = kind.from_json(content, artifact)
    value._source = ObjectPlace(artifact, path)
    return value
