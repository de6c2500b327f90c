"""Folders of clips: which frames are taken, and files that cannot be read."""

import builtins
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.clips import ClipSampling, frame_files

SIZE = (24, 32)


def levels(count):
    """The gray level of each frame of a clip, 10 apart."""
    return np.arange(count) * 10


def write_frames(folder, count, *, size=SIZE, digits=0, start=1):
    """Writes gray frames as numbered pictures, frame_1.png, …, frame_10.png, …."""
    folder.mkdir(parents=True)
    for number, level in enumerate(levels(count), start):
        frame = Image.new("L", size[::-1], int(level))
        frame.save(folder / f"frame_{number:0{digits}d}.png")


def write_video(path, count, *, codec="mpeg4", size=SIZE):
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for level in levels(count):
            pixels = np.full((*size, 3), level, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def write_gif(path, count):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Image.new("L", SIZE[::-1], int(level)) for level in levels(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def shown(data):
    """The gray level of each frame, in tens."""
    return np.round(np.asarray(data.images, float).mean(axis=(2, 3, 4)) / 10).astype(int).tolist()


@pytest.mark.parametrize("count", [16, 17, 31, 100, 1000])
@pytest.mark.parametrize("clips", [1, 2, 3, 10])
def test_spread_clips_take_one_frame_of_each_part(count, clips):
    numbers = ClipSampling(16, clips=clips).numbers(count).reshape(clips, 16)
    for part in range(16):
        low, high = Fraction(part * count, 16), Fraction((part + 1) * count, 16)
        assert all(low - 1 < number < high for number in numbers[:, part])
    assert (np.diff(numbers, axis=1) > 0).all()
    assert (np.diff(numbers, axis=0) >= 0).all()
    if clips == 1:
        middles = [(part + 0.5) * count / 16 for part in range(16)]
        np.testing.assert_array_equal(numbers[0], np.floor(middles))


@pytest.mark.parametrize(("clips", "starts"), [(1, [4]), (2, [0, 9]), (4, [0, 3, 6, 9])])
def test_clips_with_a_step_reach_from_end_to_end(clips, starts):
    numbers = ClipSampling(4, 3, clips).numbers(19).reshape(clips, 4)  # a clip spans 10 frames
    np.testing.assert_array_equal(numbers, np.array(starts)[:, None] + [0, 3, 6, 9])


def test_frames_are_ordered_by_number(tmp_path):
    write_frames(tmp_path / "clip", 12)
    names = [path.rpartition("/")[2] for path in frame_files(str(tmp_path / "clip"))]
    assert names == [f"frame_{number}.png" for number in range(1, 13)]


def test_every_form_of_a_clip(tmp_path):
    """Frames, videos of several containers, and animations: the same frames of each."""
    for split, count in (("train", 1), ("test", 1)):
        for number in range(count):
            write_frames(tmp_path / split / "frames" / "deep" / f"clip_{number}", 12)
            write_video(tmp_path / split / "videos" / f"{number}.mp4", 12)
            write_video(tmp_path / split / "others" / f"{number}.AVI", 12, codec="mjpeg")
            write_gif(tmp_path / split / "animations" / f"{number}.gif", 12)
    data = cnn.data.load(tmp_path, frames=4, image_size=16)
    assert data.class_names == ("animations", "frames", "others", "videos")
    assert data.images.shape == (4, 4, 16, 16, 3)  # color, as videos are
    assert data.images.dtype == np.uint8
    assert shown(data) == [[1, 4, 7, 10]] * 4
    again = cnn.data.load(tmp_path, frames=4, image_size=16, split="test", channels=1)
    assert again.images.shape == (4, 4, 16, 16, 1)
    several = cnn.data.load(tmp_path, frames=2, frame_step=3, clips=3, split="all")
    assert several.images.shape == (8, 6, *SIZE, 3)
    assert shown(several)[0] == [0, 3, 4, 7, 8, 11]


def test_gray_frames_stay_gray_and_each_option_has_its_own_cache(tmp_path):
    for name in ("a", "b"):
        for number in range(5):
            write_frames(tmp_path / "clips" / name / str(number), 8)
    root = tmp_path / "clips"
    train = cnn.data.load(root, frames=4)
    test = cnn.data.load(root, frames=4, clips=2, split="test")
    assert (len(train), train.images.shape[1:]) == (8, (4, *SIZE, 1))
    assert test.images.shape == (2, 8, *SIZE, 1)
    assert shown(test)[0] == [0, 2, 4, 6, 1, 3, 5, 7]
    kept = [path for path in (tmp_path / ".clips.jaxcnn-cache").iterdir() if path.is_dir()]
    assert len(kept) == 2
    before = {path: path.stat().st_mtime_ns for path in kept}
    np.testing.assert_array_equal(cnn.data.load(root, frames=4).images, train.images)
    assert before == {path: path.stat().st_mtime_ns for path in kept}
    write_frames(tmp_path / "clips" / "a" / "5", 8)
    assert len(cnn.data.load(root, frames=4)) == 9


def test_clips_that_are_too_short(tmp_path):
    for number in range(5):
        write_frames(tmp_path / "a" / str(number), 4 if number == 3 else 9)
        write_video(tmp_path / "b" / f"{number}.mp4", 9)
    with pytest.raises(ValueError, match=r"a/3' has 4 frames, and frames=5 needs 5: load fewer"):
        cnn.data.load(tmp_path, frames=5, channels=1)
    with pytest.raises(ValueError, match=r"has 9 frames, .*frame_step=3 needs 13: .*skip"):
        cnn.data.load(tmp_path, frames=5, frame_step=3, split="test", channels=1)
    with pytest.warns(UserWarning, match="1 of 10 images .*left out: .*has 4 frames"):
        assert len(cnn.data.load(tmp_path, frames=5, on_error="skip", split="all")) == 9


def test_damaged_videos(tmp_path):
    write_video(tmp_path / "a" / "1.mp4", 9)
    write_video(tmp_path / "a" / "2.avi", 9)
    path = tmp_path / "b" / "1.mp4"
    path.parent.mkdir()
    whole, avi = (tmp_path / "a" / name for name in ("1.mp4", "2.avi"))
    for contents, message in (
        (b"hello" * 100, "b/1.mp4' is not a video that can be read"),
        (b"", "b/1.mp4' is not a video that can be read"),
        (whole.read_bytes()[:-600], "b/1.mp4' (is not a video that can be read|holds no video)"),
        (avi.read_bytes().replace(b"FMP4", b"ZZZ9"), "codec of .*b/1.mp4' has no .*pip install"),
        (b"#EXTM3U\n#EXTINF:1,\n1.mp4\n", "b/1.mp4' is not a video that can be read"),
    ):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=message):
            cnn.data.load(tmp_path, frames=4)
        with pytest.warns(UserWarning, match="1 of 3 images"):
            assert len(cnn.data.load(tmp_path, frames=4, on_error="skip", split="all")) == 2


def test_a_video_that_ends_early(tmp_path):
    """Its frames are counted by decoding: the header promises more."""
    path = tmp_path / "a" / "1.avi"
    write_video(path, 30, codec="mjpeg")
    contents = path.read_bytes()
    frame = contents.rfind(b"\xff\xd8")
    path.write_bytes(contents[:frame] + bytes(len(contents) - frame))
    write_video(tmp_path / "b" / "1.avi", 30, codec="mjpeg")
    data = cnn.data.load(tmp_path, frames=3, split="all")
    assert max(shown(data)[0]) <= 25


def test_the_extra_is_named(tmp_path, monkeypatch):
    write_video(tmp_path / "a" / "1.mp4", 9)
    imported = builtins.__import__

    def refuse(name, *rest):
        if name == "av":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"PyAV: pip install av, or pip install 'jaxcnn\[video\]"):
        cnn.data.load(tmp_path, frames=4)


