"""Settings as frozen dataclasses: values from defaults, a TOML file and the environment, each with its source.

A process declares its settings as a dataclass; a docstring under a field says in one sentence what it does and its unit, and is what
`holdfast config` prints.  Field `idle_exit_s` of section `daemon` is `HOLDFAST_DAEMON_IDLE_EXIT_S` and `[daemon] idle_exit_s`.
The environment wins over the file, the file over the default.  The file is `HOLDFAST_CONFIG`, else
`$XDG_CONFIG_HOME/holdfast/holdfast.toml`, else `~/.config/holdfast/holdfast.toml`; absent is fine.
"""

import ast
import dataclasses
import inspect
import itertools
import os
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

S = TypeVar("S")

BARE_NAMES = frozenset({"HOLDFAST_CONFIG", "HOLDFAST_DATA_DIR", "HOLDFAST_RUNTIME_DIR", "HOLDFAST_FAILPOINTS"})
"""Names that belong to no section: they are needed before any settings are read."""

_SUFFIXES = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class SettingError(ValueError):
    """A setting cannot be understood; the message names it, its source and what is allowed."""


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One setting in force: where it comes from and what it is for."""

    section: str
    name: str
    value: object
    source: str
    environment_name: str
    meaning: str


def environment_name(section: str, field: str) -> str:
    """`HOLDFAST_<SECTION>_<FIELD>`; the section `holdfast` (the SDK's) is left out."""
    prefix = "HOLDFAST" if section == "holdfast" else f"HOLDFAST_{section.upper()}"
    return f"{prefix}_{field.upper()}"


def load_settings(cls: type[S], section: str, environ: Mapping[str, str]) -> S:
    """Reads one process's settings.

    Args:
        cls: a frozen dataclass with a default for every field; types `str`, `int`, `float`, `bool`, each also `| None`.
        section: TOML table and middle of the environment names.
        environ: usually `os.environ`.

    Raises:
        SettingError: a value does not fit its field, or the TOML table holds a name that is none.
    """
    return cls(**{v.name: v.value for v in explain_settings(cls, section, environ)})


def explain_settings(cls: type[Any], section: str, environ: Mapping[str, str]) -> list[SettingValue]:
    """As `load_settings`, with the source and the meaning of each value, in the order of the fields."""
    table = _toml_table(section, environ)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise SettingError(f"{config_path(environ)}: [{section}] has no setting {unknown[0]!r}; remove it")
    hints, meanings = get_type_hints(cls), _field_docstrings(cls)
    found = []
    for name, field in fields.items():
        variable = environment_name(section, name)
        value, source = field.default, "default"
        if name in table:
            value, source = _convert(table[name], hints[name], f"[{section}] {name}"), str(config_path(environ))
        if variable in environ:
            value, source = _convert(environ[variable], hints[name], variable), "environment"
        found.append(SettingValue(section, name, value, source, variable, meanings.get(name, "")))
    return found


def unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """`HOLDFAST_*` names in the environment that no settings class declares: most likely misspelt."""
    allowed = BARE_NAMES | set(known)
    return sorted(name for name in environ if name.startswith("HOLDFAST_") and name not in allowed)


def config_path(environ: Mapping[str, str]) -> Path:
    """Path of the TOML file, whether it exists or not."""
    if environ.get("HOLDFAST_CONFIG"):
        return Path(environ["HOLDFAST_CONFIG"])
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "holdfast" / "holdfast.toml"


def _toml_table(section: str, environ: Mapping[str, str]) -> dict[str, Any]:
    path = config_path(environ)
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get(section, {})
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}") from error
    if not isinstance(table, dict):
        raise SettingError(f"{path}: {section!r} must be a table: [{section}]")
    return table


def _convert(raw: object, hint: Any, label: str) -> object:
    arguments = getattr(hint, "__args__", ())
    optional = type(None) in arguments
    kind = next((a for a in arguments if a is not type(None)), hint) if arguments else hint
    if optional and raw in ("", None):
        return None
    try:
        return _CONVERTERS[kind](raw)
    except (ValueError, TypeError) as error:
        raise SettingError(f"{label} = {raw!r} is not {_EXPECTED[kind]}") from error


def _to_int(raw: object) -> int:
    if isinstance(raw, (bool, float)):
        raise ValueError("not an integer")
    text = str(raw).strip().replace("_", "").lower()
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return int(float(text.removesuffix(suffix)) * factor)
    return int(text)


def _to_bool(raw: object) -> bool:
    text = str(raw).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError("not a truth value")
    return text in _TRUE


def _to_str(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError("not text")
    return raw


def _to_float(raw: object) -> float:
    return float(str(raw))


_CONVERTERS: dict[Any, Any] = {int: _to_int, bool: _to_bool, str: _to_str, float: _to_float}
_EXPECTED = {
    int: "a whole number (KiB, MiB, GiB and TiB may follow)",
    bool: "true or false",
    str: "text",
    float: "a number",
}


def _field_docstrings(cls: type[Any]) -> dict[str, str]:
    """Docstrings written under the fields of a dataclass; Python itself forgets them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    meanings = {}
    for field, text in itertools.pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            meanings[field.target.id] = " ".join(str(text.value.value).split())
    return meanings
