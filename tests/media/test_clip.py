"""Clips from real files that the tests write: the readers agree, times and rotations are right, and memory is bounded."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from videopath.core.errors import InputError
from videopath.core.files import sha256_file
from videopath.media import clip as intake
from videopath.media.clip import open_clip
from videopath.media.image.source import ImageSource
from videopath.media.video.source import VideoSource


def picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """Return a smooth picture that differs for every number."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [
        np.sin(columns / (5 + c) + number * (0.7 + c)) + np.cos(rows / (4 + c) + number) for c in range(3)
    ]
    return np.clip(128 + 60 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    count: int = 20,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    times: list[int] | None = None,
    colours: str = "yuv420p",
    **options: str,
) -> Path:
    """Write ``count`` pictures at 8 per second, or at ``times`` in milliseconds."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, colours)
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


KINDS = [
    ("a.mp4", "libx264", {"g": "7"}),
    ("a.mov", "mpeg4", {}),
    ("a.mkv", "libx264", {"x264-params": "keyint=6:open-gop=1:bframes=3"}),
    ("a.avi", "mjpeg", {}),
    ("b.avi", "mpeg4", {"bf": "2"}),
    ("a.webm", "libvpx-vp9", {"g": "6"}),
    ("b.webm", "libvpx", {}),
    ("hevc.mp4", "libx265", {"x265-params": "log-level=none:keyint=6"}),
    ("a.gif", "gif", {}),
]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
def test_every_kind_gives_the_frames_of_a_plain_decode(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, codec=codec, **options)
    with av.open(str(path)) as container:
        all_frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    clip = open_clip(path, frames=7)
    assert clip.total_frames == len(all_frames) == 20
    assert clip.indices.tolist() == [0, 3, 6, 9, 12, 15, 19]
    for index, frame in zip(clip.indices, clip.frames, strict=True):
        assert np.array_equal(frame, all_frames[index]), f"frame {index} by {clip.reader}"
    assert np.allclose(np.diff(clip.seconds), np.diff(clip.indices) / 8, atol=0.01)
    assert (clip.fps, clip.kind, clip.width, clip.height) == (pytest.approx(8, abs=0.4), "video", 96, 64)
    assert clip.duration == pytest.approx(2.5, abs=0.06)
    assert clip.sha256 == sha256_file(path)


@pytest.mark.parametrize(("name", "codec", "options"), KINDS[:4])
def test_decord_and_pyav_give_the_same_frames(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    pytest.importorskip("decord")
    source = VideoSource(write_video(tmp_path / name, 40, codec=codec, **options))
    for indices in (list(range(40)), [5, 17, 18, 39], [31]):
        by_decord, by_pyav = source.read_decord(indices, lambda f: f), source.read_pyav(indices, lambda f: f)
        assert by_decord is not None
        assert all(np.array_equal(a, b) for a, b in zip(by_decord, by_pyav, strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "size", "colours"),
    [
        ("odd.mp4", "mpeg4", (101, 77), "yuv420p"),
        ("odd.avi", "mjpeg", (101, 77), "yuvj420p"),
        ("odd.mkv", "libx264", (101, 77), "yuv444p"),
        ("deep.mp4", "libx264", (96, 64), "yuv420p10le"),
        ("wide.mp4", "libx264", (98, 64), "yuv422p"),
    ],
)
def test_unusual_frames_are_the_same_whoever_reads(
    tmp_path: Path,
    name: str,
    codec: str,
    size: tuple[int, int],
    colours: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_video(tmp_path / name, 6, size, codec, colours=colours)
    usual = open_clip(path, 6)
    monkeypatch.setattr("videopath.media.video.source._decord", lambda: None)
    assert np.array_equal(open_clip(path, 6).frames, usual.frames)


def test_decord_and_pyav_agree_on_real_clips(shared: Path) -> None:
    pytest.importorskip("decord")
    videos = [
        *sorted((shared / "data/videos").glob("*.mp4")),
        *sorted((shared / "data/videos/atlas").glob("*.mp4"))[:3],
    ]
    for path in videos:
        clip = open_clip(path, frames=5)
        assert clip.reader == "decord"
        by_pyav = VideoSource(path).read_pyav(clip.indices.tolist(), lambda f: f)
        assert all(np.array_equal(a, b) for a, b in zip(clip.frames, by_pyav, strict=True))


def test_reads_without_decord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    usual = open_clip(path, 8)
    monkeypatch.setattr("videopath.media.video.source._decord", lambda: None)
    plain = open_clip(path, 8)
    assert plain.reader == "pyav"
    assert np.array_equal(plain.frames, usual.frames)
    assert np.array_equal(plain.seconds, usual.seconds)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_times_of_a_variable_frame_rate(tmp_path: Path, name: str) -> None:
    times = [0, 100, 150, 900, 1000, 2500, 2600, 2700, 5000, 5040, 5080, 6000]
    path = write_video(tmp_path / name, 12, times=times)
    assert np.allclose(open_clip(path, 12).seconds, np.array(times) / 1000, atol=0.002)
    part = open_clip(path, 12, start=0.9, end=2.6)
    assert sorted(set(part.indices.tolist())) == [3, 4, 5, 6]
    assert open_clip(path, 3, start=3.0, end=4.0).indices.tolist() == [7, 7, 7]  # on screen from 2.7 s to 5 s


def test_frames_of_mpeg_whose_times_are_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.mpg"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = VideoSource(path)
    every = source.read_pyav(list(range(30)), lambda f: f)
    assert np.array_equal(source.read_pyav([13, 27], lambda f: f), [every[13], every[27]])


_TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("degrees", sorted(_TURNS))
@pytest.mark.parametrize("reader", ["decord", "pyav"])
def test_rotation_is_honoured(
    tmp_path: Path, degrees: int, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "flat.mp4", 4)
    flat = open_clip(path, 4)
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44
    a, b, c, d = (value * 65536 for value in _TURNS[degrees])
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(data)
    if reader == "pyav":
        monkeypatch.setattr("videopath.media.video.source._decord", lambda: None)
    clip = open_clip(turned, 4)
    assert (clip.height, clip.width) == clip.frames.shape[1:3]
    expected = np.rot90(flat.frames, -degrees // 90, axes=(1, 2))  # clockwise
    assert np.array_equal(clip.frames, expected)


def test_images_and_folders(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.fromarray(picture(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / "folder.png").mkdir()
    image = open_clip(tmp_path / "frame2.png")
    assert (len(image), image.kind, image.reader, image.duration) == (1, "image", "pillow", 0.0)
    assert np.array_equal(image.frames[0], picture(2))
    folder = open_clip(tmp_path, frames=3)
    assert (folder.kind, folder.fps, folder.seconds.tolist()) == ("folder", 1.0, [0.0, 1.0, 2.0])
    assert np.array_equal(folder.frames, np.stack([picture(1), picture(2), picture(10)]))
    before = folder.sha256
    Image.fromarray(picture(3)).save(tmp_path / "frame3.png")
    assert open_clip(tmp_path, frames=3).sha256 != before


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16", "1", "LA"])
def test_image_modes(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(picture(1)[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(picture(1)).convert(mode)
    path = tmp_path / "image.tif"
    image.save(path)
    frame = open_clip(path).frames[0]
    assert frame.shape == (64, 96, 3)
    if mode in ("I;16", "RGBA"):
        assert np.array_equal(frame[..., 0], picture(1)[..., 0])


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1)).save(tmp_path / "turned.png", exif=exif)
    clip = open_clip(tmp_path / "turned.png")
    assert (clip.width, clip.height) == (64, 96)
    assert np.array_equal(clip.frames[0], np.rot90(picture(1), -1))


def test_crop_is_cut_from_the_native_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 4, size=(256, 128))
    whole = open_clip(path, 4)
    part = open_clip(path, 4, crop=(0.25, 0.5, 0.5, 1.0))
    assert np.array_equal(part.frames, whole.frames[:, 64:128, 64:128])
    assert (part.width, part.height) == (256, 128)
    sliver = open_clip(path, 4, crop=(0.99, 0.99, 1.0, 1.0))
    assert sliver.frames.shape == (4, 16, 16, 3)


def test_large_frames_are_scaled_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", 4, size=(256, 128))
    monkeypatch.setattr(intake, "MAX_BYTES", 4 * 64 * 128 * 3)
    clip = open_clip(path, 4)
    assert clip.frames.nbytes <= intake.MAX_BYTES
    assert (clip.width, clip.height) == (256, 128)


def test_take_keeps_frames_times_and_numbers_together(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "a.mp4"), 8)
    fewer = clip.take([1, 5])
    assert np.array_equal(fewer.frames, clip.frames[[1, 5]])
    assert fewer.indices.tolist() == clip.indices[[1, 5]].tolist()
    assert fewer.sha256 == clip.sha256
    with pytest.raises(InputError, match="positions"):
        clip.take([8])


def test_keyframes_of_a_video_that_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in [0] * 10 + [1] * 10:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    clip = open_clip(path, 8, sampling="keyframes")
    assert len(clip) == 2
    assert clip.indices[0] < 10 <= clip.indices[1]


def test_one_second_sampling(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "a.mp4"), 32, sampling="fps")
    assert clip.indices.tolist() == [0, 8, 16]


_PEAK = """
import json, sys, psutil
from videopath.media.clip import open_clip
open_clip(sys.argv[1], 4)
before = psutil.Process().memory_info().rss
clip = open_clip(sys.argv[2], 8, sampling=sys.argv[3])
print(json.dumps([psutil.Process().memory_info().rss - before, clip.frames.nbytes]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["uniform", "keyframes"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, sampling: str) -> None:
    options = {"preset": "ultrafast", "g": "50"}
    warm = write_video(tmp_path / "warm.mp4", 60, (320, 240), **options)
    long = write_video(tmp_path / "long.mp4", 1000, (320, 240), **options)  # 230 MB as pictures
    command = [sys.executable, "-c", _PEAK, str(warm), str(long), sampling]
    grown, kept = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert kept == 8 * 240 * 320 * 3
    assert grown < 60e6


def test_an_image_source_has_the_size_of_its_picture(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "1.jpg")
    assert (ImageSource(tmp_path / "1.jpg").width, ImageSource(tmp_path / "1.jpg").height) == (96, 64)