def test_other_sources_are_refused(tmp_path):
    write_frames(tmp_path / "a", 9)
    with pytest.raises(ValueError, match=r"a' has no clip in it: no video file .* no folder of"):
        cnn.data.load(tmp_path, frames=4)
    with pytest.raises(ValueError, match=r"needs the path of a folder of clips, .*'digits', wh"):
        cnn.data.load("digits", frames=4)
    with pytest.raises(TypeError, match="needs the path of a folder of clips; arrays of video"):
        cnn.data.load((np.zeros((2, 4, 8, 8, 3), np.uint8), [0, 1]), frames=4)
    with pytest.raises(ValueError, match=r"frame_step and clips need frames.*clips=2"):
        cnn.data.load("digits", clips=2)
    with pytest.raises(ValueError, match="frames must be at least 1"):
        cnn.data.load(tmp_path, frames=0)
    (tmp_path / "films" / "a").mkdir(parents=True)
    (tmp_path / "films" / "a" / "1.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has no picture .* It holds videos: pass frames=16"):
        cnn.data.load(tmp_path / "films")


def test_records_of_video_arrays_are_resized(tmp_path):
    videos = [np.full((3, 8, 8, 1), level, np.uint8) for level in (0, 100)]
    records = [{"image": video, "label": label} for label, video in enumerate(videos)]
    data = cnn.data.load(records, image_size=4, channels=3)
    assert data.images.shape == (2, 3, 4, 4, 3)
    assert shown(data) == [[0] * 3, [10] * 3]
