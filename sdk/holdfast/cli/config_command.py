"""`holdfast config`: the commented reference of all settings, with the values in force and where each comes from."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from holdfast._settings import RUN_VARIABLES, SdkSettings, with_stand_ins
from holdfast.cli import output
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.server_process import read_settings
from holdfast_contract.places import find_places
from holdfast_contract.settings import config_path, explain_settings, unknown_variables

Setting = dict[str, Any]

_SECRET_ENDINGS = ("token", "secret", "password", "key")
"""Values of settings that end so are not shown; `…_file` names a file and is."""


def config(as_json: Annotated[bool, typer.Option("--json", help="A list of objects instead of TOML.")] = False) -> None:
    """Prints all settings, with meaning, value and source.

    The output is a settings file.  Exits 2 when a setting cannot be understood, and warns of HOLDFAST_… variables that mean nothing.
    """
    settings = [_redacted(setting) for setting in collect_settings(os.environ)]
    if as_json:
        output.print_json(settings)
    else:
        output.print_line(render_reference(settings, os.environ))
    for name in unknown_variables(os.environ, [*(str(s["environment_name"]) for s in settings), *RUN_VARIABLES]):
        output.say(f"warning: nothing reads the environment variable {name}; is it misspelt?")


def collect_settings(environ: Mapping[str, str]) -> list[Setting]:
    """Settings of the SDK, the daemon and the registry, in this order.

    Raises:
        CommandError: a daemon's or registry's setting cannot be understood.
        SettingError: one of the SDK's cannot.
    """
    found = explain_settings(SdkSettings, "holdfast", with_stand_ins(environ))
    own = [dataclasses.asdict(value) for value in found]
    try:
        daemon = read_settings("holdfast_daemon", ["--print-config", "--json"])
        return [*own, *daemon, *read_settings("holdfast_registry", ["config"])]
    except CommandError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


def render_reference(settings: Sequence[Setting], environ: Mapping[str, str]) -> str:
    """The reference as a TOML file that sets what is in force."""
    path, places = config_path(environ), find_places(environ)
    lines = [
        f"# Holdfast's settings.  File: {path}{'' if path.exists() else ' (absent)'}",
        "# The environment wins over the file, the file over the default.",
        f"# HOLDFAST_DATA_DIR: {places.data_dir}",
        f"# HOLDFAST_RUNTIME_DIR: {places.runtime_dir}",
    ]
    section = None
    for setting in settings:
        if setting["section"] != section:
            section = setting["section"]
            lines += ["", f"[{section}]"]
        lines += ["", *_render_setting(setting)]
    return "\n".join(lines)


def _render_setting(setting: Setting) -> list[str]:
    value = setting["value"]
    assignment = f"# {setting['name']} =" if value is None else f"{setting['name']} = {_toml(value)}"
    meaning = [f"# {setting['meaning']}"] if setting["meaning"] else []
    return [*meaning, f"# {setting['environment_name']}; from: {setting['source']}", assignment]


def _toml(value: object) -> str:
    """A value of one of the four types of settings; JSON's spelling of them is TOML's, too."""
    return json.dumps(value, ensure_ascii=False)


def _redacted(setting: Setting) -> Setting:
    if setting["value"] and str(setting["name"]).endswith(_SECRET_ENDINGS):
        return {**setting, "value": "(hidden)"}
    return setting
