"""Filters in the documented (Mongo-like) form: from JSON to a small tree of conditions that are known to be sound.

What a filter may ask for is an allow-list of fields for each kind of thing.  A field that is absent (or null) equals only null, is
in no order, and matches no text; every condition is plainly true or false, so that `$not` is its opposite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from holdfast_contract.reasons import Reason
from holdfast_registry.domain.patterns import PatternError, compile_pattern
from holdfast_registry.domain.semver import parse_version
from holdfast_registry.errors import RegistryError

FILTER_BYTES_MAX = 64 * 1024
"""A list of 1,000 digests fits."""
DEPTH_MAX = 16
"""Of filters within filters; the database nests as deep."""
CONDITIONS_MAX = 200
"""Each may cost a look into another table for every row."""
VALUES_MAX = 1000
"""Of one `$in`: the page of a list."""
PATH_PARTS_MAX = 16
NUMBER_MAX = 2**63
"""What the database can hold."""

Scalar = str | int | float | bool | None


class FieldKind(Enum):
    """What a field holds, and so what may be asked of it."""

    TEXT = auto()
    TEXTS = auto()
    """Several: a condition holds when it holds for one of them."""
    NUMBER = auto()
    TIME = auto()
    """Asked for as ISO date or date and time (UTC unless it says otherwise), compared in milliseconds."""
    BOOLEAN = auto()
    SEMANTIC_VERSION = auto()
    """Asked for as its whole text, compared by precedence: a condition holds the key."""
    DIGEST = auto()
    """A text that can only be equal or not."""
    JSON = auto()
    """A document; `field.key.key` names a value in it, compared with values of its own kind."""


class Operator(Enum):
    """What a condition asks; the rest is made from these."""

    EQUAL = "$eq"
    IN = "$in"
    GREATER = "$gt"
    GREATER_EQUAL = "$gte"
    LESS = "$lt"
    LESS_EQUAL = "$lte"
    EXISTS = "$exists"
    REGEX = "$regex"
    CONTAINS = "$contains"


ORDERED = frozenset({Operator.GREATER, Operator.GREATER_EQUAL, Operator.LESS, Operator.LESS_EQUAL})


@dataclass(frozen=True, slots=True)
class Condition:
    """One question about one field."""

    field: str
    kind: FieldKind
    operator: Operator
    value: Scalar | tuple[Scalar, ...]
    path: tuple[str, ...] = ()
    """Of a JSON field: the keys."""


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them holds; of none: true."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them holds."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    filter: Filter


Filter = Condition | All | AnyOf | Not
Fields = Mapping[str, FieldKind]

_COMMON: Fields = {
    "name": FieldKind.TEXT,
    "description": FieldKind.TEXT,
    "created_at": FieldKind.TIME,
    "updated_at": FieldKind.TIME,
}
VERSION_FIELDS: Fields = {
    **_COMMON,
    "collection": FieldKind.TEXT,
    "project": FieldKind.TEXT,
    "type": FieldKind.TEXT,
    "id": FieldKind.TEXT,
    "state": FieldKind.TEXT,
    "version": FieldKind.NUMBER,
    "version_index": FieldKind.NUMBER,
    "semantic_version": FieldKind.SEMANTIC_VERSION,
    "alias": FieldKind.TEXTS,
    "tag": FieldKind.TEXTS,
    "size": FieldKind.NUMBER,
    "file_count": FieldKind.NUMBER,
    "digest": FieldKind.DIGEST,
    "metadata": FieldKind.JSON,
    "ttl": FieldKind.NUMBER,
    "expires_at": FieldKind.TIME,
    "logged_by": FieldKind.TEXT,
}
COLLECTION_FIELDS: Fields = {
    **_COMMON,
    "project": FieldKind.TEXT,
    "type": FieldKind.TEXT,
    "tag": FieldKind.TEXTS,
    "is_sequence": FieldKind.BOOLEAN,
}
PROJECT_FIELDS: Fields = _COMMON
RUN_FIELDS: Fields = {
    "name": FieldKind.TEXT,
    "display_name": FieldKind.TEXT,
    "group": FieldKind.TEXT,
    "job_type": FieldKind.TEXT,
    "tag": FieldKind.TEXTS,
    "state": FieldKind.TEXT,
    "notes": FieldKind.TEXT,
    "host": FieldKind.TEXT,
    "config": FieldKind.JSON,
    "created_at": FieldKind.TIME,
    "updated_at": FieldKind.TIME,
}
_OTHER_NAMES: Mapping[str, str] = {
    "aliases": "alias",
    "tags": "tag",
    "versionIndex": "version_index",
    "semanticVersion": "semantic_version",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "fileCount": "file_count",
    "expiresAt": "expires_at",
    "loggedBy": "logged_by",
    "isSequence": "is_sequence",
    "jobType": "job_type",
    "displayName": "display_name",
    "run_id": "name",
    "runId": "name",
    "version_id": "id",
}
_OPERATORS: Mapping[FieldKind, frozenset[Operator]] = {
    FieldKind.TEXT: frozenset(Operator),
    FieldKind.TEXTS: frozenset(Operator),
    FieldKind.NUMBER: ORDERED | {Operator.EQUAL, Operator.IN, Operator.EXISTS},
    FieldKind.TIME: ORDERED | {Operator.EQUAL, Operator.IN, Operator.EXISTS},
    FieldKind.SEMANTIC_VERSION: ORDERED | {Operator.EQUAL, Operator.IN, Operator.EXISTS},
    FieldKind.BOOLEAN: frozenset({Operator.EQUAL, Operator.IN, Operator.EXISTS}),
    FieldKind.DIGEST: frozenset({Operator.EQUAL, Operator.IN, Operator.EXISTS}),
    FieldKind.JSON: frozenset(Operator),
}
_OPPOSITES = {"$ne": Operator.EQUAL, "$nin": Operator.IN}
_KNOWN = ", ".join(sorted([operator.value for operator in Operator] + [*_OPPOSITES, "$and", "$or", "$nor", "$not"]))


def invalid_filter(message: str) -> RegistryError:
    """A filter or an order cannot be used."""
    return RegistryError(Reason.INVALID_FILTER, message)


def parse_filter(text: str, fields: Fields) -> Filter:
    """Reads a filter; of the empty text one that everything passes.

    Args:
        text: a JSON object.
        fields: what may be asked about.

    Raises:
        RegistryError: INVALID_FILTER: says what is wrong and what is known.
    """
    if not text:
        return All(())
    if len(text.encode("utf-8", "replace")) > FILTER_BYTES_MAX:
        raise invalid_filter(f"A filter has at most {FILTER_BYTES_MAX} bytes.")
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid_filter("A filter is a JSON object; this is not JSON, or nested too deeply.") from error
    return _Reader(fields).filter(decoded, 0)


def canonical_name(name: str) -> str:
    """Returns the one spelling of a field's name."""
    return _OTHER_NAMES.get(name, name)


