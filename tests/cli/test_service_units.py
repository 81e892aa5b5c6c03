"""The systemd units: where they go, what they run, and that systemd takes them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli import service_units
from holdfast.cli.exit_codes import CommandError


def test_user_unit_is_written_where_systemd_looks_with_this_interpreter(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOLDFAST_DATA_DIR": "/data dir"}
    path = service_units.install_user_unit(environ)
    assert path == tmp_path / "systemd" / "user" / "holdfast-daemon.service"
    text = path.read_text()
    assert f"ExecStart={sys.executable} -P -m holdfast_daemon serve\n" in text
    assert 'Environment="HOLDFAST_DATA_DIR=/data dir"\n' in text
    assert "@PYTHON@" not in text.split("[Unit]")[1]
    assert os.listdir(path.parent) == [path.name]


def test_installing_again_replaces_the_unit(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    service_units.install_user_unit(environ).write_text("old")
    assert "ExecStart" in service_units.install_user_unit(environ).read_text()


def test_a_path_that_a_unit_cannot_hold_is_refused(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOLDFAST_DATA_DIR": '/a"b'}
    with pytest.raises(CommandError, match="systemd units cannot hold"):
        service_units.install_user_unit(environ)
    assert not (tmp_path / "systemd").exists()


def test_percent_signs_are_not_specifiers() -> None:
    assert "/100%%" in service_units.render_unit(service_units.USER_UNIT, {"HOLDFAST_DATA_DIR": "/100%"})


def test_system_unit_commands_fill_in_the_interpreter(tmp_path: Path) -> None:
    fill_in, *rest = service_units.system_unit_commands({"USER": "ada"})
    done = subprocess.run(["sh", "-c", fill_in.split("|")[0]], capture_output=True, text=True, check=True, timeout=30)
    assert f"ExecStart={sys.executable} -P -m holdfast_daemon serve\n" in done.stdout
    assert "User=%i\n" in done.stdout
    assert rest == ["sudo systemctl daemon-reload", "sudo systemctl enable --now holdfast-daemon@ada"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("unit", [service_units.USER_UNIT, service_units.SYSTEM_UNIT])
def test_systemd_takes_the_unit(unit: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    trivial = tmp_path / "trivial.service"
    trivial.write_text("[Service]\nExecStart=/bin/true\n")
    if verify(trivial, unit) != "":
        pytest.skip("systemd-analyze does not work in this container")
    instance = tmp_path / unit.replace("@", "@root")
    instance.write_text(service_units.render_unit(unit, {}))
    assert verify(instance, unit) == ""


def verify(path: Path, unit: str) -> str:
    """What systemd has to say against a unit file."""
    scope = ["--user"] if unit == service_units.USER_UNIT else []
    done = subprocess.run(
        ["systemd-analyze", "verify", *scope, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(path.parent)},
    )
    return done.stderr if done.returncode == 0 else f"{done.returncode}: {done.stderr}"
