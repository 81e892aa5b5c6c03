"""Every place at which daemon or registry can be killed, collected from their source, so that none is forgotten."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r'\bfailpoint\(\s*"([a-z_.]+)"')
_OPERATION = re.compile(r'_before\("([a-z_]+)"')

FIRST_START_OPERATIONS = frozenset({"mkdir", "rename"})
"""Operations that a daemon does only while it makes its folders and its token."""


def failpoints_of(root: str) -> list[str]:
    """Names that a source root passes, sorted."""
    found: set[str] = set()
    for path in (ROOT / root).rglob("*.py"):
        found.update(_NAMED.findall(path.read_text(encoding="utf-8")))
    return sorted(found)


def os_operations() -> list[str]:
    """Operations of the os_layer, as failpoints, sorted."""
    source = (ROOT / "protos" / "holdfast_contract" / "os_layer.py").read_text(encoding="utf-8")
    return sorted(set(_OPERATION.findall(source)))
