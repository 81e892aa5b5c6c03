"""Types of the columns of tables: what values are of, which values a column takes, and their JSON.

A column has one type.  Assigning a value gives the type that the column has from then on, which may say more than before (unknown
becomes number), or `INVALID` when the column cannot hold the value.  NaN counts as an absent value, as None does.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from holdfast._artifact_objects import StoredObject
from holdfast.media.type_base import (
    ANY,
    BOOLEAN,
    INVALID,
    NONE,
    NUMBER,
    STRING,
    TIMESTAMP,
    UNKNOWN,
    AnyType,
    ConstType,
    InvalidType,
    NoneType,
    ObjectType,
    PythonObjectType,
    Type,
    UnknownType,
)

_SCALARS: Mapping[type, Type] = {
    str: STRING,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    type(None): NONE,
    datetime.datetime: TIMESTAMP,
    datetime.date: TIMESTAMP,
}
_OF_CLASS: dict[type, Callable[[Any], Type]] = {}
"""Classes whose values say themselves what they are of; filled by the modules that define them."""

DEPTH_MAX = 100
"""Of lists and dicts within each other: more than anybody means, and what holds itself is found out."""
TOO_DEEP = "the value holds itself, or is too deep"
_ALTERNATIVES_MAX = 16
"""Types in one list; what is more varied than that is of any type."""


class TooDeepError(TypeError):
    """A value has lists or dicts within each other without end."""


def register_class(kind: type, type_of_value: Callable[[Any], Type]) -> None:
    """Makes `type_of` know the values of a class.

    Args:
        kind: the class; its subclasses are known with it.
        type_of_value: gives the type of a value.
    """
    _OF_CLASS[kind] = type_of_value


def _scalar_type(kind: type) -> Type | None:
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind.__module__.partition(".")[0] == "pandas" and kind.__name__ in ("NAType", "NaTType"):
        return NONE
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        return _numpy_scalar(numpy, kind)
    for base in kind.__mro__:
        if base in _OF_CLASS:
            return None
        if base in _SCALARS:
            return _SCALARS[base]
    return None


scalar_type: Callable[[type], Type | None] = lru_cache(maxsize=1024)(_scalar_type)
"""Returns the type that all values of a class have, but for NaN; None when it depends on the value."""


def _numpy_scalar(numpy: Any, kind: type) -> Type | None:
    if issubclass(kind, numpy.bool_):
        return BOOLEAN
    if issubclass(kind, numpy.datetime64):
        return TIMESTAMP
    if issubclass(kind, numpy.number) and not issubclass(kind, numpy.timedelta64):
        return NUMBER
    return STRING if issubclass(kind, numpy.str_) else None


def type_of(value: object, depth: int = 0) -> Type:
    """Returns what a value is of.

    Args:
        value: the value.
        depth: of lists and dicts that it lies in.

    Raises:
        TooDeepError: it holds itself.
    """
    if depth > DEPTH_MAX:
        raise TooDeepError(TOO_DEEP)
    kind = type(value)
    scalar = scalar_type(kind)
    if scalar is not None:
        # NaN and NaT alone differ from themselves.
        return NONE if (scalar is NUMBER or scalar is TIMESTAMP) and value != value else scalar
    if isinstance(value, list | tuple | set | frozenset):
        return ListType(_joined(value, depth + 1), len(value))
    if isinstance(value, Mapping):
        return TypedDictType({str(key): _of_field(item, depth + 1) for key, item in value.items()})
    for base in kind.__mro__:
        if base in _OF_CLASS:
            return _OF_CLASS[base](value)
    if isinstance(value, StoredObject):
        return ObjectType(value.log_type)
    if is_array(value):
        return NDArrayType(value.shape)  # type: ignore[attr-defined]  # is_array has seen that
    return PythonObjectType(kind.__name__)


def _of_field(value: object, depth: int) -> Type:
    # What is None here may be something in another dict.
    found = type_of(value, depth)
    return optional(UNKNOWN) if found is NONE else found


def is_array(value: object) -> bool:
    """Says whether a value is an array of numpy's, or a tensor that can be made one."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return True
    # Tensors of torch, tensorflow and jax.
    return hasattr(value, "__array__") and hasattr(value, "shape") and not hasattr(value, "columns")


