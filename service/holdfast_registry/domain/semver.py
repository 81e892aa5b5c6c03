"""Semantic versions: their order, ranges of them, and which one a new version of a collection gets.

Precedence is that of SemVer 2.0.0.  The key of a version has the same order byte by byte, so that a database can look for the highest
one of a range by an index; versions that differ in their build alone have different keys next to each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import total_ordering

from holdfast_contract.reasons import Reason
from holdfast_contract.semantic_versions import SEMANTIC_VERSION, SEMANTIC_VERSION_CHARS_MAX
from holdfast_registry.domain.records import VersionState
from holdfast_registry.errors import RegistryError

COMPARATORS_MAX = 16
"""Of one range; nobody writes more by hand."""

_NO_PRERELEASE = "~"
_NUMERIC, _ALPHANUMERIC = "0", "1"
_END = "!"
"""Below every character of an identifier and before every further one: what is shorter comes first."""
AFTER_BUILDS = "~"
"""Appended to the key of a version without build: above those of all its builds, below that of the next version."""


@total_ordering
@dataclass(frozen=True, slots=True)
class SemanticVersion:
    """One version; ordered by precedence, then by the text of the build, which has none of its own."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    """Identifiers with dots between them, without the "-"; empty: a release."""
    build: str = ""

    @property
    def release(self) -> tuple[int, int, int]:
        """The version without pre-release and build."""
        return self.major, self.minor, self.patch

    @property
    def key(self) -> str:
        """ASCII text whose order, byte by byte, is that of the versions."""
        key = "".join(map(_number_key, self.release)) + _prerelease_key(self.prerelease)
        return f"{key}+{self.build}" if self.build else key

    def without_build(self) -> SemanticVersion:
        """Returns the version as precedence sees it."""
        return replace(self, build="") if self.build else self

    def __lt__(self, other: SemanticVersion) -> bool:
        """Compares by the key."""
        return self.key < other.key

    def __str__(self) -> str:
        """Returns the text that parses to this version."""
        text = f"{self.major}.{self.minor}.{self.patch}"
        text += f"-{self.prerelease}" if self.prerelease else ""
        return text + (f"+{self.build}" if self.build else "")


def _number_key(number: int) -> str:
    digits = str(number)
    return f"{len(digits):03d}{digits}"


def _prerelease_key(prerelease: str) -> str:
    return "".join(map(_identifier_key, prerelease.split("."))) + _END if prerelease else _NO_PRERELEASE


def _identifier_key(identifier: str) -> str:
    if identifier.isdecimal():
        return _NUMERIC + _number_key(int(identifier))
    return _ALPHANUMERIC + identifier + _END


def parse_version(text: str) -> SemanticVersion | None:
    """Reads a whole semantic version; None: it is none."""
    found = SEMANTIC_VERSION.fullmatch(text)
    if found is None:
        return None
    major, minor, patch, prerelease, build = found.groups()
    return SemanticVersion(int(major), int(minor), int(patch), prerelease or "", build or "")


# --- which one a new version gets -------------------------------------------------------------------------------------


class VersionBump(IntEnum):
    """By how much a version rises; the numbers are those of the wire."""

    UNSPECIFIED = 0
    """As MAJOR."""
    MAJOR = 1
    MINOR = 2
    PATCH = 3


@dataclass(frozen=True, slots=True)
class SemanticVersionWish:
    """Which one a writer wants."""

    exact: SemanticVersion | None = None
    bump: VersionBump = VersionBump.MAJOR
    if_free: bool = False
    """`exact` is no demand: it is carried from elsewhere."""
    always_new: bool = False
    """Equal content is no reason to make no version."""

    @property
    def demanded(self) -> SemanticVersion | None:
        """The one that the version must have; None: any will do."""
        return None if self.if_free else self.exact

    def is_met_by(self, semantic_version: str) -> bool:
        """Tells whether the latest version, where it has the content that is brought, is all that is wanted."""
        if self.always_new:
            return False
        return self.demanded is None or str(self.demanded) == semantic_version


FIRST = SemanticVersion(1, 0, 0)
ANY_VERSION = SemanticVersionWish()


def next_version(highest: SemanticVersion | None, bump: VersionBump) -> SemanticVersion:
    """Returns the one after the highest; it is higher than that in any case.

    A pre-release is followed by its own release where that is enough: 2.0.0-rc.1 by 2.0.0, but 2.1.0-rc.1 by major 3.0.0.
    """
    if highest is None:
        return FIRST
    major, minor, patch = highest.release
    is_before = bool(highest.prerelease)
    if bump is VersionBump.PATCH:
        return SemanticVersion(major, minor, patch if is_before else patch + 1)
    if bump is VersionBump.MINOR:
        return SemanticVersion(major, minor if is_before and patch == 0 else minor + 1, 0)
    return SemanticVersion(major if is_before and minor == patch == 0 else major + 1, 0, 0)


def must_look_up(wish: SemanticVersionWish, highest: SemanticVersion | None) -> bool:
    """Tells whether a collection whose highest version this is may have given the wanted one."""
    return wish.exact is not None and highest is not None and wish.exact <= highest


def is_by_place(version: SemanticVersion, version_index: int) -> bool:
    """Tells whether a version is what `vN` gets where nobody has ever asked for any: 1.0.0 of v0, 2.0.0 of v1."""
    return version == SemanticVersion(version_index + 1, 0, 0)


def choose_version(
    wish: SemanticVersionWish, highest: SemanticVersion | None, held_by: VersionState | None, name: str
) -> SemanticVersion:
    """Returns the semantic version of a new version.

    Args:
        wish: the writer's.
        highest: that the collection has ever given.
        held_by: the state of the version that has the wanted one; None: nobody ever had it.
        name: of the collection, for messages.

    Raises:
        RegistryError: SEMVER_EXISTS, SEMVER_REUSED.
    """
    if wish.exact is not None and held_by is None:
        return wish.exact
    if wish.demanded is None:
        return next_version(highest, wish.bump)
    said = {"semantic_version": str(wish.demanded), "artifact": name}
    if held_by is VersionState.COMMITTED:
        raise RegistryError(
            Reason.SEMVER_EXISTS,
            f"Artifact {name} has a version {wish.demanded} already; give one that is free, or none to get the next one.",
            said,
        )
    raise RegistryError(
        Reason.SEMVER_REUSED,
        f"Artifact {name} had a version {wish.demanded}, which was deleted; numbers are not given twice, give another one.",
        said,
    )


# --- ranges -----------------------------------------------------------------------------------------------------------

_PARTIAL = re.compile(r"([0-9]+|[xX*])(?:\.([0-9]+|[xX*])(?:\.([0-9]+|[xX*]))?)?")
_COMPARATOR = re.compile(r"(\^|~|>=|<=|==|>|<|=|)(.+)")
_SIGN_AND_SPACE = re.compile(r"([\^~<>=])\s+")
_SEPARATOR = re.compile(r"\s*,\s*|\s+")

Release = tuple[int, ...]
"""Of major, minor and patch those that are said."""


@dataclass(frozen=True, slots=True)
class Comparators:
    """What must all hold: lower and upper bounds, by precedence."""

    low: SemanticVersion = SemanticVersion(0, 0, 0, "0")
    """The lowest of all, unless there is a bound."""
    has_low: bool = True
    high: SemanticVersion | None = None
    has_high: bool = False
    prereleases_of: frozenset[Release] = frozenset()
    """The releases of which a pre-release was named; of others none is admitted."""

    def admits(self, version: SemanticVersion) -> bool:
        """Tells whether a version is within the bounds."""
        plain = version.without_build()
        if plain.prerelease and plain.release not in self.prereleases_of:
            return False
        if plain < self.low or (plain == self.low and not self.has_low):
            return False
        return self.high is None or plain < self.high or (plain == self.high and self.has_high)

    def and_(self, other: Comparators) -> Comparators:
        """Returns what both admit."""
        low, is_above = max((self.low, not self.has_low), (other.low, not other.has_low))
        highs = [(one.high, one.has_high) for one in (self, other) if one.high is not None]
        high, has_high = min(highs, default=(None, False))
        return Comparators(low, not is_above, high, has_high, self.prereleases_of | other.prereleases_of)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Some versions: those that one of the alternatives admits."""

    alternatives: tuple[Comparators, ...]

    def admits(self, version: SemanticVersion) -> bool:
        """Tells whether a version belongs to the range."""
        return any(one.admits(version) for one in self.alternatives)

    @property
    def lowest_key(self) -> str:
        """No key of a version in the range is below."""
        return min(one.low.key for one in self.alternatives)

    @property
    def highest_key(self) -> str | None:
        """No key of a version in the range is above; None: there is no such bound."""
        highs = [one.high for one in self.alternatives if one.high is not None]
        return max(high.key for high in highs) + AFTER_BUILDS if len(highs) == len(self.alternatives) else None


