"""Login, and TLS between daemon and registry: tokens that come and go while the daemon runs, and words for what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast_daemon.registry_tls import RegistryTls, why_no_handshake
from holdfast_registry.certificates import make_certificates
from support.own_registry import OwnRegistry
from support.sdk_calls import log_folder
from support.sdk_host import SdkHost
from support.status import daemon_status
from support.trees import write_tree


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path_factory.mktemp("registry")) as own:
        own.start()
        yield own


def run_cli(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from holdfast.cli.main import main; main()", *arguments],
        input=stdin,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_token_given_by_login_is_used_at_once_and_seen_nowhere(registry: OwnRegistry, tmp_path: Path) -> None:
    token = registry.token_file.read_text().strip()
    settings = {name: value for name, value in registry.daemon_settings().items() if "TOKEN" not in name}
    with SdkHost(tmp_path / "host", settings).entered() as host:
        wrong = run_cli("login", stdin="hf_reg_wrong\n")
        assert wrong.returncode != 0
        assert "unknown, expired or revoked" in wrong.stderr
        assert not host.places.registry_token.exists()
        done = run_cli("login", stdin=f"{token}\n")
        assert done.returncode == 0, done.stderr
        assert "admin of everything" in done.stdout
        assert host.places.registry_token.stat().st_mode & 0o777 == 0o600
        assert log_folder(write_tree(tmp_path / "in", {"a": b"a"}), "after-login").version == "v0"
        said = wrong.stdout + wrong.stderr + done.stdout + done.stderr
        logs = "".join(path.read_text() for path in (host.places.data_dir / "logs").iterdir())
        for text in (said, logs, registry.log.read_text(), *command_lines()):
            assert token not in text
            assert "hf_reg_wrong" not in text
        assert run_cli("logout").returncode == 0
        assert not host.places.registry_token.exists()


def command_lines() -> list[str]:
    lines = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                lines.append((folder / "cmdline").read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue  # it has just ended
    return lines


def test_token_that_was_replaced_in_its_file_is_taken_up_by_the_running_daemon(tmp_path: Path) -> None:
    with OwnRegistry(tmp_path / "registry") as own:
        own.start()
        with SdkHost(tmp_path / "host", own.daemon_settings()).entered():
            assert log_folder(write_tree(tmp_path / "in", {"a": b"a"}), "before").version == "v0"
            at = ("--address", own.address, "--token-file", str(own.token_file))
            rotated = own.command("token", "rotate", "1", "--grace-s", "0", *at)
            assert rotated.returncode == 0, rotated.stderr
            own.token_file.write_text(rotated.stdout)
            assert log_folder(write_tree(tmp_path / "in2", {"a": b"b"}), "after").version == "v0"


class TlsRegistry(OwnRegistry):
    """A registry that serves TLS under the name localhost."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.certs = folder / "certs"
        folder.mkdir()
        make_certificates(self.certs, ["localhost"], ["laptop"], 30)
        make_certificates(folder / "strangers", ["localhost"], [], 30)
        self.strangers = folder / "strangers"
        files = {"TLS_CERT": "server.pem", "TLS_KEY": "server-key.pem"} | more
        settings = {f"HOLDFAST_REGISTRY_{name}": str(self.certs / file) for name, file in files.items()}
        super().__init__(folder, settings=settings)
        self.name = self.address.replace("127.0.0.1", "localhost")

    def daemon_settings(self, address: str | None = None) -> dict[str, str]:
        ca_file = str(self.certs / "ca.pem")
        return super().daemon_settings(address or self.name) | {"HOLDFAST_DAEMON_REGISTRY_CA_FILE": ca_file}


def test_version_is_logged_over_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    with TlsRegistry(tmp_path / "registry", TLS_CLIENT_CA="ca.pem") as own:
        own.start()
        pair = {
            "HOLDFAST_DAEMON_REGISTRY_CLIENT_CERT_FILE": str(own.certs / "client-laptop.pem"),
            "HOLDFAST_DAEMON_REGISTRY_CLIENT_KEY_FILE": str(own.certs / "client-laptop-key.pem"),
        }
        with SdkHost(tmp_path / "host", own.daemon_settings() | pair).entered():
            assert log_folder(write_tree(tmp_path / "in", {"a": b"a"}), "sealed").version == "v0"


