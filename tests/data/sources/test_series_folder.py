"""Folders of one series or sound per file, in folders of classes."""

import builtins

import numpy as np
import pytest
import soundfile

from jaxcnn import data


@pytest.fixture
def tables(tmp_path):
    for name, text in {
        "train/up/a.csv": "time,height\n1,2\n3,4\n",
        "train/up/b.csv": "1;2\n3;4\n5;6\n",
        "train/down/c.txt": "9 8\n7 6\n",
        "test/up/d.csv": "0,0\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_tables_have_a_row_per_step(tables):
    train = data.load(tables)
    assert (train.class_names, train.labels.tolist()) == (("down", "up"), [0, 1, 1])
    assert train.lengths.tolist() == [2, 2, 3]
    np.testing.assert_array_equal(train.images[2], [[1, 2], [3, 4], [5, 6]])
    assert len(data.load(tables, split="test")) == 1
    assert data.describe(tables).kind == "series folder"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty: a series must have"),
        ("1,2\n3\n", r"rows of .* equally long. Received: \[1, 2\]"),
        ("1,2\n2020-01-01,3\n", "must be numbers. Received: '2020-01-01'"),
        ("1,2\nnan,3\n", "missing or infinite"),
        ("1\n2\n", "must have the columns of the first, 2. Received: 1 in"),
    ],
)
def test_bad_tables_are_errors_that_name_the_file(tables, text, problem):
    (tables / "train/up/z.csv").write_text(text)
    with pytest.raises(ValueError, match=problem):
        data.load(tables)
    (tables / "train/none").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*none.* has no series in it"):
        data.load(tables)


def tone(path, hertz, rate, seconds=0.1, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    soundfile.write(path, np.repeat(values[:, None], channels, axis=1), rate, subtype="PCM_16")
    return values


def test_sounds_are_read_and_resampled_with_a_warning(tmp_path):
    low = tone(tmp_path / "low" / "a.wav", 100, 8000)
    tone(tmp_path / "high" / "b.flac", 800, 8000, seconds=0.05)
    sounds = data.load(tmp_path, split="all")
    assert sounds.class_names == ("high", "low")
    assert sounds.lengths.tolist() == [400, 800]
    np.testing.assert_allclose(sounds.images[1, :, 0], low, atol=1e-4)
    tone(tmp_path / "low" / "c.wav", 100, 16000)
    with pytest.warns(
        UserWarning, match="1 of 3 sounds were resampled to 8000 Hz, such as .*c.wav"
    ):
        mixed = data.load(tmp_path, split="all")
    # Away from its ends the resampled tone is the tone at the other rate.
    np.testing.assert_allclose(mixed.images[2, 50:750, 0], low[50:750], atol=2e-3)
    with pytest.warns(UserWarning, match="2 of 3 sounds were resampled to 16000 Hz"):
        assert data.load(tmp_path, split="all", sample_rate=16000).image_shape == (1600, 1)


def test_bad_sounds_are_errors_that_name_the_file(tmp_path):
    tone(tmp_path / "low" / "a.wav", 100, 8000)
    tone(tmp_path / "low" / "b.wav", 100, 8000, channels=2)
    with pytest.raises(ValueError, match=r"channels of the first, 1, or pass channels=1.*b.wav"):
        data.load(tmp_path)
    assert data.load(tmp_path, channels=1, split="all").image_shape == (800, 1)
    tone(tmp_path / "low" / "c.wav", 100, 8000, seconds=0)
    with pytest.raises(ValueError, match=r"the sound .*c.wav' is empty"):
        data.load(tmp_path, channels=1)
    (tmp_path / "low" / "c.wav").write_bytes(b"RIFF of another kind")
    with pytest.raises(ValueError, match=r"c.wav' is not a readable sound"):
        data.load(tmp_path, channels=1)
    (tmp_path / "low" / "c.wav").unlink()
    (tmp_path / "low" / "d.csv").write_text("1\n")
    with pytest.raises(ValueError, match="must hold sounds or tables, not both"):
        data.load(tmp_path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    tone(tmp_path / "low" / "a.wav", 100, 8000)
    found = builtins.__import__

    def without_soundfile(name, *arguments, **options):
        if name == "soundfile":
            raise ImportError("No module named 'soundfile'")
        return found(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_soundfile)
    with pytest.raises(ImportError, match=r"pip install 'jaxcnn\[audio\]'"):
        data.load(tmp_path)


def test_sample_rate_belongs_to_sounds(tables):
    with pytest.raises(ValueError, match="sample_rate belongs to sounds"):
        data.load(tables, sample_rate=8000)
