"""How notebooks show an artifact: name, type, size, files, aliases; a draft without asking anybody."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from holdfast.progress import human_bytes

if TYPE_CHECKING:
    from holdfast.artifact import Artifact


def artifact_html(artifact: Artifact) -> str:
    """Returns a small table; of a logged version only what is known already is shown, nothing is fetched."""
    rows = {"Artifact": artifact.name, "Type": artifact.type}
    if artifact.is_draft():
        rows["Version"] = "a draft, not logged yet"
    else:
        rows["Project"] = f"{artifact.entity}/{artifact.project}"
        rows["Version"] = artifact.version
        rows["Aliases"] = ", ".join(artifact.aliases) or "none"
        rows["Tags"] = ", ".join(artifact.tags)
        rows["Size"] = human_bytes(artifact.size)
        rows["Files"] = f"{artifact.file_count:,}"
    rows["Description"] = artifact.description or ""
    cells = "".join(
        f'<tr><th style="text-align:left">{name}</th><td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in rows.items()
        if value
    )
    return f"<table>{cells}</table>"
