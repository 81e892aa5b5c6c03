"""Filters: what the database finds is what the same filter, read plainly, means; what is not allowed is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql

from holdfast_registry.database.collection_rows import collection_sources, project_sources
from holdfast_registry.database.database import OpenDatabase
from holdfast_registry.database.filters import FilterCompiler
from holdfast_registry.database.postgresql import open_database
from holdfast_registry.database.run_lists import run_sources
from holdfast_registry.database.schema import alias, collection, entity, project, run, version, version_tag
from holdfast_registry.database.sqlite import SqliteDatabase
from holdfast_registry.database.version_lists import LinkView, OwnView, version_sources
from holdfast_registry.domain.filters import (
    COLLECTION_FIELDS,
    CONDITIONS_MAX,
    DEPTH_MAX,
    FILTER_BYTES_MAX,
    PROJECT_FIELDS,
    RUN_FIELDS,
    VALUES_MAX,
    VERSION_FIELDS,
    parse_filter,
)
from holdfast_registry.errors import RegistryError
from support.figures import figure

NAMES = ("cats", "dogs", "Cats 2", "ähre")
TEXTS = st.sampled_from([*NAMES, "", "a", "%'"])
NUMBERS = st.sampled_from([0, 1, 0.5, 2**40])
MOMENTS = {1_000_000_000_000: "2001-09-09T01:46:40Z", 1_500_000_000_000: "2017-07-14T02:40:00+00:00"}
JSON_VALUES = st.none() | st.booleans() | NUMBERS | TEXTS
NESTED = st.dictionaries(st.sampled_from(["a", "n"]), JSON_VALUES, max_size=2) | st.lists(NUMBERS, max_size=2)
DOCUMENTS = st.fixed_dictionaries({"a": JSON_VALUES | NESTED, "ä": JSON_VALUES}, optional={"b b": JSON_VALUES})
ABSENT = object()


class Row:
    """A version as the test knows it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def of(self, field: str) -> Any:
        name, *path = field.split(".")
        value = self.values[name]
        for key in path:
            value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
        return value


rows = st.builds(
    Row,
    st.fixed_dictionaries(
        {
            "collection": st.sampled_from(NAMES),
            "size": st.integers(0, 3),
            "description": st.none() | TEXTS,
            "created_at": st.sampled_from(sorted(MOMENTS)),
            "alias": st.sets(st.sampled_from(["best", "latest", "x y"]), max_size=2),
            "tag": st.sets(st.sampled_from(["red", "green"]), max_size=2),
            "metadata": DOCUMENTS,
            "digest": st.sampled_from(["00" * 32, "ab" * 32]),
            "ascii": st.booleans(),
        }
    ),
)


def same(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return value is None or value is ABSENT
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, str) or isinstance(value, str):
        return isinstance(value, str) and isinstance(wanted, str) and value == wanted
    return isinstance(value, int | float) and value == wanted


def asked(value: Any, operator: str, wanted: Any) -> bool:
    """What one operator means for one plain value."""
    if operator == "$eq":
        return same(value, wanted)
    if operator == "$in":
        return any(same(value, one) for one in wanted)
    if operator == "$exists":
        return value is not ABSENT
    if isinstance(wanted, str):
        if not isinstance(value, str):
            return False
        if operator == "$regex":
            return re.search(wanted, value) is not None
        if operator == "$contains":
            return wanted in value
        left, right = value.encode(), wanted.encode()
    else:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        left, right = value, wanted
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[operator]


def holds(row: Row, field: str, operator: str, wanted: Any) -> bool:
    value = row.of(field)
    if isinstance(value, set):
        if operator == "$exists":
            return bool(value)
        if operator == "$in":
            return any(one in value for one in wanted)
        return any(asked(one, operator, wanted) for one in value)
    if field == "description" and value is None:
        value = ABSENT
    if field == "created_at":
        moments = {text: number for number, text in MOMENTS.items()}
        wanted = [moments[one] for one in wanted] if isinstance(wanted, list) else moments.get(wanted, wanted)
    return asked(value, operator, wanted)


