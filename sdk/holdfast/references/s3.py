"""References to objects of Amazon S3 and of everything that speaks its protocol: `s3://bucket/key`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, urlsplit

from holdfast.references.aws_profile import AwsProfile, read_profile
from holdfast.references.cloud import CloudHandler, ObjectPlace
from holdfast.references.network import NetworkLimits, metadata_service_answers
from holdfast.references.object_store import client_options, retry_config

if TYPE_CHECKING:
    from obstore.store import S3Config

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""The first that is set counts."""
VIRTUAL_HOSTED_SUFFIXES = ("cwobject.com", "cwlota.com")
"""Endpoints known to want the bucket in the host's name."""

_VERSION = re.compile(r"\?versionId=([^&#]+)$")
_CREDENTIAL_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""With one of them obstore finds its way by itself."""


class S3Handler(CloudHandler):
    """`s3://bucket/key`, `s3://bucket/folder`, `s3://bucket/key?versionId=…`."""

    noun = "object of S3"

    def __init__(self, scheme: str | None = None, *, limits: NetworkLimits | None = None) -> None:
        """Makes a handler of one scheme; default: `s3`."""
        super().__init__(limits=limits)
        self._scheme = scheme or "s3"

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return parsed_url.scheme == self._scheme

    def parse(self, uri: str) -> ObjectPlace:
        """Splits the URI; in keys "#", "%" and "?" mean themselves.

        Raises:
            ValueError: there is no bucket in it.
        """
        version = _VERSION.search(uri)
        plain = uri[: version.start()] if version else uri
        bucket, _, key = plain.partition("://")[2].partition("/")
        if not bucket:
            raise ValueError(f"{uri!r} names no bucket; write {self._scheme}://bucket/key.")
        return ObjectPlace(bucket, key, version[1] if version else None)

    def uri_of(self, place: ObjectPlace, key: str) -> str:
        """Returns the URI without a version, as in W&B: that is kept beside it."""
        return f"{self._scheme}://{place.bucket}/{key}"

    def open_store(self, place: ObjectPlace) -> Any:
        """Makes the store from the environment's settings, and from the AWS profile."""
        from obstore.store import S3Store

        profile = read_profile(os.environ)
        config: S3Config = {}
        endpoint = _endpoint(profile)
        if endpoint:
            config["endpoint"], config["virtual_hosted_style_request"] = _addressing(endpoint, place.bucket)
            # Has to be said again: in obstore's eyes the service's own variable goes before everything.
            config["aws_endpoint_url_s3"] = config["endpoint"]
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or profile.region()
        if region:
            config["region"] = region
        provider = None
        if _is_true("AWS_NO_SIGN_REQUEST"):
            config["skip_signature"] = True
        elif not any(name in os.environ for name in _CREDENTIAL_VARIABLES):
            provider = _add_credentials(config, profile)
        return S3Store(
            place.bucket,
            config=config,
            client_options=client_options(self._limits, allow_http=(endpoint or "").startswith("http://")),
            retry_config=retry_config(self._limits),
            credential_provider=provider,
        )


def _endpoint(profile: AwsProfile) -> str | None:
    return next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), profile.endpoint())


def _addressing(endpoint: str, bucket: str) -> tuple[str, bool]:
    """The endpoint as obstore wants it, and whether the bucket is in the host's name.

    Servers of one's own (MinIO, Ceph, SeaweedFS) know the path style; few know the other.
    """
    host = urlsplit(endpoint).hostname or ""
    virtual = _is_true("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") or host.endswith(VIRTUAL_HOSTED_SUFFIXES)
    if not virtual or host.startswith(f"{bucket}."):
        return endpoint.rstrip("/"), virtual
    scheme, _, rest = endpoint.rstrip("/").partition("://")
    return f"{scheme}://{bucket}.{rest}", True


def _add_credentials(config: S3Config, profile: AwsProfile) -> Any:
    """Takes the profile's credentials, the machine's, or none (public buckets need none).

    Returns:
        A provider for obstore, where the AWS SDK has to be asked again and again.
    """
    keys = profile.keys()
    if keys:
        config.update(cast("S3Config", keys))
    elif profile.needs_sdk:
        try:
            from obstore.auth.boto3 import Boto3CredentialProvider
        except ImportError as error:
            raise ValueError(
                f"AWS profile {profile.name!r} takes its credentials from a sign-in or a role, which needs the AWS SDK:"
                " pip install boto3, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        return Boto3CredentialProvider()
    elif _is_true("AWS_EC2_METADATA_DISABLED") or not metadata_service_answers():
        config["skip_signature"] = True
    return None


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")