def _joined(values: Iterable[object], depth: int) -> Type:
    """The type of all the values together."""
    kinds = set(map(type, values))
    if not kinds:
        return UNKNOWN
    if len(kinds) == 1:
        only = scalar_type(next(iter(kinds)))
        if only is STRING or only is BOOLEAN or only is NONE:
            return only if only is not NONE else optional(UNKNOWN)
    found: Type = UNKNOWN
    for one in dict.fromkeys(type_of(value, depth) for value in values):
        if found is UNKNOWN and one is NONE:
            found = optional(UNKNOWN)
            continue
        wider = found.assign_type(one, widen=True)
        found = union_of([found, one]) if wider is INVALID else wider
        if isinstance(found, UnionType) and len(found.allowed) > _ALTERNATIVES_MAX:
            return optional(ANY)
    return found


class UnionType(Type):
    """One of several types."""

    name = "union"
    __slots__ = ("allowed",)

    def __init__(self, allowed_types: Sequence[object] | None = None) -> None:
        """Makes the type; unions in it are taken apart."""
        flat: list[Type] = []
        for one in allowed_types or ():
            member = as_type(one)
            flat.extend(member.allowed if isinstance(member, UnionType) else [member])
        # Two unknowns may still become two types.
        kept = [one for at, one in enumerate(flat) if one is UNKNOWN or one not in flat[:at]]
        self.allowed: tuple[Type, ...] = tuple(sorted(kept, key=repr))

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"allowed_types": list(self.allowed)}

    @property
    def by_value(self) -> bool:
        """See `Type.by_value`."""
        return any(one.by_value for one in self.allowed)

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        if not self.by_value:
            return self.assign_type(type_of(value), widen=widen)
        return self._with(lambda member: member.assign(value, widen=widen), type_of(value))

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        result: Type = self
        for one in other.allowed if isinstance(other, UnionType) else (other,):
            if one is UNKNOWN:
                continue
            if not isinstance(result, UnionType):
                result = result.assign_type(one, widen=widen)
            else:
                result = result._with(lambda member, one=one: member.assign_type(one, widen=widen), one)  # type: ignore[misc]
            if result is INVALID:
                return INVALID
        return result

    def _with(self, assign: Callable[[Type], Type], found: Type) -> Type:
        for at, member in enumerate(self.allowed):
            if member is UNKNOWN:
                continue
            result = assign(member)
            if result is member:
                return self
            if result is not INVALID:
                return UnionType([*self.allowed[:at], result, *self.allowed[at + 1 :]])
        if UNKNOWN not in self.allowed or found in (NONE, INVALID):
            return INVALID
        at = self.allowed.index(UNKNOWN)
        return UnionType([*self.allowed[:at], found, *self.allowed[at + 1 :]])

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.allowed))


class ListType(Type):
    """A list; a tuple or set becomes one."""

    name = "list"
    __slots__ = ("element", "length")

    def __init__(self, element_type: object = None, length: int | None = None) -> None:
        """Makes the type; `length` None: lists of several lengths."""
        self.element = UNKNOWN if element_type is None else as_type(element_type)
        self.length = length

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"element_type": self.element, "length": self.length}

    @property
    def by_value(self) -> bool:
        """See `Type.by_value`."""
        return self.element.by_value

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        if not self.by_value or not isinstance(value, list | tuple | set | frozenset):
            return self.assign_type(type_of(value), widen=widen)
        element = self.element
        for item in value:
            element = element.assign(item, widen=widen)
            if element is INVALID:
                return INVALID
        return ListType(element, len(value))

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        if other is UNKNOWN:
            return self
        if not isinstance(other, ListType):
            return INVALID
        element = _assign_nested(self.element, other.element, widen=widen)
        if element is INVALID:
            return INVALID
        length = self.length if self.length == other.length else None
        if element is self.element and length == self.length:
            return self
        return ListType(element, length)

    def __repr__(self) -> str:
        return f"{self.element!r}[]"


