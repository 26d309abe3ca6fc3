"""Videos that are not shown as their frames are stored: each is upright, in its proportions, colours and time.

What the model sees (``open_clip``) and what a person sees in the browser (``playable``) are held against the same picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from videopath.app.web.runtime.playable import playable
from videopath.core.errors import InputError
from videopath.media.clip import Clip, open_clip
from videopath.media.quality.gate import assess

PINK, LIME = (213, 181, 227), (40, 220, 40)
_BOTTOM = {"libx264": {"crf": "4"}}


def marked(width: int = 96, height: int = 64) -> np.ndarray:
    """Pink, with a lime mark at the top left and a dark one at the left of the bottom: no two rotations look alike."""
    picture = np.full((height, width, 3), PINK, np.uint8)
    picture[: height // 4, : width // 4] = LIME
    picture[-height // 4 :, : width // 8] = (60, 20, 60)
    return picture


def write(
    path: Path,
    pictures: list[np.ndarray],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    set_up: Callable[[Any], None] = lambda stream: None,
    paint: Callable[[np.ndarray], av.VideoFrame] = lambda p: av.VideoFrame.from_ndarray(p, format="rgb24"),
    **options: str,
) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8, options=_BOTTOM.get(codec, {}) | options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        set_up(stream)
        for picture in pictures:
            container.mux(stream.encode(paint(picture)))
        container.mux(stream.encode())
    return path


def both(path: Path, frames: int = 3) -> tuple[Clip, Clip]:
    """Return what the model sees and what the browser shows."""
    return open_clip(path, frames), open_clip(playable(path, path.parent / "cache"), frames)


def near(clip: Clip, expected: np.ndarray, tolerance: float) -> bool:
    assert clip.frames.shape[1:] == expected.shape
    assert (clip.width, clip.height) == (expected.shape[1], expected.shape[0])
    return bool(np.abs(clip.frames[0].astype(int) - expected).mean() < tolerance)


def copied(path: Path) -> bool:
    return playable(path, path.parent / "cache") != path


# --- turns and mirrors --------------------------------------------------------------------------------------------

_MATRICES = [
    matrix
    for a, b, c, d in itertools.product((-1, 0, 1), repeat=4)
    if abs(a * d - b * c) == 1 and a * b == 0 and c * d == 0 and (matrix := (a, b, c, d))
]


def laid(picture: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Every stored pixel (x, y) goes to (a·x + c·y, b·x + d·y), as the containers' standard says."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    shown = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
    shown[down, right] = picture
    return shown


@pytest.mark.parametrize("matrix", _MATRICES, ids=str)
def test_every_turn_and_mirror(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    assert len(_MATRICES) == 8
    a, b, c, d = matrix
    numbers = [a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 1 << 30]
    path = write(tmp_path / "a.mp4", [marked()] * 3, set_up=lambda stream: stream.set_display_matrix(numbers))
    for clip in both(path):
        assert near(clip, laid(marked(), *matrix), 4)
    assert copied(path) is (matrix != (1, 0, 0, 1))


def test_a_mirrored_case_is_upright(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/cases/hflip.mp4"
    for clip in (open_clip(path, 2), open_clip(playable(path, tmp_path), 2)):
        frame = clip.frames[0].astype(int)
        rows, columns = np.nonzero(frame[..., 1] > frame[..., [0, 2]].max(-1) + 60)
        assert rows.mean() < 40
        assert columns.mean() > 280


def test_a_slanted_video_is_refused_by_name(tmp_path: Path) -> None:
    half = [46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30]
    path = write(
        tmp_path / "slanted.mp4", [marked()] * 3, set_up=lambda stream: stream.set_display_matrix(half)
    )
    with pytest.raises(InputError, match=r"slanted\.mp4 is to be shown turned by 45°.*export"):
        open_clip(path, 2)


def test_a_turn_within_the_stream(tmp_path: Path) -> None:
    """The second half has another rotation: each frame is rotated by its own mark, on one canvas."""
    start = write(tmp_path / "start.ts", [marked(64, 64)] * 8)
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as target:
        out: Any = None
        for turned in (False, True):
            with av.open(str(start)) as source:
                stream = source.streams.video[0]
                out = out or target.add_stream_from_template(stream)
                insert = "h264_metadata=display_orientation=insert:rotate=180" if turned else "null"
                filtered = BitStreamFilterContext(insert, stream)
                for packet in source.demux(stream):
                    for piece in filtered.filter(packet if packet.size else None):
                        piece.stream = out
                        piece.pts += turned * 90_000
                        piece.dts += turned * 90_000
                        target.mux(piece)
    clip = open_clip(path, 16)
    assert np.abs(clip.frames[0].astype(int) - marked(64, 64)).mean() < 4
    assert np.abs(clip.frames[-1].astype(int) - marked(64, 64)[::-1, ::-1]).mean() < 4


# --- proportions --------------------------------------------------------------------------------------------------


def squeezed(stream: Any) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(2, 1)


def pressed(stream: Any) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(1, 2)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize(("set_up", "size"), [(squeezed, (192, 64)), (pressed, (96, 128))])
def test_pixels_that_are_not_square(
    tmp_path: Path, name: str, set_up: Callable[[Any], None], size: tuple[int, int]
) -> None:
    path = write(tmp_path / name, [marked()] * 3, set_up=set_up)
    for clip in both(path):
        assert near(clip, marked(*size), 4)
    assert copied(path)


def test_absurd_pixels_are_refused(tmp_path: Path) -> None:
    def absurd(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(50, 1)

    with pytest.raises(InputError, match="50 times as wide as high"):
        open_clip(write(tmp_path / "a.mp4", [marked()] * 3, set_up=absurd), 2)


def test_a_stream_that_changes_its_size(tmp_path: Path) -> None:
    """Frames of another size keep their proportions, wherever decord would have stretched them."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as target:
        out: Any = None
        for number, (width, height) in enumerate(((96, 64), (64, 96))):
            part = write(tmp_path / f"{number}.avi", [marked(width, height)] * 6, "mjpeg", "yuvj420p")
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                out = out or target.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.size:
                        packet.pts = packet.dts = packet.dts + 6 * number
                        packet.stream = out
                        target.mux(packet)
    for clip in both(path, 12):
        assert clip.total_frames == 12
        last = clip.frames[-1].astype(int)
        inner = last[:, (last.max((0, 2)) > 90)]
        assert inner.shape[:2] == pytest.approx((64, 43), abs=2)  # 64 × 96 between bars


