"""Paths: a hostile corpus, and the fast check equal to the plain one."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast_contract.errors import ManifestPathError
from holdfast_contract.paths import (
    case_collisions,
    check_path,
    check_paths,
    logical_path,
    portability_problem,
    portability_problems,
)
from holdfast_contract.reasons import Reason

UNSAFE = [
    "", "/", "/etc/passwd", "//server/share/x", "\\\\server\\share", "\\\\?\\C:\\x", "//?/C:/x", "//./pipe/x",
    "C:", "C:x", "c:/x", "Z:\\x", "a:0", "..", ".", "../a", "a/..", "a/../b", "a/./b", "./a", "a/.", "a//b", "a/",
    "a\\b", "a\\..\\b", "\\a", "..\\a", "a\0b", "a\nb", "a\n", "\n", "\n/a", "a\rb", "a\tb", "a\x1bb", "a\x7fb",
    "a\x80b", "a\x85b", "a\x9fb", "\ud800", "a/\udcff/b", "a" * 1025, "a/" * 600 + "a", "a" * 256, "b/" + "a" * 256,
    "é" * 128, "x/" * 64 + "x", "a/" * 64, "/".join(["é" * 100] * 6), "a/\x00", "..\x00/a",
]  # fmt: skip
SAFE = [
    "a", "a/b", "a.txt", ".a", "..a", "a..", "...", ".../a", "a/...", "a/..b", "a/.b/c", "~", "~root/x", "$HOME", "%2e%2e/x",
    "2026-01-01T10:00.json", "layer:0", "ab:c", "1:x", "é:x", "a/C:/b", "con", "CON.txt", "nul/x", "a.", "a /b", " ", "a b",
    "a" * 255, "é" * 127, "x/" * 63 + "x", "/".join(["a" * 204] * 5), "\u00a0", "\u2028", "\u202e", "\ufeff", "日本/語", "😀",
    unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"), "a?b", "a*b", "-rf", "a'b", 'a"b', "a;b",
]  # fmt: skip
PATHS = st.one_of(
    st.text(st.sampled_from("aA./:\\ \n\0\x85éC😀\ud800~"), max_size=12),
    st.text(max_size=12),
    st.lists(st.sampled_from(["a", "b.c", ".", "..", "", "é", "a" * 255, "é" * 127, "é" * 128]), max_size=6).map(
        "/".join
    ),
    st.integers(60, 70).map(lambda depth: "/".join(["d"] * depth)),
    st.integers(1020, 1030).map(lambda length: ("a" * 200 + "/") * 5 + "a" * (length - 1005)),
    st.sampled_from(UNSAFE + SAFE),
)


def is_safe(path: str) -> bool:
    try:
        check_path(path)
    except ManifestPathError:
        return False
    return True


@pytest.mark.parametrize("path", UNSAFE)
def test_unsafe_paths_are_refused_alone_and_among_many(path: str) -> None:
    with pytest.raises(ManifestPathError, match="Invalid artifact path: ") as caught:
        check_path(path)
    assert caught.value.reason is Reason.INVALID_PATH
    assert len(caught.value.message) < 500
    for paths in ([path], ["a", path], [path, "a"], ["a", path, "b"]):
        with pytest.raises(ManifestPathError) as among:
            check_paths(paths)
        assert among.value.message == caught.value.message


@pytest.mark.parametrize("path", SAFE)
def test_safe_paths_are_accepted_alone_and_among_many(path: str) -> None:
    check_path(path)
    check_paths([path])
    check_paths(["a", path, "b"])
    assert logical_path(path) == path


def test_no_paths_are_safe() -> None:
    check_paths([])


@pytest.mark.parametrize("path", [None, 7, b"a"])
def test_what_is_not_text_is_refused(path: str) -> None:
    with pytest.raises(ManifestPathError):
        check_path(path)
    with pytest.raises(ManifestPathError):
        check_paths(["a", path])


@settings(max_examples=600, deadline=None)
@given(st.lists(PATHS, max_size=5))
@example(["a", "\n", "b"])
@example(["a\nb"])
def test_many_paths_are_judged_as_each_of_them(paths: list[str]) -> None:
    try:
        check_paths(paths)
    except ManifestPathError:
        assert not all(map(is_safe, paths))
    else:
        assert all(map(is_safe, paths))


@settings(max_examples=300, deadline=None)
@given(PATHS)
def test_a_safe_path_stays_below_its_root_under_both_rules(path: str) -> None:
    if is_safe(path):
        for kind, root in ((PurePosixPath, "/srv/x"), (PureWindowsPath, "D:\\srv\\x")):
            joined = kind(root) / path
            assert kind(root) in joined.parents
            assert ".." not in joined.parts


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("./a", "a"), ("a/", "a"), ("./a/b/", "a/b"), (PurePosixPath("a/./b/"), "a/b"), (PureWindowsPath("a\\b"), "a/b"),
        ("layer:0", "layer:0"),
    ],
)  # fmt: skip
def test_names_of_users_become_logical_paths(name: str, path: str) -> None:
    assert logical_path(name) == path


@pytest.mark.parametrize(
    "name", ["", ".", "./", "/", "a//", "././a", "/a/", "a\\b", PurePosixPath("."), PurePosixPath("/a"), "../a",
             PureWindowsPath("C:\\a"), PureWindowsPath("\\\\server\\share\\a"), PureWindowsPath("..\\a")],
)  # fmt: skip
def test_names_that_leave_the_artifact_are_refused(name: str) -> None:
    with pytest.raises(ManifestPathError, match="Invalid artifact path"):
        logical_path(name)


UNPORTABLE = [
    "2026-01-01T10:00.json", "layer:0", "a.", "a ", "a./b", "a /b", "con", "CON", "Con.txt", "con.tar.gz", "a/nul", "nul/a",
    "com1", "COM9.log", "lpt1", "com¹", "aux .txt", "CONIN$", "conout$", "a?b", "a*b", "a<b", "a>b", "a|b", 'a"b', "...",
]  # fmt: skip
PORTABLE = [
    "a",
    "config.json",
    "console",
    "com",
    "com10",
    "comx",
    "nul1",
    "auxiliary",
    "a con",
    "lpt",
    ".con",
    "é",
    "a.b c.d",
]


@pytest.mark.parametrize("path", UNPORTABLE)
def test_unportable_paths_are_safe_and_named(path: str) -> None:
    check_path(path)
    problem = portability_problem(path)
    assert problem
    assert portability_problems(["a", path, "b/c"]) == [(path, problem)]


@pytest.mark.parametrize("path", PORTABLE)
def test_portable_paths_are_not_named(path: str) -> None:
    assert portability_problem(path) is None
    assert portability_problems([path]) == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(UNPORTABLE + PORTABLE), st.text(st.sampled_from("conulCOM1¹ı. /$:"), max_size=8))
    )
)
def test_problems_of_many_are_those_of_each(paths: list[str]) -> None:
    each = [(path, problem) for path in paths if (problem := portability_problem(path))]
    assert portability_problems(paths) == each[:20]


def test_at_most_twenty_problems_are_named() -> None:
    assert len(portability_problems([f"a:{number}" for number in range(5000)])) == 20
    assert len(case_collisions([f"{name}{number}" for number in range(50) for name in "aA"])) == 20


@pytest.mark.parametrize(
    ("paths", "pairs"),
    [
        ([], []),
        (["a", "b"], []),
        (["A", "a"], [("A", "a")]),
        (["Dir/x", "dir/y"], []),
        (["Dir/x", "dir/X"], [("Dir/x", "dir/X")]),
        (["é", "e\u0301"], [("é", "e\u0301")]),
        (["STRASSE", "straße"], [("STRASSE", "straße")]),
        (["Data", "data/x"], [("Data", "data/x")]),
        (["A", "a/b/c/d"], [("A", "a/b/c/d")]),
        (["A", "AA", "a", "aB"], [("A", "a")]),
    ],
)
def test_names_equal_without_case_and_composition_are_paired(paths: list[str], pairs: list[tuple[str, str]]) -> None:
    assert case_collisions(paths) == pairs