class NDArrayType(Type):
    """An array of numpy's of one shape."""

    name = "ndarray"
    by_value = True
    __slots__ = ("serialization_path", "shape")

    def __init__(self, shape: Sequence[int], serialization_path: Mapping[str, str] | None = None) -> None:
        """Makes the type; `serialization_path` says where the column's arrays lie, as {"path", "key"}."""
        self.shape = tuple(int(length) for length in shape)
        self.serialization_path = None if serialization_path is None else dict(serialization_path)

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"shape": list(self.shape), "serialization_path": self.serialization_path}

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        if isinstance(value, list | tuple):
            return self if _shape_of_lists(value) == self.shape else INVALID
        return self.assign_type(type_of(value), widen=widen)

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        same_shape = isinstance(other, NDArrayType) and other.shape == self.shape
        return self if other is UNKNOWN or same_shape else INVALID

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NDArrayType) and other.shape == self.shape

    def __hash__(self) -> int:
        return hash((self.name, self.shape))


def _shape_of_lists(value: object) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list | tuple):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


class TypedDictType(Type):
    """A dict whose keys have types of their own."""

    name = "typedDict"
    legacy_names = ("dictionary",)
    __slots__ = ("type_map",)

    def __init__(self, type_map: Mapping[Any, object] | None = None) -> None:
        """Makes the type of dicts with these keys."""
        self.type_map: dict[Any, Type] = {key: as_type(one) for key, one in (type_map or {}).items()}

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"type_map": {str(key): one for key, one in self.type_map.items()}}

    @property
    def by_value(self) -> bool:
        """See `Type.by_value`."""
        return any(one.by_value for one in self.type_map.values())

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        if not self.by_value or not isinstance(value, Mapping):
            return self.assign_type(type_of(value), widen=widen)
        return self._with({str(key): item for key, item in value.items()}, Type.assign, None, widen=widen)

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        if other is UNKNOWN:
            return self
        if not isinstance(other, TypedDictType):
            return INVALID
        return self._with(other.type_map, _assign_nested, NONE, widen=widen)

    def _with(self, items: Mapping[str, Any], assign: Callable[..., Type], absent: object, *, widen: bool) -> Type:
        known = {str(key): one for key, one in self.type_map.items()}
        extra = items.keys() - known.keys()
        if extra and not widen:
            return INVALID
        result = {}
        for key, one in known.items():
            result[key] = assign(one, items.get(key, absent), widen=widen)
            if result[key] is INVALID:
                return INVALID
        for key in sorted(extra):
            result[key] = optional(items[key] if isinstance(items[key], Type) else type_of(items[key]))
        return self if result == known else TypedDictType(result)

    def __repr__(self) -> str:
        return repr(self.type_map)


def _assign_nested(current: Type, other: Type, *, widen: bool) -> Type:
    """Assigns the type of an element; where nobody has declared the type, elements may be None."""
    result = current.assign_type(other, widen=widen)
    if result is not INVALID or not widen:
        return result
    if other is NONE:
        return optional(current)
    if isinstance(other, UnionType) and NONE in other.allowed:
        return optional(current).assign_type(other, widen=widen)
    return INVALID


def union_of(types: Sequence[Type]) -> Type:
    """Returns a type that takes what any of them takes."""
    union = UnionType(types)
    return union.allowed[0] if len(union.allowed) == 1 else union


def optional(dtype: object) -> UnionType:
    """Returns the type that takes None besides."""
    return UnionType([as_type(dtype), NONE])


def as_type(dtype: object) -> Type:
    """Returns the type that users mean.

    Args:
        dtype: a type of this module or its class; a class such as `str`, `datetime` or `Image`; a list: of nothing: any list, of one:
            lists of it, of several: one of them; a dict: dicts with such values; an object of an artifact: what it is of; anything
            else: this constant alone.
    """
    if isinstance(dtype, Type):
        return dtype
    if isinstance(dtype, type):
        return _of_class(dtype)
    if isinstance(dtype, list):
        if not dtype:
            return ListType()
        return ListType(dtype[0]) if len(dtype) == 1 else UnionType(dtype)
    if isinstance(dtype, dict):
        return TypedDictType(dtype)
    if isinstance(dtype, StoredObject):
        return type_of(dtype)
    return ConstType(dtype)