# --- interlaced lines ---------------------------------------------------------------------------------------------


def moving(moment: int) -> np.ndarray:
    picture = np.full((96, 128, 3), 200, np.uint8)
    picture[24:72, 4 + 6 * moment : 44 + 6 * moment] = 80
    return picture


def woven() -> list[np.ndarray]:
    """Two moments in every frame: the odd lines are half a frame later."""
    frames = []
    for number in range(6):
        frame = moving(2 * number)
        frame[1::2] = moving(2 * number + 1)[1::2]
        frames.append(frame)
    return frames


def in_fields(stream: Any) -> None:
    stream.codec_context.flags |= (1 << 29) | (1 << 18)  # interlaced motion and transform


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("a.mp4", "libx264", "yuv420p", {"x264-params": "tff=1"}),
        ("b.mkv", "libx264", "yuv420p", {"x264-params": "bff=1"}),
        ("a.ts", "mpeg2video", "yuv420p", {"b": "4M"}),
        ("a.mov", "prores_ks", "yuv422p10le", {}),
    ],
)
def test_interlaced_lines_are_one_moment(
    tmp_path: Path, name: str, codec: str, pixels: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / name, woven(), codec, pixels, in_fields, **options)
    for clip in both(path, 6):
        for number, frame in enumerate(clip.frames):
            away = [np.abs(frame.astype(int) - moving(2 * number + half)).mean() for half in (0, 1)]
            assert min(away) < 4, f"frame {number}"
    assert copied(path)
    assert "interlaced" in " ".join(open_clip(path, 6).notes)


def test_combs_are_not_sharpness(tmp_path: Path) -> None:
    def blurred(moment: int) -> np.ndarray:
        ys, xs = np.mgrid[:240, :320].astype(np.float32)
        wave = np.sin((xs + 9 * moment) / 12) * np.cos(ys / 14)
        return (np.array(PINK) - 60 * (1 + wave[..., None]) * np.array([0.6, 0.9, 0.4])).astype(np.uint8)

    frames = []
    for number in range(4):
        frame = blurred(2 * number)
        frame[1::2] = blurred(2 * number + 1)[1::2]
        frames.append(frame)
    path = write(tmp_path / "a.mp4", frames, set_up=in_fields, **{"x264-params": "tff=1"})
    plain = write(tmp_path / "plain.mp4", [blurred(2 * number) for number in range(4)])
    combed, still = assess(open_clip(path, 4)), assess(open_clip(plain, 4))
    assert combed.focus == pytest.approx(still.focus, abs=0.1)


# --- colours ------------------------------------------------------------------------------------------------------

