"""What filters on collections and projects mean in a query, under whichever alias the query has them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import FromClause, func, literal, select

from holdfast_registry.database.filters import FieldSource, Several
from holdfast_registry.database.schema import collection_tag
from holdfast_registry.domain.records import CollectionKind


def collection_sources(home: FromClause, shelf: FromClause) -> Mapping[str, FieldSource]:
    """Returns what the fields of COLLECTION_FIELDS are.

    Args:
        home: the collections.
        shelf: their projects.
    """
    tagged = select(literal(1)).where(collection_tag.c.collection_id == home.c.id)
    return {
        "name": home.c.name,
        "project": shelf.c.name,
        "type": home.c.type,
        "tag": Several(collection_tag.c.tag, tagged),
        "description": func.nullif(home.c.description, ""),
        "created_at": home.c.created_at_ms,
        "updated_at": home.c.updated_at_ms,
        "is_sequence": home.c.kind == CollectionKind.SEQUENCE.value,
    }


def project_sources(shelf: FromClause) -> Mapping[str, FieldSource]:
    """Returns what the fields of PROJECT_FIELDS are."""
    return {
        "name": shelf.c.name,
        "description": shelf.c.description,
        "created_at": shelf.c.created_at_ms,
        "updated_at": func.coalesce(func.nullif(shelf.c.updated_at_ms, 0), shelf.c.created_at_ms),
    }