def parse_range(text: str) -> VersionRange | None:
    """Reads a range: `^1.2`, `~1.2`, `1.x`, `1.2.*`, `*`, comparisons with "," or a space for and, "||" for or.

    None: it is none.  That is so, too, of `1` and `1.2` alone, which may as well be meant as names.
    """
    if len(text) > SEMANTIC_VERSION_CHARS_MAX:
        return None
    alternatives: list[Comparators] = []
    for part in text.split("||"):
        signs = _SEPARATOR.split(_SIGN_AND_SPACE.sub(r"\1", part.strip()))
        if len(signs) > COMPARATORS_MAX or len(alternatives) >= COMPARATORS_MAX:
            return None
        held = Comparators()
        for sign in signs:
            comparator = _parse_comparator(sign)
            if comparator is None:
                return None
            held = held.and_(comparator)
        alternatives.append(held)
    return VersionRange(tuple(alternatives))


def _parse_comparator(text: str) -> Comparators | None:
    found = _COMPARATOR.fullmatch(text)
    if found is None:
        return None
    sign, operand = found.groups()
    version = parse_version(operand)
    if version is not None:
        return _with_whole(sign, version)
    release = _parse_partial(operand)
    has_wildcard = any(wildcard in operand for wildcard in "xX*")
    if release is None or (not sign and not has_wildcard) or operand in ("x", "X"):
        return None
    return _PARTIAL_SIGNS[sign](release)


