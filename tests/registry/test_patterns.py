"""Patterns: they find what the standard library finds, in time that does not explode."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_registry.domain.patterns import PATTERN_CHARS_MAX, PatternError, compile_pattern

characters = st.sampled_from(["a", "b", "c", ".", r"\.", r"\d", r"\w", r"\S", "[ab]", "[^a]", "[a-c1]", r"[\d_]", "-"])
quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{0}", "{1,2}", "{0,2}", "{1,}", "*?", "+?", ""])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.builds("({})".format, inner) | st.builds("(?:{})".format, inner)
    return st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{}|{}".format, inner, inner),
        st.builds("{}{}".format, group, quantifiers),
    )


patterns = st.recursive(
    st.builds("{}{}".format, characters, quantifiers) | st.sampled_from(["^", "$", "^a", "b$", ""]),
    combined,
    max_leaves=8,
)


@given(st.booleans(), patterns, st.lists(st.text("abcABC1_.- ", max_size=8), min_size=1, max_size=5))
def test_finds_what_the_standard_library_finds(ignore_case: bool, pattern: str, texts: list[str]) -> None:
    whole = f"(?i){pattern}" if ignore_case else pattern
    machine = compile_pattern(whole)
    for text in texts:
        assert machine.is_in(text) is bool(re.search(whole, text)), (whole, text)


@pytest.mark.parametrize(
    "pattern", ["(", ")", "a**", "*a", "[a", "[[a]]", "[a--b]", r"\1", r"\b", "\\", "a{3,2}", "a{x}", "(?=a)", "[b-a]"]
)
def test_what_is_malformed_or_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_sizes_are_bounded() -> None:
    for pattern in ("a" * (PATTERN_CHARS_MAX + 1), "((a{99}){99}){99}", "(" * 100 + ")" * 100):
        with pytest.raises(PatternError):
            compile_pattern(pattern)


def test_patterns_that_ruin_a_backtracking_engine_end() -> None:
    text = "a" * 5000
    for pattern in ("(a+)+$b", "(a|aa)+$b", "(a*)*b", "a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)x"):
        assert not compile_pattern(pattern).is_in(text)
