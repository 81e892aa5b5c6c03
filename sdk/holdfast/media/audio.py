"""Audio: a sound, of a file, of samples, or behind a URL."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, SupportsFloat

from holdfast.errors import InvalidInputError
from holdfast.media.arrays import as_array
from holdfast.media.content_errors import unreadable
from holdfast.media.media_content import RemoteFile, StoredFile
from holdfast.media.media_file import Media, is_url
from holdfast.media.optional_package import load_package
from holdfast.media.temporary_file import TemporaryFile

if TYPE_CHECKING:
    import numpy as np

    from holdfast._object_fields import ObjectFields
    from holdfast.artifact import Artifact

SHOWN_BYTES_MAX = 5 << 20
"""Of a file that a notebook shows; it is written into the notebook."""
CHANNELS_MAX = 64
"""More are samples of which somebody has swapped the axes."""
_HEADER_BYTES = 128
"""Of a WAV file, in which the chunk with its peaks lies."""
_MIME_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/mp4"}

_SUBTYPES = {"uint8": "PCM_U8", "int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT", "float64": "DOUBLE"}
"""How samples of each type are written: as they are, so that they come back as they were."""
_READ_TYPES = {"PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32", "DOUBLE": "float64"}
"""How samples are read; others as float32."""


class Audio(Media):
    """A sound.

    artifact["bell"] = holdfast.Audio("bell.wav", caption="the bell")
    artifact["tone"] = holdfast.Audio(numpy.sin(numpy.arange(48_000) / 20), sample_rate=48_000)
    artifact["far"] = holdfast.Audio("s3://sounds/far.wav")  # a reference: its bytes stay where they are
    """

    log_type: ClassVar[str] = "audio-file"
    media_subdir: ClassVar[str] = "media/audio"

    _sample_rate: int | None = None
    _duration: float | None = None

    def __init__(self, data_or_path: Any, sample_rate: SupportsFloat | None = None, caption: str | None = None) -> None:
        """Takes a sound.

        Args:
            data_or_path: the path of a file; a URL (`s3`, `gs`, `http`, `https`), which artifacts will refer to; or samples: of one
                channel, or of the shape (samples, channels), whole numbers of 8 (unsigned), 16 or 32 bits, or numbers with a
                fraction from -1 to 1.  Samples are written as WAV, in their own type.
            sample_rate: in Hz; needed for samples.
            caption: shown beside it.

        Raises:
            ValueError: no such file, samples without a rate, or of another shape or type.
            MissingPackageError: soundfile, which samples need, is not installed.
        """
        super().__init__(caption)
        if isinstance(data_or_path, str | os.PathLike):
            self._take_path(data_or_path)
            self._sample_rate = None if sample_rate is None else _whole_rate(sample_rate)
        elif sample_rate is None:
            raise ValueError('Argument "sample_rate" is required when instantiating holdfast.Audio with raw data.')
        else:
            self._take_samples(data_or_path, _whole_rate(sample_rate))

    def _take_samples(self, data: Any, sample_rate: int) -> None:
        soundfile, numpy = load_package("soundfile", "Audio of samples"), load_package("numpy", "Audio of samples")
        samples, subtype = _writable(as_array(data, numpy), numpy)
        file = TemporaryFile(".wav")
        soundfile.write(file.path, samples, sample_rate, format="WAV", subtype=subtype)
        _forget_time_of_peaks(file.path)
        self._sample_rate, self._duration = sample_rate, len(samples) / sample_rate
        self._take_temporary(file)

    @property
    def sample_rate(self) -> int:
        """In Hz; of a file as the file says.

        Raises:
            MalformedObjectError: the artifact's file is no sound.
            MissingPackageError: soundfile is not installed.
        """
        self._look()
        assert self._sample_rate is not None
        return self._sample_rate

    @property
    def duration(self) -> float:
        """In seconds; raises as `sample_rate`."""
        self._look()
        assert self._duration is not None
        return self._duration

    def _look(self) -> None:
        if self._sample_rate is None or self._duration is None:
            soundfile = load_package("soundfile", "what an Audio says about its file")
            try:
                found = soundfile.info(self.path)
            except soundfile.LibsndfileError as error:
                raise unreadable(self._content, f"it is no sound ({error.error_string})") from error
            self._sample_rate, self._duration = int(found.samplerate), float(found.duration)

    def to_numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Returns the samples, of the shape (samples,) or (samples, channels); whole numbers if the file holds such.

        Raises:
            MalformedObjectError: the artifact's file is no sound.
            MissingPackageError: soundfile is not installed.
        """
        soundfile, numpy = load_package("soundfile", "reading Audio"), load_package("numpy", "reading Audio")
        try:
            with soundfile.SoundFile(self.path) as file:
                of_bytes = file.subtype == "PCM_U8"
                samples = file.read(dtype="int16" if of_bytes else _READ_TYPES.get(file.subtype, "float32"))
        except soundfile.LibsndfileError as error:
            raise unreadable(self._content, f"it is no sound ({error.error_string})") from error
        # The library knows no samples of 8 bits; it gives and takes them as the upper halves of 16, less 128.
        return ((samples >> 8) + 128).astype(numpy.uint8) if of_bytes else samples  # type: ignore[no-any-return]

    def resolve_ref(self) -> str | None:
        """Returns the URL of the object that it is a reference to, or None."""
        if isinstance(self._content, StoredFile):
            ref = self._content.entry.ref
            return ref if is_url(ref) else None
        return self.url

    # --- many of them -------------------------------------------------------------------------------------------------

    @classmethod
    def durations(cls, audio_list: Sequence[Audio]) -> list[float | None]:
        """Returns the lengths in seconds of what was made of samples, or looked at; None for others."""
        return [audio._duration for audio in audio_list]

    @classmethod
    def sample_rates(cls, audio_list: Sequence[Audio]) -> list[int | None]:
        """Returns the rates in Hz of what was made with one, or looked at; None for others."""
        return [audio._sample_rate for audio in audio_list]

    @classmethod
    def captions(cls, audio_list: Sequence[Audio]) -> list[str] | bool:
        """Returns the captions, "" for those without; False when none has one."""
        captions = [audio.caption for audio in audio_list]
        return any(caption is not None for caption in captions) and [caption or "" for caption in captions]

    # --- storing and showing ------------------------------------------------------------------------------------------

    def to_json(self, artifact: Artifact) -> dict[str, Any]:
        """Puts the file, or a reference to the URL, into the artifact and returns where it is."""
        # W&B cannot read one without the key.
        return {**super().to_json(artifact), "caption": self.caption}

    def _restore(self, fields: ObjectFields) -> None:
        super()._restore(fields)
        self._sample_rate = self._duration = None

    def _shown(self) -> dict[str, Any]:
        return {"sample_rate": self._sample_rate, "duration": self._duration}

    def _repr_html_(self) -> str:
        if isinstance(self._content, RemoteFile):
            return _player(self._content.url) if self._content.url.startswith("http") else escape(repr(self))
        if self.size is None or self.size > SHOWN_BYTES_MAX:
            return escape(repr(self))
        with self.open() as file:
            data = base64.b64encode(file.read()).decode()
        return _player(f"data:{_MIME_TYPES.get(self._extension, 'audio/wav')};base64,{data}")


