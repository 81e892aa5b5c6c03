"""Rules of leases: under one, what FindMissing called present stays, and what is uploaded is kept until the commit.

Time decides when a lease may be ended; the state in the database, changed in a transaction, decides whether it has.
"""

from __future__ import annotations

from holdfast_contract.reasons import Reason
from holdfast_registry.domain.records import LeaseState
from holdfast_registry.errors import RegistryError

RENEWAL_FRACTION = 10
"""A lease is written again only after a tenth of its time: a look-up then costs no write, and no holder notices."""


def is_usable(state: LeaseState, expires_at_ms: int, now_ms: int) -> bool:
    """Tells whether work may go on under a lease."""
    return state is LeaseState.ACTIVE and now_ms < expires_at_ms


def may_expire(state: LeaseState, expires_at_ms: int, now_ms: int) -> bool:
    """Tells whether a lease may be marked EXPIRED."""
    return state is LeaseState.ACTIVE and now_ms >= expires_at_ms


def needs_renewal(expires_at_ms: int, now_ms: int, ttl_s: int) -> bool:
    """Tells whether a use of the lease is to be written down; also when the clock was set back since it was."""
    rest_ms = expires_at_ms - now_ms
    return not ttl_s * 1000 * (RENEWAL_FRACTION - 1) // RENEWAL_FRACTION < rest_ms <= ttl_s * 1000


def rest_s(expires_at_ms: int, now_ms: int) -> int:
    """Whole seconds that a lease still lasts."""
    return max(0, (expires_at_ms - now_ms) // 1000)


def lease_expired(lease_id: str) -> RegistryError:
    """The answer to work under a lease that is not there any more."""
    return RegistryError(
        Reason.LEASE_EXPIRED,
        f"Lease {lease_id[:64]!r} has ended; begin the version again with a new request id and negotiate all chunks anew.",
        {"lease": lease_id[:64]},
    )
