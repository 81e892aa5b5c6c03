"""Rules of retention: what a policy may say, and which versions of a collection go by it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from holdfast_contract.names import check_tags
from holdfast_registry.domain.filters import PATH_PARTS_MAX, is_key
from holdfast_registry.domain.ttl import TTL_S_MAX
from holdfast_registry.errors import invalid

POLICY_BYTES_MAX = 16 * 1024
"""A hundred tags of full length fit."""
COUNT_MAX = 1_000_000
"""Of versions to keep; more is no limit."""
BYTES_MAX = 2**62
"""What the database can hold."""
BESTS_MAX = 8
"""Each is a look into the metadata of every version."""
_BEST = re.compile(r"metadata\.(?P<path>.+):(?P<order>max|min)(?::(?P<count>[0-9]{1,7}))?")


class DoomReason(Enum):
    """By which rule a version goes."""

    AGE = "age"
    KEEP_LAST = "keep_last"
    MAX_BYTES = "max_bytes"


@dataclass(frozen=True, slots=True)
class Best:
    """The versions with the highest or lowest numbers under a key of their metadata."""

    path: tuple[str, ...]
    highest: bool
    count: int = 1

    def __str__(self) -> str:
        """Returns it as it is written."""
        order = "max" if self.highest else "min"
        return f"metadata.{'.'.join(self.path)}:{order}" + (f":{self.count}" if self.count > 1 else "")


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What is kept and what goes.  A policy that says nothing keeps everything."""

    keep_last: int = 0
    """The newest versions; 0: not said."""
    keep_aliased: bool = True
    """Versions with an alias of their own collection besides `latest`."""
    keep_tagged: bool = False
    """Versions with any tag."""
    keep_tags: tuple[str, ...] = ()
    """Versions with one of these."""
    keep_best: tuple[Best, ...] = ()
    max_bytes: int = 0
    """Of all versions of the collection together, as they show their sizes; 0: no limit."""
    delete_older_than_s: int = 0
    """0: no limit."""

    @property
    def deletes(self) -> bool:
        """Whether anything can go by it."""
        return bool(self.keep_last or self.max_bytes or self.delete_older_than_s)

    def to_json(self) -> str:
        """Returns it as it is stored and shown: what is not said is left out."""
        said: dict[str, object] = {}
        if self.keep_last:
            said["keep_last"] = self.keep_last
        if not self.keep_aliased:
            said["keep_aliased"] = False
        if self.keep_tagged or self.keep_tags:
            said["keep_tagged"] = True if self.keep_tagged else list(self.keep_tags)
        if self.keep_best:
            said["keep_best"] = [str(best) for best in self.keep_best]
        if self.max_bytes:
            said["max_bytes"] = self.max_bytes
        if self.delete_older_than_s:
            said["delete_older_than_s"] = self.delete_older_than_s
        return json.dumps(said)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A committed version as far as retention looks at it."""

    version_id: str
    version_index: int
    size_bytes: int
    created_at_ms: int
    is_held: bool
    """Linked, with a protected alias, or kept for ever by its own time to live: no policy may take it."""
    is_aliased: bool
    tags: frozenset[str] = frozenset()
    scores: tuple[float | None, ...] = ()
    """For each `keep_best` of the policy, in its order; None: no number is there."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A version that goes, and why."""

    version: Candidate
    reason: DoomReason


def doomed_versions(policy: RetentionPolicy, versions: Iterable[Candidate], now_ms: int) -> list[Doomed]:
    """Decides which versions of one collection go, oldest first.

    Whatever one rule keeps stays.  The newest version always stays: drafts are laid over it, and a policy is to thin a collection
    out, not to empty it.  Of the rest everything goes that is over a limit (age, bytes); with no limit, everything.
    """
    if not policy.deletes:
        return []
    oldest_first = sorted(versions, key=lambda version: version.version_index)
    kept = _kept(policy, oldest_first)
    loose = [version for version in oldest_first if version.version_id not in kept]
    if not (policy.max_bytes or policy.delete_older_than_s):
        return [Doomed(version, DoomReason.KEEP_LAST) for version in loose]
    over = _over_bytes(policy, oldest_first, loose, now_ms)
    return [Doomed(version, reason) for version in loose if (reason := over.get(version.version_id)) is not None]


def _over_bytes(
    policy: RetentionPolicy, versions: Sequence[Candidate], loose: Sequence[Candidate], now_ms: int
) -> dict[str, DoomReason]:
    """Returns the reasons of those over a limit: first all that are too old, then the oldest until the rest fits."""
    reasons: dict[str, DoomReason] = {}
    if policy.delete_older_than_s:
        newest_ms = now_ms - policy.delete_older_than_s * 1000
        reasons = {version.version_id: DoomReason.AGE for version in loose if version.created_at_ms < newest_ms}
    if policy.max_bytes:
        left = sum(version.size_bytes for version in versions if version.version_id not in reasons)
        for version in loose:
            if left <= policy.max_bytes:
                break
            if version.version_id not in reasons:
                reasons[version.version_id] = DoomReason.MAX_BYTES
                left -= version.size_bytes
    return reasons


