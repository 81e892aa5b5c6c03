"""References to blobs of Azure: `https://account.blob.core.windows.net/container/blob`, or below an endpoint of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

from holdfast.references.cloud import CloudHandler, ObjectPlace
from holdfast.references.network import NetworkLimits, metadata_service_answers
from holdfast.references.object_store import ObjectInfo, client_options, retry_config

if TYPE_CHECKING:
    from obstore.store import AzureConfig

HOST_SUFFIX = ".blob.core.windows.net"

_CREDENTIAL_VARIABLES = (
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USE_AZURE_CLI",
    "AZURE_SKIP_SIGNATURE",
    "AZURE_MSI_ENDPOINT",
    "IDENTITY_ENDPOINT",
)
"""With one of them obstore finds its way by itself."""


class AzureHandler(CloudHandler):
    """Blobs and folders of blobs; `?versionId=…` at the end names one version."""

    noun = "blob of Azure"

    def __init__(self, endpoint: str | None = None, *, limits: NetworkLimits | None = None) -> None:
        """Makes a handler.

        Args:
            endpoint: URL of the account, where it is not at Azure (Azurite: `http://127.0.0.1:10000/devstoreaccount1`); default:
                AZURE_STORAGE_ENDPOINT, AZURE_ENDPOINT or the BlobEndpoint of AZURE_STORAGE_CONNECTION_STRING.
            limits: how long and how often the server is asked.
        """
        super().__init__(limits=limits)
        self._given_endpoint = endpoint

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI is of Azure, or below the endpoint."""
        if parsed_url.scheme == "https" and (parsed_url.hostname or "").endswith(HOST_SUFFIX):
            return True
        endpoint = self._endpoint()
        return endpoint is not None and f"{urlunsplit(parsed_url)}/".startswith(f"{endpoint}/")

    def parse(self, uri: str) -> ObjectPlace:
        """Splits the URI; the bucket is the container's URL.

        Raises:
            ValueError: there is no container in it.
        """
        query = uri.partition("?")[2]
        account = self._account_url(uri)
        container, _, blob = uri.partition("?")[0].removeprefix(account).lstrip("/").partition("/")
        if not container:
            raise ValueError(f"{uri!r} names no container; write {account}/container/blob.")
        version = next((value for name, value in parse_qsl(query) if name.lower() == "versionid"), None)
        # A shared access signature lets its bearer in; it serves for this request, and is not recorded.
        signature = query if any(name == "sig" for name, _ in parse_qsl(query)) else ""
        return ObjectPlace(f"{account}/{container}", unquote(blob), version, signature)

    def uri_of(self, place: ObjectPlace, key: str) -> str:
        """Returns the URI without a version, as in W&B: that is kept beside it."""
        return f"{place.bucket}/{quote(key)}"

    def is_folder_marker(self, info: ObjectInfo) -> bool:
        """Whether a blob stands for a folder of a hierarchical namespace."""
        return info.size == 0 and info.attributes.get("hdi_isfolder", "").lower() == "true"

    def open_store(self, place: ObjectPlace) -> Any:
        """Makes the store from the environment's settings."""
        from obstore.store import AzureStore

        account_url, _, container = place.bucket.rpartition("/")
        settings = _connection_settings(os.environ)
        config: AzureConfig = {
            "account_name": _account_name(account_url),
            "endpoint": account_url,
        }
        if place.credentials:
            config["sas_key"] = place.credentials
        elif settings.get("AccountKey") and settings.get("AccountName") == config["account_name"]:
            config["account_key"] = settings["AccountKey"]
        elif settings.get("SharedAccessSignature"):
            config["sas_key"] = settings["SharedAccessSignature"]
        elif not any(name in os.environ for name in _CREDENTIAL_VARIABLES) and not metadata_service_answers():
            config["skip_signature"] = True
        return AzureStore(
            container,
            config=config,
            client_options=client_options(self._limits, allow_http=account_url.startswith("http://")),
            retry_config=retry_config(self._limits),
        )

    def _account_url(self, uri: str) -> str:
        endpoint = self._endpoint()
        if endpoint is not None and uri.startswith(f"{endpoint}/"):
            return endpoint
        parts = urlsplit(uri)
        return f"{parts.scheme}://{parts.netloc}"

    def _endpoint(self) -> str | None:
        found = (
            self._given_endpoint
            or os.environ.get("AZURE_STORAGE_ENDPOINT")
            or os.environ.get("AZURE_ENDPOINT")
            or _connection_settings(os.environ).get("BlobEndpoint")
        )
        return found.rstrip("/") if found else None


def _account_name(account_url: str) -> str:
    """The account: first part of the host's name at Azure, last part of the path elsewhere."""
    parts = urlsplit(account_url)
    in_path = parts.path.strip("/")
    return in_path or (parts.hostname or "").partition(".")[0]


def _connection_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The parts of AZURE_STORAGE_CONNECTION_STRING."""
    text = environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip(): value for name, _, value in pairs}
