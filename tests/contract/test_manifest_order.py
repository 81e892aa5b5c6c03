"""Order, collisions and the cutting of manifests."""

from __future__ import annotations

import random
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast_contract import manifest_order
from holdfast_contract.errors import ManifestError
from holdfast_contract.limits import SEGMENT_BYTES_MAX, SEGMENT_ENTRIES_MAX
from holdfast_contract.manifest_order import ManifestOrder, segment_bounds, sort_key
from holdfast_contract.reasons import Reason

NAMES = st.text(st.sampled_from("ab/-.0"), min_size=1, max_size=6)


def check_in_runs(paths: list[str], run: int) -> Reason | None:
    order = ManifestOrder()
    try:
        for start in range(0, len(paths), run):
            order.check(paths[start : start + run])
    except ManifestError as error:
        return error.reason
    assert order.entries == len(paths)
    return None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_text_order_is_byte_order(paths: list[str]) -> None:
    assert sorted(paths) == sorted(paths, key=sort_key)


@settings(max_examples=500, deadline=None)
@given(st.sets(NAMES, max_size=12), st.integers(1, 12))
@example({"a", "a-", "a.b", "a/b"}, 1)
@example({"a", "ab", "ab/c"}, 2)
@example({"a", "ab", "a/c"}, 3)
def test_a_folder_that_is_an_entry_is_found_wherever_runs_are_cut(paths: set[str], run: int) -> None:
    collides = any(other.startswith(path + "/") for path in paths for other in paths)
    assert check_in_runs(sorted(paths), run) == (Reason.PATH_COLLISION if collides else None)


@pytest.mark.parametrize("paths", [["b", "a"], ["a", "a"], ["a", "b", "b"], ["a", "c", "b"], ["\uffff", "é"]])
@pytest.mark.parametrize("run", [1, 2, 3])
def test_wrong_order_and_duplicates_are_refused_within_and_across_runs(paths: list[str], run: int) -> None:
    assert check_in_runs(paths, run) is Reason.MANIFEST_INVALID


def test_messages_name_the_entries() -> None:
    with pytest.raises(ManifestError, match="'b' twice"):
        ManifestOrder().check(["a", "b", "b"])
    with pytest.raises(ManifestError, match="'a' after 'b'"):
        ManifestOrder().check(["b", "a"])
    with pytest.raises(ManifestError, match="'a' is an entry and cannot be the folder of 'a/b'"):
        ManifestOrder().check(["a", "a.b", "a/b"])


def test_long_chains_of_prefixes_cost_no_more_than_others() -> None:
    chain = ["a" * length for length in range(1, 1000)]
    order = ManifestOrder()
    order.check(chain)
    order.check([f"{'a' * 1000}{number:06}" for number in range(100_000)])
    assert order.entries == 100_999


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_order, "MANIFEST_ENTRIES_MAX", 3)
    order = ManifestOrder()
    order.check(["a", "b"])
    with pytest.raises(ManifestError) as caught:
        order.check(["c", "d"])
    assert caught.value.reason is Reason.TOO_LARGE


def some_paths(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return sorted({f"images/{generator.getrandbits(64):016x}.jpg" for _ in range(count)})


def cut_by_the_rule(paths: list[str], sizes: list[int]) -> list[tuple[int, int]]:
    """The rule, entry by entry, as the architecture page words it."""
    bounds, first, size = [], 0, 0
    for index, path in enumerate(paths):
        if index > first and size + sizes[index] > SEGMENT_BYTES_MAX:
            bounds.append((first, index))
            first, size = index, 0
        size += sizes[index]
        if crc32(path.encode()) % 1024 == 0 or index + 1 - first == SEGMENT_ENTRIES_MAX:
            bounds.append((first, index + 1))
            first, size = index + 1, 0
    return bounds if first == len(paths) else [*bounds, (first, len(paths))]


@pytest.mark.parametrize("size", [0, 90, 1000, 30_000, 400_000, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX + 1])
def test_segments_are_cut_by_the_rule_and_cover_all_entries(size: int) -> None:
    paths = some_paths(30_000, seed=1)
    sizes = [size] * len(paths)
    bounds = segment_bounds(paths, sizes)
    assert bounds == cut_by_the_rule(paths, sizes)
    assert [first for first, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
    assert bounds[-1][1] == len(paths)


def test_an_empty_manifest_has_no_segments() -> None:
    assert segment_bounds([], []) == []


def test_an_insertion_changes_only_the_segments_around_it() -> None:
    paths = some_paths(100_000, seed=2)
    before = {tuple(paths[first:end]) for first, end in segment_bounds(paths, [90] * len(paths))}
    generator = random.Random(3)
    for _ in range(10):
        inserted = f"images/{generator.getrandbits(64):016x}.jpg"
        changed = sorted([*paths, inserted])
        after = {tuple(changed[first:end]) for first, end in segment_bounds(changed, [90] * len(changed))}
        new = after - before
        assert len(new) <= 2
        assert any(inserted in segment for segment in new)


def test_a_shift_ends_at_the_next_natural_end_also_where_size_cuts() -> None:
    paths = some_paths(50_000, seed=4)
    natural = [index + 1 for index, path in enumerate(paths) if crc32(path.encode()) % 1024 == 0]
    changed = ["images/", *paths]
    before = segment_bounds(paths, [3000] * len(paths))
    after = segment_bounds(changed, [3000] * len(changed))
    assert [bound for bound in before if bound[0] >= natural[0]] == [
        (first - 1, end - 1) for first, end in after if first > natural[0]
    ]
