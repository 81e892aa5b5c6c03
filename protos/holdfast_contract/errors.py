"""The contract's exceptions; each is a `ValueError` that carries the reason which travels over the wire.

ContractError
  InvalidNameError      a name, type, alias, tag, entity, project or run id
  ManifestPathError     the path of an entry
  ManifestError         order, collisions, columns of a manifest
  PackError             a pack cannot be used
    PackTornError         it ends too early: send or write it again
    PackDamagedError      it contradicts itself: fetch another copy
"""

from __future__ import annotations

from typing import ClassVar

from holdfast_contract.reasons import REASONS, Reason


class ContractError(ValueError):
    """Something breaks a rule that all processes share; the message says what, where, and what to do."""

    default_reason: ClassVar[Reason] = Reason.INVALID_ARGUMENT

    message: str
    reason: Reason

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        """Makes the error; without a reason it has the class's own."""
        # One positional argument and plain attributes, so that the error survives pickling between processes.
        super().__init__(message)
        self.message = message
        self.reason = self.default_reason if reason is None else reason

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return REASONS[self.reason].retryable


class InvalidNameError(ContractError):
    """A name breaks its grammar; choose another one."""

    default_reason = Reason.INVALID_NAME


class ManifestPathError(ContractError):
    """A path cannot be held safely by every operating system; give the entry another name."""

    default_reason = Reason.INVALID_PATH


class ManifestError(ContractError):
    """A manifest is not well formed; the process that wrote it has a defect, or two entries collide."""

    default_reason = Reason.MANIFEST_INVALID


class PackError(ContractError):
    """A pack cannot be used."""

    default_reason = Reason.PACK_DAMAGED


class PackTornError(PackError):
    """A pack ends before its trailer: its writer or its transfer was interrupted; write or send it again."""

    default_reason = Reason.PACK_TORN


class PackDamagedError(PackError):
    """A pack contradicts itself or its checksums; use another copy."""

    default_reason = Reason.PACK_DAMAGED
