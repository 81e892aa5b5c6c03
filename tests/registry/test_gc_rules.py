"""The rules of garbage collection, over all interleavings: two writers, collectors, an expiry and commits around one chunk.

The state is that of the database as far as one chunk goes.  Each step of an actor is what the registry does in one transaction; the
search takes every step that is possible in every state that can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from holdfast_registry.domain.gc import (
    AGE_STEP_MS_MAX,
    SweepStep,
    deletable_stamp,
    epochs_agree,
    holds_chunks,
    is_over,
    may_compact,
    may_delete,
    may_doom,
    next_age,
    next_stamp,
    sweep_step,
)
from holdfast_registry.domain.records import LeaseState, PackState, VersionState
from support.figures import figure
from support.state_search import way_to

LEASE_ROUNDS = 2
"""Leases that each writer takes one after another: the second may begin after a condemnation."""
CYCLES = figure(small=2, full=3)


class Writer(NamedTuple):
    """One writer that wants to commit a version with the chunk, as the daemon does it."""

    step: str = "idle"
    active: bool = False
    begun: int = 0
    found: bool = False
    """FindMissing, under the lease that it has, said that the chunk is there."""
    unchanged: bool = False
    """Nothing was condemned or deleted since its manifest was checked: the chunk epoch is the same."""
    revives: bool = False
    leans: bool = False
    """On the other writer's version, so that its check has not looked for the chunk."""
    version: str = ""
    """committed, deleted, purged."""


class State(NamedTuple):
    """The chunk's row, who writes, who collects."""

    row: bool = False
    condemned: int = 0
    """Stamp; 0: it is not."""
    pack_seen: bool = False
    """The row's pack was LIVE when the running cycle began to sweep."""
    pack_used: bool = False
    """That cycle has read a row that stays in the pack."""
    cycle: int = 0
    step: str = "idle"
    deletable: int = 0
    marked: bool = False
    awaited: frozenset[tuple[int, int]] = frozenset()
    """(cycle, writer) whose lease was ACTIVE when the cycle condemned."""
    writers: tuple[Writer, Writer] = (Writer(), Writer())
    dead: bool = False
    """A pack was doomed from which a row is read."""


Step = tuple[str, State]
_STATES = {"committed": VersionState.COMMITTED, "deleted": VersionState.DELETED, "purged": VersionState.DELETED}


