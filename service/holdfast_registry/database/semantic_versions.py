"""Semantic versions in a collection: the highest ever given, who has one, and the highest of a range that can be read.

Rows of versions stay, also of those that are deleted and purged: what was given once is known for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, ScalarSelect, Select, bindparam, select

from holdfast_contract.reasons import Reason
from holdfast_registry.database.schema import collection, link, version
from holdfast_registry.domain.records import VersionState
from holdfast_registry.domain.semver import (
    SemanticVersion,
    SemanticVersionWish,
    VersionRange,
    choose_version,
    is_by_place,
    must_look_up,
    parse_version,
)
from holdfast_registry.domain.versions import LatestVersion
from holdfast_registry.errors import RegistryError

ROWS_AT_ONCE = 8
"""Of a range from its upper end: all but pre-releases are admitted, so the first is nearly always the one."""

_given = version.alias("given")
HIGHEST_GIVEN: ScalarSelect[str | None] = (
    select(_given.c.semantic_version)
    .where(_given.c.collection_id == collection.c.id, _given.c.semantic_version_key.is_not(None))
    .order_by(_given.c.semantic_version_key.desc())
    .limit(1)
    .scalar_subquery()
)
"""In a query on `collection`: one look at the end of an index."""
_HOLDER = select(version.c.state).where(
    version.c.collection_id == bindparam("collection_id"), version.c.semantic_version_key == bindparam("key")
)
_BEARERS = select(version.c.semantic_version, version.c.semantic_version_key, version.c.version_index).where(
    version.c.collection_id == bindparam("collection_id"),
    version.c.id != bindparam("target"),
    version.c.semantic_version_key.in_(bindparam("keys", expanding=True)),
)
_COMMITTED = version.c.state == VersionState.COMMITTED.value
_OWN = select(version.c.id.label("row_id"), version.c.semantic_version, version.c.semantic_version_key).where(
    version.c.collection_id == bindparam("collection_id"), _COMMITTED
)
_LINKED = (
    select(link.c.id.label("row_id"), version.c.semantic_version, version.c.semantic_version_key)
    .join(version, version.c.id == link.c.version_id)
    .where(link.c.collection_id == bindparam("collection_id"), _COMMITTED)
)


def give_version(
    connection: Connection, collection_id: int, name: str, highest: SemanticVersion | None, wish: SemanticVersionWish
) -> SemanticVersion:
    """Returns the semantic version of a new version, while its collection is locked.

    Raises:
        RegistryError: SEMVER_EXISTS, SEMVER_REUSED.
    """
    held_by = _holder(connection, collection_id, wish.exact) if wish.exact and must_look_up(wish, highest) else None
    return choose_version(wish, highest, held_by, name)


def refuse_taken(
    connection: Connection, collection_id: int, name: str, latest: LatestVersion | None, wish: SemanticVersionWish
) -> None:
    """Refuses a demand that a commit at this moment would refuse; one that the latest version meets may be for equal content.

    Raises:
        RegistryError: SEMVER_EXISTS, SEMVER_REUSED.
    """
    if wish.demanded is None or (latest is not None and wish.is_met_by(latest.semantic_version)):
        return
    choose_version(wish, None, _holder(connection, collection_id, wish.demanded), name)


def refuse_capture(connection: Connection, collection_id: int, target: str, aliases: Sequence[str]) -> None:
    """Refuses new aliases that are numbers of other versions, deleted ones included: who has pinned one would get something else.

    Numbers that versions got by their place alone are no hindrance: W&B's users give such aliases and know of no numbers.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    numbers = {number.key: alias for alias in aliases if (number := parse_version(alias)) is not None}
    if not numbers:
        return
    bearers = connection.execute(_BEARERS, {"collection_id": collection_id, "target": target, "keys": list(numbers)})
    for row in bearers:
        alias, given = numbers[row.semantic_version_key], parse_version(row.semantic_version)
        if given is not None and not is_by_place(given, row.version_index):
            raise RegistryError(
                Reason.INVALID_ARGUMENT,
                f"Alias {alias!r} is the semantic version of another version, v{row.version_index}; choose another alias.",
            )


def _holder(connection: Connection, collection_id: int, wanted: SemanticVersion) -> VersionState | None:
    state = connection.execute(_HOLDER, {"collection_id": collection_id, "key": wanted.key}).scalar()
    return None if state is None else VersionState(state)


def find_version(
    connection: Connection, collection_id: int, wanted: SemanticVersion | VersionRange, *, of_links: bool
) -> str | None:
    """Returns the id of the version that is meant, or of the link in a portfolio; of a range the highest, of equal links the newest."""
    rows = _LINKED.order_by(link.c.version_index.desc()) if of_links else _OWN
    if isinstance(wanted, SemanticVersion):
        exact = rows.where(version.c.semantic_version_key == wanted.key).limit(1)
        return connection.execute(exact, {"collection_id": collection_id}).scalar()
    return _highest_of(connection, collection_id, _LINKED if of_links else _OWN, wanted, of_links=of_links)


def _highest_of(
    connection: Connection,
    collection_id: int,
    rows: Select[tuple[str, str, str]],
    wanted: VersionRange,
    *,
    of_links: bool,
) -> str | None:
    key = version.c.semantic_version_key
    ordered = rows.where(key >= wanted.lowest_key).order_by(key.desc()).limit(ROWS_AT_ONCE)
    if of_links:
        ordered = ordered.order_by(link.c.version_index.desc())
    page = ordered if wanted.highest_key is None else ordered.where(key <= wanted.highest_key)
    while found := connection.execute(page, {"collection_id": collection_id}).all():
        for row in found:
            parsed = parse_version(row.semantic_version)
            if parsed is not None and wanted.admits(parsed):
                return str(row.row_id)
        page = ordered.where(key < found[-1].semantic_version_key)
    return None
