"""`audit`: reads what was done, oldest first, and with `--follow` goes on as it happens."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from holdfast_registry.access_desk import Desk
from holdfast_registry.errors import StartError
from holdfast_registry.placed_command import AddCommand, shown_time
from holdfastpb.registry.v1 import access_pb2 as pb

FOLLOW_EVERY_S = 1.0
OVERTAKEN_MS = 10_000
"""On PostgreSQL an entry has its number before its transaction is committed, so one with a lower number may show later.  It is the
transaction's last statement, so a COMMIT and the difference of two replicas' clocks is all that lies between."""


def add_audit_command(commands: Any, add: AddCommand) -> None:
    """Adds the command to the registry's command line."""
    audit = add(commands, "audit", "what was done, oldest first", _audit)
    audit.add_argument("--since", default="", help="only from this time on: 2026-01-31 or 2026-01-31T12:00:00+00:00")
    audit.add_argument("--actor", default="", help="only what the token with this id or name did")
    audit.add_argument("--action", default="", help="only methods with this in their names: Delete, VersionService/")
    audit.add_argument("--follow", action="store_true", help="go on with what is done from now on, until Ctrl-C")
    audit.add_argument("--json", action="store_true", help="one JSON object a line")


def _audit(wish: argparse.Namespace, desk: Desk) -> int:
    since_ms = _since_ms(wish.since)

    def ask(after_id: int) -> list[pb.AuditEntry]:
        request = pb.ListAuditRequest(since_ms=since_ms, after_id=after_id, actor=wish.actor, action=wish.action)
        return list(desk.ask("ListAudit", request).entries)

    try:
        for entry in follow_entries(ask, time.sleep) if wish.follow else all_entries(ask):
            sys.stdout.write((_json_line(entry) if wish.json else _line(entry)) + "\n")
            if wish.follow:
                sys.stdout.flush()
    except KeyboardInterrupt:
        if not wish.follow:
            raise
    return 0


def all_entries(ask: Callable[[int], list[pb.AuditEntry]], after_id: int = 0) -> Iterator[pb.AuditEntry]:
    """Yields what there is after an entry, page by page."""
    while entries := ask(after_id):
        yield from entries
        after_id = entries[-1].entry_id


def follow_entries(
    ask: Callable[[int], list[pb.AuditEntry]], sleep: Callable[[float], None]
) -> Iterator[pb.AuditEntry]:
    """Yields each entry once, for ever; those that were overtaken by later ones, too."""
    after_id, recent = 0, dict[int, int]()
    while True:
        for entry in all_entries(ask, after_id):
            if entry.entry_id not in recent:
                recent[entry.entry_id] = entry.at_ms
                yield entry
        settled_ms = max(recent.values(), default=0) - OVERTAKEN_MS
        after_id = max((number for number, at_ms in recent.items() if at_ms < settled_ms), default=after_id)
        recent = {number: at_ms for number, at_ms in recent.items() if number > after_id}
        sleep(FOLLOW_EVERY_S)


def _since_ms(text: str) -> int:
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise StartError(f"--since {text!r} is no time like 2026-01-31T12:00:00+00:00.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _json_line(entry: pb.AuditEntry) -> str:
    return json.dumps(
        {
            "id": entry.entry_id,
            "at": shown_time(entry.at_ms),
            "token_id": entry.token_id or None,
            "token_name": entry.token_name,
            "peer": entry.peer,
            "method": entry.method,
            "entity": entry.entity,
            "project": entry.project,
            "object": entry.object,
            "outcome": entry.outcome,
        }
    )


def _line(entry: pb.AuditEntry) -> str:
    who = f"{entry.token_id} {entry.token_name}".strip() or "owner"
    where = "/".join(filter(None, (entry.entity, entry.project))) or "-"
    return f"{shown_time(entry.at_ms)}  {who}  {entry.method}  {entry.outcome}  {where}  {entry.object}"
