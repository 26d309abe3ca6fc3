"""What a browser plays: the file itself, else a copy in which every frame has kept its moment."""

from __future__ import annotations

import struct
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from videopath.app.web.runtime.masked_copies import CopyState, MaskedCopies
from videopath.app.web.runtime.playable import frame_at, masked_playable, playable, ready_playable
from videopath.core.errors import InputError
from videopath.media.synthetic import render_case
from videopath.media.writing.reader import read_lines
from videopath.model import open_clip

_LEVELS = (30, 90, 150, 210)


def _film(path: Path, codec: str, pixels: str = "yuv420p", size: tuple[int, int] = (96, 64)) -> Path:
    """Four even grey frames, each longer on screen than the one before; in avi all alike."""
    moments = range(4) if path.suffix == ".avi" else (0, 2, 6, 14)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 10)
        for level, pts in zip(_LEVELS, moments, strict=True):
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _codec(path: Path) -> tuple[str, str | None]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.name, context.pix_fmt


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx"), ("b.webm", "libvpx-vp9")]
)
def test_what_browsers_play_is_shown_as_it_is(tmp_path: Path, name: str, codec: str) -> None:
    film = _film(tmp_path / name, codec)
    assert playable(film, tmp_path / "cache") == film
    assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of tissue with a record number."""
    path = tmp_path_factory.mktemp("named") / "a.mp4"
    tissue = open_clip(render_case(path.with_name("tissue.mp4"), seconds=1, size=(320, 240)), 4).frames
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for picture in tissue:
            picture[40:70] = 250
            cv2.putText(
                picture, "MRN 4839201", (20, 63), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA
            )
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_video_with_a_number_is_played_as_a_copy_without_it(named: Path, tmp_path: Path) -> None:
    cache, done = tmp_path / "cache", []
    assert ready_playable(named, cache, "mask-all") is None
    copy = masked_playable(named, cache, "mask-all", done.append)
    assert copy.parent == cache
    assert "mask-all" in copy.name
    assert done == sorted(done)
    assert done[-1] == 1
    before, after = open_clip(named, 2), open_clip(copy, 2)
    assert after.seconds == pytest.approx(before.seconds, abs=0.02)
    assert "4839201" in "".join(line.text for line in read_lines(before.frames[1]))
    assert [read_lines(frame) for frame in after.frames] == [[], []]
    assert ready_playable(named, cache, "mask-all") == copy
    assert ready_playable(named, cache, "keep") == named
    assert ready_playable(named, cache, "mask-personal") is None, "another rule makes another copy"
    shown = frame_at(named, 0.5)
    assert read_lines(shown) == []
    assert np.array_equal(frame_at(named, 0.5, writing="keep"), open_clip(named, 1, 0.5, 0.501).frames[0])


def test_a_clean_video_is_searched_once_and_played_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, cache = _film(tmp_path / "a.mp4", "libx264"), tmp_path / "cache"
    states = MaskedCopies()
    assert states.state(film, cache, "mask-all", start=False) == CopyState()
    until = time.monotonic() + 60
    while (state := states.state(film, cache, "mask-all")).file is None and time.monotonic() < until:
        assert not state.error
        time.sleep(0.05)
    assert state.file == film
    monkeypatch.setattr("videopath.media.writing.film.masked_film", None)
    assert masked_playable(film, cache, "mask-all") == film, "nothing is searched again"
    assert [file.suffix for file in cache.iterdir() if file.suffix != ".lock"] == [".clean"]


def test_a_copy_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"no video" * 500)
    states = MaskedCopies()
    until = time.monotonic() + 30
    while not (state := states.state(tmp_path / "a.avi", tmp_path / "cache", "mask-all")).error:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "a.avi" in state.error


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mkv", "libx264", "yuv420p"),
        ("a.mp4", "mpeg4", "yuv420p"),
        ("b.mp4", "libx264", "yuv444p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mov", "libx264", "yuv420p"),
    ],
)
def test_other_videos_become_h264_once(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    film = _film(tmp_path / name, codec, pixels)
    copy = playable(film, tmp_path / "cache")
    assert _codec(copy) == ("h264", "yuv420p")
    made = copy.stat().st_mtime_ns
    assert playable(film, tmp_path / "cache") == copy
    assert copy.stat().st_mtime_ns == made
    assert not list((tmp_path / "cache").glob("*.part"))
    before, after = open_clip(film, 4), open_clip(copy, 4)
    assert after.seconds == pytest.approx(before.seconds, abs=0.02)
    assert abs(after.frames.astype(int).mean((1, 2, 3)) - before.frames.mean((1, 2, 3))).max() < 6


def test_a_changed_file_gets_another_copy(tmp_path: Path) -> None:
    first = playable(_film(tmp_path / "a.mkv", "libx264"), tmp_path / "cache")
    second = playable(_film(tmp_path / "a.mkv", "libx264", size=(128, 64)), tmp_path / "cache")
    assert first != second


def test_a_gif_of_an_odd_size_is_shown(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (65, 43), (level, level, level)) for level in _LEVELS]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=500)
    copy = open_clip(playable(tmp_path / "a.gif", tmp_path / "cache"), 4)
    assert (copy.width, copy.height) == (64, 44)
    assert copy.seconds == pytest.approx([0, 0.5, 1, 1.5], abs=0.02)


def test_a_large_one_is_made_smaller_in_its_shape(tmp_path: Path) -> None:
    copy = open_clip(playable(_film(tmp_path / "a.mkv", "libx264", size=(2560, 640)), tmp_path / "cache"), 1)
    assert (copy.width, copy.height) == (1280, 320)


def test_a_folder_of_frames_becomes_a_video_of_a_frame_per_second(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number, level in enumerate(_LEVELS):
        Image.new("RGB", (96, 64), (level, level, level)).save(tmp_path / "frames" / f"{number}.png")
    copy = open_clip(playable(tmp_path / "frames", tmp_path / "cache"), 4)
    assert copy.seconds.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("name", "lengths"), [("a.tif", [1.0] * 4), ("a.webp", [0.2, 0.5, 0.3, 0.4])])
def test_pages_and_animated_pictures_are_played_in_their_time(
    tmp_path: Path, name: str, lengths: list[float]
) -> None:
    first, *rest = (Image.new("RGB", (96, 64), (level, level, level)) for level in _LEVELS)
    times = {"duration": [round(1000 * length) for length in lengths]} if name == "a.webp" else {}
    first.save(tmp_path / name, save_all=True, append_images=rest, **times)
    copy = open_clip(playable(tmp_path / name, tmp_path / "cache"), 4)
    assert copy.seconds == pytest.approx(np.cumsum([0, *lengths[:-1]]), abs=0.02)
    assert abs(copy.frames.astype(int).mean((1, 2, 3)) - _LEVELS).max() < 6
    assert abs(int(frame_at(tmp_path / name, lengths[0] + 0.1).mean()) - _LEVELS[1]) < 3


@pytest.mark.parametrize("content", [b"", b"no video" * 500])
def test_what_is_no_video_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.avi"):
        playable(tmp_path / "a.avi", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.mp4"))


def test_a_frame_is_given_at_its_moment_and_native_resolution(tmp_path: Path) -> None:
    film = _film(tmp_path / "a.mp4", "libx264", size=(128, 96))
    assert frame_at(film, 0.7).shape == (96, 128, 3)
    for seconds, level in ((0, 30), (0.1999, 90), (0.2, 90), (0.59, 90), (0.65, 150), (1.4, 210)):
        assert abs(int(frame_at(film, seconds).mean()) - level) < 6
    assert frame_at(film, 0.7, (0.0, 0.0, 0.5, 0.5)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("degrees", "turn"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))]
)
def test_a_turned_video_is_shown_turned(tmp_path: Path, degrees: int, turn: tuple[int, ...]) -> None:
    path = tmp_path / "turned.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        picture = np.zeros((64, 128, 3), np.uint8)
        picture[:32, :64] = 220  # the upper left quarter is bright
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44
    a, b, c, d = (value * 65536 for value in turn)
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    expected, shown = open_clip(path, 1), open_clip(playable(path, tmp_path / "cache"), 1)
    assert (shown.width, shown.height) == ((128, 64) if degrees == 180 else (64, 128))
    assert np.abs(shown.frames.astype(int) - expected.frames).mean() < 4
