"""What fsck has found, and how it is said."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

PATHS_SHOWN_MAX = 5
"""Of one version hurt by one damage."""
MANIFEST_PATH = "(manifest)"
"""Stands for a path where the list of paths itself is damaged."""


@dataclass(slots=True)
class Finding:
    """One damage, and whom it hurts."""

    kind: str
    """database, pack, chunk, manifest, version or collection."""
    subject: str
    problem: str
    versions: dict[str, list[str]] = field(default_factory=dict)
    """Version → its first damaged paths."""

    def hurts(self, version: str, paths: list[str]) -> None:
        """Adds a version, or more paths of it."""
        shown = self.versions.setdefault(version, [])
        for path in paths:
            if path not in shown and len(shown) < PATHS_SHOWN_MAX:
                shown.append(path)


@dataclass(slots=True)
class FsckReport:
    """All that was found."""

    deep: bool
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Harmless: files that belong to nobody."""
    packs_checked: int = 0
    versions_checked: int = 0
    bytes_read: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is damaged."""
        return not self.findings

    def add(self, kind: str, subject: str, problem: str) -> Finding:
        """Adds a damage."""
        self.findings.append(Finding(kind, subject, problem))
        return self.findings[-1]

    def as_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return {"clean": self.is_clean, **asdict(self)}


def print_report(report: FsckReport, out: TextIO, *, as_json: bool) -> None:
    """Writes the report, for people or for programs."""
    if as_json:
        out.write(json.dumps(report.as_dict(), ensure_ascii=False) + "\n")
        return
    for finding in report.findings:
        out.write(f"DAMAGE  {finding.kind} {finding.subject}: {finding.problem}\n")
        for version, paths in finding.versions.items():
            out.write(f"        hurts {version}: {', '.join(paths)}\n")
    for note in report.notes:
        out.write(f"note    {note}\n")
    kinds = Counter(finding.kind for finding in report.findings)
    damage = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    depth = f"every byte read ({report.bytes_read})" if report.deep else "indexes and manifests read"
    out.write(f"{report.versions_checked} versions, {report.packs_checked} packs, {depth}; damage: {damage}\n")
