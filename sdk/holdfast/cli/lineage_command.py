"""`holdfast artifact lineage`: what a version was made from, and what was made from it, as a tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from holdfast.cli import output
from holdfast.cli.artifact_commands import artifact_app
from holdfast.cli.artifact_names import JsonOption, NameArgument, fetch_artifact

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.public_runs import Run

DEPTH_DEFAULT = 4
NODES_MAX = 1000
"""A tree that nobody reads to its end says so instead of asking the registry ten thousand times."""


@dataclass(slots=True)
class LineageNode:
    """A run or a version, and what lies behind it."""

    kind: str
    """"version" or "run"."""
    name: str
    detail: str
    children: list[LineageNode] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The node with its children as plain data."""
        children = [child.as_json() for child in self.children]
        return {"kind": self.kind, "name": self.name, "detail": self.detail, "children": children}


class LineageWalk:
    """Follows runs and versions in one direction, each version once."""

    def __init__(self, runs_of: Callable[[Artifact], list[Run]], versions_of: Callable[[Run], list[Artifact]]) -> None:
        """Makes a walk.

        Args:
            runs_of: the runs next to a version.
            versions_of: the versions next to a run.
        """
        self._runs_of = runs_of
        self._versions_of = versions_of
        self._seen: set[str] = set()
        self._nodes = 0

    def below(self, artifact: Artifact, depth: int) -> list[LineageNode]:
        """Returns the runs next to a version, each with its versions, and so on for `depth` runs."""
        self._seen.add(artifact.id or "")
        if depth <= 0:
            return []
        found = []
        for run in self._runs_of(artifact):
            name = "/".join((run.entity, run.project, run.id))
            node = LineageNode("run", name, " ".join(filter(None, (run.job_type, run.state))))
            found.append(node)
            for version in self._versions_of(run):
                self._nodes += 1
                if self._nodes > NODES_MAX:
                    node.children.append(
                        LineageNode("version", "…", f"more than {NODES_MAX:,} versions; ask with --depth 1")
                    )
                    return found
                child = version_node(version)
                node.children.append(child)
                if version.id in self._seen:
                    child.detail += ", shown above"
                else:
                    child.children = self.below(version, depth - 1)
        return found


def version_node(artifact: Artifact) -> LineageNode:
    """Returns the node of one version, without children."""
    return LineageNode("version", artifact.qualified_name, f"{artifact.type}, {output.human_size(artifact.size)}")


def _makers(artifact: Artifact) -> list[Run]:
    run = artifact.logged_by()
    return [] if run is None else [run]


@artifact_app.command("lineage")
def lineage(
    name: NameArgument,
    depth: Annotated[int, typer.Option(min=1, help="How many runs to follow in each direction.")] = DEPTH_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Shows what a version was made from, and what was made from it, as a tree.

    Upwards: the run that logged it and the versions which that run used.  Downwards: the runs that used it and what they
    logged.
    """
    artifact = fetch_artifact(name)
    made_from = LineageWalk(_makers, lambda run: list(run.used_artifacts())).below(artifact, depth)
    made_into = LineageWalk(artifact_users, lambda run: list(run.logged_artifacts())).below(artifact, depth)
    if as_json:
        output.print_json(
            {
                "name": artifact.qualified_name,
                "made_from": [node.as_json() for node in made_from],
                "made_into": [node.as_json() for node in made_into],
            }
        )
        return
    node = version_node(artifact)
    tree = Tree(_label(node), guide_style="dim")
    _grow(tree, "made by", made_from)
    _grow(tree, "used by", made_into)
    output.stdout_console().print(tree)


def artifact_users(artifact: Artifact) -> list[Run]:
    """Returns the runs that used a version."""
    return list(artifact.used_by())


def _grow(tree: Tree, word: str, nodes: list[LineageNode]) -> None:
    for node in nodes:
        branch = tree.add(Text(f"{word} ", style="dim").append_text(_label(node)) if word else _label(node))
        _grow(branch, "", node.children)


def _label(node: LineageNode) -> Text:
    style = "bold" if node.kind == "version" else "cyan"
    return Text(output.printable(node.name), style=style).append(
        f"  {output.printable(node.detail)}", style="dim not bold"
    )
