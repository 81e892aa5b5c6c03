"""What all types of columns have, and those types that are made of no others."""

from __future__ import annotations

from typing import Any, ClassVar


class Type:
    """What the values of a column are of; a value itself: never changed, equal by what it says."""

    name: ClassVar[str]
    legacy_names: ClassVar[tuple[str, ...]] = ()
    """That older files have for it."""
    __slots__ = ()

    @property
    def wb_name(self) -> str:
        """What a file says as "wb_type"."""
        return self.name

    @property
    def params(self) -> dict[str, Any]:
        """What more there is to say; types, lists and plain values."""
        return {}

    @property
    def by_value(self) -> bool:
        """Whether the class of a value is not enough to know that it fits."""
        return False

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """Returns the type after a value was put in; `INVALID` when it does not fit.

        Args:
            value: to be put in.
            widen: nobody has declared the type, so that keys and Nones in dicts and lists may be added to it.
        """
        from holdfast.media.dtypes import type_of  # it is made of this module's types

        return self.assign_type(type_of(value), widen=widen)

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """Returns the type after values of another were put in; `INVALID` when they do not fit.

        Args:
            other: of the values.
            widen: as of `assign`.
        """
        return self if other == self or other is UNKNOWN else INVALID

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Type) and self.name == other.name and self.params == other.params)

    def __hash__(self) -> int:
        return hash((self.name, repr(self)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}:{value}" for key, value in self.params.items())
        return self.name.capitalize() + (f"({shown})" if shown else "")


class _Singleton(Type):
    """A type without particulars; there is one of it."""

    __slots__ = ()
    _only: ClassVar[Type | None] = None

    def __new__(cls) -> Type:  # type: ignore[misc]  # always of this class
        only = cls.__dict__.get("_only")
        if only is None:
            only = cls._only = super().__new__(cls)
        return only

    def __reduce__(self) -> Any:
        return type(self), ()


class InvalidType(_Singleton):
    """Of nothing: what comes of an assignment that fails."""

    name = "invalid"
    __slots__ = ()

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        return self


class AnyType(_Singleton):
    """Of everything but None."""

    name = "any"
    __slots__ = ()

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        return INVALID if other in (NONE, INVALID) else self


class UnknownType(_Singleton):
    """Of whatever comes first."""

    name = "unknown"
    __slots__ = ()

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        return INVALID if other is NONE else other


class NoneType(_Singleton):
    """None, or NaN."""

    name = "none"
    __slots__ = ()


class StringType(_Singleton):
    """Text."""

    name = "string"
    __slots__ = ()


class NumberType(_Singleton):
    """Integers and floats, Python's and numpy's."""

    name = "number"
    __slots__ = ()


class TimestampType(_Singleton):
    """Dates and times; files have milliseconds since 1970, UTC."""

    name = "timestamp"
    __slots__ = ()


class BooleanType(_Singleton):
    """True and False."""

    name = "boolean"
    __slots__ = ()


class PythonObjectType(Type):
    """Objects of a class that nothing is known of."""

    name = "pythonObject"
    legacy_names = ("object",)
    __slots__ = ("class_name",)

    def __init__(self, class_name: str = "object") -> None:
        """Makes the type of the objects of a class."""
        self.class_name = class_name

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"class_name": self.class_name}


class ConstType(Type):
    """One value, or, of a set, what is in it."""

    name = "const"
    __slots__ = ("is_set", "val")

    def __init__(self, val: Any = None, is_set: bool = False) -> None:
        """Makes the type; with `is_set`, `val` is a set or a list of its members."""
        self.is_set = is_set or isinstance(val, set | frozenset)
        self.val = set(val) if self.is_set else val

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return {"val": self.val, "is_set": self.is_set}

    @property
    def by_value(self) -> bool:
        """See `Type.by_value`."""
        return True

    def assign(self, value: object, *, widen: bool = False) -> Type:
        """See `Type.assign`."""
        if isinstance(self.val, bool) != isinstance(value, bool):
            return INVALID  # 1 == True
        return self if value == self.val else INVALID

    def __repr__(self) -> str:
        return repr(self.val)


class ObjectType(Type):
    """Objects of artifacts, such as images; also those that nothing here can make."""

    name = "object-file"
    __slots__ = ("_params", "log_type")

    def __init__(self, log_type: str, params: dict[str, Any] | None = None) -> None:
        """Makes the type.

        Args:
            log_type: of the objects' class.
            params: what a file says of it; kept for the next file.
        """
        self.log_type = log_type
        self._params = params or {}

    @property
    def wb_name(self) -> str:
        """See `Type.wb_name`."""
        return self.log_type

    @property
    def params(self) -> dict[str, Any]:
        """See `Type.params`."""
        return self._params

    def assign_type(self, other: Type, *, widen: bool = False) -> Type:
        """See `Type.assign_type`."""
        same_kind = isinstance(other, ObjectType) and other.log_type == self.log_type
        return self if other is UNKNOWN or same_kind else INVALID

    def __eq__(self, other: object) -> bool:
        # Particulars, such as the classes of all masks, come from the objects themselves.
        return isinstance(other, ObjectType) and other.log_type == self.log_type

    def __hash__(self) -> int:
        return hash(self.log_type)

    def __repr__(self) -> str:
        return self.log_type.capitalize()


INVALID = InvalidType()
ANY = AnyType()
UNKNOWN = UnknownType()
NONE = NoneType()
STRING = StringType()
NUMBER = NumberType()
TIMESTAMP = TimestampType()
BOOLEAN = BooleanType()
