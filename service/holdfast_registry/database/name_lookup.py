"""Which version a name means: `vN`, alias, semantic version, range or digest, in a collection or through a portfolio's link.

They are tried in this order.  An alias that exists wins: somebody has given it on purpose, and W&B's users give any text; semantic
versions come by themselves.  Who speaks of versions by number, as Comet's users do, asks for these first.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, bindparam, select

from holdfast_contract.names import is_version_alias
from holdfast_registry.database.links import load_linked
from holdfast_registry.database.schema import alias, link, version
from holdfast_registry.database.semantic_versions import find_version
from holdfast_registry.database.statements import find_collection, load_committed
from holdfast_registry.domain.aliases import LATEST, is_latest_name
from holdfast_registry.domain.records import CollectionKind, CollectionName, VersionRecord, VersionState
from holdfast_registry.domain.semver import parse_range, parse_version
from holdfast_registry.errors import not_found

INDEX_DIGITS_MAX = 18
"""Numbers above what the database can hold name nothing."""

_HEX_DIGEST = re.compile("[0-9a-f]{64}")

_COMMITTED = version.c.state == VersionState.COMMITTED.value
_ID_BY_ALIAS = select(alias.c.version_id).where(
    alias.c.collection_id == bindparam("collection_id"), alias.c.name == bindparam("name")
)
_ID_BY_INDEX = select(version.c.id).where(
    version.c.collection_id == bindparam("collection_id"), version.c.version_index == bindparam("index"), _COMMITTED
)
_ID_BY_DIGEST = (
    select(version.c.id)
    .where(version.c.collection_id == bindparam("collection_id"), version.c.digest == bindparam("digest"), _COMMITTED)
    .order_by(version.c.version_index.desc())
    .limit(1)
)


def resolve(
    connection: Connection, name: CollectionName, alias_text: str, *, numbers_first: bool = False
) -> VersionRecord:
    """Returns the version that a name means; of versions with one digest the newest.

    Args:
        connection: in a transaction.
        name: of the collection.
        alias_text: what stands behind its ":".
        numbers_first: semantic versions and ranges go before aliases.

    Raises:
        RegistryError: NOT_FOUND.
    """
    found = find_collection(connection, name)
    if found is None:
        raise not_found(f"Artifact {name}")
    if found.kind == CollectionKind.PORTFOLIO:
        link_id = _link_by_name(connection, found.id, alias_text, numbers_first=numbers_first)
        linked = [] if link_id is None else load_linked(connection, [link_id])
        if not linked:
            raise not_found(f"Artifact version {name}:{alias_text[:200]}")
        return linked[0]
    version_id = _id_by_name(connection, found.id, alias_text, numbers_first=numbers_first)
    if version_id is None:
        raise not_found(f"Artifact version {name}:{alias_text[:200]}")
    return load_committed(connection, version_id)


def _by_semantic_version(connection: Connection, collection_id: int, text: str, *, of_links: bool) -> str | None:
    wanted = parse_version(text) or parse_range(text)
    return None if wanted is None else find_version(connection, collection_id, wanted, of_links=of_links)


def _id_by_alias(connection: Connection, collection_id: int, text: str) -> str | None:
    found = connection.execute(_ID_BY_ALIAS, {"collection_id": collection_id, "name": text}).scalar()
    if found is None and text != LATEST and is_latest_name(text):
        return connection.execute(_ID_BY_ALIAS, {"collection_id": collection_id, "name": LATEST}).scalar()
    return found


def _link_by_name(connection: Connection, collection_id: int, text: str, *, numbers_first: bool) -> str | None:
    in_portfolio = select(link.c.id).where(link.c.collection_id == collection_id)
    if is_version_alias(text):
        if len(text) - 1 > INDEX_DIGITS_MAX:
            return None
        return connection.execute(in_portfolio.where(link.c.version_index == int(text[1:]))).scalar()
    numbered = _by_semantic_version(connection, collection_id, text, of_links=True) if numbers_first else None
    if numbered is not None:
        return numbered
    version_id = _id_by_alias(connection, collection_id, text)
    if version_id is not None:
        return connection.execute(in_portfolio.where(link.c.version_id == version_id)).scalar()
    if not _HEX_DIGEST.fullmatch(text):
        return _by_semantic_version(connection, collection_id, text, of_links=True)
    by_digest = in_portfolio.join(version, version.c.id == link.c.version_id).where(
        version.c.digest == bytes.fromhex(text)
    )
    return connection.execute(by_digest.order_by(link.c.version_index.desc()).limit(1)).scalar()


def _id_by_name(connection: Connection, collection_id: int, text: str, *, numbers_first: bool) -> str | None:
    in_collection: dict[str, object] = {"collection_id": collection_id}
    if is_version_alias(text):
        if len(text) - 1 > INDEX_DIGITS_MAX:
            return None
        return connection.execute(_ID_BY_INDEX, in_collection | {"index": int(text[1:])}).scalar()
    numbered = _by_semantic_version(connection, collection_id, text, of_links=False) if numbers_first else None
    if numbered is not None:
        return numbered
    by_alias = _id_by_alias(connection, collection_id, text)
    if by_alias is not None:
        return by_alias
    if _HEX_DIGEST.fullmatch(text):
        return connection.execute(_ID_BY_DIGEST, in_collection | {"digest": bytes.fromhex(text)}).scalar()
    return _by_semantic_version(connection, collection_id, text, of_links=False)
