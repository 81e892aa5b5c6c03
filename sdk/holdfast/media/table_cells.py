"""Cells of tables in JSON: what values become there, and what comes back of them by the types of their columns.

Datetimes become milliseconds since 1970, those without a zone being taken for UTC's; arrays become lists, numpy's numbers Python's,
tuples and sets lists, keys of dicts texts.  NaN and the infinities are written as Python's own JSON writes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from holdfast._artifact_objects import StoredObject, object_from_json, object_type
from holdfast.media.dtypes import (
    DEPTH_MAX,
    NONE,
    NUMBER,
    TIMESTAMP,
    TOO_DEEP,
    AnyType,
    ListType,
    NDArrayType,
    ObjectType,
    PythonObjectType,
    Type,
    TypedDictType,
    UnionType,
    UnknownType,
    is_array,
    scalar_type,
)
from holdfast.media.optional_package import load_package
from holdfast.media.table_keys import TableIndex, TableKey

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

PLAIN_KINDS = frozenset({str, int, float, bool, type(None), TableKey, TableIndex})
"""What JSON holds as it is."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
EARLIEST_MS = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MILLISECOND
LATEST_MS = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MILLISECOND
_OBJECT_OF = {
    "PIL": "make an Image of it",
    "matplotlib": "make an Image or Plotly of it",
    "plotly": "make a Plotly of it",
    "bokeh": "make a Bokeh of it",
    "pandas": "make a Table of it",
    "polars": "make a Table of it",
}
"""What helps with things of these packages, which scripts hand over as they are."""

Decode = Callable[[Any, str], Any]
"""Makes a cell of its JSON; the second argument says where it lies, for messages."""


class NotEncodable(TypeError):
    """A value that has no form in JSON."""


