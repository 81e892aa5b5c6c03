"""Sizes and docstrings: what keeps the code readable from top to bottom."""

import ast
import inspect
import types

import pytest

import holdfast
from architecture.source_tree import FunctionNode, SourceFile, all_sources

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
NAMES_THAT_SAY_NOTHING = frozenset({"utils", "util", "helpers", "helper", "misc", "common", "base", "core"})

PUBLIC_NAMES_OF_WANDB = frozenset({"sdk/holdfast/util.py"})
"""Modules that scripts written for W&B name, so that they cannot be called by what they hold."""


def test_no_file_is_longer_than_the_limit() -> None:
    long = [f"{source.name}: {source.lines} lines" for source in all_sources() if source.lines > FILE_LINES_MAX]
    assert not long


def test_no_function_is_longer_than_the_limit() -> None:
    long = [
        f"{source.name}:{function.lineno} {function.name}: {code_lines(function)} lines"
        for source in all_sources()
        for function in source.functions()
        if code_lines(function) > FUNCTION_LINES_MAX
    ]
    assert not long


def code_lines(function: FunctionNode) -> int:
    """Lines of a function without its docstring, which may be as long as its promises."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring_lines = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring_lines


def test_module_names_say_what_they_hold() -> None:
    vague = {source.name for source in all_sources() if source.path.stem in NAMES_THAT_SAY_NOTHING}
    assert vague == PUBLIC_NAMES_OF_WANDB


def test_every_module_opens_with_its_purpose() -> None:
    silent = [source.name for source in all_sources() if holds_code(source) and not ast.get_docstring(source.tree)]
    assert not silent


def holds_code(source: SourceFile) -> bool:
    return bool(source.tree.body)


@pytest.mark.parametrize("name", sorted(holdfast.__all__))
def test_public_name_has_a_docstring(name: str) -> None:
    thing = getattr(holdfast, name)
    if not callable(thing):
        return
    assert inspect.getdoc(thing), f"holdfast.{name} has no docstring"
    if inspect.isclass(thing):
        assert not undocumented_members(thing)


def undocumented_members(cls: type) -> list[str]:
    """Public methods and properties of a class, defined here or in a base of ours, that say nothing."""
    return [
        f"{cls.__name__}.{name}"
        for owner in cls.__mro__
        if owner.__module__.startswith("holdfast")
        for name, member in vars(owner).items()
        if not name.startswith("_")
        and isinstance(member, types.FunctionType | property | classmethod | staticmethod)
        and not inspect.getdoc(getattr(owner, name))
    ]
