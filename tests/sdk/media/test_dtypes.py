"""Types of columns: what they are found to be, what they take, and what files say of them."""

import pickle
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from holdfast._object_fields import ObjectFields
from holdfast.media import dtypes
from holdfast.media.dtypes import (
    ANY,
    BOOLEAN,
    NONE,
    NUMBER,
    STRING,
    TIMESTAMP,
    UNKNOWN,
    CannotAssign,
    ConstType,
    ListType,
    NDArrayType,
    PythonObjectType,
    Type,
    TypedDictType,
    UnionType,
    as_type,
    assign_all,
    optional,
    type_of,
)
from holdfast.media.dtypes_json import TypeReader, type_to_json
from holdfast.media.table_keys import PrimaryKeyType
from support.memory_artifact import FolderArtifact


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, NONE),
        (float("nan"), NONE),
        (np.float32("nan"), NONE),
        (pd.NaT, NONE),
        (pd.NA, NONE),
        (np.datetime64("NaT"), NONE),
        (1, NUMBER),
        (1.5, NUMBER),
        (np.int8(1), NUMBER),
        (np.float16(1), NUMBER),
        (True, BOOLEAN),
        (np.bool_(True), BOOLEAN),
        ("x", STRING),
        (np.str_("x"), STRING),
        (datetime.now(), TIMESTAMP),
        (date(2020, 1, 1), TIMESTAMP),
        (pd.Timestamp("2020-01-01"), TIMESTAMP),
        (np.datetime64("2020-01-01"), TIMESTAMP),
        ([1, 2], ListType(NUMBER, 2)),
        ((1, None), ListType(optional(NUMBER), 2)),
        ([1, "a"], ListType(UnionType([NUMBER, STRING]), 2)),
        ([], ListType(None, 0)),
        ({"a": 1}, TypedDictType({"a": NUMBER})),
        (np.zeros((2, 3)), NDArrayType((2, 3))),
        (Colour.RED, PythonObjectType("Colour")),
        (b"x", PythonObjectType("bytes")),
    ],
)
def test_values_are_of_types(value: Any, expected: Type) -> None:
    assert type_of(value) == expected
    assert pickle.loads(pickle.dumps(type_of(value))) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], optional(UNKNOWN)),
        ([None, float("nan")], optional(UNKNOWN)),
        ([1, 2.5, None, float("nan"), np.float32(1)], optional(NUMBER)),
        ([pd.NA, 1], optional(NUMBER)),
        ([[1], [], [2.5, None]], optional(ListType(optional(NUMBER)))),
        ([{"a": None}, {"a": 1, "b": "x"}], optional(TypedDictType({"a": optional(NUMBER), "b": optional(STRING)}))),
        ([np.zeros(3), None, [1, 2, 3]], optional(NDArrayType((3,)))),
    ],
)
def test_columns_are_found_to_be_of_types(values: list[Any], expected: Type) -> None:
    assert assign_all(optional(UNKNOWN), values, widen=True) == expected


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ([1, 2, "x"], 2),
        (["x", None, True], 2),
        ([[1], ["x"]], 1),
        ([{"a": 1}, {"a": "x"}], 1),
        ([np.zeros(3), np.zeros(4)], 1),
        ([datetime.now(), 5], 1),
        ([b"x", Colour.RED], 1),
    ],
)
def test_the_first_value_of_another_type_is_named(values: list[Any], at: int) -> None:
    with pytest.raises(CannotAssign) as refused:
        assign_all(optional(UNKNOWN), values, widen=True)
    assert refused.value.at == at


def test_without_optional_neither_none_nor_nan_is_taken() -> None:
    for absent in (None, float("nan")):
        with pytest.raises(CannotAssign):
            assign_all(NUMBER, [1.0, absent], widen=False)
        with pytest.raises(CannotAssign):
            assign_all(UNKNOWN, [absent], widen=True)


def test_a_declared_type_is_not_widened() -> None:
    declared = as_type({"a": int, "b": [str]})
    assert assign_all(declared, [{"a": 1, "b": ["x"]}], widen=False) != dtypes.INVALID
    for other in ({"a": 1}, {"a": 1, "b": ["x"], "c": 2}, {"a": 1, "b": [None]}):
        with pytest.raises(CannotAssign):
            assign_all(declared, [other], widen=False)


@pytest.mark.parametrize(
    ("dtype", "takes", "refuses"),
    [
        (int, 1.5, "x"),
        (str, "x", 1),
        (bool, True, 1),
        (datetime, datetime.now(), 1),
        (["a", "b"], "a", "c"),
        ([int], [1, 2], ["x"]),
        ([], [1], "x"),
        ({"a": [str, int]}, {"a": "x"}, {"a": True}),
        ({1, 2}, {2, 1}, {1}),
        (1, 1, True),
        (ANY, object(), None),
        (object, object(), None),
        (Colour, Colour.RED, 1),
        (np.ndarray, None, None),
        (ListType(["a", "b"]), ["a", "a"], ["c"]),
    ],
)
def test_users_declare_types(dtype: Any, takes: Any, refuses: Any) -> None:
    if takes is not None:
        assert assign_all(as_type(dtype), [takes], widen=False) != dtypes.INVALID
    if dtype is not np.ndarray:
        with pytest.raises(CannotAssign):
            assign_all(as_type(dtype), [refuses], widen=False)


TYPES = [
    (UNKNOWN, {"wb_type": "unknown"}),
    (ANY, {"wb_type": "any"}),
    (PrimaryKeyType(), {"wb_type": "primaryKey"}),
    (optional(STRING), {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, {"wb_type": "string"}]}}),
    (ListType(NUMBER, 3), {"wb_type": "list", "params": {"element_type": {"wb_type": "number"}, "length": 3}}),
    (TypedDictType({"a": BOOLEAN}), {"wb_type": "typedDict", "params": {"type_map": {"a": {"wb_type": "boolean"}}}}),
    (
        NDArrayType((2, 3), {"path": "p", "key": "k"}),
        {"wb_type": "ndarray", "params": {"shape": [2, 3], "serialization_path": {"path": "p", "key": "k"}}},
    ),
    (PythonObjectType("X"), {"wb_type": "pythonObject", "params": {"class_name": "X"}}),
    (ConstType({"b", "a"}), {"wb_type": "const", "params": {"val": ["a", "b"], "is_set": True}}),
    (as_type(type("T", (), {})), {"wb_type": "pythonObject", "params": {"class_name": "T"}}),
]


@pytest.mark.parametrize(("dtype", "json"), TYPES)
def test_types_are_written_and_read(dtype: Type, json: dict[str, Any], tmp_path: Path) -> None:
    artifact: Any = FolderArtifact(tmp_path)
    assert type_to_json(dtype, artifact) == json
    assert TypeReader(ObjectFields({}, "Table", artifact), artifact).read(json, "column_types") == dtype


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wandb.Image", "image-file"),
        ("wandb.Table", "table"),
        ("audio-file", "audio-file"),
        ("joined-table", "joined-table"),
        ("of-next-year", "any"),
        ("wandb.TablePrimaryKey", "primaryKey"),
    ],
)
def test_older_and_unknown_names_are_read(name: str, expected: str, tmp_path: Path) -> None:
    artifact: Any = FolderArtifact(tmp_path)
    read = TypeReader(ObjectFields({}, "Table", artifact), artifact).read({"wb_type": name}, "column_types")
    assert read.wb_name == expected


def test_datetimes_of_other_zones_are_one_type() -> None:
    assert assign_all(UNKNOWN, [datetime.now(UTC), date.today(), pd.Timestamp("2020")], widen=True) is TIMESTAMP
