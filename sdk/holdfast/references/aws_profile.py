"""Reads the shared configuration files of AWS (`~/.aws/credentials`, `~/.aws/config`), which obstore does not know."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.errors import CommError

PROCESS_TIMEOUT_S = 60.0
"""For a `credential_process`: somebody may have to touch a key."""

_NEEDS_BOTO3 = ("sso_session", "sso_start_url", "role_arn", "login_session")
"""What only the AWS SDK can turn into credentials."""


@dataclass(frozen=True, slots=True)
class AwsProfile:
    """What one profile sets."""

    name: str
    values: Mapping[str, str]

    def endpoint(self) -> str | None:
        """The profile's own endpoint of S3."""
        return self.values.get("endpoint_url")

    def region(self) -> str | None:
        """The profile's region."""
        return self.values.get("region")

    @property
    def needs_sdk(self) -> bool:
        """Whether its credentials come from a sign-in or a role, which takes the AWS SDK."""
        return any(name in self.values for name in _NEEDS_BOTO3)

    def keys(self) -> dict[str, str]:
        """Returns key, secret and perhaps token, as settings of obstore; empty when the profile has none.

        Raises:
            CommError: the profile's `credential_process` gives none.
        """
        if "aws_access_key_id" in self.values and "aws_secret_access_key" in self.values:
            return _settings(
                self.values["aws_access_key_id"],
                self.values["aws_secret_access_key"],
                self.values.get("aws_session_token"),
            )
        command = self.values.get("credential_process")
        return self._from_process(command) if command else {}

    def _from_process(self, command: str) -> dict[str, str]:
        try:
            done = subprocess.run(
                shlex.split(command), capture_output=True, timeout=PROCESS_TIMEOUT_S, check=True, text=True
            )
            found = json.loads(done.stdout)
            return _settings(found["AccessKeyId"], found["SecretAccessKey"], found.get("SessionToken"))
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            text = f"The credential_process of AWS profile {self.name!r} gave no credentials ({type(error).__name__})"
            raise CommError(f"{text}; run it by hand to see why.") from error


def read_profile(environ: Mapping[str, str]) -> AwsProfile:
    """Returns the profile that the environment names (default: "default"); empty when there is none.

    Raises:
        CommError: AWS_PROFILE names a profile that no file has.
    """
    name = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    config = _read(environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
    credentials = _read(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    section = name if name == "default" else f"profile {name}"
    values: dict[str, str] = {}
    for parser, wanted in ((config, section), (credentials, name)):
        if parser.has_section(wanted):
            values.update(parser.items(wanted))
    if not values and name != "default":
        raise CommError(f"AWS_PROFILE is {name!r}, but no AWS configuration file has that profile.")
    return AwsProfile(name, values)


def _read(path: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        parser.read(os.path.expanduser(path))
    except configparser.Error as error:
        raise CommError(f"The AWS configuration file {path} cannot be understood: {error.message}") from error
    return parser


def _settings(key_id: str, secret: str, token: str | None) -> dict[str, str]:
    keys = {"access_key_id": key_id, "secret_access_key": secret}
    return {**keys, "session_token": token} if token else keys