_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def linear(picture: np.ndarray) -> np.ndarray:
    shares = picture / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def in_pq(picture: np.ndarray) -> np.ndarray:
    light = (linear(picture) @ _TO_2020.T * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375


def in_hlg(picture: np.ndarray) -> np.ndarray:
    screen = linear(picture) @ _TO_2020.T * 203 / 1000
    luminance = screen @ [0.2627, 0.6780, 0.0593]
    scene = screen * (luminance ** (1 / 1.2 - 1))[..., None]
    low = np.sqrt(3 * np.clip(scene, 0, None))
    return np.where(
        scene <= 1 / 12, low, 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


def in_p3(picture: np.ndarray) -> np.ndarray:
    return (linear(picture) @ _TO_P3.T) ** (1 / 2.4)


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
@pytest.mark.parametrize(
    ("encode", "primaries", "transfer", "matrix", "word"),
    [(in_pq, 9, 16, 9, "HDR (PQ)"), (in_hlg, 9, 18, 9, "HDR (HLG)"), (in_p3, 12, 1, 1, "")],
    ids=["PQ", "HLG", "P3"],
)
def test_light_and_gamut_become_ordinary_colours(
    tmp_path: Path,
    codec: str,
    encode: Callable[[np.ndarray], np.ndarray],
    primaries: int,
    transfer: int,
    matrix: int,
    word: str,
) -> None:
    def tag(stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, matrix
        context.color_range = 1

    def paint(picture: np.ndarray) -> av.VideoFrame:
        deep = np.rint(encode(picture).clip(0, 1) * 65535).astype(np.uint16)
        frame = av.VideoFrame.from_ndarray(deep, format="rgb48le")
        shown = frame.reformat(format="yuv420p10le", dst_colorspace=matrix, dst_color_range=1)
        shown.color_primaries, shown.color_trc, shown.colorspace, shown.color_range = (
            primaries, transfer, matrix, 1,
        )  # fmt: skip
        return shown

    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write(tmp_path / "a.mp4", [marked()] * 3, codec, "yuv420p10le", tag, paint, **quiet)
    for clip in both(path):
        assert np.abs(clip.frames.mean((0, 1, 2)) - marked().mean((0, 1))).max() < 8
        assert np.abs(clip.frames[0, 30:34, 60:90].mean((0, 1)) - PINK).max() < 10
    assert word in " ".join(open_clip(path, 2).notes)
    assert copied(path)


def test_dolby_vision_without_an_ordinary_layer_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [marked()] * 3, "libx265", **{"x265-params": "log-level=none"})
    stored = path.read_bytes()
    (mark,) = {mark for mark in (b"hev1", b"hvc1") if mark in stored[stored.index(b"stsd") :]}
    path.write_bytes(stored.replace(mark, b"dvh1"))
    with pytest.raises(InputError, match="Dolby Vision"):
        open_clip(path, 2)


def test_the_case_in_pq_has_its_colours(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/cases/hdrpq.mp4"
    for clip in (open_clip(path, 4), open_clip(playable(path, tmp_path), 4)):
        assert np.abs(clip.frames.mean((0, 1, 2)) - PINK).max() < 15


def test_very_bright_light_keeps_its_order() -> None:
    from videopath.media.tone import in_ordinary_colours

    nits = np.array([50.0, 203, 400, 700, 1000, 4000])
    light = (nits / 10000) ** 0.1593017578125
    pq = ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375
    deep = np.repeat(np.rint(pq * 65535).astype(np.uint16)[None, :, None], 3, axis=2)
    shown = in_ordinary_colours(av.VideoFrame.from_ndarray(deep, format="rgb48le"), "PQ")[0, :, 0].astype(int)
    assert (np.diff(shown[:5]) > 0).all()
    assert shown[4] == shown[5] == 255


@pytest.mark.parametrize("matrix", [1, 5, 6, 9], ids=["709", "470bg", "170m", "2020"])
@pytest.mark.parametrize("spread", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("reader", ["decord", "pyav"])
def test_matrix_and_range_are_those_of_the_file(
    tmp_path: Path, matrix: int, spread: int, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tag(stream: Any) -> None:
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, spread

    def paint(picture: np.ndarray) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        pixels = "yuvj420p" if spread == 2 else "yuv420p"
        shown = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=spread)
        shown.colorspace, shown.color_range = matrix, spread
        return shown

    if reader == "pyav":
        monkeypatch.setattr("videopath.media.video.source._decord", lambda: None)
    path = write(
        tmp_path / "a.mp4", [marked()] * 3, pixels="yuvj420p" if spread == 2 else "yuv420p", set_up=tag,
        paint=paint,
    )  # fmt: skip
    assert np.abs(open_clip(path, 2).frames[0, 30:34, 60:90].mean((0, 1)) - PINK).max() < 4


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "png"), ("b.mov", "prores_ks"), ("a.mkv", "ffv1")])
@pytest.mark.parametrize("alpha", [0, 255, "half"])
def test_transparent_videos(tmp_path: Path, name: str, codec: str, alpha: int | str) -> None:
    """Transparent parts are white; an alpha channel that is empty everywhere is ignored."""
    layer = np.full((64, 96), 255 if alpha == "half" else alpha, np.uint8)
    if alpha == "half":
        layer[:, :48] = 0
    pixels = {"png": "rgba", "prores_ks": "yuva444p10le", "ffv1": "rgba64le"}[codec]

    def paint(picture: np.ndarray) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(np.dstack([picture, layer]), format="rgba").reformat(format=pixels)

    path = write(tmp_path / name, [marked()] * 3, codec, pixels, paint=paint)
    expected = marked().copy()
    if alpha == "half":
        expected[:, :48] = 255
    for clip in both(path):
        assert near(clip, expected, 5)
