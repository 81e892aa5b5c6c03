"""Reads the keys of an object's JSON, and says which key of which file is wrong.

`from_json` of a type is given what a file holds, not the file's name; which file is being read is therefore kept beside the call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import MalformedObjectError
from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import logical_path

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

T = TypeVar("T")

_SHOWN_CHARS_MAX = 80
"""Of a value in a message."""

_file: ContextVar[str] = ContextVar("holdfast_object_file", default="")
_key: ContextVar[str] = ContextVar("holdfast_object_key", default="")
_written: ContextVar[str] = ContextVar("holdfast_written_object", default="")


@contextlib.contextmanager
def reading_file(path: str) -> Generator[None, None, None]:
    """Says meanwhile which file of the artifact is read."""
    file, key = _file.set(path), _key.set("")
    try:
        yield
    finally:
        _file.reset(file)
        _key.reset(key)


@contextlib.contextmanager
def writing_file(path: str) -> Generator[None, None, None]:
    """Says meanwhile which file of the artifact an object is written to, for what is named after it; empty: none of its own."""
    token = _written.set(path)
    try:
        yield
    finally:
        _written.reset(token)


def path_being_written() -> str:
    """Returns the path of the file that is written to; empty: none, or the object lies within another one's file."""
    return _written.get()


@contextlib.contextmanager
def reading_key(key: str) -> Generator[None, None, None]:
    """Says meanwhile below which key, such as "data[3][1]", the object lies that is read."""
    token = _key.set(_below(_key.get(), key))
    try:
        yield
    finally:
        _key.reset(token)


def _below(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer and inner else outer or inner


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"


class ObjectFields:
    """The keys of one object's JSON, each read with the type that it must have."""

    def __init__(self, json: Any, kind: str, artifact: Artifact) -> None:
        """Takes over the JSON.

        Args:
            json: what was read.
            kind: the type that it should be of, such as "Image", for messages.
            artifact: where it was read from.

        Raises:
            MalformedObjectError: it is no JSON object.
        """
        self.kind = kind
        self.artifact = artifact
        self.file = _file.get()
        self.outer_key = _key.get()
        if not isinstance(json, dict):
            raise self.malformed("", "its JSON is no object")
        self.values: Mapping[str, Any] = json

    def malformed(self, key: str, problem: str) -> MalformedObjectError:
        """Returns the error for a key (empty: for the object as a whole)."""
        where = _below(self.outer_key, key)
        place = f"{self.file} of {self.artifact.name}" if self.file else self.artifact.name
        text = f"{place} holds no {self.kind}: {f'{where}: ' if where else ''}{problem}"
        return MalformedObjectError(text, detail={"artifact": self.artifact.name, "path": self.file, "key": where})

    def text(self, key: str) -> str:
        """Returns a text that must be there."""
        return self._required(key, str, "text")  # type: ignore[no-any-return]

    def text_or_none(self, key: str) -> str | None:
        """Returns a text, or None when the key is absent or null."""
        return self._optional(key, str, "text")  # type: ignore[no-any-return]

    def whole(self, key: str) -> int:
        """Returns a whole number that must be there."""
        return int(self._required(key, int, "a whole number"))

    def whole_or_none(self, key: str) -> int | None:
        """Returns a whole number, or None when the key is absent or null."""
        found = self._optional(key, int, "a whole number")
        return None if found is None else int(found)

    def number_or_none(self, key: str) -> float | None:
        """Returns a number, or None when the key is absent or null."""
        return self._optional(key, (int, float), "a number")  # type: ignore[no-any-return]

    def sequence(self, key: str) -> list[Any]:
        """Returns a list that must be there."""
        return self._required(key, list, "a list")  # type: ignore[no-any-return]

    def sequence_or_none(self, key: str) -> list[Any] | None:
        """Returns a list, or None when the key is absent or null."""
        return self._optional(key, list, "a list")  # type: ignore[no-any-return]

    def mapping(self, key: str) -> dict[str, Any]:
        """Returns an object that must be there."""
        return self._required(key, dict, "an object")  # type: ignore[no-any-return]

    def mapping_or_none(self, key: str) -> dict[str, Any] | None:
        """Returns an object, or None when the key is absent or null."""
        return self._optional(key, dict, "an object")  # type: ignore[no-any-return]

    def path(self, key: str = "path") -> str:
        """Returns a path inside the artifact that must be there, checked: it cannot lead out of a folder."""
        written = self.text(key)
        try:
            return logical_path(written)
        except ManifestPathError as error:
            raise self.malformed(key, f"{_shown(written)} is no path of an artifact") from error

    def below(self, key: str) -> ObjectFields:
        """Returns the keys of an object that must be there under a key."""
        with reading_file(self.file), reading_key(self.outer_key), reading_key(key):
            return ObjectFields(self.mapping(key), self.kind, self.artifact)

    def object_at(self, key: str, read: Callable[[Any, Artifact], T]) -> T:
        """Returns the object whose JSON lies under a key, as the `from_json` of its type reads it."""
        with reading_file(self.file), reading_key(self.outer_key), reading_key(key):
            return read(self.values[key], self.artifact)

    def _required(self, key: str, types: Any, expected: str) -> Any:
        if key not in self.values:
            raise self.malformed(key, f"is missing, and must be {expected}")
        return self._checked(key, types, expected)

    def _optional(self, key: str, types: Any, expected: str) -> Any:
        return None if self.values.get(key) is None else self._checked(key, types, expected)

    def _checked(self, key: str, types: Any, expected: str) -> Any:
        value = self.values[key]
        # JSON tells true from 1, and Python does not.
        if not isinstance(value, types) or isinstance(value, bool):
            raise self.malformed(key, f"is {_shown(value)}, and must be {expected}")
        return value
