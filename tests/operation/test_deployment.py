"""The files in `deploy` name commands, options, settings and files that exist, and say the same as the documents."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from architecture.source_tree import PROJECT_ROOT
from holdfast_contract.settings import environment_name
from holdfast_registry.commands import main
from holdfast_registry.settings import SECTION, RegistrySettings

DEPLOY = PROJECT_ROOT / "deploy"
SETTINGS = {environment_name(SECTION, field.name) for field in dataclasses.fields(RegistrySettings)}
KEYS_OF_A_SERVICE = {
    "image", "build", "command", "entrypoint", "environment", "depends_on", "healthcheck", "stop_grace_period", "restart", "volumes",
    "ports", "shm_size",
}  # fmt: skip
METRIC = re.compile(r"holdfast_(?:registry|daemon)_\w+")


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def registry_names() -> list[str]:
    return [name for name, service in services().items() if service["image"] == "holdfast-registry"]


def test_two_registries_are_behind_the_balancer() -> None:
    balancer = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    servers = re.findall(r"^ *server (\S+) (\S+):7440$", balancer, re.MULTILINE)
    assert (
        servers == [(name, name) for name in registry_names()] == [(f"registry-{n}", f"registry-{n}") for n in (1, 2)]
    )


def commands() -> dict[str, list[str]]:
    """Everything that starts the registry's program, without the program."""
    unit = (DEPLOY / "systemd" / "holdfast-registry@.service").read_text(encoding="utf-8")
    [started] = re.findall(r"^ExecStart=.* -m holdfast_registry (.*)$", unit, re.MULTILINE)
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    [by_default] = re.findall(r"^CMD (.*)$", image, re.MULTILINE)
    composed = {name: services()[name]["command"] for name in registry_names()}
    return {"unit": started.split(), "image": yaml.safe_load(by_default), **composed}


@pytest.mark.parametrize("where", commands())
def test_commands_have_options_that_exist(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*commands()[where], "--help"])
    known = capsys.readouterr().out
    assert ended.value.code == 0
    assert [word for word in commands()[where] if word.startswith("--") and word not in known] == []


def test_settings_that_are_named_exist() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    named = {name: path for path in files for name in re.findall(r"HOLDFAST_REGISTRY_\w+", path.read_text("utf-8"))}
    assert len(named) > 8
    assert {name: path for name, path in named.items() if name not in SETTINGS} == {}


def test_secrets_come_from_the_environment_only() -> None:
    asked = re.findall(r"\$\{(\w+):\?\}", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    offered = re.findall(r"^(\w+)=(.*)$", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(asked)) == sorted(name for name, _ in offered)
    assert [value for _, value in offered if value] == []
    for name in registry_names():
        assert not [word for word in services()[name]["command"] if "PASSWORD" in word or "SECRET" in word]


def test_volumes_and_files_of_the_containers_exist() -> None:
    volumes = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["volumes"]
    mounted = [one.split(":")[0] for service in services().values() for one in service.get("volumes", ())]
    made_by_hand = {"./certs"}
    assert set(mounted) - set(volumes) - made_by_hand == {"./haproxy.cfg"}
    for name in registry_names():
        assert (DEPLOY / services()[name]["build"]["context"]).resolve() == PROJECT_ROOT
        assert (PROJECT_ROOT / services()[name]["build"]["dockerfile"]).is_file()


def test_services_wait_for_what_there_is_and_nothing_is_spelled_wrong() -> None:
    for name, service in services().items():
        assert set(service) <= KEYS_OF_A_SERVICE, name
        awaited = service.get("depends_on", {})
        for other in awaited:
            condition = awaited[other]["condition"] if isinstance(awaited, dict) else "service_started"
            assert condition in ("service_started", "service_healthy", "service_completed_successfully")
            assert condition != "service_healthy" or "healthcheck" in services()[other]
    published = [port.split(":")[0] for service in services().values() for port in service.get("ports", ())]
    assert len(published) == len(set(published))


def test_balancer_lets_through_what_the_registries_take_and_starts_with_few_open_files() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    [connections] = re.findall(r"^ *maxconn (\d+)$", text, re.MULTILINE)
    assert len(registry_names()) * RegistrySettings().connections_max <= int(connections) < 20_000 // 2


def test_image_is_built_from_files_that_exist() -> None:
    wanted = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"]
    assert [name for name in wanted if not (PROJECT_ROOT / name).exists()] == []


def test_alerts_are_those_of_the_document_and_ask_for_metrics_that_exist() -> None:
    document = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    expressions = [text.replace("\\|", "|") for text in re.findall(r"^\| [^|]+ \| `(.*?)`", document, re.MULTILINE)]
    [group] = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rules = [rule["expr"] for rule in group["rules"]]
    assert rules
    assert [rule for rule in rules if rule not in expressions] == []
    documented = set(re.findall(r"^\| `(holdfast_\w+)`", document, re.MULTILINE))
    named = {name.removesuffix("_bucket") for rule in rules for name in METRIC.findall(rule)}
    assert named - documented == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
@pytest.mark.parametrize("unit", sorted(path.name for path in (DEPLOY / "systemd").glob("*.service")))
def test_units_are_what_systemd_understands(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    # It looks whether programs exist; which ones they are is the machine's affair.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
    path = tmp_path / unit.replace("@.", "@1.")
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in done.stderr.splitlines() if path.name in line] == []
