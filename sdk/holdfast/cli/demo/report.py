"""The demo's findings: what was promised, what was measured, and whether they agree."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.output import printable


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise and what the demo saw of it."""

    promise: str
    measured: str
    kept: bool


@dataclass(slots=True)
class Report:
    """Findings in the order in which they were made, shown as they come and once more at the end."""

    console: Console
    findings: list[Finding] = field(default_factory=list)
    _step: int = 0

    def step(self, title: str) -> None:
        """Announces the next step."""
        self._step += 1
        self.console.print()
        self.console.print(Text(f"{self._step}. {title}", style="bold"))

    def note(self, line: str) -> None:
        """Tells something that happened."""
        self.console.print(Text(f"   {printable(line)}"), soft_wrap=True)

    def find(self, promise: str, measured: str, *, kept: bool) -> None:
        """Records what was seen of a promise."""
        self.findings.append(Finding(promise, measured, kept))
        self.note(f"{'✓' if kept else '✗'} {promise}: {measured}")

    @property
    def all_kept(self) -> bool:
        """Whether every promise was kept."""
        return all(finding.kept for finding in self.findings)

    def print_summary(self) -> None:
        """The table at the end."""
        table = Table(title="What was promised, and what was seen", title_justify="left", show_lines=True)
        table.add_column("")
        table.add_column("promised")
        table.add_column("seen")
        for finding in self.findings:
            mark = Text("✓", style="green") if finding.kept else Text("✗", style="bold red")
            table.add_row(mark, Text(finding.promise), Text(printable(finding.measured)))
        self.console.print()
        self.console.print(table)