class _Reader:
    """Reads one filter."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._conditions = 0

    def filter(self, decoded: Any, depth: int) -> Filter:
        """Reads a filter at some depth of the whole."""
        if depth > DEPTH_MAX:
            raise invalid_filter(f"A filter nests filters at most {DEPTH_MAX} deep.")
        if not isinstance(decoded, dict):
            raise invalid_filter(f"A filter is an object such as {{'name': 'x'}}, not {_shown(decoded)}.")
        return All(tuple(self._part(key, value, depth) for key, value in decoded.items()))

    def _part(self, key: str, value: Any, depth: int) -> Filter:
        if key == "$not":
            return Not(self.filter(value, depth + 1))
        if not key.startswith("$"):
            return self._field(key, value, depth)
        if key not in ("$and", "$or", "$nor"):
            raise invalid_filter(f"Operator {_shown(key)} is not known here; known are {_KNOWN}.")
        if not isinstance(value, list) or not value:
            raise invalid_filter(f"{key} needs a list of filters that is not empty.")
        parts = tuple(self.filter(part, depth + 1) for part in value)
        return All(parts) if key == "$and" else AnyOf(parts) if key == "$or" else Not(AnyOf(parts))

    def _field(self, key: str, value: Any, depth: int) -> Filter:
        name, path = self._name(key)
        if isinstance(value, dict):
            return self._conditions_of(name, path, value, depth)
        return self._condition(name, path, Operator.EQUAL, value)

    def _name(self, key: str) -> tuple[str, tuple[str, ...]]:
        first, *path = key.split(".")
        name = canonical_name(first)
        kind = self._fields.get(name)
        if kind is None or (kind is FieldKind.JSON) != bool(path):
            known = [f"{known}.KEY" if kind is FieldKind.JSON else known for known, kind in self._fields.items()]
            raise invalid_filter(f"Field {_shown(key)} is not known; known are {', '.join(sorted(known))}.")
        if len(path) > PATH_PARTS_MAX or not all(map(is_key, path)):
            raise invalid_filter(
                f"{_shown(key)}: the keys after the field must not be empty nor have quotes, backslashes or control "
                f"characters, and be {PATH_PARTS_MAX} at most."
            )
        return name, tuple(path)

    def _conditions_of(self, name: str, path: tuple[str, ...], operators: dict[str, Any], depth: int) -> Filter:
        parts: list[Filter] = []
        for operator, value in operators.items():
            if operator == "$not" and isinstance(value, dict) and depth < DEPTH_MAX:
                parts.append(Not(self._conditions_of(name, path, value, depth + 1)))
            elif operator in _OPPOSITES:
                parts.append(Not(self._condition(name, path, _OPPOSITES[operator], value)))
            elif operator in {known.value for known in Operator}:
                parts.append(self._condition(name, path, Operator(operator), value))
            else:
                raise invalid_filter(f"Operator {_shown(operator)} is not known here; known are {_KNOWN}.")
        return All(tuple(parts))

    def _condition(self, name: str, path: tuple[str, ...], operator: Operator, value: Any) -> Filter:
        self._conditions += 1
        if self._conditions > CONDITIONS_MAX:
            raise invalid_filter(f"A filter has at most {CONDITIONS_MAX} conditions.")
        kind = self._fields[name]
        if operator not in _OPERATORS[kind]:
            allowed = ", ".join(sorted(known.value for known in _OPERATORS[kind]))
            raise invalid_filter(f"{name} cannot be asked for with {operator.value}; it can with {allowed}, $ne, $nin.")
        if operator is Operator.EXISTS:
            if not isinstance(value, bool):
                raise invalid_filter("$exists needs true or false.")
            exists = Condition(name, kind, operator, True, path)
            return exists if value else Not(exists)
        return Condition(name, kind, operator, _checked(name, kind, operator, value), path)


def _checked(name: str, kind: FieldKind, operator: Operator, value: Any) -> Scalar | tuple[Scalar, ...]:
    if operator is Operator.IN:
        if not isinstance(value, list) or len(value) > VALUES_MAX:
            raise invalid_filter(f"$in and $nin need a list of at most {VALUES_MAX} values.")
        return tuple(_scalar(name, kind, one) for one in value)
    if operator is Operator.REGEX:
        return _pattern(value)
    if operator is Operator.CONTAINS:
        return _text(name, value)
    if value is None and operator in ORDERED:
        raise invalid_filter(f"{operator.value} of {name} needs a value; null is in no order.")
    checked = _scalar(name, kind, value)
    if operator in ORDERED and isinstance(checked, bool):
        raise invalid_filter(f"{operator.value} of {name} needs a number or a text; true and false are in no order.")
    return checked


def _scalar(name: str, kind: FieldKind, value: Any) -> Scalar:
    if value is None:
        return None
    readers: Mapping[FieldKind, Callable[[str, Any], Scalar]] = {
        FieldKind.TEXT: _text,
        FieldKind.TEXTS: _text,
        FieldKind.DIGEST: _text,
        FieldKind.NUMBER: _version_number if name == "version" else _number,
        FieldKind.TIME: _time,
        FieldKind.SEMANTIC_VERSION: _semantic_version,
        FieldKind.BOOLEAN: _boolean,
        FieldKind.JSON: _json_scalar,
    }
    return readers[kind](name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid_filter(f"{name} is a text; {_shown(value)} is none. For one of several use $in.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise invalid_filter(f"{name}: a text must not have NUL or broken Unicode.")
    return value


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise invalid_filter(f"{name} is a number; {_shown(value)} is none.")
    if abs(value) >= NUMBER_MAX:
        raise invalid_filter(f"{name}: {_shown(value)} is larger than anything that is kept.")
    return value


def _version_number(name: str, value: Any) -> int | float:
    if (
        isinstance(value, str)
        and value[:1] == "v"
        and value[1:].isascii()
        and value[1:].isdecimal()
        and len(value) < 19
    ):
        return int(value[1:])
    return _number(name, value)


def _semantic_version(name: str, value: Any) -> str:
    parsed = parse_version(_text(name, value))
    if parsed is None:
        raise invalid_filter(f"{name} is a text such as '1.2.0', not {_shown(value)}.")
    return parsed.key


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid_filter(f"{name} is true or false; {_shown(value)} is neither.")
    return value


def _time(name: str, value: Any) -> int:
    try:
        parsed = datetime.fromisoformat(_text(name, value))
    except ValueError as error:
        raise invalid_filter(
            f"{name} is a time such as 2030-01-31 or 2030-01-31T12:00:00Z, not {_shown(value)}."
        ) from error
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def _json_scalar(name: str, value: Any) -> Scalar:
    if isinstance(value, bool):
        return value
    return _text(name, value) if isinstance(value, str) else _number(name, value)


def _pattern(value: Any) -> str:
    pattern = _text("$regex", value)
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise invalid_filter(f"$regex {_shown(pattern)}: {error}.") from error
    return pattern


def is_key(key: str) -> bool:
    """Tells whether a key within a JSON document can be asked about, on every database."""
    return bool(key) and key.isprintable() and not {'"', "\\"} & set(key)


def _shown(value: Any) -> str:
    return repr(value)[:80]
