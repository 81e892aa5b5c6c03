"""What the documents of other clients name (`*_surface.txt`), and the pages of ours that answer, row by row."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ("works", "differs", "more")
"""More: what the other client does not have, or does worse."""

_LINK = re.compile(r"\[`?([^\]`]+)`?\]\(\.\./(tests/[\w/.]+\.py)\)")


def documented(surface: str) -> Iterator[tuple[str, str]]:
    """(class, line) of every name in a file of this folder."""
    owner = ""
    for line in Path(__file__).with_name(surface).read_text().splitlines():
        if line.startswith("["):
            owner = line.strip("[]")
        elif line and not line.startswith("#"):
            yield owner, line


def rows_of(page: Path) -> list[tuple[str, str, list[str]]]:
    """(section, line, cells) of every row of every table of a page."""
    section, rows = "", []
    for line in page.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`")
        elif line.startswith("|") and not line.startswith(("|---", "| name |")):
            rows.append((section, line, [cell.strip() for cell in line.strip("|").split("|")]))
    return rows


def check_row(line: str, cells: list[str]) -> None:
    """Raises AssertionError unless the row says how it is, and leads to a test that is there."""
    assert cells[1] in ANSWERS, line
    links = _LINK.findall(line)
    assert links, f"no test in: {line}"
    for test, path in links:
        assert f"def {test}(" in (ROOT / path).read_text(), f"{path} has no {test}"
    if cells[1] == "differs":
        assert len(_LINK.sub("", cells[2])) > 20, f"why it differs is not said: {line}"
