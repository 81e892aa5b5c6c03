"""When a version expires, as an expression that every query on versions, collections and projects can use."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ColumnElement, case, cast, literal_column, null, or_, select

from holdfast_registry.database.schema import collection, link, project, version
from holdfast_registry.domain.ttl import TtlKind

_linked = link.alias("any_link")
IS_LINKED: ColumnElement[bool] = select(literal_column("1")).where(_linked.c.version_id == version.c.id).exists()


def _lived(ttl_s: Column[int]) -> ColumnElement[int]:
    return version.c.created_at_ms + cast(ttl_s, BigInteger) * 1000


# The first that says something holds.  A version that somebody has linked is in use: its time begins to count again
# when the last link has gone.
EXPIRES_AT_MS: ColumnElement[int | None] = case(
    (or_(version.c.ttl_kind == TtlKind.NONE.value, IS_LINKED), null()),
    (version.c.ttl_kind == TtlKind.DURATION.value, _lived(version.c.ttl_s)),
    (collection.c.ttl_kind == TtlKind.NONE.value, null()),
    (collection.c.ttl_kind == TtlKind.DURATION.value, _lived(collection.c.ttl_s)),
    (project.c.ttl_kind == TtlKind.DURATION.value, _lived(project.c.ttl_s)),
    else_=null(),
)
"""NULL: never.  Needs `version`, its `collection` and its `project` in the query."""
