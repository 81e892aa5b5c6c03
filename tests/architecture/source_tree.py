"""The project's hand-written Python files, parsed once for all architecture tests."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

PACKAGE_ROOTS = {
    "holdfast_contract": PROJECT_ROOT / "protos" / "holdfast_contract",
    "holdfast": PROJECT_ROOT / "sdk" / "holdfast",
    "holdfast_daemon": PROJECT_ROOT / "daemon" / "holdfast_daemon",
    "holdfast_registry": PROJECT_ROOT / "service" / "holdfast_registry",
}
OTHER_ROOTS = tuple(PROJECT_ROOT / name for name in ("tests", "benchmarks", "examples"))
GENERATED_ROOT = PROJECT_ROOT / "protos" / "holdfastpb"
_GENERATED_SUFFIXES = ("_pb2.py", "_pb2_grpc.py")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class SourceFile:
    """One file with its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path from the project's root, for messages."""
        return self.path.relative_to(PROJECT_ROOT).as_posix()

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def functions(self) -> Iterator[FunctionNode]:
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and absolute dotted name of everything imported, wherever in the file it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.lineno, "." * node.level + (node.module or "")


@cache
def sources_below(root: Path) -> tuple[SourceFile, ...]:
    """All hand-written files below a folder, sorted by path."""
    paths = (p for p in sorted(root.rglob("*.py")) if not p.name.endswith(_GENERATED_SUFFIXES))
    return tuple(_parse(path) for path in paths)


def package_sources() -> list[SourceFile]:
    """The files of the four packages that are shipped."""
    return [source for root in PACKAGE_ROOTS.values() for source in sources_below(root)]


def all_sources() -> list[SourceFile]:
    """The shipped files, the generator of the protos, the tests, benchmarks and examples."""
    others = [source for root in OTHER_ROOTS for source in sources_below(root)]
    return [*package_sources(), _parse(PROJECT_ROOT / "protos" / "generate.py"), *others]


@cache
def _parse(path: Path) -> SourceFile:
    text = path.read_text(encoding="utf-8")
    return SourceFile(path, text, ast.parse(text, filename=str(path)))
