"""`--where` on the command line: conditions as people write them, or the documented filters as JSON."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence
from typing import Any

from holdfast.cli.exit_codes import CommandError, ExitCode

_CONDITION = re.compile(r"\s*([A-Za-z_][\w.\-]*)\s*(<=|>=|!=|==|=|<|>|~)\s*(.+?)\s*", re.DOTALL)
_OPERATORS = {"=": "$eq", "==": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "~": "$regex"}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdwy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
# Older than 30 days is created before that moment.
_TURNED = {"$lt": "$gt", "$lte": "$gte", "$gt": "$lt", "$gte": "$lte"}

EXAMPLES = "'metadata.accuracy < 0.9', 'age > 30d', 'tag = draft', or a JSON filter"


def parse_where(conditions: Sequence[str], now: datetime.datetime) -> dict[str, Any]:
    """Returns the filter that all conditions together make.

    Args:
        conditions: `FIELD OPERATOR VALUE`, where the value is JSON or plain text and `age` counts back from now; or JSON objects.
        now: for `age`.

    Raises:
        CommandError: a condition is neither.
    """
    parsed = [_parse(condition, now) for condition in conditions]
    return parsed[0] if len(parsed) == 1 else {"$and": parsed}


def _parse(condition: str, now: datetime.datetime) -> dict[str, Any]:
    if condition.lstrip().startswith("{"):
        try:
            found: dict[str, Any] = json.loads(condition)
        except json.JSONDecodeError as error:
            raise CommandError(f"--where {condition}: not JSON ({error})", ExitCode.USAGE) from error
        return found
    match = _CONDITION.fullmatch(condition)
    if match is None:
        raise CommandError(f"--where {condition}: write for example {EXAMPLES}", ExitCode.USAGE)
    field, operator, text = match[1], _OPERATORS[match[2]], match[3]
    if field == "age":
        return _age(operator, text, now)
    return {field: {operator: text if operator == "$regex" else _value(text)}}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_age(text: str) -> datetime.timedelta | None:
    """Returns the time that `30d` or `1.5h` stands for; None: it is not written so."""
    match = _AGE.fullmatch(text)
    return datetime.timedelta(seconds=float(match[1]) * _SECONDS[match[2]]) if match else None


def _age(operator: str, text: str, now: datetime.datetime) -> dict[str, Any]:
    age = parse_age(text)
    if age is None or operator not in _TURNED:
        raise CommandError(
            f"--where age … {text}: write for example 'age > 30d', with s, m, h, d, w or y", ExitCode.USAGE
        )
    moment = now - age
    return {"created_at": {_TURNED[operator]: moment.isoformat(timespec="seconds")}}
