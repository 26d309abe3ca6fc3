"""Files with several streams, state within streams, or unusual times: the whole video is read, once."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from videopath.app.web.runtime.playable import frame_at, playable
from videopath.core.errors import InputError
from videopath.media.clip import open_clip, open_source
from videopath.media.quality.gate import assess
from videopath.media.video import source as readers
from videopath.media.video.source import VideoSource

PINK, GREEN, BLUE = (213, 181, 227), (60, 160, 60), (60, 60, 180)


class Part:
    """A stream to write: ``count`` uniform pictures from ``start`` on, ``step`` eighths of a second apart."""

    def __init__(
        self,
        colour: tuple[int, int, int],
        count: int = 16,
        size: tuple[int, int] = (96, 64),
        step: int = 1,
        disposition: Disposition | None = None,
    ) -> None:
        self.colour, self.count, self.size, self.step, self.disposition = (
            colour,
            count,
            size,
            step,
            disposition,
        )


def write(path: Path, *parts: Part, codec: str = "libx264", sound: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for part in parts:
            stream: Any = container.add_stream(codec, rate=8)
            stream.width, stream.height = part.size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if part.disposition is not None:
                stream.disposition = part.disposition
            streams.append(stream)
        speaker: Any = container.add_stream("aac", rate=44100) if sound else None
        packets: list[Any] = []
        for part, stream in zip(parts, streams, strict=True):
            for number in range(part.count):
                picture = np.full((part.size[1], part.size[0], 3), part.colour, np.uint8)
                picture[8:16, 8 + number : 16 + number] = 0
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number * part.step, Fraction(1, 8)
                packets += stream.encode(frame)
            packets += stream.encode()
        if speaker:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate, silence.pts = 44100, 0
            packets += [*speaker.encode(silence), *speaker.encode()]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def colour_of(frame: np.ndarray) -> tuple[int, ...]:
    return tuple(np.median(frame.reshape(-1, 3), axis=0).astype(int))


def is_of(path: Path, colour: tuple[int, int, int], frames: int = 4) -> bool:
    """Return whether model and browser show the stream of this colour."""
    copy = playable(path, path.parent / "cache")
    return all(
        np.abs(np.array(colour_of(frame)) - colour).max() < 8
        for shown in (open_clip(path, frames), open_clip(copy, frames))
        for frame in shown.frames
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi"])
def test_a_thumbnail_in_front_is_not_the_video(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, Part(GREEN, 1), Part(PINK, 32, (128, 96)))
    clip = open_clip(path, 4)
    assert is_of(path, PINK)
    assert (clip.width, clip.height, clip.total_frames) == (128, 96, 32)
    assert clip.duration == pytest.approx(4, abs=0.2)
    assert clip.notes == ()


def test_a_short_and_a_sparse_preview_are_not_the_video(tmp_path: Path) -> None:
    assert is_of(write(tmp_path / "short.mp4", Part(GREEN, 6, (192, 128)), Part(PINK, 32)), PINK)
    assert is_of(write(tmp_path / "sparse.mkv", Part(GREEN, 4, (48, 32), step=8), Part(PINK, 32)), PINK)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_of_two_videos_the_marked_one_is_taken_and_it_is_said(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path / name,
        Part(GREEN, size=(192, 128), disposition=Disposition(0)),
        Part(PINK, disposition=Disposition.default),
    )
    if open_clip(path, 1).frames.shape[1:3] == (64, 96):  # where the container can say it
        assert is_of(path, PINK)
    said = " ".join(open_clip(path, 2).notes)
    assert "holds 2 videos; only one of them" in said
    assert said in " ".join(assess(open_clip(path, 2)).sentences)


def test_of_two_unmarked_videos_the_largest_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", Part(GREEN), Part(PINK, size=(128, 96)), codec="mjpeg")
    assert is_of(path, PINK)
    assert "of 128×96 pixels" in open_clip(path, 1).notes[0]


def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, Part(GREEN, 1, disposition=Disposition.attached_pic), codec="mjpeg", sound=True)
    with pytest.raises(InputError, match="only sound and a cover"):
        open_clip(path, 4)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"avif"])
def test_a_still_picture_is_never_a_video(tmp_path: Path, shared: Path, brand: bytes) -> None:
    data = bytearray((shared / "data/cases/grid2.heic").read_bytes())
    data[8:12] = brand
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(InputError, match=r"still picture \((HEIC|HEIF|AVIF)\), not a video"):
        VideoSource(tmp_path / "a.mp4")


# --- state in the stream ------------------------------------------------------------------------------------------


def test_a_palette_outlives_every_way_of_reading(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/cases/pal8.avi"
    for frames in (1, 2, 3):
        for frame in open_clip(path, frames).frames:
            assert np.abs(frame.mean((0, 1)) - (212, 180, 227)).max() < 3
    assert np.abs(frame_at(path, 0.3).mean((0, 1)) - (212, 180, 227)).max() < 3
    copy = open_clip(playable(path, tmp_path), 2)
    assert np.abs(copy.frames.mean((0, 1, 2)) - (212, 180, 227)).max() < 5


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "qtrle", "rgb24"), ("a.mov", "rpza", "rgb555le"), ("a.avi", "cinepak", "rgb24"),
        ("a.mov", "svq1", "yuv410p"), ("a.wmv", "wmv2", "yuv420p"), ("a.avi", "msvideo1", "rgb555le"),
        ("a.avi", "mjpeg", "yuvj420p"), ("a.webm", "libvpx-vp9", "yuv420p"), ("a.ts", "libx264", "yuv420p"),
        ("a.mkv", "rawvideo", "gray"), ("a.gif", "gif", "rgb8"),
    ],
)  # fmt: skip
def test_a_late_frame_is_that_of_a_plain_decode(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        if codec != "gif":
            stream.codec_context.gop_size = 6
        for number in range(20):
            picture = np.full((64, 96, 3), PINK, np.uint8)
            picture[16:40, 3 * number : 3 * number + 24] = (130, 40, 100)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    source = VideoSource(path)
    for chosen in ([17], [0, 19], [3, 4, 11]):
        frames, _ = source.read(chosen, np.ascontiguousarray)
        assert all(np.array_equal(frame, plain[index]) for frame, index in zip(frames, chosen, strict=True))


# --- one path, read once ------------------------------------------------------------------------------------------


def test_one_intake_reads_through_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from videopath.agent import DiagnosticAgent

    path = write(tmp_path / "a.mkv", Part(GREEN))
    opened: list[str] = []
    real = av.open

    def count(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(str(file))
        return real(file, *arguments, **options)

    monkeypatch.setattr("videopath.media.video.source.av.open", count)
    monkeypatch.setattr("videopath.media.video.source._decord", lambda: None)
    with pytest.raises(InputError, match="does not show histology"):
        DiagnosticAgent.load(review="never").diagnose(path)
    assert len(opened) == 2  # read through, and its frames decoded


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Part(GREEN, 8))
    assert open_source(path) is open_source(path)
    assert len(open_source(path).seconds) == 8
    write(path, Part(PINK, 16, (128, 96)))
    assert (open_source(path).width, len(open_source(path).seconds)) == (128, 16)


def test_facts_are_those_of_the_frames_given(tmp_path: Path, shared: Path) -> None:
    paths = [
        *(shared / "data/cases").glob("*.mp4"), shared / "data/cases/pal8.avi",
        write(tmp_path / "a.mp4", Part(GREEN, 1), Part(PINK, 32, (128, 96))),
    ]  # fmt: skip
    for path in paths:
        clip = open_clip(path, 3)
        assert (clip.height, clip.width) == clip.frames.shape[1:3]
        assert clip.total_frames == len(list(VideoSource(path).film()))


# --- names and words ----------------------------------------------------------------------------------------------


def test_a_name_that_is_not_utf8_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Part(PINK))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.mp4"))
    try:
        shutil.copy(path, odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    for read in (lambda: open_clip(odd, 2), lambda: playable(odd, tmp_path / "cache")):
        with pytest.raises(InputError, match="not valid UTF-8 text. Rename") as caught:
            read()
        str(caught.value).encode()


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.avi"])
def test_words_in_a_file_that_are_not_utf8(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE_TITLE"
        stream: Any = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(4):
            picture = np.full((64, 96, 3), PINK, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert b"TITLE_TITLE" in data
    path.write_bytes(data.replace(b"TITLE_TITLE", b"M\xfcnchen \xff\xfe!"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path)).close()
    assert is_of(path, PINK, 2)


def test_the_reader_of_a_plain_file_is_still_decord(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    path = write(tmp_path / "a.mp4", Part(PINK))
    assert open_clip(path, 2).reader == "decord"
    assert readers.video_source(path).plain
