"""The rules of packs that nobody has read back, over all interleavings of uploads, readers and collectors around one chunk.

The state is that of the database as far as one chunk goes, which every version names.  Each step of an actor is what the registry does
in one transaction, or sees in one statement; the search takes every step that is possible in every state that can be reached.
Collection A has uploads 0 and 2, of which the second brings nothing and leans on what is there, and perhaps a version that is older;
collection B has upload 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import pytest

from holdfast_registry.domain.records import PackState, VersionState
from holdfast_registry.domain.unread import DamagedFate, fate_of_damaged
from support.state_search import way_to

NOWHERE, SOUND = -1, 9
"""As the row's pack: there is no row; it lies in a pack that was read long ago, or made by the registry from checked frames."""
NONE, OLDER = -1, 9
"""As the latest version of collection A: there is none; the older one."""
IN_A = (0, 2)
LEANER = 2
TOGETHER = ((0, 2), (1, 2), (0, 1))
"""Uploads that go on side by side; all three have too many states for a test."""
PENDING, COMMITTED, FAILED = (one.name for one in (VersionState.PENDING, VersionState.COMMITTED, VersionState.FAILED))
LIVE, DOOMED, QUARANTINED = (one.name for one in (PackState.LIVE, PackState.DOOMED, PackState.QUARANTINED))
CHECKING = ("prepared", "checked", "no-op")


class Rules(NamedTuple):
    """Which of them hold; the search must find a way to what each of them prevents."""

    find_missing_leaves_unread_out: bool = True
    check_leaves_unread_out: bool = True
    unread_is_looked_for_after_rows: bool = True
    latest_is_read_first: bool = True
    no_op_asks_for_latest_again: bool = True
    no_op_over_lost_is_checked: bool = True
    healing_pack_is_read_first: bool = True
    unread_takes_no_condemned: bool = True
    commit_asks_for_epoch: bool = True
    give_up_raises_epoch: bool = True
    fate_is_decided_when_it_is_done: bool = True
    only_unread_is_given_up: bool = True
    committed_is_quarantined: bool = True
    lost_is_known_until_read: bool = True


class Pack(NamedTuple):
    """Of one upload; it holds the chunk."""

    state: str = ""
    unread: bool = False
    sound: bool = True
    planned: str = ""
    """What a registry that has found it damaged would do as of then; kept only for the search that goes by it."""


class Upload(NamedTuple):
    """One writer; a manifest that leans on the latest version is checked without a look for the chunk."""

    step: str = "begun"
    tries: int = 0
    """At bringing a pack: one that loses it brings none again."""
    unchanged: bool = False
    """The chunk epoch is that of the check."""
    leans: bool = False
    strict: bool = False
    """It is to heal a version, so that its own packs count as others'."""
    knew: frozenset[int] = frozenset()
    """Unread packs when its check began."""
    version: str = PENDING


class State(NamedTuple):
    """The chunk's row, packs and uploads."""

    row: int = NOWHERE
    condemned: bool = False
    lost: bool = False
    """It is noted that a version is hurt."""
    older: bool = False
    latest: int = NONE
    packs: tuple[Pack, ...] = (Pack(), Pack())
    uploads: tuple[Upload, ...] = (Upload(), Upload(), Upload())
    told: str = ""
    """What somebody was told wrongly."""


Step = tuple[str, State]
STARTS = (
    State(),
    State(row=SOUND),
    State(row=SOUND, older=True, latest=OLDER),
    State(lost=True, older=True, latest=OLDER),
)


def with_upload(state: State, number: int, /, **changes: object) -> State:
    changed = state.uploads[number]._replace(**changes)  # type: ignore[arg-type]
    if changed.step not in CHECKING:
        changed = Upload(changed.step, changed.tries, version=changed.version)
    return state._replace(uploads=(*state.uploads[:number], changed, *state.uploads[number + 1 :]))