def test_certificates_that_are_renewed_on_both_sides_are_taken_up_by_the_running_daemon(tmp_path: Path) -> None:
    with TlsRegistry(tmp_path / "registry", TLS_CLIENT_CA="ca.pem") as own:
        own.start()
        own_files = tmp_path / "certs"
        shutil.copytree(own.certs, own_files)
        names = {
            "CA_FILE": "ca.pem",
            "CLIENT_CERT_FILE": "client-laptop.pem",
            "CLIENT_KEY_FILE": "client-laptop-key.pem",
        }
        settings = {f"HOLDFAST_DAEMON_REGISTRY_{name}": str(own_files / file) for name, file in names.items()}
        with SdkHost(tmp_path / "host", own.daemon_settings() | settings).entered():
            assert log_folder(write_tree(tmp_path / "in", {"a": b"a"}), "before").version == "v0"
            make_certificates(tmp_path / "new", ["localhost"], ["laptop"], 30)
            own.terminate()
            for folder in (own.certs, own_files):
                shutil.copytree(tmp_path / "new", folder, dirs_exist_ok=True)
            own.start()
            assert log_folder(write_tree(tmp_path / "in2", {"a": b"b"}), "after").version == "v0"


def test_daemon_says_in_words_what_is_wrong_with_the_connection(tmp_path: Path) -> None:
    with TlsRegistry(tmp_path / "registry") as own, OwnRegistry(tmp_path / "plain") as plain:
        own.start()
        plain.start()
        right = RegistryTls(own.certs / "ca.pem")
        wrong_name = own.name.replace("localhost", "127.0.0.1")
        assert "not trusted" in str(why_no_handshake(own.name, RegistryTls(own.strangers / "ca.pem")))
        assert "not for 127.0.0.1" in str(why_no_handshake(wrong_name, right))
        assert "speaks TLS and this daemon plaintext" in str(why_no_handshake(own.name, None))
        assert "answers in plaintext" in str(why_no_handshake(plain.address, right))
        assert why_no_handshake("localhost:1", right) is None
        own.terminate()
        make_certificates(own.certs, ["localhost"], [], 1, datetime.now(UTC) - timedelta(days=2))
        own.start()
        assert "has expired" in str(why_no_handshake(own.name, right))


def test_what_is_wrong_with_the_connection_is_in_the_status(tmp_path: Path) -> None:
    with TlsRegistry(tmp_path / "registry") as own:
        own.start()
        settings = own.daemon_settings() | {"HOLDFAST_DAEMON_REGISTRY_CA_FILE": str(own.strangers / "ca.pem")}
        with SdkHost(tmp_path / "host", settings).entered():
            deadline = time.monotonic() + 60
            while "not trusted" not in daemon_status().registry_problem:
                assert time.monotonic() < deadline, daemon_status().registry_problem
                time.sleep(0.1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"INSECURE": "true", "CA_FILE": "ca.pem"}, "choose one of the two"),
        ({"CLIENT_CERT_FILE": "c.pem"}, "belong together"),
        ({"CA_FILE": "nowhere.pem"}, "nowhere.pem cannot be read"),
        ({"TOKEN_FILE": "nowhere"}, "holdfast login"),
    ],
)
def test_settings_of_a_connection_that_contradict_each_other_are_refused(
    settings: dict[str, str], says: str, tmp_path: Path
) -> None:
    named = {f"HOLDFAST_DAEMON_REGISTRY_{name}": value for name, value in settings.items()}
    environ = SdkHost(tmp_path / "host", named | {"HOLDFAST_DAEMON_REGISTRY": "registry.example.org:7440"}).environ
    command = [sys.executable, "-m", "holdfast_daemon", "serve"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