def means(row: Row, filter: dict[str, Any]) -> bool:
    """What a filter means, read plainly."""
    return all(_part(row, key, value) for key, value in filter.items())


def _part(row: Row, key: str, value: Any) -> bool:
    if key == "$and":
        return all(means(row, part) for part in value)
    if key == "$or":
        return any(means(row, part) for part in value)
    if key == "$nor":
        return not any(means(row, part) for part in value)
    if key == "$not":
        return not means(row, value)
    return _asked_all(row, key, value) if isinstance(value, dict) else holds(row, key, "$eq", value)


def _asked_all(row: Row, field: str, operators: dict[str, Any]) -> bool:
    return all(_asked_one(row, field, operator, wanted) for operator, wanted in operators.items())


def _asked_one(row: Row, field: str, operator: str, wanted: Any) -> bool:
    if operator == "$not":
        return not _asked_all(row, field, wanted)
    if operator == "$ne":
        return not holds(row, field, "$eq", wanted)
    if operator == "$nin":
        return not holds(row, field, "$in", wanted)
    if operator == "$exists":
        return holds(row, field, "$exists", True) is wanted
    return holds(row, field, operator, wanted)


def operators_of(field: str) -> st.SearchStrategy[Any]:
    """Something that may be asked of a field."""
    values: st.SearchStrategy[Any]
    ordered: st.SearchStrategy[Any]
    if field.startswith("metadata"):
        values, ordered = JSON_VALUES, NUMBERS | TEXTS
    elif field == "size":
        values = ordered = st.integers(-1, 4)
    elif field == "created_at":
        values = ordered = st.sampled_from(sorted(MOMENTS.values()))
    elif field == "digest":
        values, ordered = st.sampled_from(["00" * 32, "ab" * 32, "cd", "no digest"]), st.nothing()
    elif field in ("alias", "tag"):
        values = ordered = st.sampled_from(["best", "latest", "red", "x", "x y"])
    else:
        values, ordered = st.none() | TEXTS if field == "description" else TEXTS, TEXTS
    equal = st.fixed_dictionaries({}, optional={"$eq": values, "$ne": values, "$exists": st.booleans()})
    among = st.builds(lambda key, few: {key: few}, st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3))
    choices = [values, equal, among]
    if not ordered.is_empty:
        keys = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
        choices.append(st.builds(lambda key, value: {key: value}, keys, ordered))
    if field not in ("size", "created_at", "digest"):
        choices.append(
            st.builds(lambda text: {"$regex": text}, st.sampled_from(["^c", "s$", "a.+s", "[dC]", "(og|at)"]))
        )
        choices.append(st.builds(lambda text: {"$contains": text}, TEXTS))
    plain = st.one_of(choices)
    return plain | st.builds(lambda inner: {"$not": inner}, st.one_of(equal, among))