def with_writer(state: State, number: int, **changes: object) -> State:
    changed = state.writers[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(writers=(changed, state.writers[1]) if number == 0 else (state.writers[0], changed))


def steps_of_writer(state: State, number: int, *, leaning_is_checked: bool) -> Iterator[Step]:
    writer, other = state.writers[number], state.writers[1 - number]
    name = f"writer {number}"
    if writer.step == "idle" and writer.begun < LEASE_ROUNDS and not writer.version:
        begun = Writer("begun", active=True, begun=writer.begun + 1)
        yield f"{name} begins", with_writer(state, number, **begun._asdict())
    if writer.active:
        yield f"lease of {name} expires", with_writer(state, number, **Writer(begun=writer.begun)._asdict())
    if writer.step == "begun":
        present = state.row and not state.condemned
        yield f"{name} asks", with_writer(state, number, step="found" if present else "missing", found=present)
    if writer.step == "missing":
        yield f"{name} seals", seal(state, number)
    if writer.step in ("found", "sealed"):
        yield f"{name} is checked", check(state, number)
    if (
        writer.step in ("begun", "found", "sealed") and other.version == "committed"
    ):  # what that has need not be asked for
        leaning = with_writer(state, number, step="checked", unchanged=True, revives=False, leans=True)
        yield f"{name} is checked against the latest", leaning
    if writer.step == "checked":
        yield f"{name} commits", commit(state, number, leaning_is_checked=leaning_is_checked)
    if writer.version == "committed":
        yield f"version of {name} is deleted", with_writer(state, number, version="deleted")
    if writer.version == "deleted":
        yield f"version of {name} is restored", with_writer(state, number, version="committed")
        yield f"version of {name} is purged", with_writer(state, number, version="purged")


def seal(state: State, number: int) -> State:
    """R2: a row is added, or a condemned one is pointed to the new pack and revived."""
    if not state.row or state.condemned:
        state = state._replace(row=True, condemned=0, pack_seen=False, pack_used=False)
    return with_writer(state, number, step="sealed")


def check(state: State, number: int) -> State:
    """The manifest is checked beside the one who writes; what is missing is asked for."""
    if not state.row:
        return with_writer(state, number, step="missing", found=False)
    revives = state.condemned != 0
    return with_writer(state, number, step="checked", unchanged=True, revives=revives, leans=False)


def commit(state: State, number: int, *, leaning_is_checked: bool) -> State:
    """R3: as it was checked, or it is checked again."""
    writer, other = state.writers[number], state.writers[1 - number]
    lost = leaning_is_checked and writer.leans and other.version not in ("committed", "deleted")
    if not writer.unchanged or lost:
        return with_writer(state, number, step="found")
    if writer.revives:
        state = state._replace(condemned=0)
    return with_writer(state, number, **Writer("done", begun=writer.begun, version="committed")._asdict())


def active_leases(state: State) -> frozenset[int]:
    return frozenset(number for number, one in enumerate(state.writers) if one.active)


def settle(state: State, cycle: int) -> State:
    return state._replace(awaited=state.awaited | {(cycle, number) for number in active_leases(state)})


def begin_cycle(state: State, *, forgets_leases: bool) -> State:
    own = state.cycle + 1
    if state.step != "idle":
        state = settle(state, state.cycle)  # it has crashed
    active = active_leases(state)
    awaited = frozenset((cycle, number) for cycle, number in state.awaited if number in active)
    stamps = frozenset[int]() if forgets_leases else frozenset(cycle for cycle, _ in awaited)
    begun = state._replace(awaited=awaited, cycle=own, step="begun", deletable=deletable_stamp(own, stamps))
    return begun._replace(marked=False, pack_seen=False, pack_used=False)


def steps_of_collector(state: State, *, forgets_leases: bool) -> Iterator[Step]:
    if state.cycle < CYCLES:  # also over one that crashed, at any of its steps
        yield f"cycle {state.cycle + 1} begins", begin_cycle(state, forgets_leases=forgets_leases)
    if state.step == "begun":
        marked = any(
            one.version and holds_chunks(_STATES[one.version], purged=one.version == "purged") for one in state.writers
        )
        yield "it marks", state._replace(step="marked", marked=marked)
    if state.step == "marked":
        yield "it lists the packs", state._replace(step="listed", pack_seen=state.row)
    if state.step == "listed":
        yield "it reads the row", read_row(state)
    if state.step in ("CONDEMN", "REVIVE", "DELETE"):
        yield f"it does {state.step}", change_row(state)
    if state.step == "swept":
        # Whether the lease of the pack's writer has ended is left out: more is doomed here than in truth.
        dead = state.row and state.pack_seen and not state.pack_used and may_doom(PackState.LIVE, LeaseState.CLOSED, 0)
        yield "it dooms packs", state._replace(step="doomed", dead=dead)
    if state.step == "doomed":
        yield "it settles", settle(state, state.cycle)._replace(step="idle", pack_seen=False, pack_used=False)


def read_row(state: State) -> State:
    if not state.row:
        return state._replace(step="swept")
    step = sweep_step(
        marked=state.marked,
        condemned_stamp=state.condemned or None,
        deletable_stamp=state.deletable,
        past_grace=True,
    )
    return state._replace(step="swept" if step is SweepStep.KEEP else step.name, pack_used=step is not SweepStep.DELETE)


def change_row(state: State) -> State:
    if state.step == "REVIVE":
        return state._replace(step="swept", condemned=0)
    writers = tuple(one._replace(unchanged=False) for one in state.writers)
    changed = state._replace(step="swept", writers=writers)  # type: ignore[arg-type]
    if state.step == "CONDEMN":
        return changed._replace(condemned=state.cycle if state.row and not state.condemned else state.condemned)
    if may_delete(state.condemned or None, state.deletable):
        return changed._replace(row=False, condemned=0, pack_seen=False, pack_used=False)
    return changed._replace(pack_used=True)


def problem_of(state: State, before: State) -> str | None:
    if not state.row and any(one.version in ("committed", "deleted") for one in state.writers):
        return "a version that is not purged names a chunk without a row"
    if state.dead:
        return "a row points into a pack that is not LIVE"
    if before.row and not state.row and any(one.found for one in state.writers):
        return "a chunk was deleted that a lease was told is there"
    return None


def search(*, leaning_is_checked: bool = True, forgets_leases: bool = False) -> tuple[int, list[str] | None]:
    """Returns the number of states, and the first way to a state that must not be."""
    start = State()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    waiting = [start]
    while waiting:
        state = waiting.pop()
        steps = [*steps_of_collector(state, forgets_leases=forgets_leases)]
        for number in range(2):
            steps += steps_of_writer(state, number, leaning_is_checked=leaning_is_checked)
        for name, after in steps:
            problem = problem_of(after, state)
            if problem is not None:
                return len(came_from), [*way_to(state, came_from), name, problem]
            if after not in came_from:
                came_from[after] = (state, name)
                waiting.append(after)
    return len(came_from), None


def test_no_interleaving_loses_a_chunk_or_leads_a_row_into_a_dead_pack() -> None:
    states, way = search()
    assert way is None, way
    assert states > 10_000, "the search must have gone somewhere"


@pytest.mark.parametrize(
    ("broken", "consequence"),
    [
        ({"leaning_is_checked": False}, "a version that is not purged names a chunk without a row"),
        ({"forgets_leases": True}, "a chunk was deleted that a lease was told is there"),
    ],
)
def test_search_finds_what_the_rules_prevent(broken: dict[str, bool], consequence: str) -> None:
    _, way = search(**broken)
    assert way is not None
    assert way[-1] == consequence


@pytest.mark.parametrize(
    ("marked", "condemned", "past_grace", "step"),
    [
        (True, None, True, SweepStep.KEEP),
        (False, None, False, SweepStep.KEEP),
        (False, None, True, SweepStep.CONDEMN),
        (True, 3, True, SweepStep.REVIVE),
        (False, 3, True, SweepStep.DELETE),
        (False, 3, False, SweepStep.DELETE),
        (False, 5, True, SweepStep.KEEP),
    ],
)
def test_step_for_a_row(marked: bool, condemned: int | None, past_grace: bool, step: SweepStep) -> None:
    found = sweep_step(marked=marked, condemned_stamp=condemned, deletable_stamp=4, past_grace=past_grace)
    assert found is step


def test_stamps_rise_and_age_never_leaps_whatever_the_clock_does() -> None:
    assert next_stamp(1000, 5) == 1000
    assert next_stamp(1000, 5000) == 5001
    year_ms = 365 * 24 * 3600 * 1000
    assert next_age(100, 1000, 1500) == 600
    assert next_age(100, 1000, 1000 + year_ms) == 100 + AGE_STEP_MS_MAX
    assert next_age(100, 1000 + year_ms, 1000) == 100


def test_delays_and_packs() -> None:
    assert not is_over(None, 10**12, 0)
    assert is_over(5, 5, 0)
    assert not is_over(5, 14, 10)
    assert may_doom(PackState.LIVE, LeaseState.CLOSED, 0)
    assert not may_doom(PackState.LIVE, LeaseState.ACTIVE, 0)
    assert not may_doom(PackState.UPLOADING, LeaseState.CLOSED, 0)
    assert may_compact(PackState.LIVE, LeaseState.CLOSED, 40, 100)
    assert not may_compact(PackState.LIVE, LeaseState.CLOSED, 60, 100)
    assert not may_compact(PackState.LIVE, LeaseState.CLOSED, 0, 100)


def test_store_and_database_agree_also_after_a_crash_between_the_two() -> None:
    assert epochs_agree("", "", "")
    assert epochs_agree("b", "a", "b")
    assert epochs_agree("a", "a", "b")
    assert epochs_agree("c", "a", "b c")
    assert not epochs_agree("c", "a", "b")
    assert not epochs_agree("", "a", "")
    assert not epochs_agree("c", "a", "")
