"""The daemon's systemd units: finding the templates, filling them in, putting the user's one in its place."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from holdfast.cli.exit_codes import CommandError

USER_UNIT = "holdfast-daemon.service"
SYSTEM_UNIT = "holdfast-daemon@.service"
_UNIT_MODE = 0o644


def user_unit_path(environ: Mapping[str, str]) -> Path:
    """Where systemd looks for units of this user."""
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "systemd" / "user" / USER_UNIT


def render_unit(name: str, environ: Mapping[str, str]) -> str:
    """A unit with this interpreter filled in, and the places that this environment names.

    Raises:
        CommandError: the installation has no units, or a path cannot be written into one.
    """
    text = (_packaging_folder() / name).read_text(encoding="utf-8").replace("@PYTHON@", _quoted(sys.executable))
    if name != USER_UNIT:
        return text
    kept = [f"Environment={_quoted(f'{key}={environ[key]}')}" for key in _PLACES if environ.get(key)]
    return text.replace("UMask=", "\n".join([*kept, "UMask="]), 1)


_PLACES = ("HOLDFAST_CONFIG", "HOLDFAST_DATA_DIR", "HOLDFAST_RUNTIME_DIR")
"""Without these the unit's daemon would serve another data folder than the user's programs look for."""


def install_user_unit(environ: Mapping[str, str]) -> Path:
    """Writes the user's unit, over an older one of ours.

    Returns:
        Where it lies.
    """
    path = user_unit_path(environ)
    text = render_unit(USER_UNIT, environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(_UNIT_MODE)
    fresh.replace(path)
    return path


def system_unit_commands(environ: Mapping[str, str]) -> list[str]:
    """Shell commands with which an administrator installs the template unit."""
    target = f"/etc/systemd/system/{SYSTEM_UNIT}"
    template = shlex.quote(str(_packaging_folder() / SYSTEM_UNIT))
    # "#" separates because paths hold slashes.
    fill_in = shlex.quote(f"s#@PYTHON@#{_quoted(sys.executable)}#")
    user = environ.get("USER") or "USER"
    return [
        f"sed {fill_in} {template} | sudo tee {target} >/dev/null",
        "sudo systemctl daemon-reload",
        f"sudo systemctl enable --now holdfast-daemon@{user}",
    ]


def _packaging_folder() -> Path:
    """Beside the daemon's package in a wheel, at the project's root in a clone."""
    spec = importlib.util.find_spec("holdfast_daemon")
    for folder in spec.submodule_search_locations or () if spec else ():
        for candidate in (Path(folder) / "packaging", Path(folder).parents[1] / "packaging"):
            if (candidate / USER_UNIT).is_file():
                return candidate
    raise CommandError("this installation of holdfast has no systemd units; install it again with pip")


def _quoted(text: str) -> str:
    """Text for a unit file, where `%` starts a specifier and blanks separate."""
    if any(character in text for character in "\"'\\#$\n"):
        raise CommandError(f"systemd units cannot hold {text!r}; use a path without quotes, #, $ and backslashes")
    escaped = text.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
