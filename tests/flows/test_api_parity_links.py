"""Links: a version in portfolios and registries, with names, numbers and aliases of their own."""

import pickle

import pytest

import holdfast
from holdfast import errors
from support.sdk_calls import PROJECT, fresh_name, log, new_artifact
from support.sdk_host import SdkHost


@pytest.fixture(autouse=True)
def _on_the_host(host: SdkHost) -> None:
    """Every test here logs."""


def logged(
    text: str = "x", name: str | None = None, type: str = "dataset", aliases: tuple[str, ...] = ()
) -> holdfast.Artifact:
    """A version with one file."""
    artifact = new_artifact(name, type)
    with artifact.new_file("file") as file:
        file.write(text)
    return log(artifact, aliases=aliases)


def test_a_link_has_its_own_name_number_and_aliases() -> None:
    name, portfolio = fresh_name(), fresh_name("portfolio")
    logged("a", name)
    source = logged("b", name, aliases=("best",))
    link = source.link(f"{PROJECT}/{portfolio}", aliases=["prod"])
    assert (link.is_link, source.is_link) == (True, False)
    assert (link.name, link.version, link.project, link.entity) == (f"{portfolio}:v0", "v0", PROJECT, "local")
    assert link.qualified_name == f"local/{PROJECT}/{portfolio}:v0"
    assert (link.source_name, link.source_version, link.source_qualified_name) == (
        f"{name}:v1",
        "v1",
        source.qualified_name,
    )
    assert (link.source_entity, link.source_project, link.id) == ("local", PROJECT, source.id)
    assert set(link.aliases) == {"prod", "latest"}
    assert set(source.aliases) == {"best", "latest"}
    assert link.source_artifact.qualified_name == source.qualified_name
    assert source.source_artifact is source
    assert [one.qualified_name for one in source.linked_artifacts] == [link.qualified_name]
    assert link.linked_artifacts == []
    assert link.json_encode()["sequenceName"] == name


def test_the_target_of_a_link_may_be_said_in_every_documented_form() -> None:
    source, portfolio, registry = logged(), fresh_name("portfolio"), fresh_name("registry")
    with holdfast.init(project="elsewhere") as run:
        forms = {
            source.link(portfolio).qualified_name: f"local/uncategorized/{portfolio}:v0",
            source.link(f"{PROJECT}/{portfolio}").qualified_name: f"local/{PROJECT}/{portfolio}:v0",
            source.link(f"local/other/{portfolio}").qualified_name: f"local/other/{portfolio}:v0",
            run.link_artifact(source, portfolio).qualified_name: f"local/elsewhere/{portfolio}:v0",
        }
        assert list(forms) == list(forms.values())
    holdfast.Api().create_registry(registry, visibility="organization")
    in_registry = source.link(f"wandb-registry-{registry}/models")
    assert in_registry.qualified_name == f"local/wandb-registry-{registry}/models:v0"
    again = source.link(f"local/wandb-registry-{registry}/models", aliases=["champion"])
    assert (again.version, set(again.aliases)) == ("v0", {"latest", "champion"})
    assert len(source.linked_artifacts) == 5


