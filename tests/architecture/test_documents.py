"""What the documents point at exists: files, tests named as proof, and the ten lines of Python."""

import ast
import re
from pathlib import Path

import pytest

from architecture.source_tree import PROJECT_ROOT

DOCUMENTS = sorted([*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
TEST_NAME = re.compile(r"`(test_\w+)`")


def local_links(document: Path) -> list[tuple[str, Path]]:
    """Text and target of each link that leads to a file of the project."""
    text = document.read_text(encoding="utf-8")
    return [
        (words, document.parent / target.split("#")[0])
        for words, target in LINK.findall(text)
        if "://" not in target and not target.startswith("#")
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert [str(target) for _, target in local_links(document) if not target.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tests_that_are_named_as_proof_exist(document: Path) -> None:
    absent = [
        f"{name} in {target.name}"
        for words, target in local_links(document)
        for name in TEST_NAME.findall(words)
        if name not in functions_of(target)
    ]
    assert not absent


def functions_of(path: Path) -> set[str]:
    """Names of the functions of a test file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_readme_shows_the_example_as_it_is() -> None:
    example = (PROJECT_ROOT / "examples" / "ten_lines.py").read_text(encoding="utf-8")
    code = example.split('"""\n\n', 1)[1]
    assert f"```python\n{code}```" in (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_has_ten_lines_at_most() -> None:
    tree = ast.parse((PROJECT_ROOT / "examples" / "ten_lines.py").read_text(encoding="utf-8"))
    statements = [node for node in ast.walk(ast.Module(tree.body[1:], [])) if isinstance(node, ast.stmt)]
    assert len(statements) <= 10
