"""Who may import whom: the processes share the contract and nothing else, and each heavy library has one home."""

import sys
from pathlib import Path

import pytest

from architecture.source_tree import GENERATED_ROOT, PACKAGE_ROOTS, PROJECT_ROOT, package_sources, sources_below

OURS = frozenset({*PACKAGE_ROOTS, "holdfastpb"})

MAY_IMPORT_OF_OURS = {
    "holdfast_contract": {"holdfast_contract"},
    "holdfast": {"holdfast", "holdfast_contract", "holdfastpb"},
    "holdfast_daemon": {"holdfast_daemon", "holdfast_contract", "holdfastpb"},
    "holdfast_registry": {"holdfast_registry", "holdfast_contract", "holdfastpb"},
}

HOME_OF_LIBRARY = {
    "sqlalchemy": ["service/holdfast_registry/database/"],
    "alembic": ["service/holdfast_registry/database/"],
    "asyncpg": ["service/holdfast_registry/database/"],
    "aioboto3": ["service/holdfast_registry/blobstore/s3.py"],
    "prometheus_client": ["service/holdfast_registry/metrics/", "daemon/holdfast_daemon/metrics.py"],
    "opentelemetry": [
        "service/holdfast_registry/tracing.py",
        "daemon/holdfast_daemon/tracing.py",
        "sdk/holdfast/_tracing.py",
    ],
    "sqlite3": ["daemon/holdfast_daemon/journal/", "service/holdfast_registry/database/"],
    "typer": ["sdk/holdfast/cli/"],
    "click": ["sdk/holdfast/cli/"],
    "rich": ["sdk/holdfast/cli/", "sdk/holdfast/progress.py"],
}
"""Where a library may be imported; `sqlite3` is in the registry's database folder for fsck's read-only look."""


def top_level(imported: str) -> str:
    return imported.split(".")[0]


@pytest.mark.parametrize("package", PACKAGE_ROOTS)
def test_package_imports_only_itself_and_the_contract(package: str) -> None:
    allowed = MAY_IMPORT_OF_OURS[package]
    wrong = [
        f"{source.name}:{line} imports {imported}"
        for source in sources_below(PACKAGE_ROOTS[package])
        for line, imported in source.imports()
        if top_level(imported) in OURS - allowed
    ]
    assert not wrong


def test_contract_needs_only_the_standard_library_and_blake3() -> None:
    allowed = sys.stdlib_module_names | {"blake3", "holdfast_contract"}
    wrong = [
        f"{source.name}:{line} imports {imported}"
        for source in sources_below(PACKAGE_ROOTS["holdfast_contract"])
        for line, imported in source.imports()
        if top_level(imported) not in allowed
    ]
    assert not wrong


def test_generated_code_imports_nothing_of_ours_but_itself() -> None:
    lines = [
        f"{path.relative_to(PROJECT_ROOT)}: {line}"
        for path in sorted(GENERATED_ROOT.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from ")) and top_level(line.split()[1]) in OURS - {"holdfastpb"}
    ]
    assert not lines


def test_imports_are_absolute() -> None:
    wrong = [
        f"{source.name}:{line} imports {imported}"
        for source in package_sources()
        for line, imported in source.imports()
        if imported.startswith(".")
    ]
    assert not wrong


@pytest.mark.parametrize("library", HOME_OF_LIBRARY)
def test_library_is_imported_only_at_home(library: str) -> None:
    homes = [PROJECT_ROOT / home for home in HOME_OF_LIBRARY[library]]
    wrong = [
        f"{source.name}:{line} imports {imported}"
        for source in package_sources()
        for line, imported in source.imports()
        if top_level(imported) == library and not any(_is_within(source.path, home) for home in homes)
    ]
    assert not wrong


def _is_within(path: Path, home: Path) -> bool:
    return path == home or home in path.parents