def with_pack(state: State, number: int, /, **changes: object) -> State:
    changed = state.packs[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(packs=(*state.packs[:number], changed, *state.packs[number + 1 :]))


def with_epoch_raised(state: State) -> State:
    uploads = tuple(one._replace(unchanged=False) if one.unchanged else one for one in state.uploads)
    return state._replace(uploads=uploads)  # type: ignore[arg-type]


def is_unread(state: State, number: int) -> bool:
    return number < len(state.packs) and number >= 0 and state.packs[number].unread


def is_named(state: State) -> bool:
    return state.older or any(one.version == COMMITTED for one in state.uploads)


def latest_of(state: State, number: int) -> int:
    return state.latest if number in IN_A else NONE


# --- an upload --------------------------------------------------------------------------------------------------------


def steps_of_upload(state: State, number: int, rules: Rules) -> Iterator[Step]:
    upload = state.uploads[number]
    name, step = f"upload {number}", upload.step
    if upload.version != PENDING:
        return
    yield f"lease of {name} expires", with_upload(state, number, step="ended", version=FAILED)
    if step == "begun" and number != LEANER:
        yield f"{name} asks", ask(state, number, rules)
    if step == "missing":
        yield from seals(state, number, rules)
    if step in ("begun", "ready"):
        yield from prepares(state, number, rules)
    if step == "prepared":
        yield f"{name} looks for the chunk", look(state, number, rules)
    if step == "checked":
        yield f"{name} commits", commit(state, number, rules)
    if step in ("checked", "no-op") and latest_of(state, number) != NONE:
        yield f"{name} commits a no-op", commit_no_op(state, number, rules)


def ask(state: State, number: int, rules: Rules) -> State:
    """FindMissing."""
    lies_in_others = is_unread(state, state.row) and state.row != number
    if state.row == NOWHERE or state.condemned or (lies_in_others and rules.find_missing_leaves_unread_out):
        return with_upload(state, number, step="missing")
    told = "a chunk is there that lies in a damaged pack" if lies_in_others and not state.packs[state.row].sound else ""
    return with_upload(state, number, step="ready")._replace(told=told)


def seals(state: State, number: int, rules: Rules) -> Iterator[Step]:
    upload = state.uploads[number]
    if number == LEANER or upload.tries or state.packs[number].state == LIVE:
        return
    bringing = with_upload(state, number, step="ready", tries=upload.tries + 1)
    yield f"upload {number} brings a pack that is checked", sealed(bringing, number, Pack(LIVE), rules)
    for sound in (True, False):
        pack = Pack(LIVE, unread=True, sound=sound)
        yield f"upload {number} brings a pack, sound={sound}", sealed(bringing, number, pack, rules)


def sealed(state: State, number: int, pack: Pack, rules: Rules) -> State:
    moves = state.condemned and not (pack.unread and rules.unread_takes_no_condemned)
    row = number if state.row == NOWHERE or moves else state.row
    return with_pack(state, number, **pack._asdict())._replace(row=row, condemned=False)


def prepares(state: State, number: int, rules: Rules) -> Iterator[Step]:
    """What a check goes by, in one state of the database."""
    latest = latest_of(state, number)
    if rules.latest_is_read_first and is_unread(state, latest):
        return  # it waits
    known = frozenset(row for row in range(len(state.packs)) if state.packs[row].unread)
    knew = frozenset() if rules.unread_is_looked_for_after_rows else known
    prepared = with_upload(state, number, step="prepared", unchanged=True, leans=False, strict=False, knew=knew)
    if latest == NONE:
        yield f"check of {number} begins", prepared
        return
    leans = not state.lost
    leaning = with_upload(prepared, number, step="checked" if leans else "prepared", leans=leans)
    yield f"check of {number} against the latest begins", leaning
    checks = state.lost and rules.no_op_over_lost_is_checked
    strict = checks and rules.healing_pack_is_read_first
    no_op = with_upload(prepared, number, step="prepared" if checks else "no-op", strict=strict)
    yield f"{number} sees a no-op", no_op


def look(state: State, number: int, rules: Rules) -> State:
    """For the row, and then whether its pack is unread."""
    if state.row == NOWHERE:
        return with_upload(state, number, step="missing")
    upload = state.uploads[number]
    is_own = state.row == number and not upload.strict
    seen = rules.unread_is_looked_for_after_rows or state.row in upload.knew
    if rules.check_leaves_unread_out and is_unread(state, state.row) and not is_own and seen:
        return with_upload(state, number, step="ready")
    return with_upload(state, number, step="checked")


def commit(state: State, number: int, rules: Rules) -> State:
    upload = state.uploads[number]
    if rules.commit_asks_for_epoch and not upload.unchanged:
        return with_upload(state, number, step="ready")
    told = "a version is committed" if not may_go_by(state, number) else ""
    if not upload.leans:
        state = state._replace(condemned=False)
    committed = with_upload(state, number, **Upload("ended", version=COMMITTED)._asdict())
    return committed._replace(latest=number if number in IN_A else state.latest, told=told)


def commit_no_op(state: State, number: int, rules: Rules) -> State:
    """What looked like a new version may be none by now, and the other way round; `check` is then done anew."""
    upload = state.uploads[number]
    waits = rules.no_op_asks_for_latest_again and is_unread(state, latest_of(state, number))
    is_read = upload.step == "checked" and (upload.strict or not rules.healing_pack_is_read_first)
    unchecked = state.lost and rules.no_op_over_lost_is_checked and not (upload.unchanged and is_read)
    if waits or unchecked:
        return with_upload(state, number, step="ready")
    told = "a version has it" if not may_go_by(state, NONE) else ""
    return with_upload(state, number, **Upload("ended", version=FAILED)._asdict())._replace(told=told)


def may_go_by(state: State, number: int) -> bool:
    return state.row != NOWHERE and (not is_unread(state, state.row) or state.row == number)


# --- those who read packs ---------------------------------------------------------------------------------------------


def steps_of_readers(state: State, number: int, rules: Rules) -> Iterator[Step]:
    """Any number of registries read at once, and some over a faulty network: each may come to an end at any time."""
    pack = state.packs[number]
    if pack.state != LIVE:
        return
    if pack.unread and pack.sound:
        yield f"pack {number} is noted as sound", with_pack(state, number, unread=False)
    done = fate(state, number, rules)
    if rules.fate_is_decided_when_it_is_done or pack.planned:
        yield f"pack {number} is damaged", deal_with(state, number, pack.planned or done, rules)
    elif pack.unread:
        yield f"pack {number} is found damaged", with_pack(state, number, planned=done)


def fate(state: State, number: int, rules: Rules) -> str:
    pack, version = state.packs[number], state.uploads[number].version
    unread = pack.unread or not rules.only_unread_is_given_up
    return _fate(pack.state, unread, version if rules.committed_is_quarantined else PENDING)


@cache
def _fate(state: str, unread: bool, version: str) -> str:
    return fate_of_damaged(PackState[state], unread=unread, version=VersionState[version]).name


def deal_with(state: State, number: int, fate: str, rules: Rules) -> State:
    pack, is_read = state.packs[number], state.row == number
    if fate == DamagedFate.NOTHING.name:
        return state
    if fate == DamagedFate.GIVE_UP.name:
        state = with_pack(state, number, state=DOOMED, unread=False)
        state = with_epoch_raised(state) if rules.give_up_raises_epoch else state
        return state._replace(row=NOWHERE, condemned=False) if is_read else state
    state = with_epoch_raised(with_pack(state, number, state=QUARANTINED, unread=False))
    if is_read and pack.sound:
        return state._replace(row=SOUND)
    return state._replace(row=NOWHERE, condemned=False, lost=True) if is_read else state


# --- the rest ---------------------------------------------------------------------------------------------------------


def steps_beside(state: State, rules: Rules) -> Iterator[Step]:
    """The scrub, and a collector whose mark may be older than a version."""
    if state.row == NOWHERE:
        copies = (pack.sound for pack in state.packs if pack.state)
        if state.lost and any(copies):
            yield "a copy of what is lost is found", state._replace(row=SOUND)
        return
    if state.lost and not (rules.lost_is_known_until_read and is_unread(state, state.row)):
        yield "what is lost is healed", state._replace(lost=False)
    if not state.condemned:
        yield "the chunk is condemned", with_epoch_raised(state)._replace(condemned=True)
    elif is_named(state):
        yield "the chunk is revived", state._replace(condemned=False)
    else:
        yield "the chunk is deleted", with_epoch_raised(state)._replace(row=NOWHERE, condemned=False)
    for number, pack in enumerate(state.packs):
        ended = state.uploads[number].version != PENDING
        if pack.state == LIVE and ended and state.row != number:
            yield f"pack {number} is doomed", with_pack(state, number, state=DOOMED, unread=False)


def without_the_past(state: State, rules: Rules) -> State:
    """Forgets what nobody goes by any more, so that states that behave alike are one."""
    zero, one, two = state.uploads
    now = (_of_now(zero, rules), _of_now(one, rules), two)
    return state if now == state.uploads else state._replace(uploads=now)


def _of_now(one: Upload, rules: Rules) -> Upload:
    if one.step in CHECKING:
        # Its commit would look again.  (The leaner's may come to a no-op.)
        return one if one.unchanged or not rules.commit_asks_for_epoch else Upload("ready", one.tries)
    return one


def problem_of(state: State) -> str | None:
    if state.told:
        return f"somebody is told: {state.told}"
    if state.lost:
        return None
    holders = [number for number, one in enumerate(state.uploads) if one.version == COMMITTED]
    holders += [OLDER] if state.older else []
    if holders and state.row == NOWHERE:
        return "a version names a chunk without a row, and nobody knows it"
    if is_unread(state, state.row) and any(number != state.row for number in holders):
        return "a version leans on another upload's unread pack"
    return None


def search(rules: Rules, taking_part: Sequence[int]) -> tuple[int, list[str] | None]:
    """Returns the number of states, and the first way to a state that must not be."""
    bringing = [number for number in taking_part if number != LEANER]
    came_from: dict[State, tuple[State, str] | None] = dict.fromkeys(STARTS)
    waiting = list(STARTS)
    while waiting:
        state = waiting.pop()
        steps = [*steps_beside(state, rules)]
        for number in taking_part:
            steps += steps_of_upload(state, number, rules)
        for number in bringing:
            steps += steps_of_readers(state, number, rules)
        for name, after in steps:
            problem = problem_of(after)
            if problem is not None:
                return len(came_from), [*way_to(state, came_from), name, problem]
            after = without_the_past(after, rules)
            if after not in came_from:
                came_from[after] = (state, name)
                waiting.append(after)
    return len(came_from), None


@pytest.mark.parametrize("taking_part", TOGETHER)
def test_no_interleaving_lets_a_version_lean_on_what_nobody_has_read(taking_part: Sequence[int]) -> None:
    states, way = search(Rules(), taking_part)
    assert way is None, way
    assert states > 1000, "the search must have gone somewhere"


@pytest.mark.parametrize("dropped", Rules._fields)
def test_search_finds_what_each_rule_prevents(dropped: str) -> None:
    ways = (search(Rules()._replace(**{dropped: False}), taking_part)[1] for taking_part in TOGETHER)
    assert any(way is not None for way in ways)


def test_damaged_pack_is_given_up_only_while_it_serves_nobody_else() -> None:
    given_up = [
        (state, unread, version)
        for state, unread, version in product(PackState, (True, False), (None, *VersionState))
        if fate_of_damaged(state, unread=unread, version=version) is DamagedFate.GIVE_UP
    ]
    assert given_up == [(PackState.LIVE, True, version) for version in (VersionState.PENDING, VersionState.FAILED)]
    assert fate_of_damaged(PackState.DOOMED, unread=False, version=None) is DamagedFate.NOTHING
    assert fate_of_damaged(PackState.LIVE, unread=True, version=None) is DamagedFate.QUARANTINE
