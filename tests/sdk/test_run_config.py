"""A run's config: a dict with attributes, values that stand for artifacts, and JSON of anything."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast._run_config import Config, artifact_value, decode_config, encode_config
from holdfast.artifact import Artifact
from holdfast.errors import ConfigError
from holdfast.runs import Run
from support.fake_daemon import FakeDaemon


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    return holdfast.init(project="p")


@pytest.fixture
def artifact(run: Run, tree: Path) -> Artifact:
    artifact = Artifact("a", "dataset")
    artifact.add_file(str(tree / "hello.txt"))
    return run.log_artifact(artifact, aliases=["best"]).wait()


def test_config_takes_values_in_every_way() -> None:
    config = Config({"a": 1})
    config.b = 2
    config["c"] = 3
    config.update({"d": 4}, e=5)
    config.update(argparse.Namespace(f=6))
    config.update([("g", 7)])
    config.setdefaults({"a": 0, "h": 8})
    assert list(config.as_dict().values()) == list(range(1, 9))
    assert (config.get("a"), config.get("absent"), "a" in config, len(config)) == (1, None, True, 8)
    del config.a
    del config["b"]
    assert "a" not in config
    with pytest.raises(AttributeError, match="config has no key 'a'"):
        del config.a
    with pytest.raises(TypeError, match="config must be a dict or have attributes"):
        config.update(5)


def test_change_is_refused_only_when_asked_for() -> None:
    config = Config({"a": 1})
    config.update({"a": 1, "b": 2}, allow_val_change=False)
    with pytest.raises(ConfigError, match='Attempted to change value of key "a" from 1 to 3'):
        config.update({"c": 0, "a": 3}, allow_val_change=False)
    assert config.as_dict() == {"a": 1, "b": 2}
    config.update({"a": 3}, allow_val_change=True)
    config.update({"a": 4})
    assert config.a == 4


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"nested": (1, {2})}, {"nested": [1, [2]]}),
        (float("nan"), None),
        (float("inf"), "inf"),
        (Path("/x"), "/x"),
        ({1: 2}, {"1": 2}),
        (print, "<built-in function print>"),
        ("\ud800", "?"),
    ],
)
def test_everything_has_some_form_in_json(value: Any, sent: Any) -> None:
    assert decode_config(encode_config({"k": value})) == {"k": sent}


def test_config_may_have_any_number_of_keys_and_one_that_is_too_large_hinders_nothing(run: Run) -> None:
    many = {f"k{number}": number for number in range(500)}
    assert decode_config(encode_config(many)) == many
    run.config.update({"text": "x" * (2 << 20)})
    with pytest.warns(UserWarning, match="config is not recorded"):
        assert run.log_artifact(Artifact("a", "t")).wait().version == "v0"
    run.config.text = ""


def test_value_that_contains_itself_hinders_nothing() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert json.loads(encode_config({"k": value}))["k"]


@pytest.mark.parametrize(
    ("value", "name", "version_id"),
    [
        ("wandb-artifact://e/p/n:v0", "e/p/n:v0", ""),
        ("holdfast-artifact://n", "n", ""),
        ("wandb-artifact://https://api.example.org/e/p/n:v0", "e/p/n:v0", ""),
        ("wandb-artifact://_id/0123", "", "0123"),
        ({"_type": "artifactVersion", "id": "0123", "version": "v0"}, "", "0123"),
    ],
)
def test_documented_forms_stand_for_artifacts(value: Any, name: str, version_id: str) -> None:
    found = artifact_value(value)
    assert found is not None
    assert (found.name, found.version_id) == (name, version_id)


@pytest.mark.parametrize("value", ["text", "s3://bucket/x", 5, None, {}, {"_type": "other", "id": "x"}])
def test_other_values_stand_for_nothing(value: Any) -> None:
    assert artifact_value(value) is None


def test_values_are_read_as_artifacts_that_the_run_uses(run: Run, artifact: Artifact, daemon: FakeDaemon) -> None:
    values = {
        "name": "wandb-artifact://local/p/a:best",
        "id": f"holdfast-artifact://_id/{artifact.id}",
        "dict": artifact.json_encode(),
        "itself": artifact,
    }
    with holdfast.init(project="q", config=values, reinit="create_new") as user:
        assert {user.config[key].qualified_name for key in values} == {"local/p/a:v0"}
        assert user.config.name is user.config["name"]
    assert user.id in [one.id for one in artifact.used_by()]
    sent = decode_config(daemon.state.runs["local", "q", user.id].config_json)
    assert sent["name"] == sent["itself"] == sent["dict"] == artifact.json_encode()


def test_value_that_was_set_anew_is_read_anew(run: Run, artifact: Artifact) -> None:
    run.config.data = "wandb-artifact://a:v0"
    assert isinstance(run.config.data, Artifact)
    run.config.data = 5
    assert run.config.data == 5


def test_what_was_not_read_travels_as_it_is_and_asks_nobody(places: Any) -> None:
    config = {"data": "wandb-artifact://nobody/knows/it:v7", "draft": Artifact("d", "t")}
    with holdfast.init(config=config) as run:
        assert "data" in run.config
        sent = decode_config(run.as_message().config_json)
    assert sent == {"data": "wandb-artifact://nobody/knows/it:v7", "draft": "d"}


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_without_a_registry_values_are_what_they_are(mode: str, places: Any) -> None:
    run = holdfast.init(mode=mode, config={"data": "wandb-artifact://a:v0"})
    assert run.config.data == "wandb-artifact://a:v0"
