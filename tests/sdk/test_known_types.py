"""The early check of a collection's type: a courtesy that never holds anybody up."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from holdfast._daemon_client import DaemonClient
from holdfast._known_types import DEADLINE_S, PAUSE_S, KnownTypes
from holdfast.errors import Error, NotFoundError, SemanticVersionExistsError, TypeMismatchError, UnavailableError
from holdfastpb.registry.v1 import collection_pb2, version_pb2


class Registry:
    """Answers as it is told; also the daemon's client and its launcher."""

    def __init__(self, answer: str | Error) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.now = 0.0
        self.listens = True
        self.launcher = self

    def is_listening(self) -> bool:
        return self.listens

    def unary(self, method: str, request: Any, response_type: Any, **how: Any) -> Any:
        self.asked.append(how)
        if isinstance(self.answer, Error):
            raise self.answer
        return collection_pb2.GetCollectionResponse(collection=collection_pb2.Collection(type=self.answer))

    def types(self) -> KnownTypes:
        return KnownTypes(cast(Callable[[], DaemonClient], lambda: self), monotonic=lambda: self.now)


def test_another_type_is_refused_each_time() -> None:
    registry = Registry("dataset")
    types = registry.types()
    for _ in range(2):
        with pytest.raises(TypeMismatchError, match="Artifact a already exists with type 'dataset'; cannot create"):
            types.check("e", "p", "a", "model")
    assert len(registry.asked) == 2


@pytest.mark.parametrize("answer", ["dataset", NotFoundError("none")])
def test_what_is_known_is_not_asked_again(answer: str | Error) -> None:
    registry = Registry(answer)
    types = registry.types()
    for _ in range(3):
        types.check("e", "p", "a", "dataset")
    assert len(registry.asked) == 1


def test_what_is_remembered_refuses_nobody() -> None:
    registry = Registry(NotFoundError("none"))
    types = registry.types()
    types.check("e", "p", "a", "dataset")
    registry.answer = "model"
    types.check("e", "p", "a", "model")


def test_registry_that_is_away_is_asked_once_in_a_while_without_a_second_try() -> None:
    registry = Registry(UnavailableError("away"))
    types = registry.types()
    for name in "abc":
        types.check("e", "p", name, "dataset")
    assert registry.asked == [{"deadline_s": DEADLINE_S, "attempts_max": 1}]
    registry.now += PAUSE_S
    types.check("e", "p", "d", "dataset")
    assert len(registry.asked) == 2


def test_no_daemon_is_started_for_it() -> None:
    registry = Registry("dataset")
    registry.listens = False
    registry.types().check("e", "p", "a", "model")
    assert registry.asked == []


class Numbers(Registry):
    """Answers with a version that has the number, and these aliases."""

    def __init__(self, *aliases: str) -> None:
        super().__init__("")
        self.aliases = aliases

    def unary(self, method: str, request: Any, response_type: Any, **how: Any) -> Any:
        self.asked.append(how)
        return version_pb2.ListVersionsResponse(versions=[version_pb2.Version(aliases=self.aliases)])


def test_number_of_another_version_is_refused_at_once() -> None:
    with pytest.raises(SemanticVersionExistsError, match=r"Artifact a has a version 1\.2\.0 already"):
        Numbers("best").types().check_number("e", "p", "a", "1.2.0")
    latest = Numbers("latest")
    latest.types().check_number("e", "p", "a", "1.2.0")  # perhaps with equal content
    with pytest.raises(SemanticVersionExistsError):
        latest.types().check_number("e", "p", "a", "1.2.0", always_new=True)
    assert [how["deadline_s"] for how in latest.asked] == [DEADLINE_S] * 2


def test_nobody_is_asked_for_a_number_that_is_not_wanted() -> None:
    registry = Numbers("best")
    registry.types().check_number("e", "p", "a", None)
    registry.types().check_number("e", "p", "a", "")
    assert not registry.asked
    for answer in (NotFoundError("none"), UnavailableError("away")):
        Registry(answer).types().check_number("e", "p", "a", "1.2.0")
