"""Types of columns in files: `{"wb_type": name, "params": {…}}`, with the names that older files have, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from holdfast._artifact_objects import StoredObject, log_types, object_type
from holdfast._object_fields import ObjectFields
from holdfast.media.dtypes import (
    ANY,
    BOOLEAN,
    INVALID,
    NONE,
    NUMBER,
    STRING,
    TIMESTAMP,
    UNKNOWN,
    ConstType,
    ListType,
    NDArrayType,
    ObjectType,
    PythonObjectType,
    Type,
    TypedDictType,
    UnionType,
)
from holdfast.media.table_keys import ClassesIdType, ForeignIndexType, ForeignKeyType, PrimaryKeyType

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.media.classes import Classes
    from holdfast.media.table import Table

_FOREIGN_TABLE = "media/tables/t_{}"
"""Where a table goes that another one's rows lead to; its file is then named by its content."""
_PLAIN: Mapping[str, Type] = {
    one.name: one for one in (INVALID, ANY, UNKNOWN, NONE, STRING, TIMESTAMP, NUMBER, BOOLEAN, PrimaryKeyType())
} | {name: PrimaryKeyType() for name in PrimaryKeyType.legacy_names}
_DEPTH_MAX = 100
"""Of types within types; deeper ones nobody means, and Python's own limit is not far."""


def type_to_json(dtype: Type, artifact: Artifact) -> dict[str, Any]:
    """Returns the JSON of a type; adds the tables and classes to the artifact that it leads to."""
    if isinstance(dtype, ClassesIdType):
        classes = cast("Classes", dtype.classes)
        entry = artifact.add(classes, classes.file_path)
        params: dict[str, Any] = {"classes_obj": {"type": "classes-file", "path": entry.path, "digest": entry.digest}}
    else:
        params = {key: _to_json(value, artifact) for key, value in dtype.params.items()}
    return {"wb_type": dtype.wb_name, "params": params} if params else {"wb_type": dtype.wb_name}


def _to_json(value: Any, artifact: Artifact) -> Any:
    if isinstance(value, Type):
        return type_to_json(value, artifact)
    if isinstance(value, StoredObject):
        return artifact.add(value, _FOREIGN_TABLE.format(id(value))).path
    if isinstance(value, dict):
        return {key: _to_json(item, artifact) for key, item in value.items()}
    if isinstance(value, set):
        return [_to_json(item, artifact) for item in sorted(value, key=repr)]
    if isinstance(value, list | tuple):
        return [_to_json(item, artifact) for item in value]
    return value


