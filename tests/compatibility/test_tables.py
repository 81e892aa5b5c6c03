"""docs/compatibility.md has a row for every documented name, and every row leads to a test that is there."""

import re
from collections.abc import Iterator

import pytest

from compatibility.documents import ROOT, check_row, documented, rows_of

PAGE = ROOT / "docs" / "compatibility.md"
_ROWS = rows_of(PAGE)


def _surface() -> Iterator[tuple[str, str, list[str]]]:
    """(class, name, arguments) of every name that is documented."""
    for owner, line in documented("wandb_surface.txt"):
        name, _, arguments = line.removesuffix(")").partition("(")
        yield owner, name.removesuffix(" = …"), re.findall(r"(?:^|, )\*?(\w+)", arguments)


def test_every_documented_name_has_a_row() -> None:
    named: dict[str, set[str]] = {}
    for section, _, cells in _ROWS:
        named.setdefault(section, set()).update(re.findall(r"`(\w+)", cells[0]))
    assert [f"{owner}.{name}" for owner, name, _ in _surface() if name not in named.get(owner, set())] == []


def test_every_documented_argument_is_in_a_row() -> None:
    named: dict[tuple[str, str], set[str]] = {}
    for section, _, cells in _ROWS:
        for name, arguments in re.findall(r"`(\w+)\(([^`]*)\)`", cells[0]):
            named.setdefault((section, name), set()).update(arguments.split(", "))
    missing = [
        f"{owner}.{name}({argument}=)"
        for owner, name, arguments in _surface()
        for argument in arguments
        if argument not in named.get((owner, name), set())
    ]
    assert missing == []


@pytest.mark.parametrize(("line", "cells"), [(line, cells) for _, line, cells in _ROWS])
def test_a_row_says_how_it_is_and_leads_to_its_test(line: str, cells: list[str]) -> None:
    check_row(line, cells)


def test_nothing_is_said_to_be_missing() -> None:
    assert "not implemented" not in PAGE.read_text().lower()