FIELDS = ("collection", "size", "description", "created_at", "alias", "tag", "digest")
JSON_FIELDS = ("metadata.a", "metadata.ä", "metadata.b b", "metadata.a.n", "metadata.a.a")
conditions = st.one_of([st.builds(lambda asked, f=f: {f: asked}, operators_of(f)) for f in (*FIELDS, *JSON_FIELDS)])
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(
            lambda key, parts: {key: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda part: {"$not": part}, inner),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def runner(
    tmp_path_factory: pytest.TempPathFactory, database_url: str | None
) -> Iterator[tuple[asyncio.Runner, OpenDatabase]]:
    """A database with the loop that it lives in."""
    path = tmp_path_factory.mktemp("filters") / "registry.sqlite3"
    with asyncio.Runner() as loop:
        database = loop.run(_open(path, database_url))
        loop.run(database.write(_insert_places))
        yield loop, database
        loop.run(database.aclose())


async def _open(path: Path, database_url: str | None) -> OpenDatabase:
    return SqliteDatabase(path, readers=1) if database_url is None else await open_database(database_url, 1)


class _Undo(Exception):
    """Ends a transaction without an effect."""


def found(runner: tuple[asyncio.Runner, OpenDatabase], stored: list[Row], filter: dict[str, Any]) -> list[int]:
    """The numbers of the rows that the database finds."""
    result: list[int] = []

    def unit(connection: Connection) -> None:
        _insert(connection, stored)
        compiled = FilterCompiler(version_sources(OwnView), connection.dialect.name).compile(
            parse_filter(json.dumps(filter), VERSION_FIELDS)
        )
        ids = connection.execute(OwnView.rows().where(compiled)).scalars()
        result[:] = sorted(int(row_id, 16) for row_id in ids)
        raise _Undo

    loop, database = runner
    with contextlib.suppress(_Undo):
        loop.run(database.write(unit))
    return result


def _insert_places(connection: Connection) -> None:
    connection.execute(insert(entity).values(id=1, name="e", chunk_epoch=0, created_at_ms=0))
    connection.execute(insert(project).values(id=1, entity_id=1, name="p", created_at_ms=0))
    common = {"project_id": 1, "kind": 1, "type": "t", "description": "", "next_version_index": 0}
    times = {"created_at_ms": 0, "updated_at_ms": 0}
    rows = [
        common | times | {"id": number, "public_id": str(number), "name": name} for number, name in enumerate(NAMES)
    ]
    connection.execute(insert(collection), rows)


def _insert(connection: Connection, stored: list[Row]) -> None:
    # A name is at one version of a collection only; the last one has it.
    holders: dict[tuple[int, str], str] = {}
    versions, tags = [], []
    for number, row in enumerate(stored):
        of, version_id = row.values, f"{number:032x}"
        collection_id = NAMES.index(of["collection"])
        versions.append(
            {
                "id": version_id, "collection_id": collection_id, "state": 2, "version_index": number,
                "digest": bytes.fromhex(of["digest"]), "size_bytes": of["size"], "entry_count": 0,
                "description": of["description"],
                "metadata_json": json.dumps(of["metadata"], ensure_ascii=of["ascii"]).encode(),
                "created_at_ms": of["created_at"], "updated_at_ms": 0, "commit_hash": "", "etag": "",
            }
        )  # fmt: skip
        tags += [{"version_id": version_id, "tag": tag} for tag in of["tag"]]
        holders |= {(collection_id, name): version_id for name in of["alias"]}
    aliases = [{"collection_id": at, "name": name, "version_id": held} for (at, name), held in holders.items()]
    for table, rows in ((version, versions), (version_tag, tags), (alias, aliases)):
        if rows:
            connection.execute(insert(table), rows)


def _without_lost_aliases(stored: list[Row]) -> list[Row]:
    holders: dict[tuple[str, str], int] = {}
    for number, row in enumerate(stored):
        for name in row.values["alias"]:
            holders[row.values["collection"], name] = number
    return [
        Row({**row.values, "alias": {n for n in row.values["alias"] if holders[row.values["collection"], n] == number}})
        for number, row in enumerate(stored)
    ]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=figure(120, 400),
    deadline=None,
)
@given(st.lists(rows, min_size=3, max_size=6), filters)
def test_database_finds_what_the_filter_means(
    runner: tuple[asyncio.Runner, OpenDatabase], stored: list[Row], filter: dict[str, Any]
) -> None:
    known = _without_lost_aliases(stored)
    assert found(runner, stored, filter) == [number for number, row in enumerate(known) if means(row, filter)]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("nonsense", "not JSON"),
        ("[]", "object"),
        ('{"colour": 1}', "collection"),
        ('{"metadata": 1}', "metadata.KEY"),
        ('{"metadata.a\\"b": 1}', "quotes"),
        ('{"metadata..a": 1}', "empty"),
        ('{"name": {"$near": 1}}', "$regex"),
        ('{"$where": "1"}', "$nor"),
        ('{"name": 1}', "text"),
        ('{"name": ["a"]}', "$in"),
        ('{"size": "big"}', "number"),
        ('{"size": {"$regex": "1"}}', "$gte"),
        ('{"size": 1e400}', "number"),
        ('{"size": {"$gt": null}}', "no order"),
        ('{"metadata.a": {"$gt": true}}', "no order"),
        ('{"created_at": "yesterday"}', "2030-01-31"),
        ('{"name": {"$exists": 1}}', "true or false"),
        ('{"name": {"$in": "a"}}', "list"),
        ('{"name": {"$regex": "(a"}}', "`(`"),
        ('{"$or": []}', "not empty"),
        ('{"name": "\\ud800"}', "Unicode"),
    ],
)
def test_what_is_wrong_is_named(text: str, hint: str) -> None:
    with pytest.raises(RegistryError) as refused:
        parse_filter(text, VERSION_FIELDS)
    assert refused.value.reason == "INVALID_FILTER"
    assert hint in refused.value.message


