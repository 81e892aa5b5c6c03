"""References to objects of Google Cloud Storage: `gs://bucket/key`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from holdfast.references.cloud import CloudHandler, ObjectPlace
from holdfast.references.network import NetworkLimits, metadata_service_answers
from holdfast.references.object_store import client_options, retry_config

if TYPE_CHECKING:
    from obstore.store import GCSConfig

_GENERATION = re.compile(r"#(\d+)$")
_CREDENTIAL_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
    "GOOGLE_SKIP_SIGNATURE",
)
_USER_CREDENTIALS = "~/.config/gcloud/application_default_credentials.json"
"""What `gcloud auth application-default login` leaves; obstore reads it."""


class GCSHandler(CloudHandler):
    """`gs://bucket/key`, `gs://bucket/folder`, `gs://bucket/key#generation`."""

    noun = "object of Google Cloud Storage"

    def __init__(self, scheme: str | None = None, *, limits: NetworkLimits | None = None) -> None:
        """Makes a handler of one scheme; default: `gs`."""
        super().__init__(limits=limits)
        self._scheme = scheme or "gs"

    def can_handle(self, parsed_url: SplitResult) -> bool:
        """Whether the URI has this handler's scheme."""
        return parsed_url.scheme == self._scheme

    def parse(self, uri: str) -> ObjectPlace:
        """Splits the URI; in keys "#", "%" and "?" mean themselves, but for a generation at the end.

        Raises:
            ValueError: there is no bucket in it.
        """
        generation = _GENERATION.search(uri)
        plain = uri[: generation.start()] if generation else uri
        bucket, _, key = plain.partition("://")[2].partition("/")
        if not bucket:
            raise ValueError(f"{uri!r} names no bucket; write {self._scheme}://bucket/key.")
        return ObjectPlace(bucket, key, generation[1] if generation else None)

    def uri_of(self, place: ObjectPlace, key: str) -> str:
        """Returns the URI without a generation, as in W&B: that is kept beside it."""
        return f"{self._scheme}://{place.bucket}/{key}"

    def open_store(self, place: ObjectPlace) -> Any:
        """Makes the store from the environment's settings."""
        from obstore.store import GCSStore

        config: GCSConfig = {}
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        if emulator:
            config["base_url"] = (emulator if "://" in emulator else f"http://{emulator}").rstrip("/")
            config["skip_signature"] = True
        elif not _has_credentials() and not metadata_service_answers():
            config["skip_signature"] = True
        return GCSStore(
            place.bucket,
            config=config,
            client_options=client_options(self._limits, allow_http=bool(emulator)),
            retry_config=retry_config(self._limits),
        )


def _has_credentials() -> bool:
    return any(name in os.environ for name in _CREDENTIAL_VARIABLES) or os.path.isfile(
        os.path.expanduser(_USER_CREDENTIALS)
    )