def _of_class(kind: type) -> Type:
    if issubclass(kind, Type):
        return kind()
    scalar = scalar_type(kind)
    if scalar is not None:
        return scalar
    if issubclass(kind, list | tuple | set | frozenset):
        return ListType()
    if issubclass(kind, dict):
        return TypedDictType({})
    if issubclass(kind, StoredObject):
        return ObjectType(kind.log_type)
    return ANY if kind is object else PythonObjectType(kind.__name__)


class CannotAssign(TypeError):
    """A value of a column is not of its type."""

    def __init__(self, at: int, problem: str) -> None:
        """Makes the error for the value at an index."""
        super().__init__(problem)
        self.at = at


_SHOWN_VALUE_CHARS = 80
"""Of a value in a message: enough to know it again."""


def refusal_of(value: object, expected: Type) -> str:
    """Returns why a value does not fit."""
    # Arrays are written over many lines.
    text = " ".join(repr(value).split())
    shown = f"{text[:_SHOWN_VALUE_CHARS]}…" if len(text) > _SHOWN_VALUE_CHARS else text
    return f"{shown} of type {type_of(value)!r:.200} is not assignable to {expected!r:.200}"


def assign_all(current: Type, values: Sequence[object], *, widen: bool) -> Type:
    """Returns the type of a column after values were put into it.

    Values of plain types, and objects such as images, cost some nanoseconds each.

    Args:
        current: its type before.
        values: all that are put in.
        widen: nobody has declared the type, so that keys and Nones in dicts and lists may be added to it.

    Raises:
        CannotAssign: for the first value that the column cannot hold.
    """
    kinds = set(map(type, values))
    if not current.by_value and all(scalar_type(kind) is not None for kind in kinds):
        result = _assign_kinds(current, kinds, values)
        if result is not INVALID:
            return result
    result = current
    # Of objects such as images, one of each class tells of all.
    taken: set[type] = set()
    alike = frozenset() if current.by_value else {kind for kind in kinds if _is_of_one_type(kind)}
    for at, value in enumerate(values):
        kind = type(value)
        if kind in taken:
            continue
        try:
            wider = result.assign(value, widen=widen)
        except TooDeepError as error:
            raise CannotAssign(at, str(error)) from None
        if wider is INVALID:
            raise CannotAssign(at, refusal_of(value, result))
        result = wider
        if kind in alike:
            taken.add(kind)
    return result


def _is_of_one_type(kind: type) -> bool:
    """Whether all values of a class are objects of one type."""
    return issubclass(kind, StoredObject) and scalar_type(kind) is None and _OF_CLASS.keys().isdisjoint(kind.__mro__)


def _assign_kinds(current: Type, kinds: set[type], values: Sequence[object]) -> Type:
    """Assigns plain values by their classes alone; INVALID when one of them does not fit."""
    result = current
    found: set[Type] = {one for one in map(scalar_type, kinds) if one is not None}
    for one in (NUMBER, TIMESTAMP):
        if one in found and not any(scalar_type(type(value)) is one and value == value for value in values):
            found.discard(one)
            found.add(NONE)
    for one in found:
        result = result.assign_type(one)
        if result is INVALID:
            return INVALID
    takes_none = result.assign_type(NONE) is not INVALID
    if not takes_none and found & {NUMBER, TIMESTAMP} and any(value != value for value in values):
        return INVALID
    return result


__all__ = [
    "ANY",
    "BOOLEAN",
    "INVALID",
    "NONE",
    "NUMBER",
    "STRING",
    "TIMESTAMP",
    "UNKNOWN",
    "AnyType",
    "CannotAssign",
    "ConstType",
    "InvalidType",
    "ListType",
    "NDArrayType",
    "NoneType",
    "ObjectType",
    "PythonObjectType",
    "Type",
    "TypedDictType",
    "UnionType",
    "UnknownType",
    "as_type",
    "assign_all",
    "optional",
    "refusal_of",
    "register_class",
    "type_of",
    "union_of",
]