class TypeReader:
    """Reads the types of one table's columns; two columns that lead to one table lead to one object."""

    def __init__(self, fields: ObjectFields, artifact: Artifact) -> None:
        """Makes a reader.

        Args:
            fields: of the table, for messages.
            artifact: that the table was read from.
        """
        self._fields = fields
        self._artifact = artifact
        self._tables: dict[str, Table] = {}
        self._depth = 0

    def read(self, json: object, key: str) -> Type:
        """Returns the type that JSON stands for; one that nothing here knows is any.

        Raises:
            MalformedObjectError: it stands for none.
        """
        name = json.get("wb_type") if isinstance(json, dict) else None
        if not isinstance(json, dict) or not isinstance(name, str):
            raise self._fields.malformed(key, 'is no type: an object with "wb_type" is expected')
        params = json.get("params") or {}
        if not isinstance(params, dict):
            raise self._fields.malformed(f"{key}.params", "is no object")
        if self._depth > _DEPTH_MAX:
            raise self._fields.malformed(key, f"has more than {_DEPTH_MAX} types within each other")
        self._depth += 1
        try:
            return self._of_name(name, params, f"{key}.params")
        finally:
            self._depth -= 1

    def _of_name(self, name: str, params: dict[str, Any], key: str) -> Type:
        if name in _PLAIN:
            return _PLAIN[name]
        if name in _WITH_PARAMS:
            return _WITH_PARAMS[name](self, params, key)
        log_type = _OLDER_OBJECTS.get(name, name)
        if log_type in log_types():
            return ObjectType(log_type, params)
        return ANY

    def _list(self, params: dict[str, Any], key: str) -> Type:
        length = params.get("length")
        if length is not None and not _is_count(length):
            raise self._fields.malformed(f"{key}.length", "is no count")
        element = params.get("element_type")
        return ListType(None if element is None else self.read(element, f"{key}.element_type"), length)

    def _union(self, params: dict[str, Any], key: str) -> Type:
        allowed = params.get("allowed_types") or []
        if not isinstance(allowed, list):
            raise self._fields.malformed(f"{key}.allowed_types", "is no list")
        return UnionType([self.read(one, f"{key}.allowed_types[{at}]") for at, one in enumerate(allowed)])

    def _typed_dict(self, params: dict[str, Any], key: str) -> Type:
        type_map = params.get("type_map") or {}
        if not isinstance(type_map, dict):
            raise self._fields.malformed(f"{key}.type_map", "is no object")
        return TypedDictType({name: self.read(one, f"{key}.type_map.{name}") for name, one in type_map.items()})

    def _ndarray(self, params: dict[str, Any], key: str) -> Type:
        shape, place = params.get("shape"), params.get("serialization_path")
        if not isinstance(shape, list) or not all(map(_is_count, shape)):
            raise self._fields.malformed(f"{key}.shape", "is no list of lengths")
        if place is not None and not (
            isinstance(place, dict) and isinstance(place.get("path"), str) and isinstance(place.get("key"), str)
        ):
            raise self._fields.malformed(f"{key}.serialization_path", "is no object with path and key")
        return NDArrayType(shape, place)

    def _python_object(self, params: dict[str, Any], key: str) -> Type:
        return PythonObjectType(str(params.get("class_name", "object")))

    def _const(self, params: dict[str, Any], key: str) -> Type:
        val, is_set = params.get("val"), bool(params.get("is_set"))
        if is_set and not (isinstance(val, list) and not any(isinstance(one, list | dict) for one in val)):
            raise self._fields.malformed(f"{key}.val", "is no list of plain values")
        return ConstType(val, is_set)

    def _foreign_key(self, params: dict[str, Any], key: str) -> Type:
        table, col_name = self._table(params, key), params.get("col_name")
        if col_name not in table.columns:
            raise self._fields.malformed(f"{key}.col_name", f"{col_name!r:.80} is no column of the other table")
        return ForeignKeyType(table, col_name)

    def _foreign_index(self, params: dict[str, Any], key: str) -> Type:
        return ForeignIndexType(self._table(params, key))

    def _table(self, params: dict[str, Any], key: str) -> Table:
        from holdfast.media.table import Table  # it imports this module

        path = params.get("table")
        if not isinstance(path, str):
            raise self._fields.malformed(f"{key}.table", "is no path")
        if path not in self._tables:
            found = self._artifact.get(path)
            if not isinstance(found, Table):
                raise self._fields.malformed(f"{key}.table", f"there is no table {path!r:.200} in the artifact")
            self._tables[path] = found
        return self._tables[path]

    def _classes_id(self, params: dict[str, Any], key: str) -> Type:
        written = params.get("classes_obj")
        path = written.get("path") if isinstance(written, dict) else None
        if isinstance(path, str):
            found = self._artifact.get(path)
            if found is None:
                raise self._fields.malformed(f"{key}.classes_obj", f"there is no {path!r:.200} in the artifact")
            return classes_id_type(found)
        kind = object_type("classes")
        if kind is None or not isinstance(written, dict):
            return ANY
        return classes_id_type(kind.from_json(written, self._artifact))


def classes_id_type(classes: StoredObject) -> Type:
    """Returns the type of the numbers of a set of classes; any, when the object is no `Classes`."""
    class_set = getattr(classes, "_class_set", None)
    if class_set is None:
        return ANY
    return ClassesIdType(classes, frozenset(one["id"] for one in class_set))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


_OLDER_OBJECTS = {
    "wandb.Image": "image-file",
    "wandb.Table": "table",
    "wandb.Audio": "audio-file",
    "wandb.Video": "video-file",
    "wandb.Html": "html-file",
    "wandb.Object3D": "object3D-file",
    "wandb.JoinedTable": "joined-table",
    "wandb.PartitionedTable": "partitioned-table",
}

_Read = Callable[[TypeReader, dict[str, Any], str], Type]
_WITH_PARAMS: dict[str, _Read] = {
    name: read
    for kind, read in (
        (ListType, TypeReader._list),
        (UnionType, TypeReader._union),
        (TypedDictType, TypeReader._typed_dict),
        (NDArrayType, TypeReader._ndarray),
        (PythonObjectType, TypeReader._python_object),
        (ConstType, TypeReader._const),
        (ForeignKeyType, TypeReader._foreign_key),
        (ForeignIndexType, TypeReader._foreign_index),
        (ClassesIdType, TypeReader._classes_id),
    )
    for name in (kind.name, *kind.legacy_names)
}
