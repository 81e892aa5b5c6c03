"""Every name of Comet's artifacts is there, with its parameters in their order and with their defaults, and has a row in the page."""

import inspect
import re
from typing import Any

import pytest

import holdfast.comet as comet_ml
from compatibility.documents import ROOT, check_row, documented, rows_of
from holdfast.comet import exceptions

_SURFACE = list(documented("comet_surface.txt"))
_ROWS = rows_of(ROOT / "docs" / "compatibility-comet.md")
_METHOD = re.compile(r"(\w+)\((.*)\)")


def _found(owner: str, name: str) -> Any:
    if owner == "exceptions":
        return getattr(exceptions, name)
    return getattr(getattr(comet_ml, owner), name, None)


@pytest.mark.parametrize(("owner", "row"), _SURFACE)
def test_the_name_is_there_as_documented(owner: str, row: str) -> None:
    method = _METHOD.fullmatch(row)
    name = method[1] if method else row
    found = _found(owner, name)
    if method is None:
        assert found is not None or name in inspect.signature(getattr(comet_ml, owner)).parameters
        return
    theirs = [text for text in method[2].split(", ") if text]
    parameters = [p for p in inspect.signature(found).parameters.values() if p.name != "self"]
    ours = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    if owner == "exceptions":
        ours = [p.name for p in parameters]  # of theirs only the names are known
    assert ours[: len(theirs)] == theirs
    assert all(p.default is not p.empty for p in parameters[len(theirs) :])


def test_every_documented_name_and_argument_has_a_row() -> None:
    named: dict[str, set[str]] = {}
    for section, _, cells in _ROWS:
        named.setdefault(section, set()).update(re.findall(r"\w+", " ".join(re.findall("`([^`]*)`", cells[0]))))
    missing = []
    for owner, row in _SURFACE:
        method = _METHOD.fullmatch(row)
        wanted = [method[1], *_arguments(method[2])] if method else [row]
        missing += [f"{owner}.{row}: {name}" for name in wanted if name not in named.get(owner, set())]
    assert missing == []


def _arguments(text: str) -> list[str]:
    return [argument.partition("=")[0] for argument in text.split(", ") if argument]


@pytest.mark.parametrize(("line", "cells"), [(line, cells) for _, line, cells in _ROWS])
def test_a_row_says_how_it_is_and_leads_to_its_test(line: str, cells: list[str]) -> None:
    check_row(line, cells)
