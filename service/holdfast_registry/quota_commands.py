"""`quota set`, `quota show`: the commands about what entities and projects may store, and how often tokens may call."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from holdfast_contract.names import check_entity, check_project
from holdfast_registry.access_desk import Desk
from holdfast_registry.errors import StartError
from holdfast_registry.placed_command import AddCommand
from holdfastpb.registry.v1 import access_pb2 as pb

_UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGTP", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")
_NONE = "none"


def add_quota_commands(commands: Any, add: AddCommand) -> None:
    """Adds the commands to the registry's command line."""
    quota = commands.add_parser("quota", help="limits of bytes, versions and calls").add_subparsers(
        required=True, metavar="COMMAND"
    )
    setting = add(quota, "set", "set limits of an entity or a project; what is not named stays", _set)
    setting.add_argument("where", help="ENTITY or ENTITY/PROJECT")
    setting.add_argument("--bytes", help="of stored packs: 2TB, 500GiB, or none")
    setting.add_argument("--versions", help="committed versions at most, or none")
    setting.add_argument("--rate", help="calls a second of each token whose scope lies there, or none")
    showing = add(quota, "show", "limits, and what of them is used", _show)
    showing.add_argument("where", help="ENTITY, with its projects that have limits, or ENTITY/PROJECT")
    for command in (setting, showing):
        command.add_argument("--json", action="store_true", help="one JSON object on stdout")


def parse_bytes(text: str) -> int:
    """Returns a number of bytes from words such as 2TB (powers of 1,000) and 500GiB (of 1,024); 0 for none.

    Raises:
        StartError: they are no such words.
    """
    if text == _NONE:
        return 0
    matched = _BYTES.fullmatch(text.strip())
    if matched is None or matched[2] not in _UNITS:
        raise StartError(f"--bytes {text!r} is no size like 2TB or 500GiB, and not none.")
    number = int(float(matched[1]) * _UNITS[matched[2]])
    _check_above_nothing("--bytes", number)
    return number


def _parse_count(text: str) -> int:
    if text == _NONE:
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise StartError(f"--versions {text!r} is no number, and not none.")
    _check_above_nothing("--versions", int(text))
    return int(text)


def _parse_rate(text: str) -> float:
    if text == _NONE:
        return 0.0
    try:
        rate = float(text)
    except ValueError as error:
        raise StartError(f"--rate {text!r} is no number of calls a second, and not none.") from error
    _check_above_nothing("--rate", rate)
    return rate


def _check_above_nothing(option: str, number: float) -> None:
    if not number > 0:
        raise StartError(f"{option} is more than 0; to take a limit away, say none.")


def _place(text: str) -> tuple[str, str]:
    entity, slash, project = text.partition("/")
    check_entity(entity)
    if slash:
        check_project(project)
    return entity, project


def _set(wish: argparse.Namespace, desk: Desk) -> int:
    entity, project = _place(wish.where)
    request = pb.SetQuotaRequest(entity=entity, project=project)
    if wish.bytes is not None:
        request.set_bytes, request.bytes_max = True, parse_bytes(wish.bytes)
    if wish.versions is not None:
        request.set_versions, request.versions_max = True, _parse_count(wish.versions)
    if wish.rate is not None:
        request.set_rate, request.requests_per_s = True, _parse_rate(wish.rate)
    if not (request.set_bytes or request.set_versions or request.set_rate):
        raise StartError("Say what to set: --bytes, --versions or --rate.")
    _print([desk.ask("SetQuota", request).quota], as_json=wish.json)
    return 0


def _show(wish: argparse.Namespace, desk: Desk) -> int:
    entity, project = _place(wish.where)
    answer = desk.ask("GetQuotas", pb.GetQuotasRequest(entity=entity, project=project))
    _print(answer.quotas, as_json=wish.json)
    return 0


def _print(quotas: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"quotas": [_plain(quota) for quota in quotas]}, indent=2) + "\n")
        return
    for quota in quotas:
        where = "/".join(filter(None, (quota.entity, quota.project)))
        rate = f"{quota.requests_per_s:g} calls/s a token" if quota.requests_per_s else "no limit of calls"
        used_bytes = _used(quota.bytes_used, quota.bytes_max, "bytes")
        sys.stdout.write(
            f"{where}  {used_bytes}  {_used(quota.versions_used, quota.versions_max, 'versions')}  {rate}\n"
        )


def _used(used: int, limit: int, what: str) -> str:
    return f"{used} of {limit} {what} ({used / limit:.0%})" if limit else f"{used} {what}, no limit"


def _plain(quota: pb.Quota) -> dict[str, object]:
    return {
        "entity": quota.entity,
        "project": quota.project or None,
        "bytes_max": quota.bytes_max or None,
        "bytes_used": quota.bytes_used,
        "versions_max": quota.versions_max or None,
        "versions_used": quota.versions_used,
        "requests_per_s": quota.requests_per_s or None,
    }