def _kept(policy: RetentionPolicy, oldest_first: Sequence[Candidate]) -> set[str]:
    kept = {version.version_id for version in oldest_first[-max(1, policy.keep_last) :]}
    tags = frozenset(policy.keep_tags)
    kept.update(
        version.version_id
        for version in oldest_first
        if version.is_held
        or (policy.keep_aliased and version.is_aliased)
        or (policy.keep_tagged and version.tags)
        or version.tags & tags
    )
    for position, best in enumerate(policy.keep_best):
        kept.update(_best(best, position, oldest_first))
    return kept


def _best(best: Best, position: int, versions: Sequence[Candidate]) -> list[str]:
    """Returns the best ones; of equal ones the newer."""
    scored = [(score, version) for version in versions if (score := version.scores[position]) is not None]
    sign = 1 if best.highest else -1
    scored.sort(key=lambda one: (sign * one[0], one[1].version_index), reverse=True)
    return [version.version_id for _, version in scored[: best.count]]


# --- reading policies -------------------------------------------------------------------------------------------------


def parse_policy(text: str) -> RetentionPolicy:
    """Reads a policy that somebody sends.

    Raises:
        RegistryError: INVALID_ARGUMENT: says what is wrong and what is known.
        ContractError: INVALID_NAME: a tag that nothing can have.
    """
    if len(text.encode("utf-8", "replace")) > POLICY_BYTES_MAX:
        raise invalid(f"A retention policy has at most {POLICY_BYTES_MAX} bytes.")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("A retention policy is a JSON object; this is not JSON.") from error
    if not isinstance(said, dict):
        raise invalid(f"A retention policy is an object such as {{'keep_last': 10}}, not {_shown(said)}.")
    values: dict[str, Any] = {}
    for key, value in said.items():
        reader = _READERS.get(key)
        if reader is None:
            raise invalid(f"A retention policy has no {_shown(key)}; it has {', '.join(_READERS)}.")
        values |= reader(key, value)
    policy = RetentionPolicy(**values)
    if said and not policy.deletes:
        raise invalid(
            "This retention policy says what stays, but not what goes: add keep_last, max_bytes or delete_older_than_s, "
            "or send {} to keep everything."
        )
    return policy


def _number(bound: int) -> Callable[[str, Any], Mapping[str, Any]]:
    def read(key: str, value: Any) -> Mapping[str, Any]:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= bound:
            raise invalid(f"{key} of a retention policy is a whole number from 1 to {bound}, not {_shown(value)}.")
        return {key: value}

    return read


def _aliased(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, bool):
        raise invalid(f"{key} of a retention policy is true or false, not {_shown(value)}.")
    return {key: value}


def _tagged(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, bool):
        return {"keep_tagged": value}
    if not isinstance(value, list) or not value or not all(isinstance(tag, str) for tag in value):
        raise invalid(f"{key} of a retention policy is true, or a list of tags, not {_shown(value)}.")
    check_tags(value)
    return {"keep_tags": tuple(dict.fromkeys(value))}


def _bests(key: str, value: Any) -> Mapping[str, Any]:
    texts = value if isinstance(value, list) else [value]
    if not 1 <= len(texts) <= BESTS_MAX:
        raise invalid(f"{key} of a retention policy has one to {BESTS_MAX} rules.")
    return {"keep_best": tuple(map(_parse_best, texts))}


def _parse_best(text: Any) -> Best:
    matched = _BEST.fullmatch(text) if isinstance(text, str) else None
    path = tuple(matched["path"].split(".")) if matched else ()
    if matched is None or len(path) > PATH_PARTS_MAX or not all(map(is_key, path)):
        raise invalid(
            f"keep_best is written as metadata.KEY:max or metadata.KEY:min, with :N for the N best ones, not {_shown(text)}."
        )
    count = int(matched["count"] or 1)
    if not 1 <= count <= COUNT_MAX:
        raise invalid(f"keep_best keeps 1 to {COUNT_MAX} versions, not {count}.")
    return Best(path, matched["order"] == "max", count)


def _shown(value: Any) -> str:
    return repr(value)[:80]


_READERS: Mapping[str, Callable[[str, Any], Mapping[str, Any]]] = {
    "keep_last": _number(COUNT_MAX),
    "keep_aliased": _aliased,
    "keep_tagged": _tagged,
    "keep_best": _bests,
    "max_bytes": _number(BYTES_MAX),
    "delete_older_than_s": _number(TTL_S_MAX),
}
