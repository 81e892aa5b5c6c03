"""Rules of retention against a model that decides one version at a time, and what a policy may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_contract.errors import ContractError
from holdfast_registry.domain.duties import DutyState, may_take
from holdfast_registry.domain.retention import (
    Best,
    Candidate,
    Doomed,
    DoomReason,
    RetentionPolicy,
    doomed_versions,
    parse_policy,
)
from holdfast_registry.errors import RegistryError

NOW_MS = 1_000_000
TAGS = ("draft", "final")

_bests = st.lists(st.builds(Best, st.just(("loss",)), st.booleans(), st.integers(1, 3)), max_size=2).map(tuple)
_policies = st.builds(
    RetentionPolicy,
    keep_last=st.integers(0, 4),
    keep_aliased=st.booleans(),
    keep_tagged=st.booleans(),
    keep_tags=st.sets(st.sampled_from(TAGS), max_size=1).map(tuple),
    keep_best=_bests,
    max_bytes=st.integers(0, 60),
    delete_older_than_s=st.integers(0, 40),
)


@st.composite
def _collections(draw: st.DrawFn, best_count: int) -> list[Candidate]:
    indices = draw(st.lists(st.integers(0, 30), unique=True, max_size=9))
    scores = st.tuples(*[st.none() | st.sampled_from([0.5, 1.0, 2.0])] * best_count)
    return [
        Candidate(
            version_id=f"id{index}",
            version_index=index,
            size_bytes=draw(st.integers(0, 20)),
            created_at_ms=NOW_MS - 1000 * draw(st.integers(0, 50)),
            is_held=draw(st.integers(0, 5)) == 0,
            is_aliased=draw(st.integers(0, 3)) == 0,
            tags=draw(st.frozensets(st.sampled_from(TAGS))) if draw(st.booleans()) else frozenset(),
            scores=draw(scores),
        )
        for index in indices
    ]


def is_kept(policy: RetentionPolicy, one: Candidate, versions: list[Candidate]) -> bool:
    """Asks each rule by counting who is before this version."""
    newer = [other for other in versions if other.version_index > one.version_index]
    rules = [
        not newer,
        len(newer) < policy.keep_last,
        one.is_held,
        policy.keep_aliased and one.is_aliased,
        policy.keep_tagged and bool(one.tags),
        any(tag in one.tags for tag in policy.keep_tags),
    ]
    for position, best in enumerate(policy.keep_best):
        score = one.scores[position]
        if score is None:
            continue
        others = [(other.scores[position], other.version_index) for other in versions]
        sign = 1 if best.highest else -1
        better = [
            index
            for value, index in others
            if value is not None and (sign * value, index) > (sign * score, one.version_index)
        ]
        rules.append(len(better) < best.count)
    return any(rules)


def model(policy: RetentionPolicy, versions: list[Candidate]) -> list[tuple[str, DoomReason]]:
    if not (policy.keep_last or policy.max_bytes or policy.delete_older_than_s):
        return []
    left = sorted(versions, key=lambda one: one.version_index)
    gone: dict[str, DoomReason] = {}
    loose = [one for one in left if not is_kept(policy, one, versions)]
    for one in loose:
        if not policy.max_bytes and not policy.delete_older_than_s:
            gone[one.version_id] = DoomReason.KEEP_LAST
        elif policy.delete_older_than_s and NOW_MS - one.created_at_ms > policy.delete_older_than_s * 1000:
            gone[one.version_id] = DoomReason.AGE
    for one in loose:
        held = sum(other.size_bytes for other in versions if other.version_id not in gone)
        if policy.max_bytes and held > policy.max_bytes and one.version_id not in gone:
            gone[one.version_id] = DoomReason.MAX_BYTES
    return [(one.version_id, gone[one.version_id]) for one in left if one.version_id in gone]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_goes_is_what_the_model_says(data: st.DataObject) -> None:
    policy = data.draw(_policies)
    versions = data.draw(_collections(len(policy.keep_best)))
    doomed = doomed_versions(policy, versions, NOW_MS)
    assert [(one.version.version_id, one.reason) for one in doomed] == model(policy, versions)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_second_look_finds_nothing_more(data: st.DataObject) -> None:
    policy = data.draw(_policies)
    versions = data.draw(_collections(len(policy.keep_best)))
    gone = {one.version.version_id for one in doomed_versions(policy, versions, NOW_MS)}
    left = [one for one in versions if one.version_id not in gone]
    assert not doomed_versions(policy, left, NOW_MS)


def version(index: int, **more: Any) -> Candidate:
    values = {"size_bytes": 10, "created_at_ms": NOW_MS, "is_held": False, "is_aliased": False} | more
    return Candidate(version_id=f"v{index}", version_index=index, **values)


def names(doomed: list[Doomed]) -> list[str]:
    return [f"{one.version.version_id} {one.reason.value}" for one in doomed]


def test_newest_are_kept_and_of_the_others_only_those_over_a_limit_go() -> None:
    hour_ms = 3_600_000
    versions = [version(index, created_at_ms=NOW_MS - (5 - index) * hour_ms) for index in range(6)]
    beyond = RetentionPolicy(keep_last=2)
    assert names(doomed_versions(beyond, versions, NOW_MS)) == [f"v{index} keep_last" for index in range(4)]
    old = RetentionPolicy(keep_last=2, delete_older_than_s=3 * 3600)
    assert names(doomed_versions(old, versions, NOW_MS)) == ["v0 age", "v1 age"]
    both = RetentionPolicy(delete_older_than_s=4 * 3600, max_bytes=30)
    assert names(doomed_versions(both, versions, NOW_MS)) == ["v0 age", "v1 max_bytes", "v2 max_bytes"]


def test_no_policy_empties_a_collection() -> None:
    ancient = [version(0, created_at_ms=0), version(3, created_at_ms=0)]
    for policy in (RetentionPolicy(keep_aliased=False, delete_older_than_s=1), RetentionPolicy(max_bytes=1)):
        assert [one.version.version_id for one in doomed_versions(policy, ancient, NOW_MS)] == ["v0"]


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        ({}, RetentionPolicy()),
        ({"keep_last": 5}, RetentionPolicy(keep_last=5)),
        (
            {"max_bytes": 10, "keep_aliased": False, "keep_tagged": True},
            RetentionPolicy(max_bytes=10, keep_aliased=False, keep_tagged=True),
        ),
        (
            {"delete_older_than_s": 60, "keep_tagged": ["b", "a", "b"]},
            RetentionPolicy(delete_older_than_s=60, keep_tags=("b", "a")),
        ),
        (
            {"keep_last": 1, "keep_best": ["metadata.val.loss:min:3", "metadata.acc:max"]},
            RetentionPolicy(
                keep_last=1, keep_best=(Best(("val", "loss"), highest=False, count=3), Best(("acc",), highest=True))
            ),
        ),
        (
            {"keep_last": 1, "keep_best": "metadata.a:b:max"},
            RetentionPolicy(keep_last=1, keep_best=(Best(("a:b",), highest=True),)),
        ),
    ],
)
def test_policy_is_read_and_written_again_without_a_change(said: dict[str, Any], policy: RetentionPolicy) -> None:
    assert parse_policy(json.dumps(said)) == policy
    assert parse_policy(policy.to_json()) == policy


@pytest.mark.parametrize(
    "said",
    [
        [],
        "keep_last",
        {"keep_last": 0},
        {"keep_last": True},
        {"keep_last": 1.5},
        {"keep_newest": 3},
        {"max_bytes": 2**70},
        {"keep_aliased": True},
        {"keep_last": 1, "keep_aliased": "yes"},
        {"keep_last": 1, "keep_tagged": []},
        {"keep_last": 1, "keep_tagged": "best"},
        {"keep_last": 1, "keep_best": []},
        {"keep_last": 1, "keep_best": ["metadata.a:max"] * 9},
        *(
            {"keep_last": 1, "keep_best": text}
            for text in (
                "a:max",
                "metadata.:max",
                "metadata.a",
                "metadata.a:best",
                'metadata."a:max',
                "metadata.a:max:0",
            )
        ),
    ],
)
def test_policy_that_means_nothing_is_refused(said: Any) -> None:
    with pytest.raises(RegistryError):
        parse_policy(json.dumps(said))


def test_tag_that_nothing_can_have_is_refused() -> None:
    with pytest.raises(ContractError):
        parse_policy(json.dumps({"keep_last": 1, "keep_tagged": ["a/b"]}))
    with pytest.raises(RegistryError, match="not JSON"):
        parse_policy("{keep_last: 1}")


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        (DutyState(is_ours=False, held_until_ms=0, began_at_ms=0), True),
        (DutyState(is_ours=False, held_until_ms=NOW_MS + 1, began_at_ms=0), False),
        (DutyState(is_ours=True, held_until_ms=NOW_MS + 1, began_at_ms=0), True),
        (DutyState(is_ours=False, held_until_ms=NOW_MS, began_at_ms=0), True),
        (DutyState(is_ours=False, held_until_ms=0, began_at_ms=NOW_MS - 499), False),
        (DutyState(is_ours=False, held_until_ms=0, began_at_ms=NOW_MS - 500), True),
        (DutyState(is_ours=False, held_until_ms=NOW_MS + 10**9, began_at_ms=NOW_MS + 10**9), True),
    ],
)
def test_duty_is_taken_when_it_is_due_and_nobody_has_it(state: DutyState, taken: bool) -> None:
    assert may_take(state, NOW_MS, hold_ms=100, every_ms=500) is taken
