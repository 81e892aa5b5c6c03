"""The checker of histories knows a stale read, a lost update and a compare-and-swap that did not compare."""

from __future__ import annotations

import pytest

from support.linearizability import Moved, Operation, Refused, Seen, Step, is_linearizable

NONE: frozenset[str] = frozenset()
BEST = frozenset({"best"})
INITIAL = (("a0", BEST), ("b0", NONE))
TO_B = Moved(1, BEST, "b0", Seen(1, "b1", BEST))
A_WITHOUT = Seen(0, "a1", NONE)


def in_turn(*steps: Step) -> list[Operation]:
    return [Operation(2 * at, 2 * at + 1, step) for at, step in enumerate(steps)]


@pytest.mark.parametrize(
    "steps",
    [
        (Seen(0, "a0", BEST), TO_B, A_WITHOUT, Seen(1, "b1", BEST)),
        (TO_B, Moved(0, BEST, "", Seen(0, "a2", BEST)), Refused(1, "b1")),
        (Moved(1, NONE, "b0", Seen(1, "b1", NONE)),),
    ],
)
def test_what_one_registry_could_have_answered_is_accepted(steps: tuple[Step, ...]) -> None:
    assert is_linearizable(INITIAL, in_turn(*steps))


@pytest.mark.parametrize(
    "steps",
    [
        (TO_B, Seen(0, "a0", BEST)),
        (TO_B, Seen(1, "b0", NONE)),
        (TO_B, Seen(0, "a0", NONE)),
        (TO_B, Moved(1, BEST, "b0", Seen(1, "b2", BEST))),
        (Refused(1, "b0"),),
        (A_WITHOUT, TO_B),
    ],
    ids=["alias-at-two", "stale-read", "etag-stays", "does-not-compare", "refused-for-nothing", "from-the-future"],
)
def test_what_no_registry_could_have_answered_is_found(steps: tuple[Step, ...]) -> None:
    assert not is_linearizable(INITIAL, in_turn(*steps))


def test_calls_at_the_same_time_may_have_happened_in_any_order() -> None:
    moved, read = Operation(0, 10, TO_B), Operation(1, 2, Seen(0, "a0", BEST))
    assert is_linearizable(INITIAL, [moved, read])
    assert is_linearizable(INITIAL, [moved, Operation(1, 2, A_WITHOUT)])
