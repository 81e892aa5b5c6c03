"""The pure rules: versions, aliases, leases, and what of a manifest may be skipped."""

from __future__ import annotations

import pytest

from holdfast_contract.digest import digest_of
from holdfast_contract.errors import ContractError
from holdfast_registry.domain.aliases import plan_aliases
from holdfast_registry.domain.leases import is_usable, may_expire, needs_renewal
from holdfast_registry.domain.manifest import ManifestCheck, overlapping_segments, parse_root
from holdfast_registry.domain.records import LeaseState, VersionState
from holdfast_registry.domain.versions import (
    CommitDecision,
    LatestVersion,
    check_pending,
    decide_commit,
    may_follow,
    new_latest,
)
from holdfast_registry.errors import RegistryError
from holdfastpb.common.v1.manifest_pb2 import ManifestRoot, SegmentRef
from registry.client import content_of_segments, segment_of

LATEST = LatestVersion("id", 4, b"d" * 32, b"r" * 32)


@pytest.mark.parametrize(
    ("digest", "latest", "has_manifest", "decision"),
    [
        (b"d" * 32, LATEST, True, CommitDecision.NO_OP),
        (b"d" * 32, LATEST, False, CommitDecision.NO_OP),
        (b"e" * 32, LATEST, True, CommitDecision.CREATE),
        (b"e" * 32, LATEST, False, CommitDecision.MANIFEST_NEEDED),
        (b"e" * 32, None, True, CommitDecision.CREATE),
        (b"e" * 32, None, False, CommitDecision.MANIFEST_NEEDED),
    ],
)
def test_commit_is_decided_by_the_latest_digest(
    digest: bytes, latest: LatestVersion | None, has_manifest: bool, decision: CommitDecision
) -> None:
    assert decide_commit(digest, latest, has_manifest=has_manifest) is decision


def test_states_follow_each_other_as_drawn() -> None:
    allowed = {(a.name, b.name) for a in VersionState for b in VersionState if may_follow(a, b)}
    assert allowed == {
        ("PENDING", "COMMITTED"),
        ("PENDING", "FAILED"),
        ("PENDING", "PART"),
        ("PART", "FAILED"),
        ("COMMITTED", "DELETED"),
        ("DELETED", "COMMITTED"),
    }


@pytest.mark.parametrize(
    "state", [VersionState.COMMITTED, VersionState.DELETED, VersionState.FAILED, VersionState.PART]
)
def test_only_a_pending_version_is_committed(state: VersionState) -> None:
    with pytest.raises(RegistryError):
        check_pending("id", state)


def test_latest_is_the_highest_number() -> None:
    assert new_latest([(3, "c"), (10, "j"), (9, "i")]) == "j"
    assert new_latest([]) is None


def test_alias_plan_touches_only_what_changes() -> None:
    holders = {"latest": "new", "best": "old", "kept": "new"}
    plan = plan_aliases(holders, "new", ["best", "kept"], ["gone", "latest"], is_latest=True)
    assert (plan.moves, plan.removals, plan.touched) == (("best",), (), {"old", "new"})
    plan = plan_aliases(holders, "new", ["kept"], is_latest=True)
    assert (plan.moves, plan.touched) == ((), frozenset())
    plan = plan_aliases(holders, "old", [], ["best", "kept"], is_latest=False)
    assert (plan.moves, plan.removals, plan.touched) == ((), ("best",), {"old"})


def test_name_that_is_added_and_removed_is_added() -> None:
    plan = plan_aliases({"best": "new"}, "new", ["best"], ["best"], is_latest=False)
    assert (plan.moves, plan.removals) == ((), ())


@pytest.mark.parametrize(
    ("state", "now_ms", "usable", "expires"),
    [
        (LeaseState.ACTIVE, 999, True, False),
        (LeaseState.ACTIVE, 1000, False, True),
        (LeaseState.EXPIRED, 0, False, False),
        (LeaseState.CLOSED, 5000, False, False),
    ],
)
def test_lease_is_usable_until_it_may_expire(state: LeaseState, now_ms: int, usable: bool, expires: bool) -> None:
    assert is_usable(state, 1000, now_ms) is usable
    assert may_expire(state, 1000, now_ms) is expires


def test_lease_is_written_again_after_a_tenth_of_its_time_or_when_the_clock_went_back() -> None:
    assert not needs_renewal(100_000, 0, 100)
    assert not needs_renewal(100_000, 9_999, 100)
    assert needs_renewal(100_000, 10_001, 100)
    assert needs_renewal(100_000, -1, 100)


def test_known_segment_is_not_looked_into_but_counts() -> None:
    first, second = segment_of({"a": b"1"}), segment_of({"b": b"2"})
    content = content_of_segments([first, second])
    root = parse_root(content.root)
    check = ManifestCheck(root, {root.segments[0].digest})
    assert check.check_segment(first.SerializeToString()).chunks == {}
    assert check.check_segment(second.SerializeToString()).chunks == {digest_of(b"2"): 1}
    assert check.finish().artifact_digest.hex() == content.artifact_digest


def test_order_is_checked_across_known_segments() -> None:
    first, second = segment_of({"b": b"1"}), segment_of({"a": b"2"})
    root = parse_root(content_of_segments([first, second]).root)
    check = ManifestCheck(root, {segment.digest for segment in root.segments})
    check.check_segment(first.SerializeToString())
    with pytest.raises(ContractError):
        check.check_segment(second.SerializeToString())


def test_segments_that_can_hold_a_prefix_are_found() -> None:
    long = "d" * 48
    bounds = [("a", "b/z"), ("b0", "c"), ("ca", long), (long + "e", "z")]
    root = ManifestRoot(segments=[SegmentRef(first_path=first[:48], last_path=last[:48]) for first, last in bounds])
    assert list(overlapping_segments(root, "")) == [0, 1, 2, 3]
    assert list(overlapping_segments(root, "b/")) == [0]
    assert list(overlapping_segments(root, "b")) == [0, 1]
    assert list(overlapping_segments(root, long + "d")) == [2, 3]
    assert list(overlapping_segments(root, "zz")) == []
