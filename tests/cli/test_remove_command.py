"""`holdfast artifact rm --where` against a daemon and a registry of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import holdfast
from holdfast.cli.exit_codes import ExitCode
from holdfast.cli.main import app

pytestmark = pytest.mark.usefixtures("host")

WHERE = ("--where", "metadata.step < 3")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def as_json(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def log_steps(project: str, tmp_path: Path) -> None:
    """Four versions with a step each; v1 is called "best" and v3 "latest"."""
    with holdfast.init(project=project, reinit=True) as run:
        for step in range(4):
            artifact = holdfast.Artifact("net", type="model", metadata={"step": step})
            (tmp_path / "net").write_text(f"{project} {step}")
            artifact.add_file(str(tmp_path / "net"))
            run.log_artifact(artifact, aliases=["best", "latest"] if step == 1 else None).wait()


def test_a_dry_run_says_what_would_go_and_what_stays_for_its_aliases(tmp_path: Path) -> None:
    log_steps("dry", tmp_path)
    found = as_json("artifact", "rm", "dry", *WHERE, "--dry-run")
    assert found["would_delete"] == ["local/dry/net:v2", "local/dry/net:v0"]
    assert (found["with_aliases"], found["freed_bytes"] > 0) == (1, True)
    assert "1 more fit and stay" in call("artifact", "rm", "dry", *WHERE, "--dry-run").stderr
    taken = call("artifact", "rm", "dry", *WHERE, "--dry-run", "--delete-aliases")
    assert (taken.stdout.split(), "more fit" in taken.stderr) == ([f"local/dry/net:v{n}" for n in (2, 1, 0)], False)
    assert len(holdfast.Api().artifacts("model", "dry/net")) == 4


def test_what_fits_and_carries_no_alias_is_deleted(tmp_path: Path) -> None:
    log_steps("bulk", tmp_path)
    assert as_json("artifact", "rm", "local/bulk/net", *WHERE, "--yes")["deleted"] == [
        "local/bulk/net:v2",
        "local/bulk/net:v0",
    ]
    assert [version.version for version in holdfast.Api().artifacts("model", "bulk/net")] == ["v3", "v1"]


def test_a_field_that_is_not_known_is_a_wrong_call() -> None:
    result = call("artifact", "rm", "wrong", "--where", "loss < 3", "--dry-run")
    assert (result.exit_code, "'loss' is not known" in result.stderr) == (ExitCode.USAGE, True)


def test_an_archive_of_another_kind_is_refused_by_export(tmp_path: Path) -> None:
    log_steps("exported", tmp_path)
    result = call("artifact", "export", "exported/net", "-o", tmp_path / "net.zip")
    assert (result.exit_code, ".tar.gz" in result.stderr, (tmp_path / "net.zip").exists()) == (
        ExitCode.USAGE,
        True,
        False,
    )
