"""`holdfast artifact diff`: what changed between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast._manifest_diff import EntryChange, diff_segments
from holdfast._process import this_process
from holdfast._registry_calls import RegistryCalls
from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.artifact_names import JsonOption, NameArgument, fetch_artifact
from holdfast.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@artifact_app.command("diff")
def diff(
    old: NameArgument,
    new: NameArgument,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 when there is a difference, as `git diff` does.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Lists the files that differ between two versions.

    One a line: + added, - removed, ~ changed, with the size; a summary goes to standard error.  No file is read.
    """
    versions = [fetch_artifact(name) for name in (old, new)]
    calls = RegistryCalls(this_process().daemon)
    changes: list[EntryChange] = []
    if versions[0].digest != versions[1].digest:
        changes = diff_segments(*(calls.manifest_segments(version.id or "") for version in versions))
    if as_json:
        output.rows_as_json(
            {
                "path": change.path,
                "change": change.kind,
                "old_size_bytes": change.old_size_bytes,
                "new_size_bytes": change.new_size_bytes,
            }
            for change in changes
        )
    else:
        for change in changes:
            size = change.new_size_bytes if change.new_size_bytes is not None else change.old_size_bytes
            output.print_line(f"{_SIGNS[change.kind]} {output.human_size(size or 0):>10}  {change.path}")
        output.say(f"{versions[0].qualified_name} → {versions[1].qualified_name}: {_summary(changes)}")
    if changes and exit_code:
        raise typer.Exit(ExitCode.FAILED)


def _summary(changes: Sequence[EntryChange]) -> str:
    counts = {kind: sum(change.kind == kind for change in changes) for kind in _SIGNS}
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count) or "equal"
