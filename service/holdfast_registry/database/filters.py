"""From a filter's tree to an SQL expression: columns from an allow-list, every value a parameter, never NULL."""

from __future__ import annotations

import json
import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    LargeBinary,
    Numeric,
    Select,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from holdfast_registry.domain.filters import ORDERED, All, AnyOf, Condition, FieldKind, Filter, Not, Operator, Scalar

PATTERN_FUNCTION = "holdfast_matches"
"""Of SQLite, which has none of its own: (pattern, text) → whether it is found."""

_COMPARISONS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.GREATER: operators.gt,
    Operator.GREATER_EQUAL: operators.ge,
    Operator.LESS: operators.lt,
    Operator.LESS_EQUAL: operators.le,
}
_HEX_CHARS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Several:
    """A field that holds several texts: those of `element` in the rows of a correlated query."""

    element: ColumnElement[str]
    rows: Select[Any]


FieldSource = ColumnElement[Any] | Several
Sources = Mapping[str, FieldSource]


class FilterCompiler:
    """Compiles filters for one kind of thing and one kind of database."""

    def __init__(self, sources: Sources, dialect: str) -> None:
        """Makes the compiler.

        Args:
            sources: by the name of the field, what it is in the query.
            dialect: "sqlite" or "postgresql".
        """
        self._sources = sources
        self._dialect = dialect

    def compile(self, tree: Filter) -> ColumnElement[bool]:
        """Returns the expression; it is never NULL."""
        if isinstance(tree, Not):
            return not_(self.compile(tree.filter))
        if isinstance(tree, All):
            return and_(true(), *map(self.compile, tree.filters))
        if isinstance(tree, AnyOf):
            return or_(false(), *map(self.compile, tree.filters))
        return func.coalesce(self._condition(tree), false())

    def _condition(self, condition: Condition) -> ColumnElement[bool]:
        source = self._sources[condition.field]
        if isinstance(source, Several):
            return self._of_several(source, condition)
        if condition.kind is FieldKind.JSON:
            make = _SqliteJson if self._dialect == "sqlite" else _PostgresJson
            return _of_json(make, source, condition, self)
        if condition.kind is FieldKind.DIGEST:
            return _of_digest(source, condition)
        return self.of_scalar(source, condition)

    def of_scalar(self, source: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
        """Returns what a condition means for a plain value."""
        value = condition.value
        if condition.operator is Operator.EXISTS:
            return source.is_not(None)
        if condition.operator is Operator.EQUAL:
            return _equals(source, value)
        if isinstance(value, tuple):
            held = [one for one in value if one is not None]
            return or_(source.in_(held), source.is_(None) if None in value else false())
        if condition.operator is Operator.REGEX:
            return self.matches(source, str(value))
        if condition.operator is Operator.CONTAINS:
            return self._contains(source, str(value))
        compared: ColumnElement[bool] = _COMPARISONS[condition.operator](
            self._in_byte_order(source, value), literal(value)
        )
        return compared

    def matches(self, source: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """Returns whether a pattern, which was checked when it was read, is found in a text."""
        if self._dialect == "sqlite":
            found: ColumnElement[bool] = getattr(func, PATTERN_FUNCTION)(pattern, source)
            return found
        return source.regexp_match(pattern)

    def _contains(self, source: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        position = func.instr(source, text) if self._dialect == "sqlite" else func.strpos(source, text)
        return position > 0

    def _in_byte_order(self, source: ColumnElement[Any], value: object) -> ColumnElement[Any]:
        # SQLite compares bytes already.
        return source.collate("C") if isinstance(value, str) and self._dialect != "sqlite" else source

    def _of_several(self, source: Several, condition: Condition) -> ColumnElement[bool]:
        any_at_all = source.rows.exists()
        if condition.operator is Operator.EXISTS:
            return any_at_all
        if condition.value is None:
            return not_(any_at_all)
        holds = source.rows.where(self.of_scalar(source.element, condition)).exists()
        none_asked = isinstance(condition.value, tuple) and None in condition.value
        return or_(holds, not_(any_at_all)) if none_asked else holds


def _equals(source: ColumnElement[Any], value: object) -> ColumnElement[bool]:
    return source.is_(None) if value is None else source == literal(value)


def _of_digest(source: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    if condition.operator is Operator.EXISTS:
        return source.is_not(None)
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    wanted = [_digest_bytes(value) for value in values if value is not None]
    nothing = source.is_(None) if None in values else false()
    return or_(source.in_([literal(digest, LargeBinary) for digest in wanted if digest is not None]), nothing)


def _digest_bytes(value: Scalar) -> bytes | None:
    text = str(value)
    return bytes.fromhex(text) if len(text) % 2 == 0 and set(text) <= _HEX_CHARS else None


def json_number(document: ColumnElement[Any], path: tuple[str, ...], dialect: str) -> ColumnElement[Any]:
    """Returns the number under some keys of a JSON document; NULL: there is none."""
    value = (_SqliteJson if dialect == "sqlite" else _PostgresJson)(document, path)
    return case((value.is_number, value.number), else_=null())


def _of_json(
    make: type[_SqliteJson] | type[_PostgresJson],
    document: ColumnElement[Any],
    condition: Condition,
    compiler: FilterCompiler,
) -> ColumnElement[bool]:
    values = [make(document, path) for path in _paths(condition.path)]
    holds = _json_condition(values[-1], condition, compiler)
    # A value of config may be written with W&B's own `value` around it, or with none: that which is there counts.
    for value in reversed(values[:-1]):
        holds = case((value.exists, _json_condition(value, condition, compiler)), else_=holds)
    return holds


def _paths(path: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [path, path[:-1]] if len(path) > 1 and path[-1] == "value" else [path]


def _json_condition(
    value: _SqliteJson | _PostgresJson, condition: Condition, compiler: FilterCompiler
) -> ColumnElement[bool]:
    wanted = condition.value
    if condition.operator is Operator.EXISTS:
        return value.exists
    if isinstance(wanted, tuple):
        return or_(false(), *map(value.equals, wanted))
    if condition.operator is Operator.EQUAL:
        return value.equals(wanted)
    if condition.operator in ORDERED and not isinstance(wanted, str):
        return and_(value.is_number, compiler.of_scalar(value.number, condition))
    return and_(value.is_text, compiler.of_scalar(value.text, condition))


class _SqliteJson:
    """A value in a JSON document that is kept as a BLOB in SQLite."""

    def __init__(self, document: ColumnElement[Any], path: tuple[str, ...]) -> None:
        as_text = cast(document, Text)
        # Documents are checked when they come, but what is wrong all the same must not fail a whole list.
        sound = case((func.json_valid(as_text) == 1, as_text), else_=literal("{}"))
        plain, escaped = _sqlite_path(path, json_escapes=False), _sqlite_path(path, json_escapes=True)
        kind, value = func.json_type(sound, plain), func.json_extract(sound, plain)
        if escaped != plain:
            # SQLite compares keys as they are written, and ä may be written \u00e4.
            kind = func.coalesce(kind, func.json_type(sound, escaped))
            value = func.coalesce(value, func.json_extract(sound, escaped))
        self._kind = kind
        self.number = self.text = value

    @property
    def exists(self) -> ColumnElement[bool]:
        return self._kind.is_not(None)

    @property
    def is_number(self) -> ColumnElement[bool]:
        return self._kind.in_(["integer", "real"])

    @property
    def is_text(self) -> ColumnElement[bool]:
        return self._kind == "text"

    def equals(self, wanted: Scalar) -> ColumnElement[bool]:
        if wanted is None:
            return func.coalesce(self._kind, literal("null")) == "null"
        if isinstance(wanted, bool):
            return self._kind == json.dumps(wanted)
        return and_(self.is_text if isinstance(wanted, str) else self.is_number, self.text == literal(wanted))


def _sqlite_path(path: tuple[str, ...], *, json_escapes: bool) -> str:
    keys = [json.dumps(key)[1:-1] if json_escapes else key for key in path]
    return "$" + "".join(f'."{key}"' for key in keys)


class _PostgresJson:
    """A value in a JSON document that is kept as bytes in PostgreSQL."""

    def __init__(self, document: ColumnElement[Any], path: tuple[str, ...]) -> None:
        as_text = func.convert_from(document, literal("UTF8"))
        # As with SQLite: what is wrong must not fail a whole list.
        parsed = case((func.pg_input_is_valid(as_text, literal("jsonb")), cast(as_text, JSONB)), else_=null())
        keys = [literal(key, Text) for key in path]
        self._kind = func.jsonb_typeof(func.jsonb_extract_path(parsed, *keys))
        self.text = func.jsonb_extract_path_text(parsed, *keys)
        # Guarded, because PostgreSQL may look at a conversion before it looks at what stands beside it.
        self.number = case((self.is_number, cast(self.text, Numeric)), else_=cast(None, Float))

    @property
    def exists(self) -> ColumnElement[bool]:
        return self._kind.is_not(None)

    @property
    def is_number(self) -> ColumnElement[bool]:
        return self._kind == "number"

    @property
    def is_text(self) -> ColumnElement[bool]:
        return self._kind == "string"

    def equals(self, wanted: Scalar) -> ColumnElement[bool]:
        if wanted is None:
            return func.coalesce(self._kind, literal("null")) == "null"
        if isinstance(wanted, bool):
            return and_(self._kind == "boolean", self.text == json.dumps(wanted))
        if isinstance(wanted, str):
            return and_(self.is_text, self.text == literal(wanted))
        return and_(self.is_number, self.number == literal(wanted))