def test_filters_are_bounded() -> None:
    deep: dict[str, Any] = {"name": "a"}
    for _ in range(DEPTH_MAX + 1):
        deep = {"$not": deep}
    too_much = (
        json.dumps(deep),
        "[" * 100_000,
        json.dumps({"$and": [{"name": "a"}] * (CONDITIONS_MAX + 1)}),
        json.dumps({"name": {"$in": ["a"] * (VALUES_MAX + 1)}}),
        json.dumps({"name": "a" * FILTER_BYTES_MAX}),
        json.dumps({"metadata." + ".".join("a" * 100): 1}),
    )
    for text in too_much:
        with pytest.raises(RegistryError):
            parse_filter(text, VERSION_FIELDS)


def test_largest_filter_that_is_allowed_is_understood(runner: tuple[asyncio.Runner, OpenDatabase]) -> None:
    deep: dict[str, Any] = {"$or": [{"metadata.a": number} for number in range(CONDITIONS_MAX)]}
    for _ in range(DEPTH_MAX - 1):
        deep = {"$not": deep}
    assert found(runner, [], deep) == []


@pytest.mark.parametrize(
    ("fields", "sources"),
    [
        (VERSION_FIELDS, version_sources(OwnView)),
        (VERSION_FIELDS, version_sources(LinkView)),
        (COLLECTION_FIELDS, collection_sources(collection, project)),
        (PROJECT_FIELDS, project_sources(project)),
        (RUN_FIELDS, run_sources("sqlite")),
        (RUN_FIELDS, run_sources("postgresql")),
    ],
)
def test_every_field_that_may_be_named_is_in_the_query(fields: Any, sources: Any) -> None:
    assert fields.keys() == sources.keys()


def test_filters_compile_for_postgresql() -> None:
    text = json.dumps(
        {
            "metadata.a.b": {"$gt": 1, "$lt": 5.5},
            "metadata.t": {"$gte": "a", "$regex": "^x", "$contains": "y", "$ne": None},
            "metadata.on": True,
            "name": {"$regex": "^a", "$gt": "b"},
            "digest": "ab" * 32,
            "tags": {"$in": ["a"]},
            "$nor": [{"alias": "x"}, {"expires_at": None}],
        }
    )
    compiler = FilterCompiler(version_sources(OwnView), "postgresql")
    sql = str(select(version.c.id).where(compiler.compile(parse_filter(text, VERSION_FIELDS))).compile(
        dialect=postgresql.dialect()  # type: ignore[no-untyped-call]
    ))  # fmt: skip
    assert "jsonb_extract_path" in sql
    assert "holdfast_matches" not in sql
    runs = FilterCompiler(run_sources("postgresql"), "postgresql")
    tree = parse_filter('{"tags": "a", "config.lr.value": {"$lt": 1}}', RUN_FIELDS)
    sql = str(select(run.c.id).where(runs.compile(tree)).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "jsonb_array_elements_text" in sql
