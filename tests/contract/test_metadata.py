"""Metadata: what users give becomes plain data, what the wire brings stays within limits."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract.errors import ContractError
from holdfast_contract.metadata import decode_metadata, encode_metadata, to_plain_metadata
from holdfast_contract.reasons import Reason

PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN_TEXT, inner, max_size=4),
    max_leaves=20,
)


class Array:
    """Stands for numpy's arrays and scalars."""

    def __init__(self, content: object) -> None:
        self.content = content

    def tolist(self) -> object:
        return self.content


@dataclasses.dataclass
class Config:
    rate: float
    shape: tuple[int, int]


@pytest.mark.parametrize(
    ("given_value", "plain"),
    [
        (None, {}),
        ({}, {}),
        ('{"a": [1, NaN]}', {"a": [1, None]}),
        ({"a": (1, (2,))}, {"a": [1, [2]]}),
        ({"a": slice(1, 10, 2)}, {"a": {"slice_start": 1, "slice_step": 2, "slice_stop": 10}}),
        ({"a": math.nan}, {"a": None}),
        ({"a": Array([[1, math.nan], [2.5, 3]])}, {"a": [[1, None], [2.5, 3]]}),
        ({"a": Array(7)}, {"a": 7}),
        ({2: "a", None: "b", True: "c", 1.5: "d"}, {"2": "a", "null": "b", "true": "c", "1.5": "d"}),
        ({"a": datetime.date(2026, 1, 2)}, {"a": "2026-01-02"}),
        ({"a": PurePosixPath("x/y")}, {"a": "x/y"}),
        ({"a": Config(0.5, (2, 3))}, {"a": {"rate": 0.5, "shape": [2, 3]}}),
    ],
)
def test_values_become_plain(given_value: object, plain: dict[str, Any]) -> None:
    assert to_plain_metadata(given_value) == plain


@pytest.mark.parametrize(
    "value", [1, [1], (1,), {1}, "[1]", "1", {"a": {1}}, {"a": object()}, {"a": b"x"}, {(1,): 2}, {"a": int}, {"a": 1j}]
)
def test_what_json_cannot_say_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        to_plain_metadata(value)


@pytest.mark.parametrize(
    "value",
    [
        {"a": math.inf},
        {"a": [-math.inf]},
        {math.inf: 1},
        {str(number): 0 for number in range(101)},
        {"a": "\ud800"},
        {"a": "x" * (1 << 20)},
        {"a": 10**5000},
        "{",
        '{"a": Infinity}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_values_over_a_limit_are_value_errors_with_the_reason(value: object) -> None:
    with pytest.raises(ContractError) as caught:
        to_plain_metadata(value)
    assert caught.value.reason is Reason.INVALID_METADATA


def test_the_copy_shares_nothing() -> None:
    inner = {"b": [1]}
    plain = to_plain_metadata({"a": inner})
    inner["b"].append(2)
    assert plain == {"a": {"b": [1]}}


def test_data_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = [endless]
    with pytest.raises(ContractError, match="contains itself"):
        to_plain_metadata(endless)


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


def test_all_judge_depth_alike() -> None:
    assert decode_metadata(encode_metadata(to_plain_metadata(nested(64)))) == nested(64)
    for refuse in (to_plain_metadata, encode_metadata, lambda value: decode_metadata(json.dumps(value).encode())):
        with pytest.raises(ContractError, match="deeper than 64"):
            refuse(nested(65))


@pytest.mark.parametrize(
    "encoded",
    [
        b"1", b"null", b'"a"', b"[]", b"{", b"{}x", b"{'a': 1}", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}',
        b'{"a": "\\ud800"}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"a": "\xff"}', b"{" * 500_000,
        b'{"a":' * 200_000, b"[" * 1_000_000, b'{"a": ' + b"9" * 5000 + b"}", b" " * (1 << 20) + b"{}",
        b'"' + b'\\"' * 500_000, b'"' + b'\\"' * 500_000 + b"\\",
        json.dumps({str(number): 0 for number in range(101)}).encode(),
    ],
)  # fmt: skip
def test_hostile_bytes_are_refused_with_the_reason(encoded: bytes) -> None:
    with pytest.raises(ContractError) as caught:
        decode_metadata(encoded)
    assert caught.value.reason is Reason.INVALID_METADATA


def test_brackets_inside_strings_are_not_depth() -> None:
    metadata = {"a": "[" * 1000, 'b"\\': "{" * 1000}
    assert decode_metadata(encode_metadata(metadata)) == metadata


def test_no_bytes_mean_no_metadata() -> None:
    assert decode_metadata(b"") == {}


def test_order_of_keys_is_kept() -> None:
    assert encode_metadata({"b": 1, "a": "ä"}) == '{"b":1,"a":"ä"}'.encode()


@given(st.dictionaries(PLAIN_TEXT, PLAIN, max_size=10))
def test_plain_metadata_round_trips(metadata: dict[str, Any]) -> None:
    assert to_plain_metadata(metadata) == metadata
    assert decode_metadata(encode_metadata(metadata)) == metadata


@given(st.binary(max_size=200) | st.text('{}[]",:\\u0d8a1 e', max_size=60).map(str.encode))
def test_any_bytes_decode_to_what_encodes_again_or_are_refused(encoded: bytes) -> None:
    try:
        metadata = decode_metadata(encoded)
    except ContractError:
        return
    assert decode_metadata(encode_metadata(metadata)) == metadata
