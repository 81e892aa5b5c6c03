"""`token`, `protect`, `certs`: the commands about who may do what; `quota` and `audit` have modules of their own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast_contract.names import check_entity, check_project
from holdfast_registry.access_desk import Desk
from holdfast_registry.audit_commands import add_audit_command
from holdfast_registry.errors import StartError
from holdfast_registry.placed_command import PlacedCommands, shown_time
from holdfast_registry.quota_commands import add_quota_commands
from holdfast_registry.settings import RegistrySettings
from holdfastpb.registry.v1 import access_pb2 as pb

Command = Callable[[argparse.Namespace, RegistrySettings], int]
DAY_S = 86_400
CERTIFICATE_DAYS = 397
"""What browsers and system libraries take at most."""
GRACE_S = 3600
_SHOWN_ONCE = "It is shown only now; keep it like a password:\n"


def add_access_commands(commands: Any, data_dir_of: Callable[[RegistrySettings], Path]) -> None:
    """Adds the commands to the registry's command line."""
    add = PlacedCommands(data_dir_of).add
    token = commands.add_parser("token", help="tokens, their roles and scopes").add_subparsers(
        required=True, metavar="COMMAND"
    )
    create = add(token, "create", "print a new token, once", _create)
    create.add_argument("--name", default="", help="whose it is")
    create.add_argument("--role", default="admin", help="reader, writer, aliaser or admin (the default)")
    create.add_argument("--scope", default="", help="ENTITY or ENTITY/PROJECT; default: everything")
    create.add_argument("--days", type=int, default=0, help="end after so many days; default: never")
    listing = add(token, "list", "tokens without their secrets", _list)
    listing.add_argument("--all", action="store_true", help="revoked and expired ones, too")
    listing.add_argument("--json", action="store_true", help="one JSON object on stdout")
    revoke = add(token, "revoke", "end a token, everywhere within 30 s", _revoke)
    revoke.add_argument("token_id")
    rotate = add(token, "rotate", "print a token's successor, once", _rotate)
    rotate.add_argument("token_id")
    rotate.add_argument("--grace-s", type=int, default=GRACE_S, help="the old one works for so long (default: an hour)")
    protect = add(commands, "protect", "set which aliases only aliasers may give and take", _protect)
    protect.add_argument("where", help="ENTITY/PROJECT or ENTITY/PROJECT/COLLECTION")
    protect.add_argument("aliases", nargs="*", help="all that are protected there; without any they are printed")
    protect.add_argument("--none", action="store_true", help="protect none")
    add_quota_commands(commands, add)
    add_audit_command(commands, add)
    certs = commands.add_parser("certs", help="make certificates for TLS in a folder, with an authority of its own")
    certs.add_argument("folder")
    certs.add_argument("--host", action="append", default=[], help="a name or address of the registry; repeatable")
    certs.add_argument("--client", action="append", default=[], help="a client's name, for tls_client_ca; repeatable")
    certs.add_argument("--days", type=int, default=CERTIFICATE_DAYS, help="how long they are good")
    certs.set_defaults(command=_certs)


def _create(wish: argparse.Namespace, desk: Desk) -> int:
    entity, _, project = wish.scope.partition("/")
    request = pb.CreateTokenRequest(
        name=wish.name, role=wish.role, entity=entity, project=project, lifetime_s=max(0, wish.days) * DAY_S
    )
    answer = desk.ask("CreateToken", request)
    _print_secret(f"Token {answer.token.token_id}, {_rights(answer.token)}.", answer.secret)
    return 0


def _rotate(wish: argparse.Namespace, desk: Desk) -> int:
    answer = desk.ask("RotateToken", pb.RotateTokenRequest(token_id=wish.token_id, grace_s=max(0, wish.grace_s)))
    said = f"Token {answer.token.token_id} in place of {wish.token_id}, which works for another {wish.grace_s} s."
    _print_secret(said, answer.secret)
    return 0


def _print_secret(said: str, secret: str) -> None:
    sys.stderr.write(f"{said} {_SHOWN_ONCE}")
    sys.stdout.write(f"{secret}\n")


def _list(wish: argparse.Namespace, desk: Desk) -> int:
    tokens = desk.ask("ListTokens", pb.ListTokensRequest(with_ended=wish.all)).tokens
    if wish.json:
        found = [{field.name: getattr(token, field.name) for field in token.DESCRIPTOR.fields} for token in tokens]
        sys.stdout.write(json.dumps({"tokens": found}, indent=2) + "\n")
        return 0
    for token in tokens:
        ends = _ends(token)
        used = f"used {shown_time(token.last_used_at_ms)}" if token.last_used_at_ms else "never used"
        sys.stdout.write(f"{token.token_id}  {token.name or '-'}  {_rights(token)}  {ends}  {used}\n")
    return 0


def _ends(token: pb.Token) -> str:
    if token.revoked_at_ms:
        return f"revoked {shown_time(token.revoked_at_ms)}"
    return f"ends {shown_time(token.expires_at_ms)}" if token.expires_at_ms else "does not end"


def _rights(token: pb.Token) -> str:
    return f"{token.role} of {'/'.join(filter(None, (token.entity, token.project))) or 'everything'}"


def _revoke(wish: argparse.Namespace, desk: Desk) -> int:
    desk.ask("RevokeToken", pb.RevokeTokenRequest(token_id=wish.token_id))
    sys.stderr.write(f"Token {wish.token_id} is revoked; no registry takes it after 30 s.\n")
    return 0


def _protect(wish: argparse.Namespace, desk: Desk) -> int:
    entity, project, collection = _place(wish.where)
    where = {"entity": entity, "project": project, "collection": collection}
    if wish.aliases or wish.none:
        desk.ask("SetProtectedAliases", pb.SetProtectedAliasesRequest(aliases=wish.aliases, **where))
    answer = desk.ask("GetProtectedAliases", pb.GetProtectedAliasesRequest(**where))
    sys.stdout.write("".join(f"{name}\n" for name in answer.aliases))
    return 0


def _place(text: str) -> Sequence[str]:
    entity, _, rest = text.partition("/")
    project, _, collection = rest.partition("/")
    check_entity(entity)
    check_project(project)
    return entity, project, collection


def _certs(wish: argparse.Namespace, settings: RegistrySettings) -> int:
    if not wish.host and not wish.client:
        raise StartError("Say --host NAME for each name or address by which the registry is called, or --client NAME.")
    if wish.days < 1:
        raise StartError("--days must be at least 1.")
    try:
        from holdfast_registry.certificates import make_certificates
    except ImportError as error:
        raise StartError('Certificates are made by the package `cryptography`: pip install "holdfast[tls]".') from error
    written = make_certificates(Path(wish.folder), wish.host, wish.client, wish.days)
    for path in written:
        sys.stdout.write(f"{path}\n")
    return 0
