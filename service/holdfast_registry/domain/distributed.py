"""Rules of distributed versions: whose parts are awaited, whose are lost, and what two parts may not both say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from holdfast_contract.reasons import Reason
from holdfast_registry.errors import RegistryError, invalid, not_found

DISTRIBUTED_ID_CHARS_MAX = 256
WRITER_CHARS_MAX = 512
"""Host, process and run."""
WRITERS_NAMED_MAX = 20
"""Of the writers in one message; a thousand processes would make it unreadable."""


class PartStatus(Enum):
    """How far a writer's part has come."""

    AWAITED = auto()
    """Begun, and its lease lasts."""
    BROUGHT = auto()
    LOST = auto()
    """Its lease has ended, or its writer has given it up, before it was brought."""


@dataclass(frozen=True, slots=True)
class Part:
    """One writer's share."""

    version_id: str
    writer: str
    status: PartStatus
    manifest_root: bytes


def writers_of(parts: Sequence[Part], status: PartStatus) -> list[str]:
    """Returns the writers that have parts of this status, sorted, once each."""
    return sorted({part.writer for part in parts if part.status is status})


def check_finishable(distributed_id: str, parts: Sequence[Part], *, without_lost: bool) -> list[Part]:
    """Returns the parts that make up the version, once none is awaited.

    Raises:
        RegistryError: WRITER_LOST; NOT_FOUND: nobody has brought anything, nor will.
    """
    lost = writers_of(parts, PartStatus.LOST)
    if lost and not without_lost:
        raise RegistryError(
            Reason.WRITER_LOST,
            f"Distributed version {distributed_id!r}: {_named(lost)} began a part and did not bring it. Start the writer "
            "again, which resumes it, or finish with without_lost_writers=True.",
            {"writers": "\n".join(lost[:WRITERS_NAMED_MAX]), "distributed_id": distributed_id},
        )
    brought = [part for part in parts if part.status is PartStatus.BROUGHT]
    if not brought:
        raise not_found(f"A part of distributed version {distributed_id!r}")
    return brought


def check_part_names(distributed_id: str, writer: str) -> None:
    """Refuses what could not be shown or stored.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    check_distributed_id(distributed_id)
    if len(writer) > WRITER_CHARS_MAX:
        raise invalid(f"A writer's name has at most {WRITER_CHARS_MAX} characters.")


def check_distributed_id(distributed_id: str) -> None:
    """Refuses an id that is empty, too long or not printable.

    Raises:
        RegistryError: INVALID_ARGUMENT.
    """
    if not 1 <= len(distributed_id) <= DISTRIBUTED_ID_CHARS_MAX or not distributed_id.isprintable():
        raise invalid(f"distributed_id has 1 to {DISTRIBUTED_ID_CHARS_MAX} printable characters.")


def conflict(path: str, writer: str, other_writer: str) -> RegistryError:
    """The answer to two parts of different writers that give one path two contents."""
    return RegistryError(
        Reason.PART_CONFLICT,
        f"{path!r:.300} was written with different contents by {writer!r} and by {other_writer!r}; "
        "let each writer have paths of its own, and write the version under another distributed_id.",
        {"path": path, "writer": writer, "other_writer": other_writer},
    )


def folder_conflict(path: str, writer: str, below: str, other_writer: str) -> RegistryError:
    """The answer to a path that is an entry of one part and a folder of another."""
    return RegistryError(
        Reason.PART_CONFLICT,
        f"{path!r:.300} is a file of {writer!r} and a folder of {other_writer!r}, who wrote {below!r:.300}; "
        "let each writer have paths of its own, and write the version under another distributed_id.",
        {"path": path, "writer": writer, "other_writer": other_writer},
    )


def too_late(distributed_id: str, version: str) -> RegistryError:
    """The answer to a part that was brought after the version was finished."""
    return RegistryError(
        Reason.DISTRIBUTED_FINISHED,
        f"Distributed version {distributed_id!r} was finished as {version} before this part was brought, and lacks entries "
        "of it; write them under another distributed_id.",
        {"distributed_id": distributed_id, "version": version},
    )


def _named(writers: Sequence[str]) -> str:
    shown = ", ".join(writers[:WRITERS_NAMED_MAX])
    more = len(writers) - WRITERS_NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown
