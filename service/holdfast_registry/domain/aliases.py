"""Rules of aliases: each name of a collection is at one version at most, and `latest` is the registry's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast_contract.limits import ALIASES_MAX
from holdfast_contract.names import check_user_aliases
from holdfast_contract.reasons import Reason
from holdfast_registry.errors import RegistryError

LATEST = "latest"
"""Names the highest committed version, always; no caller moves it.  Comet's `Latest` is the same, in any case of letters."""


def is_latest_name(name: str) -> bool:
    """Tells whether a name is `latest`, however it is written."""
    return name.lower() == LATEST


@dataclass(frozen=True, slots=True)
class AliasPlan:
    """Which names change, and which versions are touched by it (their etag changes)."""

    moves: tuple[str, ...]
    """To be set to the target, sorted."""
    removals: tuple[str, ...]
    touched: frozenset[str]
    """Ids of all versions that gain or lose a name, the target included."""


def plan_aliases(
    holders: Mapping[str, str], target: str, add: Iterable[str], remove: Iterable[str] = (), *, is_latest: bool
) -> AliasPlan:
    """Plans to give names to one version and to take names from it.

    Args:
        holders: name → version id of the collection, at least for the names given, `latest`, and all of the target.
        target: the version that gets the names.
        add: names it shall have; those of other versions move.
        remove: names it shall lose; those it does not have are left alone, as is `latest`.
        is_latest: the target is the highest committed version.

    Raises:
        RegistryError: `latest` for a version that is not; more names than a version may have.
        InvalidNameError: a name breaks the grammar.
    """
    wanted = {LATEST if is_latest_name(name) else name for name in add}
    check_user_aliases(sorted(wanted))
    if LATEST in wanted and not is_latest:
        raise RegistryError(
            Reason.INVALID_ARGUMENT, f"Alias {LATEST!r} always names the highest version; it cannot be moved by hand."
        )
    if is_latest:
        wanted.add(LATEST)
    removals = {name for name in remove if name not in wanted and name != LATEST and holders.get(name) == target}
    moves = {name for name in wanted if holders.get(name) != target}
    held = sum(1 for version_id in holders.values() if version_id == target)
    if held + len(moves) - len(removals) > ALIASES_MAX:
        raise RegistryError(
            Reason.INVALID_NAME, f"A version can have at most {ALIASES_MAX} aliases; remove some of them first."
        )
    touched = {holders[name] for name in moves if name in holders}
    if moves or removals:
        touched.add(target)
    return AliasPlan(tuple(sorted(moves)), tuple(sorted(removals)), frozenset(touched))
