"""Bad files and arguments give an InputError with one clear sentence, and never a hang, a crash or a guess."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from videopath.core.errors import InputError
from videopath.media.clip import open_clip


def write_video(
    path: Path, count: int = 16, size: tuple[int, int] = (96, 64), **container_options: str
) -> Path:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)
    with av.open(str(path), "w", options=container_options) as container:
        stream: Any = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for block in small:
            frame = np.array(Image.fromarray(block).resize(size))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = np.zeros((1, 44100), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def refusal(path: Path, **arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        open_clip(path, 8, **arguments)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_missing_file(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "missing.mp4")


def test_folder_without_frames(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert "no frames" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg", "a.gif"])
def test_zero_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "empty" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"Dear colleague, thank you.\n" * 99, bytes(range(256)) * 99, b"\0" * 5000]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.avi", "a"])
def test_something_else_under_the_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "not a" in refusal(tmp_path / name)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "other.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{tmp_path / 'other.mp4'}\n#EXT-X-ENDLIST\n"
    )
    assert "not a video" in refusal(playlist)


@pytest.mark.parametrize("share", [0.5, 0.85])
@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.mkv", "a.avi"])
def test_cut_short(tmp_path: Path, name: str, share: float) -> None:
    options = {"movflags": "faststart"} if name == "fast.mp4" else {}
    assert (
        "cut short" in (said := refusal(cut(write_video(tmp_path / name, 60, **options), share)))
        or "damaged" in said
    )


def test_cut_short_gif_and_image(tmp_path: Path, shared: Path) -> None:
    for source in (shared / "data/videos/camicroscope_View.gif", shared / "data/atlas/erosion/overview.jpg"):
        copy = tmp_path / source.name
        copy.write_bytes(source.read_bytes())
        assert "cut short" in refusal(cut(copy, 0.5))


def test_only_sound(tmp_path: Path) -> None:
    assert "only sound" in refusal(write_sound(tmp_path / "a.mp4"))


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4"])
def test_ten_hours_in_the_header(tmp_path: Path, name: str) -> None:
    """Missing frames are rejected; a wrong number in the header is accepted if the tables are sound."""
    path = write_video(tmp_path / name)
    data = bytearray(path.read_bytes())
    if name == "a.mkv":
        place = data.find(b"\x44\x89\x88") + 3
        data[place : place + 8] = struct.pack(">d", 36_000_000.0)
    elif name == "a.avi":
        place = data.find(b"strh") + 40
        data[place : place + 4] = struct.pack("<I", 36_000 * 8)
    else:
        place = data.find(b"mvhd") + 20
        data[place : place + 4] = struct.pack(">I", 36_000_000)
    path.write_bytes(data)
    if name == "a.mp4":
        assert open_clip(path, 8).duration == pytest.approx(2.0, abs=0.1)
    else:
        assert "10.0 hours" in refusal(path)


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    assert "1×1 pixels" in refusal(tmp_path / "a.png")
    assert "2×2 pixels" in refusal(write_video(tmp_path / "a.mp4", size=(2, 2)))


def test_an_image_too_large_to_hold(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    assert "million pixels" in refusal(tmp_path / "a.png")


def test_one_frame_is_legitimate(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "a.mp4", 1), 8)
    assert clip.frames.shape == (8, 64, 96, 3)
    assert clip.total_frames == 1


@pytest.mark.slow
def test_8k_is_legitimate(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "a.mp4", 1, (7680, 4320)), 1)
    assert clip.frames.shape == (1, 4320, 7680, 3)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"start": -1.0}, "start"),
        ({"start": "1"}, "start"),
        ({"end": float("nan")}, "end"),
        ({"start": 2.0, "end": 1.0}, "before the start"),
        ({"start": 99.0}, "after the end"),
        ({"sampling": "random"}, "'random' is not known"),
        ({"crop": (0.5, 0.0, 0.5, 1.0)}, "crop"),
        ({"crop": (0.0, 0.0, 1.0)}, "crop"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: dict[str, Any], word: str) -> None:
    assert word in refusal(write_video(tmp_path / "a.mp4"), **arguments)


@pytest.mark.parametrize("frames", [0, -3, 10**6, 8.0, "8", None])
def test_wrong_number_of_frames(tmp_path: Path, frames: Any) -> None:
    with pytest.raises(InputError, match="number of frames"):
        open_clip(write_video(tmp_path / "a.mp4"), frames)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=60))
def test_damaged_bytes_give_a_clip_or_an_input_error(tmp_path: Path, places: list[tuple[float, int]]) -> None:
    path = tmp_path / "damaged.mp4"
    data = bytearray(write_video(path).read_bytes())
    for share, value in places:
        data[int(share * len(data))] = value
    path.write_bytes(data)
    try:
        clip = open_clip(path, 4)
    except InputError:
        return
    assert len(clip) == 4
