"""The pure rules of semantic versions: grammar, precedence, keys, ranges, and which one a new version gets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_contract.errors import InvalidNameError
from holdfast_contract.semantic_versions import SEMANTIC_VERSION_CHARS_MAX, check_semantic_version
from holdfast_registry.domain.records import VersionState
from holdfast_registry.domain.semver import (
    AFTER_BUILDS,
    SemanticVersion,
    SemanticVersionWish,
    VersionBump,
    choose_version,
    must_look_up,
    next_version,
    parse_range,
    parse_version,
)
from holdfast_registry.errors import RegistryError
from support.figures import figure

NUMBERS = st.integers(0, 12) | st.integers(0, 10**20)
WORDS = st.text("0129aBz-", min_size=1, max_size=4)
IDENTIFIERS = WORDS.filter(lambda word: word == "0" or not (word.isdecimal() and word.startswith("0")))
DOTTED = st.lists(IDENTIFIERS, max_size=3).map(".".join)
VERSIONS = st.builds(SemanticVersion, NUMBERS, NUMBERS, NUMBERS, DOTTED, DOTTED)
SMALL = st.builds(SemanticVersion, *[st.integers(0, 3)] * 3, st.sampled_from(["", "", "0", "rc.1", "rc.2"]))
RANGES = st.sampled_from(
    [
        "^1.2",
        "~1.2",
        "1.x",
        "1.2.*",
        "*",
        ">=1.0,<2.0",
        "^0.0.2",
        "^0.2",
        "<=1",
        ">1.1",
        "=1.2.3",
        ">=2.0.0-rc.1",
        "~0 || ^3",
    ]
)


def version(text: str) -> SemanticVersion:
    parsed = parse_version(text)
    assert parsed is not None, text
    return parsed


def identifiers_of(one: SemanticVersion) -> list[tuple[int, int, str]]:
    """As the standard compares them: numbers below words, numbers as numbers."""
    parts = one.prerelease.split(".")
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def precedes(one: SemanticVersion, other: SemanticVersion) -> bool:
    if one.release != other.release:
        return one.release < other.release
    if not one.prerelease or not other.prerelease:
        return bool(one.prerelease) and not other.prerelease
    return identifiers_of(one) < identifiers_of(other)


def test_order_of_the_standards_own_example() -> None:
    texts = (
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10.0"
    )
    versions = [version(text) for text in texts.split()]
    assert all(one < other and one.key < other.key for one, other in itertools.pairwise(versions))


@settings(max_examples=figure(40, 1_000), deadline=None)
@given(VERSIONS, VERSIONS)
def test_keys_have_the_order_of_precedence_and_tell_all_versions_apart(
    one: SemanticVersion, other: SemanticVersion
) -> None:
    assert (one.key == other.key) == (one == other) == (str(one) == str(other))
    if precedes(one, other):
        assert one.key < other.key
        assert one.without_build().key + AFTER_BUILDS < other.key
    assert one.key.isascii()


@settings(max_examples=figure(40, 1_000), deadline=None)
@given(VERSIONS)
def test_text_of_a_version_parses_to_it(one: SemanticVersion) -> None:
    assert parse_version(str(one)) == one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "v1.2.3",
        "01.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3+",
        "1.2.3-a..b",
        "1.2.3 ",
        "1.2.3\n",
        "1.2.٣",
        "-1.2.3",
    ],
)
def test_what_the_standard_does_not_allow_is_refused(text: str) -> None:
    assert parse_version(text) is None
    with pytest.raises(InvalidNameError, match=r"MAJOR\.MINOR\.PATCH"):
        check_semantic_version(text)


def test_version_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidNameError, match="longer"):
        check_semantic_version("1.0." + "1" * SEMANTIC_VERSION_CHARS_MAX)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2", "1.2.0 1.2.7 1.9.0 1.9.0+b", "1.1.9 2.0.0 1.3.0-rc.1 2.0.0-rc.1 1.2.0-rc.1"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.0.0"),
        ("^0.0.3", "0.0.3 0.0.3+b", "0.0.4 0.0.2"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-rc.1"),
        (">=1.0,<2.0", "1.0.0 1.9.9", "0.9.9 2.0.0 2.0.0-rc.1"),
        (">= 1.0 < 2.0", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        (">1.2", "1.3.0", "1.2.0 1.2.9"),
        (">1.2.0", "1.2.1", "1.2.0 1.2.0+b"),
        ("<=1.2", "1.2.9 0.0.1", "1.3.0"),
        ("<=1.2.0", "1.2.0 1.2.0+b", "1.2.1"),
        ("=1.2.3", "1.2.3 1.2.3+b", "1.2.4"),
        (">=2.0.0-rc.1", "2.0.0-rc.1 2.0.0-rc.2 2.0.0 3.0.0", "2.0.0-beta 2.1.0-rc.1 1.9.9"),
        ("~1.0 || ^3.1", "1.0.5 3.2.0", "1.1.0 3.0.9 4.0.0"),
        ("<1.0,>2.0", "", "0.5.0 1.5.0 2.5.0"),
    ],
)
def test_range_admits_what_it_says(text: str, inside: str, outside: str) -> None:
    parsed = parse_range(text)
    assert parsed is not None
    assert [one for one in inside.split() if not parsed.admits(version(one))] == []
    assert [one for one in outside.split() if parsed.admits(version(one))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "x",
        "X",
        "latest",
        "v3",
        "^",
        "^a",
        "1.x.3",
        "^01.2",
        ">=1.0,,",
        "^1.2 x y",
        "||",
        "*" * 200,
        "^1 " * 30,
    ],
)
def test_what_is_no_range_is_none(text: str) -> None:
    assert parse_range(text) is None


@settings(max_examples=figure(40, 1_000), deadline=None)
@given(RANGES, SMALL)
def test_all_that_a_range_admits_lies_between_its_keys(text: str, one: SemanticVersion) -> None:
    parsed = parse_range(text)
    assert parsed is not None
    if parsed.admits(one):
        assert parsed.lowest_key <= one.key
        assert parsed.highest_key is None or one.key <= parsed.highest_key


@settings(max_examples=figure(40, 1_000), deadline=None)
@given(SMALL, st.sampled_from(VersionBump))
def test_next_version_is_a_release_above_the_highest(highest: SemanticVersion, bump: VersionBump) -> None:
    following = next_version(highest, bump)
    assert following > highest
    assert not following.prerelease
    assert following == next_version(highest, VersionBump.MAJOR) or bump in (VersionBump.MINOR, VersionBump.PATCH)


@pytest.mark.parametrize(
    ("highest", "major", "minor", "patch"),
    [
        ("1.2.3", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2.3+b", "2.0.0", "1.3.0", "1.2.4"),
        ("2.0.0-rc.1", "2.0.0", "2.0.0", "2.0.0"),
        ("1.3.0-rc.1", "2.0.0", "1.3.0", "1.3.0"),
        ("1.2.4-rc.1", "2.0.0", "1.3.0", "1.2.4"),
    ],
)
def test_bump_raises_its_number(highest: str, major: str, minor: str, patch: str) -> None:
    bumps = (VersionBump.MAJOR, VersionBump.MINOR, VersionBump.PATCH)
    assert [str(next_version(version(highest), bump)) for bump in bumps] == [major, minor, patch]
    assert {str(next_version(None, bump)) for bump in VersionBump} == {"1.0.0"}


def test_wanted_version_that_is_free_is_given_also_below_the_highest() -> None:
    wish = SemanticVersionWish(version("1.2.0"))
    assert must_look_up(wish, version("3.0.0"))
    assert not must_look_up(wish, version("1.1.0"))
    assert str(choose_version(wish, version("3.0.0"), None, "cats")) == "1.2.0"


@pytest.mark.parametrize(
    ("held_by", "reason"), [(VersionState.COMMITTED, "SEMVER_EXISTS"), (VersionState.DELETED, "SEMVER_REUSED")]
)
def test_wanted_version_that_was_given_is_refused_unless_another_will_do(held_by: VersionState, reason: str) -> None:
    highest = version("1.2.0")
    with pytest.raises(RegistryError) as refused:
        choose_version(SemanticVersionWish(highest), highest, held_by, "cats")
    assert (refused.value.reason, refused.value.metadata["semantic_version"]) == (reason, "1.2.0")
    carried = SemanticVersionWish(highest, VersionBump.PATCH, if_free=True)
    assert str(choose_version(carried, highest, held_by, "cats")) == "1.2.1"
