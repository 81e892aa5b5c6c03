"""Metadata: from any Python value to plain JSON within limits, and back from untrusted bytes."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NoReturn

from holdfast_contract.errors import ContractError
from holdfast_contract.limits import METADATA_BYTES_MAX, METADATA_DEPTH_MAX, METADATA_KEYS_MAX
from holdfast_contract.reasons import Reason

# Always matches to a closing quote or to the end: a string without an end must not make the scan quadratic.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_DEPTH_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _invalid(message: str) -> ContractError:
    return ContractError(message, Reason.INVALID_METADATA)


def to_plain_metadata(value: object) -> dict[str, Any]:
    """Returns metadata as plain JSON data that shares nothing with what was given.

    None gives {}; a string is parsed as JSON. Tuples become lists, slices objects, arrays and tensors lists,
    numpy's numbers plain ones, NaN None; dates become ISO text, paths text, dataclasses objects.

    Raises:
        TypeError: not an object, or it holds something that JSON cannot say.
        ContractError: more than 100 keys, infinity, too deep, too large, or text that is not JSON.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = _parse(value, refuse_constants=False)
    if not isinstance(value, Mapping):
        raise TypeError(f"metadata must be a dict, not {type(value).__name__}")
    plain = _plain_mapping(value, depth=1)
    encode_metadata(plain)  # the limits and the encoding are judged now, where the user sees the traceback
    return plain


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {_plain_key(key): _plain(item, depth) for key, item in value.items()}


def _plain_key(key: object) -> str:
    """Returns a key as `json.dumps` would write it."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool | int | float):
        if isinstance(key, float) and math.isinf(key):
            raise _invalid("metadata has an infinite number as a key; JSON has no such number.")
        return json.dumps(key)
    raise TypeError(f"keys of metadata must be strings, not {type(key).__name__}: {key!r:.100}")


def _plain(value: object, depth: int) -> Any:
    """Returns one value as plain data; `depth` is the number of containers around it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return _plain_float(value)
    return _plain_container(value, depth)


def _plain_float(value: float) -> float | None:
    if math.isinf(value):
        raise _invalid("metadata holds an infinite number, which JSON cannot say; use None or text.")
    return None if math.isnan(value) else float.__float__(value)


def _one_deeper(depth: int) -> int:
    if depth >= METADATA_DEPTH_MAX:
        raise _invalid(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels or contains itself.")
    return depth + 1


def _plain_container(value: object, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _plain_mapping(value, _one_deeper(depth))
    if isinstance(value, list | tuple):
        inner = _one_deeper(depth)
        return [_plain(item, inner) for item in value]
    if isinstance(value, slice):
        fields = {"slice_start": value.start, "slice_step": value.step, "slice_stop": value.stop}
        return _plain_container(fields, depth)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return _plain_container({name: getattr(value, name) for name in names}, depth)
    return _plain_array(value, depth)


def _plain_array(value: object, depth: int) -> Any:
    """Converts what has `.tolist()`: numpy's arrays and scalars, tensors, series; imports none of them."""
    to_list = getattr(value, "tolist", None)
    if not callable(to_list) or isinstance(value, type):
        raise TypeError(f"metadata cannot hold a {type(value).__name__}: {value!r:.100}; convert it.")
    converted = to_list()
    if type(converted) is type(value):  # numpy.longdouble answers itself
        raise TypeError(f"metadata cannot hold a {type(value).__name__}; convert it to a float.")
    return _plain(converted, depth)


def encode_metadata(metadata: dict[str, Any]) -> bytes:
    """Returns plain metadata as compact UTF-8 JSON, keys in the order they have.

    Raises:
        TypeError: not a dict of plain data.
        ContractError: INVALID_METADATA, over a limit or not encodable.
    """
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, not {type(metadata).__name__}")
    _check_key_count(metadata)
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        encoded = text.encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(f"metadata cannot be encoded: {error!s:.200}") from error
    _check_size(encoded)
    _check_depth(encoded)
    return encoded


def decode_metadata(encoded: bytes) -> dict[str, Any]:
    """Returns the metadata in bytes from another process; no bytes mean {}.

    Raises:
        ContractError: INVALID_METADATA: not a JSON object in UTF-8, or over a limit.
    """
    if not encoded:
        return {}
    _check_size(encoded)
    try:
        text = encoded.decode()
    except UnicodeDecodeError as error:
        raise _invalid(f"metadata is not UTF-8: {error!s:.200}") from error
    value = _parse(text, refuse_constants=True)
    if not isinstance(value, dict):
        raise _invalid(f"metadata must be a JSON object, not a {type(value).__name__}.")
    _check_key_count(value)
    if b"\\u" in encoded:
        _check_encodable(value)
    return value


def _check_encodable(value: dict[str, Any]) -> None:
    """Refuses escapes of half a surrogate pair: they parse, but no database or file can hold the text."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"metadata has broken Unicode: {error!s:.200}") from error


def _parse(text: str, *, refuse_constants: bool) -> Any:
    """Parses JSON of unknown origin; the depth is known before the parser recurses."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"metadata has broken Unicode: {error!s:.200}") from error
    _check_size(encoded)
    _check_depth(encoded)
    try:
        if refuse_constants:
            return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
        return json.loads(text)
    except ContractError:
        raise
    except ValueError as error:
        raise _invalid(f"metadata is not valid JSON: {error!s:.200}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"metadata holds {name}, which JSON cannot say.")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999 is valid JSON and no number that can be written again
        raise _invalid(f"metadata holds a number that is too large: {text:.40}")
    return number


def _check_key_count(metadata: Mapping[str, Any]) -> None:
    if len(metadata) > METADATA_KEYS_MAX:
        raise _invalid(f"metadata has {len(metadata)} keys, more than {METADATA_KEYS_MAX}. Nest or log a file.")


def _check_size(encoded: bytes) -> None:
    if len(encoded) > METADATA_BYTES_MAX:
        raise _invalid(f"metadata has {len(encoded)} bytes, more than {METADATA_BYTES_MAX}. Log a file.")


def _check_depth(encoded: bytes) -> None:
    """Counts brackets outside of strings: works on text that is not JSON, too, and needs no recursion."""
    brackets = _STRING.sub(b"", encoded).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_DEPTH_STEP.__getitem__, brackets)), default=0) > METADATA_DEPTH_MAX:
        raise _invalid(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels; flatten it.")
