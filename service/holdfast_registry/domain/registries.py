"""Rules of portfolios and registries: what may be logged where, linked where, and of which type."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast_contract.names import REGISTRY_PREFIX, is_registry_project
from holdfast_contract.reasons import Reason
from holdfast_registry.domain.records import CollectionKind
from holdfast_registry.errors import RegistryError, invalid

VISIBILITIES = ("organization", "restricted")
"""Who sees a registry; the first is what one has that nobody said anything about."""


def check_loggable(collection: str, kind: CollectionKind) -> None:
    """Refuses to log into a portfolio.

    Raises:
        RegistryError: KIND_MISMATCH.
    """
    if kind is CollectionKind.PORTFOLIO:
        raise RegistryError(
            Reason.KIND_MISMATCH,
            f"{collection} is a portfolio: versions are linked into it, not logged. Log under another name and link.",
            {"artifact": collection},
        )


def check_linkable(collection: str, kind: CollectionKind) -> None:
    """Refuses to link into a sequence.

    Raises:
        RegistryError: KIND_MISMATCH.
    """
    if kind is not CollectionKind.PORTFOLIO:
        raise RegistryError(
            Reason.KIND_MISMATCH,
            f"{collection} is a collection that versions are logged into; link into another name.",
            {"artifact": collection},
        )


def check_working_project(project: str) -> None:
    """Refuses runs and logged versions in a registry.

    Raises:
        RegistryError: KIND_MISMATCH.
    """
    if is_registry_project(project):
        raise RegistryError(
            Reason.KIND_MISMATCH,
            f"{project} is a registry: versions are linked into it; runs and logged versions need another project.",
        )


def check_registry_name(name: str) -> None:
    """Refuses a name that would make a registry a plain project.

    Raises:
        RegistryError: INVALID_NAME.
    """
    if not is_registry_project(name) or name == REGISTRY_PREFIX:
        raise RegistryError(Reason.INVALID_NAME, f"A registry's name is {REGISTRY_PREFIX}NAME, not {name!r:.200}.")


def check_accepts(project: str, accepted: Sequence[str], type_name: str) -> None:
    """Refuses a type that a registry does not take.

    Args:
        project: the registry's name.
        accepted: its types; empty: all.
        type_name: of what is to be linked.

    Raises:
        RegistryError: TYPE_MISMATCH.
    """
    if accepted and type_name not in accepted:
        raise RegistryError(
            Reason.TYPE_MISMATCH,
            f"Registry {project} takes artifacts of type {', '.join(sorted(accepted))[:300]}, not {type_name!r}; "
            "add the type to the registry or link elsewhere.",
            {"expected": ", ".join(sorted(accepted)), "found": type_name},
        )


def checked_visibility(visibility: str) -> str:
    """Returns a registry's visibility.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    if visibility not in VISIBILITIES:
        raise invalid(f"A registry's visibility is {' or '.join(VISIBILITIES)}, not {visibility!r:.80}.")
    return visibility


def changed_types(
    stored: Sequence[str], held: Sequence[str], add: Sequence[str], *, allow_all: bool | None
) -> tuple[str, ...]:
    """Returns the types that a registry takes after a change; none: it takes all.

    Args:
        stored: those it takes now; empty: all.
        held: those of its collections, which it goes on taking.
        add: to be taken, too.
        allow_all: True: all from now on; False: no longer all; None: as it was.

    Raises:
        RegistryError: INVALID_ARGUMENT: the change contradicts itself, or leaves no type at all.
    """
    if allow_all is True:
        if add:
            raise invalid("A registry that takes all types needs none added; leave one of the two out.")
        return ()
    if not stored and allow_all is None:
        if add:
            raise invalid("The registry takes all types already; set allow_all_artifact_types to False to restrict it.")
        return ()
    types = tuple(sorted({*stored, *add, *(held if not stored else ())}))
    if not types:
        raise invalid("A registry that does not take all types needs at least one; add the types that it takes.")
    return types
