"""The base of all objects that are one file, such as images: how it is taken, put into an artifact, and found again."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.media.media_content import GeneratedFile, MediaContent, RemoteFile, StoredFile, UserFile
from holdfast.media.temporary_file import TemporaryFile

if TYPE_CHECKING:
    from holdfast.artifact import Artifact

_URL = re.compile(r"(gs|s3|https?)://")


def is_url(value: object) -> bool:
    """Whether a path is the URL of an object elsewhere."""
    return isinstance(value, str) and _URL.match(value) is not None


class Media(StoredObject):
    """An object that is one file, with a caption.

    A subclass sets `log_type` and `media_subdir`, calls one of the `_take` methods in its constructor, and reads its own keys in
    `_restore`, which is called instead of the constructor when the object comes from an artifact.
    """

    media_subdir: ClassVar[str]
    """Folder of the artifact that its files lie in, such as "media/images"."""

    _content: MediaContent
    _caption: str | None

    def __init__(self, caption: str | None = None) -> None:
        """Keeps the caption, anything else than text as its text; a `_take` method must follow."""
        # Scripts give labels as they are: numbers, and those of numpy's.
        self._caption = None if caption is None else str(caption)

    # --- taking -------------------------------------------------------------------------------------------------------

    def _take_path(self, path: str | os.PathLike[str]) -> None:
        """Takes a file of the user's, read now; or a URL, which artifacts will refer to.

        Raises:
            ValueError: there is no such file.
            FileUnreadableError: it cannot be read.
        """
        self._content = RemoteFile(str(path)) if is_url(path) else UserFile(path)

    def _take_bytes(self, data: bytes, extension: str) -> None:
        """Takes what was made of the user's data; `extension` is such as ".png"."""
        self._content = GeneratedFile.of_bytes(data, extension)

    def _take_temporary(self, file: TemporaryFile) -> None:
        """Takes a file that was written by another library, completely."""
        self._content = GeneratedFile.of_file(file)

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def caption(self) -> str | None:
        """What is shown beside it."""
        return self._caption

    @property
    def sha256(self) -> str:
        """SHA-256 of the file in hex; of a URL that of the URL."""
        return self._content.sha256

    @property
    def size(self) -> int | None:
        """Of the file in bytes; None: nobody knows."""
        return self._content.size

    @property
    def path(self) -> str:
        """Path of the file on this machine; one that lies in an artifact is downloaded, alone.

        Raises:
            ValueError: it is a URL.
            MalformedObjectError: the artifact does not have the file.
        """
        return self._content.local_path()

    @property
    def _path(self) -> str:
        """What W&B's client calls the path or the URL, and scripts read."""
        return self.url or self.path

    @property
    def url(self) -> str | None:
        """The URL that it was made of, or None."""
        return self._content.url if isinstance(self._content, RemoteFile) else None

    def open(self) -> IO[bytes]:
        """Opens the file for reading; of one that lies in an artifact only what is read is fetched.

        Raises:
            ValueError: it is a URL that was not logged yet.
            MalformedObjectError: the artifact does not have the file.
        """
        return self._content.open()

    @property
    def _extension(self) -> str:
        """End of the file's name from its last dot on, in lower case, without the dot."""
        return os.path.splitext(self._content.name)[1][1:].lower()

    # --- storing ------------------------------------------------------------------------------------------------------

    @classmethod
    def get_media_subdir(cls) -> str:
        """Returns the folder of the artifact that files of objects of this type lie in."""
        return cls.media_subdir

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Puts the file into the artifact and returns where it is; subclasses add their keys."""
        fields: dict[str, Any] = {
            "_type": self.log_type,
            "path": self._content.put_into(artifact, self.media_subdir),
            "sha256": self._content.sha256,
        }
        size = self._content.size
        if size is not None:
            fields["size"] = size
        if self._caption is not None:
            fields["caption"] = self._caption
        return fields

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the object; its file is fetched when somebody looks into it.

        Raises:
            MalformedObjectError: a key is missing or of another type.
        """
        media = cls.__new__(cls)
        media._restore(ObjectFields(json, cls.__name__, artifact))
        return media

    def _restore(self, fields: ObjectFields) -> None:
        """Takes file and caption from JSON; subclasses their own keys, too.

        Raises:
            MalformedObjectError: a key is missing or of another type.
        """
        self._caption = _caption_in(fields)
        self._content = StoredFile(fields)

    def __getstate__(self) -> dict[str, Any]:
        """Copies, here or in other processes, have files of their own, and do not know where this one was added to."""
        return {name: value for name, value in self.__dict__.items() if name != "_target"}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.sha256 == other.sha256 and self._caption == other._caption

    __hash__ = None  # type: ignore[assignment]  # equal by content, which may have to be fetched

    def __repr__(self) -> str:
        shown = {"caption": self._caption, **self._shown()}
        fields = ", ".join(f"{name}={value!r}" for name, value in shown.items() if value is not None)
        return f"{type(self).__name__}({self._content.name!r}{', ' if fields else ''}{fields})"

    def _shown(self) -> dict[str, Any]:
        """What `repr` says beside name and caption; fetches nothing."""
        return {}


def _caption_in(fields: ObjectFields) -> str | None:
    # Older files have what was given, numbers too.
    if isinstance(fields.values.get("caption"), int | float):
        return str(fields.values["caption"])
    return fields.text_or_none("caption")