def _parse_partial(text: str) -> Release | None:
    """Returns what is said of a version before its first wildcard; None: it is no version, or something follows the wildcard."""
    found = _PARTIAL.fullmatch(text)
    if found is None:
        return None
    parts = [part for part in found.groups() if part is not None]
    said = [part for part in parts if part.isdecimal()]
    leading_zero = any(len(part) > 1 and part.startswith("0") for part in said)
    in_front = all(part.isdecimal() for part in parts[: len(said)])
    return tuple(map(int, said)) if in_front and not leading_zero else None


def _with_whole(sign: str, version: SemanticVersion) -> Comparators:
    plain = version.without_build()
    named = frozenset([plain.release]) if plain.prerelease else frozenset[Release]()
    if sign in ("", "=", "=="):
        return Comparators(plain, True, plain, True, named)
    if sign in (">", ">="):
        return Comparators(plain, sign == ">=", None, False, named)
    if sign in ("<", "<="):
        return Comparators(high=plain, has_high=sign == "<=", prereleases_of=named)
    high = _after(plain.release[:2]) if sign == "~" else _compatible_end(plain.release)
    return Comparators(plain, True, high, False, named)


def _filled(release: Release) -> SemanticVersion:
    major, minor, patch = (*release, 0, 0, 0)[:3]
    return SemanticVersion(major, minor, patch)


def _after(release: Release) -> SemanticVersion:
    """Returns the first version above all that begin with some numbers."""
    return _filled((*release[:-1], release[-1] + 1))


def _compatible_end(release: Release) -> SemanticVersion:
    """Returns the first version that the caret leaves out: the one that raises the first number that is not 0."""
    for place, number in enumerate(release):
        if number:
            return _after(release[: place + 1])
    return _after(release)


def _all_of(release: Release) -> Comparators:
    return Comparators(_filled(release), True, _after(release), False) if release else Comparators()


def _nothing() -> Comparators:
    return Comparators(high=SemanticVersion(0, 0, 0, "0"))


_PARTIAL_SIGNS: Mapping[str, Callable[[Release], Comparators]] = {
    "": _all_of,
    "=": _all_of,
    "==": _all_of,
    "^": lambda release: Comparators(_filled(release), True, _compatible_end(release)) if release else Comparators(),
    "~": lambda release: _all_of(release[:2]),
    ">=": lambda release: Comparators(_filled(release)),
    ">": lambda release: Comparators(_after(release)) if release else _nothing(),
    "<": lambda release: Comparators(high=_filled(release)) if release else _nothing(),
    "<=": lambda release: Comparators(high=_after(release)) if release else Comparators(),
}
