"""Where an S3 store is and how it is spoken to; what its settings say."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from holdfast_registry.errors import StartError
from holdfast_registry.settings import RegistrySettings


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket, or a part of it."""

    bucket: str
    prefix: str = ""
    """Of every key; empty, or with a slash at its end."""
    endpoint_url: str | None = None
    """None: AWS, or what AWS_ENDPOINT_URL says."""
    public_endpoint_url: str | None = None
    """Where daemons reach the same server; None: at the same address."""
    region: str | None = None
    path_style: bool | None = None
    """Whether the bucket is in the path; None: everywhere but at AWS."""
    sse_headers: dict[str, str] = field(default_factory=dict)
    """Of every PUT, names in lower case."""
    attempts_max: int = 4
    """Of one request that gets no answer or a passing refusal, made by the client itself."""

    @property
    def url(self) -> str:
        """For people."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def sse_arguments(self) -> dict[str, str]:
        """The same as `sse_headers`, as the client calls them."""
        names = {"x-amz-server-side-encryption": "ServerSideEncryption"}
        names["x-amz-server-side-encryption-aws-kms-key-id"] = "SSEKMSKeyId"
        return {names[name]: value for name, value in self.sse_headers.items()}

    def bucket_url(self, endpoint_url: str) -> str:
        """Returns the address of the bucket at a server.

        Args:
            endpoint_url: that the client uses; `public_endpoint_url` wins over it.
        """
        endpoint = (self.public_endpoint_url or endpoint_url).rstrip("/")
        if self.uses_path(endpoint):
            return f"{endpoint}/{self.bucket}"
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"

    def uses_path(self, endpoint_url: str) -> bool:
        """Returns whether the bucket's name goes into the path."""
        if self.path_style is not None:
            return self.path_style
        # A dot in the name of a bucket breaks the server's wildcard certificate.
        return ".amazonaws.com" not in endpoint_url or "." in self.bucket


def place_of(settings: RegistrySettings) -> S3Place:
    """Reads the settings of the store.

    Raises:
        StartError: `store_url` is no address of a bucket.
    """
    parts = urlsplit(settings.store_url or "")
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise StartError(f"store_url = {settings.store_url!r} is not s3://BUCKET or s3://BUCKET/PREFIX.")
    prefix = parts.path.strip("/")
    return S3Place(
        bucket=parts.netloc,
        prefix=f"{prefix}/" if prefix else "",
        endpoint_url=settings.store_endpoint_url,
        public_endpoint_url=settings.store_public_endpoint_url,
        region=settings.store_region,
        path_style=settings.store_path_style,
        sse_headers=_sse_headers(settings),
        attempts_max=settings.store_attempts_max,
    )


def _sse_headers(settings: RegistrySettings) -> dict[str, str]:
    headers = {}
    if settings.store_encryption:
        headers["x-amz-server-side-encryption"] = settings.store_encryption
    if settings.store_encryption_key:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = settings.store_encryption_key
    return headers
