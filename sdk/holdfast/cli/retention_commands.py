"""`holdfast retention set | show | preview | clear`: what is kept of a project's or an artifact's versions."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from typing import Annotated

import typer

from holdfast.cli import output
from holdfast.cli.artifact_names import JsonOption
from holdfast.cli.exit_codes import CommandError, ExitCode
from holdfast.cli.version_filter import parse_age
from holdfast.retention import Retention, RetentionPolicy, RetentionPreview

SHOWN_MAX = 20

retention_app = typer.Typer(
    help="Policies of retention: which versions are kept, and which go by themselves.", no_args_is_help=True
)

WhereArgument = Annotated[
    str, typer.Argument(metavar="WHERE", help="[ENTITY/]PROJECT, or ENTITY/PROJECT/NAME for one artifact.")
]
KeepLastOption = Annotated[int | None, typer.Option("--keep-last", min=1, help="Keep the N newest versions.")]
KeepAliasedOption = Annotated[
    bool, typer.Option("--keep-aliased/--no-keep-aliased", help="Keep versions with an alias besides latest.")
]
KeepTaggedOption = Annotated[bool, typer.Option("--keep-tagged", help="Keep versions with any tag.")]
KeepTagOption = Annotated[
    list[str] | None, typer.Option("--keep-tag", help="Keep versions with this tag; may be given several times.")
]
KeepBestOption = Annotated[
    list[str] | None,
    typer.Option("--keep-best", help="Keep the best: metadata.KEY:max or :min, with :N the N best; repeatable."),
]
MaxBytesOption = Annotated[
    str | None, typer.Option("--max-bytes", help="Delete the oldest until an artifact's versions fit: 500GB.")
]
OlderOption = Annotated[str | None, typer.Option("--delete-older-than", help="Delete what is older: 30d.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@retention_app.command("set")
def set_policy(  # noqa: PLR0913 - one parameter an option, as typer wants it
    where: WhereArgument,
    keep_last: KeepLastOption = None,
    keep_aliased: KeepAliasedOption = True,
    keep_tagged: KeepTaggedOption = False,
    keep_tag: KeepTagOption = None,
    keep_best: KeepBestOption = None,
    max_bytes: MaxBytesOption = None,
    delete_older_than: OlderOption = None,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Keep everything, whatever the project's policy says.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sets the policy of a project or of one artifact, after a look at what goes by it.

    What any --keep rule keeps stays, and so does the newest version.  The registry applies it within minutes; what goes can be
    restored for as long as after `artifact rm`.
    """
    policy = _policy(keep_last, keep_tagged or keep_tag or False, keep_best, max_bytes, delete_older_than, keep_aliased)
    if keep_all == bool(policy.to_dict()):
        raise CommandError("say what is to be kept and what is to go, or --keep-all; see --help", ExitCode.USAGE)
    retention = _retention(where)
    preview = retention.preview(policy)
    if not as_json:
        _print_preview(preview)
    if preview.version_count and not yes and not typer.confirm("Set this policy?", err=True):
        raise CommandError("nothing was changed")
    retention.set(policy)
    if as_json:
        output.print_json({"policy": policy.to_dict(), "preview": _as_dict(preview)})
    else:
        output.say(f"the policy of {where} is set")


@retention_app.command("show")
def show(where: WhereArgument, as_json: JsonOption = False) -> None:
    """Prints the policy in force, and whether it is the artifact's own or its project's."""
    retention = _retention(where)
    policy, source = retention.get(), retention.source()
    said = None if policy is None else policy.to_dict()
    if as_json:
        output.print_json({"policy": said, "source": source})
    elif said is None:
        output.print_line("no policy: everything is kept")
    else:
        output.print_fields({"of": source, **(said or {"keeps": "everything"})})


@retention_app.command("preview")
def preview(  # noqa: PLR0913 - one parameter an option, as typer wants it
    where: WhereArgument,
    keep_last: KeepLastOption = None,
    keep_aliased: KeepAliasedOption = True,
    keep_tagged: KeepTaggedOption = False,
    keep_tag: KeepTagOption = None,
    keep_best: KeepBestOption = None,
    max_bytes: MaxBytesOption = None,
    delete_older_than: OlderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says which versions would go now, why, and what that frees; changes nothing.

    With the options of `set` it tries that policy, without any the ones in force.
    """
    policy = _policy(keep_last, keep_tagged or keep_tag or False, keep_best, max_bytes, delete_older_than, keep_aliased)
    found = _retention(where).preview(policy if policy.to_dict() else None)
    if as_json:
        output.print_json(_as_dict(found))
    else:
        _print_preview(found)


@retention_app.command("clear")
def clear(where: WhereArgument) -> None:
    """Takes a policy back: an artifact has its project's then, a project none."""
    _retention(where).clear()
    output.say(f"{where} has no policy of its own")


def _retention(where: str) -> Retention:
    from holdfast.cli.daemon_link import DaemonLink

    parts = where.split("/")
    if len(parts) > 3 or not all(parts) or ":" in where:
        raise CommandError(f"{where}: write [ENTITY/]PROJECT or ENTITY/PROJECT/NAME", ExitCode.USAGE)
    if len(parts) == 1:
        return Retention(DaemonLink.connect().default_entity, parts[0])
    return Retention(*parts)


def _policy(
    keep_last: int | None,
    keep_tagged: bool | list[str],
    keep_best: list[str] | None,
    max_bytes: str | None,
    older: str | None,
    keep_aliased: bool,
) -> RetentionPolicy:
    return RetentionPolicy(
        keep_last=keep_last,
        keep_aliased=keep_aliased,
        keep_tagged=keep_tagged,
        keep_best=keep_best or (),
        max_bytes=None if max_bytes is None else _size(max_bytes),
        delete_older_than=None if older is None else _age(older),
    )


def _size(text: str) -> int:
    try:
        return output.parse_size(text)
    except ValueError as error:
        raise CommandError(f"--max-bytes: {error}", ExitCode.USAGE) from error


def _age(text: str) -> datetime.timedelta:
    age = parse_age(text)
    if age is None:
        raise CommandError(
            f"--delete-older-than {text}: write for example 30d, with s, m, h, d, w or y", ExitCode.USAGE
        )
    return age


def _print_preview(found: RetentionPreview) -> None:
    for one in found.versions[:SHOWN_MAX]:
        output.print_line(f"{one.collection}:{one.version}  {output.human_size(one.size)}  {one.reason}")
    if found.version_count > SHOWN_MAX:
        output.print_line(f"… and {found.version_count - SHOWN_MAX:,} more")
    output.say(
        f"{found.version_count:,} versions go, {found.kept_count:,} stay; that frees {output.human_size(found.freed_bytes)}"
    )


def _as_dict(found: RetentionPreview) -> dict[str, object]:
    encoded: dict[str, object] = json.loads(json.dumps(asdict(found), default=str))
    return encoded