def encode_cell(value: Any, artifact: Artifact, depth: int = 0) -> Any:
    """Returns the JSON of a cell; adds to the artifact what belongs to it.

    Args:
        value: the cell.
        artifact: takes what lies beside it.
        depth: of lists and dicts that it lies in.

    Raises:
        NotEncodable: it has none.
    """
    kind = type(value)
    if kind in PLAIN_KINDS:
        return value
    if depth > DEPTH_MAX:
        raise NotEncodable(TOO_DEEP)
    if kind is list or kind is tuple:
        return [encode_cell(item, artifact, depth + 1) for item in value]
    if isinstance(value, StoredObject):
        return value.to_json(artifact)
    if isinstance(value, Mapping):
        return {_key(key): encode_cell(item, artifact, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode_cell(item, artifact, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        # One order, whatever order this process has for them.
        return sorted((encode_cell(item, artifact, depth + 1) for item in value), key=repr)
    scalar = scalar_type(kind)
    if scalar is NONE:
        return None
    if scalar is TIMESTAMP:
        return milliseconds(value)
    return _encode_other(value, artifact)


def _encode_other(value: Any, artifact: Artifact) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        plain = value.item()
        # numpy has longer floats than Python, which it does not turn into Python's.
        plain = float(plain) if isinstance(plain, numpy.floating) else plain
        if type(plain) in PLAIN_KINDS:
            return plain
    elif isinstance(value, Enum):
        return value.name
    elif isinstance(value, str | int | float):
        return value
    elif isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise NotEncodable("these bytes are no text in UTF-8; give them as text, such as their base64") from error
    elif is_array(value):
        return encode_cell(array_of(value).tolist(), artifact)
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    name = f"{library}.{kind.__name__}" if library in _OBJECT_OF else kind.__name__  # there is an Image of ours, too
    raise NotEncodable(f"a {name} has no form in JSON; {_OBJECT_OF.get(library, 'give its text or its numbers')}")


def array_of(value: Any) -> Any:
    """Returns an array of numpy's for an array or tensor."""
    detach = getattr(value, "detach", None)  # torch's, which may lie on a GPU
    return load_package("numpy", "Table").asarray(value if detach is None else detach().cpu())


def _key(key: Any) -> str:
    """The text that JSON has for a key of a dict."""
    if isinstance(key, str):
        return str(key)
    item = getattr(key, "item", None)
    plain = key if item is None else item()
    if plain is None or isinstance(plain, bool | int | float):
        return json.dumps(plain)
    raise NotEncodable(f"a {type(key).__name__} cannot be a key in JSON")


def milliseconds(value: Any) -> int | None:
    """Returns the milliseconds since 1970, UTC, of a datetime, a date or numpy's datetime64; None for NaT.

    Raises:
        NotEncodable: UTC has no year 1 … 9999 for it, so that it could not be read.
    """
    if value != value:
        return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        found = (aware - EPOCH) // _MILLISECOND
    elif isinstance(value, date):
        found = (datetime.combine(value, time(), UTC) - EPOCH) // _MILLISECOND
    else:
        found = int(value.astype("datetime64[ms]").astype("int64"))
    if not EARLIEST_MS <= found <= LATEST_MS:
        raise NotEncodable(f"{value} is not in the years 1 … 9999 of UTC")
    return found


def encode_column(values: Sequence[Any], name: object, artifact: Artifact) -> Sequence[Any]:
    """Returns the JSON of a column's cells; the column itself when its cells are plain.

    Raises:
        TypeError: a cell has no form in JSON; the message names row and column.
    """
    if PLAIN_KINDS.issuperset(map(type, values)):
        return values
    encoded = []
    for row, value in enumerate(values):
        try:
            encoded.append(encode_cell(value, artifact))
        except NotEncodable as error:
            raise TypeError(f"Row {row}, column {name!r}: {error}.") from error
    return encoded


def encode_plain(values: Sequence[Any], name: object) -> Sequence[Any]:
    """Returns the JSON of a column's cells, none of which is an object of an artifact.

    Raises:
        TypeError: a cell has no form in JSON; the message names row and column.
    """
    nowhere: Any = None
    return encode_column(values, name, nowhere)


def revive_plain(dtype: Type, cells: list[Any]) -> list[Any]:
    """Returns the cells of a column, none of which is an object of an artifact, of what JSON has for them."""
    nowhere: Any = None
    decode = decoder_of(dtype, nowhere)
    return cells if decode is None else [decode(cell, "") for cell in cells]


def decoder_of(dtype: Type, artifact: Artifact) -> Decode | None:
    """Returns what makes a column's cells of their JSON; None when they are what JSON has."""
    members = dtype.allowed if isinstance(dtype, UnionType) else (dtype,)
    if NUMBER in members:
        # JSON does not tell datetimes from numbers: better their milliseconds than numbers that become datetimes.
        members = tuple(one for one in members if one is not TIMESTAMP)
    decoders = [decoder for decoder in (_member_decoder(one, artifact) for one in members) if decoder is not None]
    if not decoders:
        return None
    by_kind: dict[type, Decode] = {}
    for kinds, decode in decoders:
        for kind in kinds:
            by_kind.setdefault(kind, decode)

    def decode_one(value: Any, place: str) -> Any:
        decoder = by_kind.get(type(value))
        return value if decoder is None else decoder(value, place)

    return decode_one


def _member_decoder(dtype: Type, artifact: Artifact) -> tuple[tuple[type, ...], Decode] | None:
    if dtype is TIMESTAMP:
        return (int, float), lambda value, place: EPOCH + timedelta(milliseconds=value)
    if isinstance(dtype, ObjectType | AnyType | UnknownType | PythonObjectType):
        return (dict, list), lambda value, place: revive(value, artifact, place)
    if isinstance(dtype, NDArrayType):
        return (list,), lambda value, place: load_package("numpy", "Table").array(value)
    if isinstance(dtype, ListType):
        element = decoder_of(dtype.element, artifact)
        if element is not None:
            return (list,), lambda value, place: [element(item, f"{place}[{at}]") for at, item in enumerate(value)]
    if isinstance(dtype, TypedDictType):
        found = {key: decoder_of(one, artifact) for key, one in dtype.type_map.items()}
        fields = {key: decoder for key, decoder in found.items() if decoder is not None}
        if fields:
            return (dict,), lambda value, place: {
                key: fields[key](item, f"{place}.{key}") if key in fields else item for key, item in value.items()
            }
    return None


def revive(value: Any, artifact: Artifact, place: str) -> Any:
    """Returns a cell whose type is not known from its column: the objects in it are made, the rest is left as it is.

    Raises:
        MalformedObjectError: an object of a known type cannot be made.
    """
    if type(value) is dict:
        log_type = value.get("_type")
        if isinstance(log_type, str) and object_type(log_type) is not None:
            return object_from_json(value, artifact, place)
        return {key: revive(item, artifact, f"{place}.{key}") for key, item in value.items()}
    if type(value) is list:
        return [revive(item, artifact, f"{place}[{at}]") for at, item in enumerate(value)]
    return value
