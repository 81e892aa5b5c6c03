"""`Api`: looking without a run, with W&B's exceptions."""

from pathlib import Path

import pytest

import holdfast
from holdfast.api import Api
from holdfast.artifact import Artifact
from holdfast.errors import CommError, NotFoundError
from holdfast_contract.reasons import Reason
from support.fake_daemon import FakeDaemon, Refusal


@pytest.fixture
def api(daemon: FakeDaemon, tmp_path: Path) -> Api:
    """A collection of five versions, v1 and v3 of them tagged."""
    with holdfast.init(project="p") as run:
        for number in range(5):
            artifact = Artifact("a", "dataset")
            with artifact.new_file("f") as file:
                file.write(str(number))
            run.log_artifact(artifact, tags=["odd"] if number % 2 else []).wait()
    return Api()


def test_artifact_by_all_forms_of_names(api: Api) -> None:
    assert api.artifact("p/a").version == "v4"
    assert api.artifact("local/p/a:v2").version == "v2"
    assert Api({"project": "p"}).artifact("a").version == "v4"
    assert (api.default_entity, api.default_project) == ("local", "uncategorized")


def test_viewer_is_the_user_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    viewer = Api({"entity": "team"}).viewer
    assert (viewer.username, viewer.entity) == ("ada", "team")


@pytest.mark.parametrize("name", ["a", "p/a:v9", "other/p/a"])
def test_absent_artifact_is_a_comm_error(api: Api, name: str) -> None:
    with pytest.raises(NotFoundError):
        api.artifact(name)
    assert not api.artifact_exists(name)


def test_wrong_arguments_are_comm_errors(api: Api) -> None:
    with pytest.raises(CommError, match="You must specify name= to fetch an artifact"):
        api.artifact(None)  # type: ignore[arg-type]
    with pytest.raises(CommError, match="type 'model' specified but this artifact is of type 'dataset'"):
        api.artifact("p/a", type="model")
    with pytest.raises(CommError, match="Invalid artifact path") as caught:
        api.artifact("a/b/c/d")
    assert caught.value.reason is Reason.INVALID_NAME


def test_exists_looks_at_the_type_and_does_not_hide_trouble(api: Api, daemon: FakeDaemon) -> None:
    assert api.artifact_exists("p/a")
    assert api.artifact_exists("p/a", type="dataset")
    assert not api.artifact_exists("p/a", type="model")
    daemon.faults.refusals["ResolveVersion"] = [Refusal(Reason.PERMISSION_DENIED, "no")]
    with pytest.raises(CommError):
        api.artifact_exists("p/a")


def test_artifacts_are_newest_first_and_paged(api: Api, daemon: FakeDaemon) -> None:
    versions = api.artifacts("dataset", "p/a", per_page=2)
    assert daemon.calls.methods.count("ListVersions") == 0
    assert len(versions) == 5
    assert daemon.calls.methods.count("ListVersions") == 1
    assert [one.version for one in versions] == ["v4", "v3", "v2", "v1", "v0"]
    assert (versions[0].version, versions[-1].version) == ("v4", "v0")
    assert [one.version for one in versions[1:3]] == ["v3", "v2"]
    assert (versions.more, versions.cursor) == (False, None)
    with pytest.raises(IndexError):
        versions[5]


def test_artifacts_go_on_from_a_cursor(api: Api) -> None:
    first = api.artifacts("dataset", "p/a", per_page=2)
    assert first[1].version == "v3"
    assert [one.version for one in api.artifacts("dataset", "p/a", start=first.cursor)] == ["v2", "v1", "v0"]


@pytest.mark.parametrize("order", ["version_index", "+version_index", "created_at"])
def test_artifacts_oldest_first(api: Api, order: str) -> None:
    assert api.artifacts("dataset", "p/a", order=order)[0].version == "v0"


@pytest.mark.parametrize("tags", ["odd", ["odd"]])
def test_artifacts_with_tags(api: Api, tags: str | list[str]) -> None:
    assert [one.version for one in api.artifacts("dataset", "p/a", tags=tags)] == ["v3", "v1"]


def test_artifacts_of_nothing(api: Api) -> None:
    with pytest.raises(NotFoundError):
        len(api.artifacts("dataset", "p/absent"))
    with pytest.raises(NotFoundError):
        list(api.artifacts("model", "p/a"))


def test_bad_paging_is_refused(api: Api) -> None:
    for arguments in ({"order": "name, digest"}, {"per_page": 0}, {"tags": ["a/b"]}, {"filters": "name"}):
        with pytest.raises(CommError):
            api.artifacts("dataset", "p/a", **arguments)  # type: ignore[arg-type]
