"""Models that W&B's client has pickled into artifacts: found, downloaded and taken over, but never run.

Unpickling runs whatever code whoever logged it has put in.  That stays the user's decision, so these objects only lead to the files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Self

from holdfast._artifact_objects import StoredObject
from holdfast._object_fields import ObjectFields
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.artifact import Artifact
    from holdfast.manifest import ArtifactManifestEntry


class SavedModel(StoredObject):
    """Base of the models; `path` is where one lies, and `loader` names what reads it."""

    loader: ClassVar[str]
    """Call of the library that reads `path`."""

    _fields: ObjectFields
    _path: str
    _extra_path: str | None

    def __init__(self) -> None:
        """Refuses: models are logged as files, which any library reads.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{type(self).__name__} is only read; log a model's file with log_model or add_file.")

    @classmethod
    def from_json(cls, json: Any, artifact: Artifact) -> Self:
        """Returns the object of a file that W&B's client has written.

        Raises:
            MalformedObjectError: it has no path, or one that leads out of the artifact.
        """
        model = cls.__new__(cls)
        model._fields = ObjectFields(json, cls.__name__, artifact)
        model._path = model._fields.path()
        extra = model._fields.text_or_none("dep_py_files_path")
        model._extra_path = model._fields.path("dep_py_files_path") if extra is not None else None
        return model

    def _entries(self, path: str) -> list[ArtifactManifestEntry]:
        """Returns the file of this path, or all below it.

        Raises:
            MalformedObjectError: there is none.
        """
        manifest = self._fields.artifact.manifest
        single = manifest.get_entry_by_path(path)
        found = [single] if single is not None else manifest.get_entries_in_directory(path)
        if not found:
            raise self._fields.malformed("path", f"the artifact has no file {path!r}, and none below it")
        return found

    @property
    def path(self) -> str:
        """Path of the downloaded file, or of the downloaded folder where the library keeps a folder.

        Raises:
            MalformedObjectError: the artifact has none.
        """
        entries = self._entries(self._path)
        local = [os.fspath(entry.download()) for entry in entries]
        # All lie in one folder by their paths in the artifact.
        return local[0].removesuffix(entries[0].path) + self._path

    def model_obj(self) -> Any:
        """Refuses to run the code that a pickled model brings.

        Raises:
            UsageError: always; it names the call that loads the file.
        """
        raise UsageError(
            f"{self._path} is not loaded by itself, because that runs code of whoever logged it. If you trust them:"
            f" {self.loader.format(path='model.path')}"
        )

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Takes the model's files over into another artifact; their bytes are neither fetched nor sent."""
        fields = {"type": self.log_type, "path": self._path}
        if self._extra_path is not None:
            fields["dep_py_files_path"] = self._extra_path
        for path in filter(None, (self._path, self._extra_path)):
            for entry in self._entries(path):
                if not artifact._has_part(entry.path):
                    artifact.add_reference(entry, entry.path)
        return fields

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"


class PytorchModel(SavedModel):
    """A model of PyTorch."""

    log_type: ClassVar[str] = "pytorch-model-file"
    loader: ClassVar[str] = "torch.load({path}, weights_only=False)"


class SklearnModel(SavedModel):
    """A model of scikit-learn."""

    log_type: ClassVar[str] = "sklearn-model-file"
    loader: ClassVar[str] = "cloudpickle.load(open({path}, 'rb'))"


class KerasModel(SavedModel):
    """A model of Keras in TensorFlow."""

    log_type: ClassVar[str] = "tfkeras-model-file"
    loader: ClassVar[str] = "tensorflow.keras.models.load_model({path})"
