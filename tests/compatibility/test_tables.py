"""docs/compatibility.md has a row for every documented name, and every row leads to a test that is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
SURFACE = Path(__file__).with_name("wandb_surface.txt")

_LINK = re.compile(r"\[`?([^\]`]+)`?\]\(\.\./(tests/[\w/.]+\.py)\)")
ANSWERS = ("works", "differs", "more")
"""More: what W&B does not have, or does worse."""


def _rows() -> list[tuple[str, str, list[str]]]:
    """(section, line, cells) of every row of every table of the page."""
    section, rows = "", []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`")
        elif line.startswith("|") and not line.startswith(("|---", "| name |")):
            rows.append((section, line, [cell.strip() for cell in line.strip("|").split("|")]))
    return rows


def _surface() -> Iterator[tuple[str, str, list[str]]]:
    """(class, name, arguments) of every name that is documented."""
    owner = ""
    for line in SURFACE.read_text().splitlines():
        if line.startswith("["):
            owner = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, arguments = line.removesuffix(")").partition("(")
            yield owner, name.removesuffix(" = …"), re.findall(r"(?:^|, )\*?(\w+)", arguments)


def test_every_documented_name_has_a_row() -> None:
    named: dict[str, set[str]] = {}
    for section, _, cells in _rows():
        named.setdefault(section, set()).update(re.findall(r"`(\w+)", cells[0]))
    assert [f"{owner}.{name}" for owner, name, _ in _surface() if name not in named.get(owner, set())] == []


def test_every_documented_argument_is_in_a_row() -> None:
    named: dict[tuple[str, str], set[str]] = {}
    for section, _, cells in _rows():
        for name, arguments in re.findall(r"`(\w+)\(([^`]*)\)`", cells[0]):
            named.setdefault((section, name), set()).update(arguments.split(", "))
    missing = [
        f"{owner}.{name}({argument}=)"
        for owner, name, arguments in _surface()
        for argument in arguments
        if argument not in named.get((owner, name), set())
    ]
    assert missing == []


@pytest.mark.parametrize(("line", "cells"), [(line, cells) for _, line, cells in _rows()])
def test_a_row_says_how_it_is_and_leads_to_its_test(line: str, cells: list[str]) -> None:
    assert cells[1] in ANSWERS, line
    links = _LINK.findall(line)
    assert links, f"no test in: {line}"
    for test, path in links:
        assert f"def {test}(" in (ROOT / path).read_text(), f"{path} has no {test}"
    if cells[1] == "differs":
        assert len(_LINK.sub("", cells[2])) > 20, f"why it differs is not said: {line}"


def test_nothing_is_said_to_be_missing() -> None:
    assert "not implemented" not in PAGE.read_text().lower()
