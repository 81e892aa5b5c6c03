"""`ArtifactAsset`: one file, object or link of an artifact that is not logged yet; and where its bytes come from."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from holdfast_contract.digest import hasher
from holdfast_contract.metadata import to_plain_metadata

if TYPE_CHECKING:
    from holdfast.manifest import ArtifactManifestEntry
    from holdfastpb.daemon.v1.log_pb2 import AddReference

ASSET_TYPE = "asset"
ASSET_ID_CHARS = 32
"""As Comet's ids of assets."""
METADATA_KEY = "metadata"
"""In what is kept beside an entry: the metadata of the asset."""
SYNCED_KEY = "synced"
"""As `METADATA_KEY`; False: a link that is not to be followed, whatever its scheme."""
FETCHED_SCHEMES = frozenset({"s3", "gs", "http", "https", "file"})
"""Of links that `download` follows; Azure's are https."""


@dataclass(frozen=True, slots=True, eq=True)
class ArtifactAsset:
    """One asset of an `Artifact`; equal to another one when all of it is, and ordered by its logical path."""

    id: str
    """32 hex characters: the same for one logical path in all versions of an artifact."""
    remote: bool
    logical_path: str
    size: int
    """Bytes; 0 of a link that is only noted."""
    link: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    asset_type: str = ASSET_TYPE
    local_path_or_data: Any = None
    """Path of a file, or the object that the bytes are read from; None of a link that was not brought here."""

    def __lt__(self, other: ArtifactAsset) -> bool:
        return self.logical_path < other.logical_path

    def __hash__(self) -> int:
        return hash((self.id, self.size, self.link))


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file, read when the artifact is logged."""

    path: str
    mutable: bool
    """The file may be changed as soon as `log_artifact` has returned."""


@dataclass(frozen=True, slots=True)
class DataContent:
    """What an object with `read` gives when the artifact is logged."""

    stream: Any
    start: int | None
    """Where it stood when it was added, if it can be set back there: an artifact may be logged again."""


@dataclass(frozen=True, slots=True)
class LinkContent:
    """A reference as it will be recorded."""

    record: AddReference


Content = FileContent | DataContent | LinkContent


def asset_id(artifact_name: str, logical_path: str) -> str:
    """Returns the id of an asset: one logical path of one artifact has one id, in either vocabulary and every version."""
    state = hasher()
    state.update(f"{artifact_name}\n{logical_path}".encode())
    return state.hexdigest()[:ASSET_ID_CHARS]


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the metadata of an asset as plain data.

    Raises:
        ValueError: it is no dict, or over a limit.
        TypeError: it holds what JSON cannot say.
    """
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ValueError(f"metadata must be a dict, not {type(metadata).__name__}")
    return to_plain_metadata(metadata)


def size_of_stream(stream: Any) -> int:
    """Returns how many bytes an object with `read` will give, as far as it tells: by its buffer, length, or descriptor; else 0."""
    if isinstance(stream, io.BytesIO):
        return len(stream.getbuffer()) - stream.tell()
    if isinstance(stream, io.StringIO):
        return len(stream.getvalue()[stream.tell() :].encode())
    try:
        return os.fstat(stream.fileno()).st_size
    except (AttributeError, OSError, ValueError):
        pass
    return len(stream) if hasattr(stream, "__len__") else 0


def copy_stream(content: DataContent, target: IO[bytes], block_bytes: int = 1 << 20) -> None:
    """Writes what an object gives into a file; text as UTF-8."""
    if content.start is not None:
        content.stream.seek(content.start)
    while data := content.stream.read(block_bytes):
        target.write(data.encode() if isinstance(data, str) else data)


def position_of(stream: Any) -> int | None:
    """Returns where a stream stands, if it can be set back there."""
    seekable = getattr(stream, "seekable", None)
    return int(stream.tell()) if seekable is not None and seekable() else None


# --- entries seen as assets -------------------------------------------------------------------------------------------


def is_synced(entry: ArtifactManifestEntry) -> bool:
    """Whether an entry is a reference that `download` follows."""
    if not entry.is_reference or entry.extra.get(SYNCED_KEY) is False:
        return False
    return scheme_of(entry.ref_target()) in FETCHED_SCHEMES


def metadata_of(entry: ArtifactManifestEntry) -> dict[str, Any]:
    """Returns the metadata of an asset: its own, and of a link that is followed what Comet says of synced ones."""
    own = entry.extra.get(METADATA_KEY)
    said = dict(own) if isinstance(own, dict) else {}
    if not is_synced(entry):
        return said
    uri = entry.ref_target()
    derived: dict[str, Any] = {"synced": True, "file_size": entry.size or 0}
    if entry.digest != uri:
        derived["checksum"] = entry.digest
    if entry.extra.get("versionID"):
        derived["version_id"] = entry.extra["versionID"]
    if uri.startswith("s3://"):
        derived |= {"s3_platform": "aws", "s3_path": uri}
    elif uri.startswith("gs://"):
        derived["gs_path"] = uri
    return derived | said


def scheme_of(uri: str) -> str:
    """Returns what stands before "://", in small letters; links may be any text."""
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else ""


def link_of(entry: ArtifactManifestEntry) -> str | None:
    """Returns the URI of a reference; None of a file."""
    return entry.ref if entry.is_reference else None


def name_of_link(uri: str) -> str:
    """Returns the logical path that a link has when none was given: its last segment, else "remote"."""
    path = uri.partition("://")[2] or uri
    if scheme_of(uri) in ("http", "https"):
        path = unquote(path.partition("?")[0].partition("#")[0])
    return path.rstrip("/").partition("/")[2].rpartition("/")[2] or "remote"
