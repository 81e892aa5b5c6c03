"""The grammar of names, by table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_contract import names
from holdfast_contract.errors import InvalidNameError
from holdfast_contract.names import ArtifactName, parse_artifact_name

LONG = "x" * 129
NEVER = ["", " ", LONG, "a\n", "a\0b", "\x1b[31m", "\x85", "\ud800", 7, None]
"""What no name of any kind may be."""

ACCEPTED: list[tuple[Callable[[str], None], list[str]]] = [
    (names.check_artifact_name, ["a", "A-b_c.1", "...", ".hidden", "x" * 128]),
    (names.check_collection_name, ["a", "My Model", "größe", "x" * 128]),
    (names.check_type_name, ["dataset", "my type", "run_table", "code", "wandbtype", "jobs"]),
    (names.check_alias, ["latest", "v0", "best model", "größe", "a.b"]),
    (names.check_user_alias, ["latest", "v", "v1a", "version1", "V1", "x" * 128]),
    (names.check_tag, ["a", "a b", "a  b", "-", "größe_1"]),
    (names.check_entity, ["me", "my-team", "Team_1"]),
    (names.check_project, ["p", "my project", "größe", "a.b"]),
    (names.check_run_id, ["abc123", "a-b_c", "run 1"]),
]
REFUSED: list[tuple[Callable[[str], None], list[str]]] = [
    (names.check_artifact_name, ["a b", "a/b", "a:b", "ä", ".", "..", "a\\b"]),
    (names.check_collection_name, ["a/b", "a:b", "a\\b", ".", ".."]),
    (names.check_type_name, ["job", "wandb-history", "wandb-", "a/b", "a:b"]),
    (names.check_alias, ["a/b", "a:b"]),
    (names.check_user_alias, ["v0", "v12", "v007", "a/b"]),
    (names.check_tag, ["a,b", " a", "a ", "a/b", "a\tb"]),
    (names.check_entity, ["a b", "a/b", "ä", ".", ".."]),
    (names.check_project, ["a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", ".", ".."]),
    (names.check_run_id, ["a/b", "a:b", " a", "a ", "a%b", ".."]),
]


@pytest.mark.parametrize(("check", "name"), [(check, name) for check, accepted in ACCEPTED for name in accepted])
def test_good_names_are_accepted(check: Callable[[str], None], name: str) -> None:
    check(name)


@pytest.mark.parametrize(("check", "name"), [(check, name) for check, bad in REFUSED for name in [*bad, *NEVER]])
def test_bad_names_are_refused(check: Callable[[str], None], name: str) -> None:
    with pytest.raises(InvalidNameError):
        check(name)


@pytest.mark.parametrize(
    ("check", "name", "message"),
    [
        (
            names.check_artifact_name,
            "a b",
            "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots. Invalid name: 'a b'",
        ),
        (names.check_artifact_name, LONG, "Artifact name is longer than 128 characters"),
        (names.check_artifact_name, "..", "Invalid artifact name"),
        (names.check_type_name, "job", "is reserved for internal use"),
        (names.check_alias, "a/b", "Aliases must not contain any of the following characters: '/', ':'"),
        (names.check_tag, "a,b", "Invalid tag(s)"),
    ],
)
def test_messages_begin_as_users_know_them(check: Callable[[str], None], name: str, message: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        check(name)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("type_name", "artifact_name", "reserved"),
    [
        ("run_table", "run-abc-table", True),
        ("run_table", "mine", False),
        ("code", "source-project", True),
        ("code", "mine", False),
        ("job", None, True),
        ("wandb-history", "mine", True),
        ("dataset", "run-1", False),
    ],
)
def test_reserved_types_are_for_internal_use(type_name: str, artifact_name: str | None, reserved: bool) -> None:
    names.check_type_name(type_name, artifact_name, internal=True)
    if reserved:
        with pytest.raises(InvalidNameError):
            names.check_type_name(type_name, artifact_name)
    else:
        names.check_type_name(type_name, artifact_name)


@pytest.mark.parametrize(("alias", "is_version"), [
    ("v0", True), ("v10", True), ("v", False), ("vv1", False), ("v1\n", False), ("v²", False), ("V1", False),
])  # fmt: skip
def test_version_aliases_are_v_and_digits(alias: str, is_version: bool) -> None:
    assert names.is_version_alias(alias) is is_version


def test_counts_of_aliases_and_tags_are_limited() -> None:
    names.check_tags([f"t{number}" for number in range(20)] * 2)
    names.check_user_aliases([f"a{number}" for number in range(100)])
    with pytest.raises(InvalidNameError, match="20 tags"):
        names.check_tags([f"t{number}" for number in range(21)])
    with pytest.raises(InvalidNameError, match="100 aliases"):
        names.check_user_aliases([f"a{number}" for number in range(101)])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("name", ArtifactName(None, None, "name", None)),
        ("name:v3", ArtifactName(None, None, "name", "v3")),
        ("project/name", ArtifactName(None, "project", "name", None)),
        ("project/name:latest", ArtifactName(None, "project", "name", "latest")),
        ("team/project/name:best", ArtifactName("team", "project", "name", "best")),
        ("name:a/b", ArtifactName(None, None, "name", "a/b")),
        ("team/project/name:a:b/c/d/e", ArtifactName("team", "project", "name", "a:b/c/d/e")),
        ("model-registry/My Model:v1", ArtifactName(None, "model-registry", "My Model", "v1")),
    ],
)
def test_artifact_names_are_taken_apart_at_the_first_colon(text: str, parsed: ArtifactName) -> None:
    assert parse_artifact_name(text) == parsed
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "name:", ":v1", "/name", "a//name", "a/b/c/d", "a/b/c/d:v1", "../name", "a/../name", "..", "name\n",
     "name:v1\n", "a\\b", "team/a?b/name", "x" * 129, "name:" + LONG],
)  # fmt: skip
def test_names_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_artifact_name(text)


@given(st.text(max_size=40))
def test_any_text_parses_to_what_prints_as_it_or_is_refused(text: str) -> None:
    try:
        parsed = parse_artifact_name(text)
    except InvalidNameError:
        return
    assert str(parsed) == text