@pytest.mark.parametrize("target", ["a/b/c/d", "p:v0", "", "p/", "local/p/x:latest"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"target_path|[Nn]ame"):
        logged().link(target)


def test_a_linked_version_is_found_by_the_names_of_its_link() -> None:
    source, portfolio = logged(), fresh_name("portfolio")
    source.link(f"{PROJECT}/{portfolio}", aliases=["prod"])
    for alias in ("v0", "prod", "latest"):
        found = holdfast.Api().artifact(f"{PROJECT}/{portfolio}:{alias}")
        assert (found.is_link, found.name, found.id) == (True, f"{portfolio}:v0", source.id)
    with holdfast.init(project=PROJECT) as run:
        used = run.use_artifact(f"{portfolio}:prod")
    assert used.is_link
    assert run.id in [by.id for by in source.used_by()]


def test_aliases_of_a_link_are_the_portfolios_and_everything_else_is_the_sources() -> None:
    source, portfolio = logged(), fresh_name("portfolio")
    link = source.link(f"{PROJECT}/{portfolio}", aliases=["old"])
    link.aliases.append("new")
    link.aliases.remove("old")
    link.description, link.metadata = "said of both", {"k": 1}
    link.save()
    assert link.is_link
    assert set(link.aliases) == {"latest", "new"}
    fresh = holdfast.Api().artifact(source.qualified_name)
    assert (set(fresh.aliases), fresh.description, fresh.metadata) == ({"latest"}, "said of both", {"k": 1})
    link.tags = ["seen"]
    with pytest.warns(UserWarning, match="edits those of its source"):
        link.save()
    assert holdfast.Api().artifact(source.qualified_name).tags == ["seen"]


def test_linking_a_link_links_its_source() -> None:
    source = logged()
    link = source.link(f"{PROJECT}/{fresh_name('first')}")
    with pytest.warns(UserWarning, match="links its source"):
        second = link.link(f"{PROJECT}/{fresh_name('second')}")
    assert (second.source_qualified_name, len(source.linked_artifacts)) == (source.qualified_name, 2)


def test_unlinking_leaves_the_version() -> None:
    source, portfolio = logged(), fresh_name("portfolio")
    link = source.link(f"{PROJECT}/{portfolio}")
    with pytest.raises(ValueError, match="is not a linked artifact and cannot be unlinked"):
        source.unlink()
    link.unlink()
    assert source.linked_artifacts == []
    assert not holdfast.Api().artifact_exists(f"{PROJECT}/{portfolio}:v0")
    assert holdfast.Api().artifact(source.qualified_name).state == "COMMITTED"


def test_deleting_a_link_only_unlinks_it() -> None:
    source = logged()
    link = source.link(f"{PROJECT}/{fresh_name('portfolio')}")
    with pytest.warns(UserWarning, match="only unlinks"):
        link.delete()
    assert source.linked_artifacts == []
    assert holdfast.Api().artifact(source.qualified_name).state == "COMMITTED"


def test_a_linked_version_is_deleted_only_with_its_links() -> None:
    name = fresh_name()
    source = logged("a", name)
    logged("b", name)
    source.link(f"{PROJECT}/{fresh_name('portfolio')}")
    fresh = holdfast.Api().artifact(f"{PROJECT}/{name}:v0")
    with pytest.raises(errors.CommError, match="link"):
        fresh.delete()
    fresh.delete(delete_aliases=True)
    assert fresh.state == "DELETED"


def test_a_draft_is_logged_before_it_is_linked() -> None:
    portfolio = fresh_name("portfolio")
    draft = new_artifact()
    with draft.new_file("file") as file:
        file.write("x")
    with holdfast.init(project=PROJECT) as run:
        link = run.link_artifact(draft, portfolio, aliases="prod")
    assert (draft.version, link.source_qualified_name) == ("v0", draft.qualified_name)
    assert "prod" in link.aliases


def test_a_link_has_no_time_to_live_of_its_own() -> None:
    link = logged().link(f"{PROJECT}/{fresh_name('portfolio')}")
    with pytest.raises(ValueError, match="Cannot set TTL for link artifact"):
        link.ttl = None


def test_a_link_knows_both_of_its_collections() -> None:
    source, portfolio = logged(), fresh_name("portfolio")
    link = source.link(f"{PROJECT}/{portfolio}")
    assert (link.collection.name, link.collection.is_sequence()) == (portfolio, False)
    assert (link.source_collection.name, link.source_collection.is_sequence()) == (
        source.source_name.split(":")[0],
        True,
    )
    assert source.collection.name == source.source_collection.name


def test_a_link_survives_pickling() -> None:
    link = logged().link(f"{PROJECT}/{fresh_name('portfolio')}")
    copied = pickle.loads(pickle.dumps(link))
    assert (copied.qualified_name, copied.is_link, copied.id) == (link.qualified_name, True, link.id)


def test_a_model_is_linked_into_the_model_registry_and_used_from_there() -> None:
    name, registered = fresh_name("model"), fresh_name("registered")
    with holdfast.init(project=PROJECT) as run:
        run.log_model(__file__, name=name)
        run.logged_artifacts()
        link = run.link_model(__file__, registered, name=fresh_name("model"), aliases=["prod"])
        assert link is not None
        assert link.qualified_name == f"local/model-registry/{registered}:v0"
        path = run.use_model(f"model-registry/{registered}:prod")
    with open(path) as mine, open(__file__) as original:
        assert mine.read() == original.read()
