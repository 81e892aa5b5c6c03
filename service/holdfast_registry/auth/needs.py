"""What a call needs, in words that the table of permissions is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from holdfast_registry.domain.access import Role, Scope


class Kind(Enum):
    """What an id is the id of."""

    VERSION = auto()
    LEASE = auto()
    COLLECTION = auto()
    PROJECT = auto()
    LINK = auto()
    TOKEN = auto()


@dataclass(frozen=True, slots=True)
class Named:
    """A place that the request names."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class Within:
    """Something of an entity; its chunks, say, which belong to no project of it."""

    entity: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing of which only the database knows where it is."""

    kind: Kind
    id: str


class OwnScope:
    """Wherever the caller's token counts."""


class Whole:
    """The registry itself: what belongs to no entity, and is no secret, is done by who may do everything."""


@dataclass(frozen=True, slots=True)
class Need:
    """A role, and where it is needed."""

    role: Role
    where: Named | Within | Kept | OwnScope | Whole


Needs = Iterable[Need]


@dataclass(frozen=True, slots=True)
class Shown:
    """Things in a response that may lie where the caller may not look: these are left out."""

    field: str
    scope: Callable[[Any], Scope | None]
    """Where one of them is; None: only the database knows."""
    version_id: Callable[[Any], str] | None = None
    """The version that it is; one that is linked to where the caller may look is seen."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """Aliases that a call gives or takes: of a thing, or of a collection by name."""

    kind: Kind | None
    """None: of the named collection."""
    id: str
    names: tuple[str, ...] | None
    """None: all that the thing has."""
    entity: str = ""
    project: str = ""
    collection: str = ""