def _player(source: str) -> str:
    return f'<audio controls src="{escape(source)}"></audio>'


def _whole_rate(rate: SupportsFloat) -> int:
    number = float(rate)
    if not number.is_integer() or number < 1:
        raise InvalidInputError(f"sample_rate is {rate}; it is a whole number of samples in a second, such as 48000.")
    return int(number)


def _writable(samples: np.ndarray[Any, np.dtype[Any]], numpy: Any) -> tuple[np.ndarray[Any, np.dtype[Any]], str]:
    """Returns samples as the library takes them, and how it is to write them.

    Raises:
        InvalidInputError: their shape or type is no sound's.
    """
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= CHANNELS_MAX):
        raise InvalidInputError(
            f"Samples of Audio have the shape (samples,) or (samples, channels), not {samples.shape}; transpose them if channels"
            " come first."
        )
    if samples.dtype == numpy.float16:
        samples = samples.astype(numpy.float32)
    # Numbers of the other byte order are of the same type.
    name = samples.dtype.name
    if name not in _SUBTYPES:
        raise InvalidInputError(f"Samples of Audio are {', '.join(_SUBTYPES)}, not {samples.dtype}; use astype.")
    if name == "uint8":
        return (samples.astype(numpy.int16) - 128) << 8, _SUBTYPES[name]
    return samples.astype(name, copy=False), _SUBTYPES[name]


def _forget_time_of_peaks(path: str) -> None:
    """Takes out the time at which a file with a chunk of peaks was written, so that equal samples make equal files."""
    with open(path, "r+b", buffering=0) as file:
        # The chunk: its name, its length, its version, the time; each of 4 bytes.
        found = file.read(_HEADER_BYTES).find(b"PEAK")
        if found >= 0:
            file.seek(found + 12)
            file.write(struct.pack("<I", 0))
