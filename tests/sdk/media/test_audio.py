"""`Audio`: samples become files that hold them as they were; files say what they are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import holdfast
from holdfast.errors import InvalidInputError

RATE = 8_000


def samples(kind: str, shape: tuple[int, ...] = (500,)) -> np.ndarray:
    noise = np.random.default_rng(7).uniform(-1.5, 1.5, shape)
    if kind.startswith("float"):
        return noise.astype(kind)
    limits = np.iinfo(kind)
    return np.random.default_rng(7).integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("shape", [(500,), (500, 1), (500, 2)], ids=["mono", "one column", "stereo"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64"])
def test_samples_of_each_type_come_back_as_they_were(kind: str, shape: tuple[int, ...]) -> None:
    given = samples(kind, shape)
    audio = holdfast.Audio(given, sample_rate=RATE)
    found = audio.to_numpy()
    assert found.dtype == given.dtype
    np.testing.assert_array_equal(found, given.reshape(found.shape))
    assert (audio.sample_rate, audio.duration) == (RATE, 500 / RATE)


def test_samples_are_written_as_wav_that_other_programs_read() -> None:
    audio = holdfast.Audio(samples("int16"), RATE)
    assert audio.path.endswith(".wav")
    found = soundfile.info(audio.path)
    assert (found.format, found.subtype, found.frames, found.samplerate) == ("WAV", "PCM_16", 500, RATE)


@pytest.mark.parametrize("kind", ["int16", "float32", "float64"])
def test_equal_samples_make_equal_files_whenever_they_are_written(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library writes the time into files of some types; so one of the two is written with another time in it.
    first = holdfast.Audio(samples(kind), RATE)
    write = soundfile.write

    def later(path: str, *given: Any, **how: Any) -> None:
        write(path, *given, **how)
        data = Path(path).read_bytes()
        at = data.find(b"PEAK", 0, 100)
        if at >= 0:
            Path(path).write_bytes(data[: at + 12] + b"\x01\x02\x03\x04" + data[at + 16 :])

    monkeypatch.setattr(soundfile, "write", later)
    second = holdfast.Audio(samples(kind), RATE)
    assert first.sha256 == second.sha256
    assert first == second
    np.testing.assert_array_equal(second.to_numpy(), samples(kind))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.linspace(-1, 1, 9, dtype=np.float16), np.float32),
        ([0.0, 0.5, -0.5], np.float64),
        (np.arange(5, dtype=">i2"), np.int16),
    ],
    ids=["halves", "list", "other byte order"],
)
def test_what_is_like_samples_is_taken(given: Any, expected: type) -> None:
    found = holdfast.Audio(given, RATE).to_numpy()
    assert found.dtype == expected
    np.testing.assert_array_equal(found, np.asarray(given))


@pytest.mark.parametrize(
    "given",
    [np.zeros((2, 2, 2)), np.zeros((2, 500)), np.zeros(4, np.int64), np.array(["a"]), np.zeros(3, bool), np.float64(1)],
    ids=["three axes", "channels first", "64 bits", "text", "truth", "one number"],
)
def test_what_is_no_sound_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInputError, match="Samples of Audio"):
        holdfast.Audio(given, sample_rate=RATE)


def test_samples_need_a_rate() -> None:
    with pytest.raises(ValueError, match='Argument "sample_rate" is required'):
        holdfast.Audio(samples("int16"))
    for rate in (0, 0.5, 44_100.5, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"sample_rate is {rate}; it is a whole number"):
            holdfast.Audio(samples("int16"), sample_rate=rate)
    assert holdfast.Audio(samples("int16"), sample_rate=8_000.0).sample_rate == 8_000


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_a_file_is_taken_as_it_is_and_tells_its_rate(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    soundfile.write(path, samples("int16"), RATE)
    audio = holdfast.Audio(path, caption="bell")
    assert Path(audio.path).read_bytes() == path.read_bytes()
    assert audio._path == audio.path, "scripts for W&B read it"
    assert (audio.sample_rate, audio.duration, audio.caption) == (RATE, 500 / RATE, "bell")
    assert audio.to_numpy().shape == (500,)
    assert audio == holdfast.Audio(str(path), caption="bell")
    assert audio != holdfast.Audio(str(path))


def test_a_file_that_is_no_sound_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound at all")
    audio = holdfast.Audio(path)
    with pytest.raises(InvalidInputError, match=r"a\.wav cannot be read: it is no sound"):
        audio.to_numpy()
    with pytest.raises(InvalidInputError, match=r"a\.wav cannot be read: it is no sound"):
        _ = audio.duration
    with pytest.raises(ValueError, match="Path is not a file"):
        holdfast.Audio(tmp_path / "absent.wav")


def test_a_url_stays_one() -> None:
    audio = holdfast.Audio("https://sounds.example/far.wav", caption="far")
    assert audio.url == audio.resolve_ref() == audio._path == "https://sounds.example/far.wav"
    assert audio == holdfast.Audio("https://sounds.example/far.wav", caption="far")
    assert audio != holdfast.Audio("https://sounds.example/near.wav", caption="far")
    assert audio._repr_html_() == '<audio controls src="https://sounds.example/far.wav"></audio>'
    assert holdfast.Audio("s3://b/<far>.wav")._repr_html_() == "Audio(&#x27;&lt;far&gt;.wav&#x27;)"


def test_lists_of_what_several_are() -> None:
    several = [holdfast.Audio(samples("int16"), RATE, caption="a"), holdfast.Audio("s3://b/a.wav")]
    assert holdfast.Audio.durations(several) == [500 / RATE, None]
    assert holdfast.Audio.sample_rates(several) == [RATE, None]
    assert holdfast.Audio.captions(several) == ["a", ""]
    assert holdfast.Audio.captions(several[1:]) is False


def test_notebooks_show_a_player_of_short_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = holdfast.Audio(samples("int16"), RATE)
    assert audio._repr_html_().startswith('<audio controls src="data:audio/wav;base64,UklGR')
    assert repr(audio) == f"Audio('{audio._content.name}', sample_rate=8000, duration=0.0625)"
    monkeypatch.setattr("holdfast.media.audio.SHOWN_BYTES_MAX", 100)
    assert audio._repr_html_().startswith("Audio(")


def test_samples_of_a_tensor_are_brought_home() -> None:
    class Tensor:
        """What a tensor on another device answers."""

        dtype = "torch.float32"

        def detach(self) -> "Tensor":
            return self

        def cpu(self) -> "Tensor":
            return self

        def numpy(self) -> np.ndarray:
            return samples("float32")

    np.testing.assert_array_equal(holdfast.Audio(Tensor(), RATE).to_numpy(), samples("float32"))


def test_a_written_file_is_no_longer_than_its_samples_need() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples("int16"), RATE, format="WAV", subtype="PCM_16")
    assert holdfast.Audio(samples("int16"), RATE).size == len(buffer.getvalue())
