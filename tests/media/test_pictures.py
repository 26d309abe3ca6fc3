"""Picture files are read whole, upright, with correct proportions, brightness and times, or rejected in one sentence."""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from videopath.core.errors import InputError
from videopath.media.clip import Clip, open_clip, open_source
from videopath.media.image.files import read_picture
from videopath.training.validation import check_dataset


def picture(number: int, width: int = 48, height: int = 32) -> np.ndarray:
    """Return a smooth picture from dark to bright that differs for every number."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    waves = [
        np.sin(columns / (5 + c) + number * (0.7 + c)) + np.cos(rows / (4 + c) + number) for c in range(3)
    ]
    made = np.clip(128 + 60 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
    made[0, 0], made[-1, -1] = 255, 0
    return made


def stack(count: int = 5) -> np.ndarray:
    return np.stack([picture(number) for number in range(count)])


def images(count: int) -> list[Image.Image]:
    return [Image.fromarray(one) for one in stack(count)]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_clip(path, 4)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def distinct(clip: Clip) -> np.ndarray:
    return clip.frames[np.unique(clip.indices, return_index=True)[1]]


# --- several pictures in one file -----------------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["pillow", "tifffile", "one page", "bigtiff", "lzw"])
def test_pages_of_a_tiff_are_frames(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "stack.tif"
    options: dict[str, Any] = {
        "tifffile": {"metadata": None},
        "one page": {"truncate": True},
        "bigtiff": {"bigtiff": True, "metadata": None, "compression": "zlib"},
        "lzw": {"compression": "lzw", "metadata": None},
    }
    if writer == "pillow":
        first, *rest = images(5)
        first.save(path, save_all=True, append_images=rest)
    else:
        tifffile.imwrite(path, stack(), photometric="rgb", **options[writer])
    clip = open_clip(path, 5)
    assert (clip.kind, clip.total_frames, clip.duration, clip.fps) == ("video", 5, 5.0, 1.0)
    assert clip.seconds.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(clip.frames, stack())
    assert np.array_equal(open_clip(path, 1, 3.0, 3.5).frames[0], picture(3))


def test_the_time_series_of_imagej_and_ome_have_their_times(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack(), imagej=True, metadata={"axes": "TYXS", "finterval": 2.5})
    tifffile.imwrite(tmp_path / "minutes.tif", stack(), imagej=True,
                     metadata={"axes": "TYXS", "finterval": 2.0, "tunit": "min"})  # fmt: skip
    times = {"axes": "TYXS", "TimeIncrement": 0.5, "TimeIncrementUnit": "s"}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack(), photometric="rgb", metadata=times)
    planes = {"axes": "TYXS", "Plane": {"DeltaT": [0.0, 0.5, 2.0, 4.0, 9.0], "TheT": list(range(5))}}
    tifffile.imwrite(tmp_path / "b.ome.tif", stack(), photometric="rgb", metadata=planes)
    found = {path.name: open_clip(path, 5) for path in tmp_path.iterdir()}
    assert found["a.tif"].seconds.tolist() == [0, 2.5, 5, 7.5, 10]
    assert found["a.tif"].duration == 12.5
    assert found["minutes.tif"].seconds.tolist() == [0, 120, 240, 360, 480]
    assert found["a.ome.tif"].seconds.tolist() == [0, 0.5, 1, 1.5, 2]
    assert found["b.ome.tif"].seconds.tolist() == [0, 0.5, 2, 4, 9]
    assert all(np.array_equal(clip.frames, stack()) for clip in found.values())


@pytest.mark.parametrize(
    ("axes", "says"),
    [("ZYX", "5 z slices"), ("CYX", "5 channels"), ("TZYX", "z slices"), ("TCYX", "channels")],
)
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_what_a_stack_means_is_asked(tmp_path: Path, axes: str, says: str, kind: str) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    grey = stack()[..., 0] if len(axes) == 3 else np.stack([stack()[..., 0]] * 2)
    tifffile.imwrite(path, grey, imagej=kind == "imagej", metadata={"axes": axes}, photometric="minisblack")
    message = refusal(path)
    assert says in message
    assert "not known which is meant" in message


def test_pages_of_several_sizes_levels_and_channels_are_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
        writer.write(picture(1), photometric="rgb", metadata=None)
        writer.write(picture(2, 64, 64), photometric="rgb", metadata=None)
    assert "2 pages of 2 sizes" in refusal(tmp_path / "sizes.tif")
    large = picture(1, 256, 128)
    with tifffile.TiffWriter(tmp_path / "inside.tif") as writer:
        writer.write(large, photometric="rgb", tile=(64, 64), subifds=1)
        writer.write(large[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1)
    assert "2 levels" in refusal(tmp_path / "inside.tif")
    with tifffile.TiffWriter(tmp_path / "behind.tif") as writer:
        writer.write(large, photometric="rgb", tile=(64, 64), metadata=None)
        writer.write(large[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1, metadata=None)
    assert "2 levels" in refusal(tmp_path / "behind.tif")
    five = np.concatenate([picture(1), picture(2)[..., :2]], axis=-1)
    tifffile.imwrite(
        tmp_path / "five.tif", five, photometric="minisblack", planarconfig="contig", metadata=None
    )
    assert "5 channels" in refusal(tmp_path / "five.tif")


def test_ten_thousand_pages_are_not_decoded_whole(tmp_path: Path) -> None:
    path = tmp_path / "many.tif"
    tifffile.imwrite(path, np.zeros((10_000, 32, 32, 3), np.uint8), photometric="rgb", metadata=None)
    clip = open_clip(path, 4)
    assert clip.total_frames == 10_000
    assert len(clip) == 4


def test_a_tiff_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack(), imagej=True, metadata={"axes": "TYXS"})
    tifffile.imwrite(tmp_path / "b.tif", picture(1), photometric="rgb", metadata=None)
    tifffile.imwrite(tmp_path / "c.tif", stack(), photometric="rgb", metadata=None)
    for path in sorted(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert "cut short" in refusal(path)


_SHOWN = [100, 200, 300, 700]  # milliseconds


@pytest.mark.parametrize(
    "name", ["a.webp", "a.png", "a.apng", "b.png", "a.avif", "renamed.jpg", "a.gif", "gif.png"]
)
def test_animations_are_read_with_their_times(tmp_path: Path, name: str) -> None:
    first, *rest = images(4)
    path, options = tmp_path / name, {"duration": _SHOWN, "save_all": True, "append_images": rest}
    if name == "b.png":  # a picture for those that show no animations
        Image.fromarray(picture(9)).save(path, default_image=True, duration=_SHOWN, save_all=True,
                                         append_images=[first, *rest])  # fmt: skip
    elif "gif" in name:
        first.save(path, "GIF", **options)
    else:
        kind = {"renamed.jpg": "WEBP", "a.apng": "PNG"}.get(name)
        first.save(path, kind, **options, **({"lossless": True} if "web" in name or kind == "WEBP" else {}))
    clip = open_clip(path, 4)
    assert (clip.kind, clip.total_frames) == ("video", 4)
    assert clip.seconds == pytest.approx([0, 0.1, 0.3, 0.6])
    assert clip.duration == pytest.approx(1.3)
    exact = "gif" not in name and "avif" not in name
    assert np.abs(clip.frames.astype(int) - stack(4)).mean() < (1e-9 if exact else 12)


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_frames_of_an_animation_are_whole_pictures(tmp_path: Path, kind: str) -> None:
    """Files store only changes, but a frame is the whole picture on screen."""
    frames = [np.full((64, 64, 3), 200, np.uint8) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame[8 : 8 + 8 * number, 8:16] = (90, 20, 120)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    path = tmp_path / f"a.{kind}"
    first.save(
        path,
        save_all=True,
        append_images=rest,
        duration=100,
        **({"lossless": True} if kind == "webp" else {}),
    )
    assert np.array_equal(distinct(open_clip(path, 3)), np.stack(frames))


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_an_animation_that_is_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    first, *rest = images(6)
    first.save(tmp_path / name, save_all=True, append_images=rest, duration=100)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[: (tmp_path / name).stat().st_size // 2])
    assert "cut short" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["deep.png", "a.png", "a.heic", "a.avif", "a.jpg", "lzw.tif", "a.bmp"])
def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "deep.png":
        cv2.imwrite(str(path), picture(1).astype(np.uint16) * 257)
    elif name == "lzw.tif":
        tifffile.imwrite(path, picture(1), photometric="rgb", compression="lzw", metadata=None)
    elif name == "a.heic":
        heif(path, picture(1, 96, 64))
    else:
        Image.fromarray(picture(1)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert "cut short" in refusal(path)


def test_an_image_is_expected_and_several_are_given(tmp_path: Path) -> None:
    first, *rest = images(3)
    (tmp_path / "frames").mkdir()
    first.save(tmp_path / "frames" / "0.png")
    path = tmp_path / "frames" / "1.tif"
    first.save(path, save_all=True, append_images=rest)
    for read in (lambda: read_picture(path), lambda: open_clip(tmp_path / "frames", 2)):
        with pytest.raises(InputError, match=r"1\.tif holds 3 pictures"):
            read()


def test_previews_in_a_camera_s_jpeg_are_no_pictures_and_views_are_asked_about(tmp_path: Path) -> None:
    first, second = images(2)
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert open_clip(tmp_path / "a.jpg").kind == "image"
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    entry = data.rindex(
        struct.pack("<L", 0x030000), 0, data.index(b"MPF\0") + 110
    )  # the kind of the first picture
    for place in (entry, entry + 16):
        data[place : place + 4] = struct.pack("<L", 0x020002)  # one of a pair, for the left or the right eye
    (tmp_path / "b.jpg").write_bytes(data)
    assert "2 views" in refusal(tmp_path / "b.jpg")


# --- HEIC and AVIF --------------------------------------------------------------------------------------------


def heif(path: Path, *pictures: np.ndarray, **options: Any) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.HeifFile()
    for one in pictures:
        file.add_from_pillow(Image.fromarray(one))
    file.save(path, quality=-1, chroma=444, **options)
    return path


def test_heic_is_one_picture_whatever_its_name(tmp_path: Path, shared: Path) -> None:
    clip = open_clip(heif(tmp_path / "a.heic", picture(1, 96, 64)), 4)
    assert (clip.kind, clip.frames.shape) == ("image", (1, 64, 96, 3))
    assert np.abs(clip.frames[0].astype(int) - picture(1, 96, 64)).mean() < 3
    assert open_clip(heif(tmp_path / "a.mp4", picture(1, 96, 64)), 4).kind == "image"
    grid = open_clip(shared / "data/cases/grid2.heic", 4)
    assert (grid.frames.shape, grid.width, grid.height) == ((1, 512, 512, 3), 512, 512)
    assert grid.frames.reshape(4, -1).std() > 0
    Image.fromarray(picture(1, 96, 64)).save(tmp_path / "a.avif", quality=100)
    assert open_clip(tmp_path / "a.avif").frames.shape == (1, 64, 96, 3)


def test_several_pictures_in_a_heic_and_a_folder_of_heic_are_frames(tmp_path: Path) -> None:
    assert open_clip(heif(tmp_path / "a.heic", picture(1, 96, 64), picture(2, 96, 64)), 2).total_frames == 2
    (tmp_path / "frames").mkdir()
    for number in range(3):
        heif(tmp_path / "frames" / f"IMG_{number}.HEIC", picture(number, 96, 64))
    assert open_clip(tmp_path / "frames", 3).total_frames == 3


def test_a_picture_of_high_dynamic_range_is_named(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    chunk = b"cICP" + bytes([9, 16, 0, 1])
    written = data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    (tmp_path / "a.png").write_bytes(written)
    assert "high dynamic range (PQ)" in refusal(tmp_path / "a.png")


# --- orientation and size -------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "a.png",
        "a.webp",
        "a.tif",
        "deep.tif",
        "palette.tif",
        "cmyk.tif",
        "jpeg.tif",
        "deep.png",
        "a.avif",
    ],
)
def test_every_orientation_turns_the_picture_and_its_size(
    tmp_path: Path, name: str, orientation: int
) -> None:
    path, kind = tmp_path / name, name.split(".")[1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture(1)
    if name in ("deep.tif", "a.tif"):
        samples = stored.astype(np.uint16) * 257 if "deep" in name else stored
        tifffile.imwrite(path, samples, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    elif name == "jpeg.tif":
        luminance = np.asarray(Image.fromarray(stored).convert("YCbCr"))
        tifffile.imwrite(path, luminance, photometric="ycbcr", compression="jpeg", compressionargs={"level": 98},
                         extratags=[(274, 3, 1, orientation, True)])  # fmt: skip
    elif name == "deep.png":
        data = cv2.imencode(".png", stored[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
        block = b"eXIf" + exif.tobytes()[6:]
        size, sum_ = struct.pack(">I", len(block) - 4), struct.pack(">I", zlib.crc32(block))
        path.write_bytes(data[:33] + size + block + sum_ + data[33:])
    else:
        image = Image.fromarray(stored)
        image = image.convert("P", palette=Image.Palette.ADAPTIVE) if "palette" in name else image
        image = image.convert("CMYK") if "cmyk" in name else image
        image.save(path, exif=exif, **({"lossless": True} if kind == "webp" else {"quality": 95}))
    expected = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(stored, 1),
    }[orientation]  # fmt: skip
    clip = open_clip(path)
    assert (clip.height, clip.width) == clip.frames.shape[1:3] == expected.shape[:2]
    assert np.abs(clip.frames[0].astype(int) - expected).mean() < (
        6 if name in ("a.jpg", "palette.tif", "jpeg.tif", "a.avif") else 1e-9
    )
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / path.name)
    folder = open_clip(tmp_path / "folder", 1)
    assert (folder.height, folder.width) == expected.shape[:2]
    assert np.array_equal(folder.frames, clip.frames)


def test_frames_of_several_sizes_keep_their_proportions(tmp_path: Path, shared: Path) -> None:
    Image.new("RGB", (60, 60), "white").save(tmp_path / "1.png")
    Image.new("RGB", (120, 60), "white").save(tmp_path / "2.png")
    Image.new("RGB", (30, 60), "white").save(tmp_path / "3.png")
    clip = open_clip(tmp_path, 3)
    assert (clip.width, clip.height, clip.frames.shape) == (120, 60, (3, 60, 120, 3))
    for frame, (width, height) in zip(clip.frames, [(60, 60), (120, 60), (30, 60)], strict=True):
        lit = frame[..., 0] > 127
        assert (lit.any(axis=0).sum(), lit.any(axis=1).sum()) == (width, height)
    assert open_clip(shared / "data/cases/mixed_sizes", 3).frames.shape == (3, 448, 448, 3)
    assert np.array_equal(
        open_clip(tmp_path, 1, 1.0, 1.5, crop=(0.5, 0.0, 1.0, 1.0)).frames, np.full((1, 60, 60, 3), 255)
    )


def test_one_stored_size_and_one_shown_size(tmp_path: Path) -> None:
    """The size of a source is the size of its pictures."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "frames").mkdir()
    for number in range(2):
        Image.fromarray(picture(number)).save(tmp_path / "frames" / f"{number}.jpg", exif=exif)
    first, *rest = images(3)
    first.save(tmp_path / "a.webp", save_all=True, append_images=rest, duration=100, exif=exif)
    for path in (tmp_path / "frames", tmp_path / "a.webp"):
        source = open_source(path)
        (frame,), _ = source.read([0], lambda one: one)
        assert (source.height, source.width) == frame.shape[:2] == (48, 32)


# --- range of samples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["tif", "png", "grey tif", "grey png", "lzw tif", "planar tif"])
def test_samples_of_fewer_bits_than_stored_are_bright(tmp_path: Path, bits: int, kind: str) -> None:
    stored = np.rint(picture(1).astype(np.float64) * ((1 << bits) - 1) / 255).astype(np.uint16)
    stored = stored[..., 0] if "grey" in kind else stored
    path = tmp_path / f"a.{kind[-3:]}"
    if kind.endswith("png"):
        cv2.imwrite(str(path), stored if stored.ndim == 2 else stored[..., ::-1])
    elif "planar" in kind:
        tifffile.imwrite(path, np.moveaxis(stored, -1, 0), photometric="rgb", planarconfig="separate")
    else:
        tifffile.imwrite(path, stored, photometric="minisblack" if stored.ndim == 2 else "rgb",
                         compression="lzw" if "lzw" in kind else None)  # fmt: skip
    expected = picture(1) if stored.ndim == 3 else np.stack([picture(1)[..., 0]] * 3, axis=-1)
    assert np.abs(open_clip(path).frames[0].astype(int) - expected).max() <= 1


def test_frames_of_a_deep_stack_are_equally_bright(tmp_path: Path) -> None:
    """A dark frame of 12 bits is not brightened to its own maximum."""
    deep = (stack(3).astype(np.uint16) * 16)[..., 0]
    deep[1] //= 8
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="minisblack", metadata=None)
    bright, dark, _ = open_clip(tmp_path / "a.tif", 3).frames.reshape(3, -1).mean(axis=1)
    assert bright > 100
    assert dark < bright / 6


def test_frames_of_a_deep_folder_are_equally_bright(tmp_path: Path) -> None:
    deep = stack(3).astype(np.uint16) * 16
    deep[1] //= 8
    for number, frame in enumerate(deep):
        tifffile.imwrite(tmp_path / f"{number}.tif", frame, photometric="rgb")
    bright, dark, _ = open_clip(tmp_path, 3).frames.reshape(3, -1).mean(axis=1)
    assert bright > 100
    assert dark < bright / 6


def test_an_opaque_alpha_of_16_bits_beside_colours_of_12(tmp_path: Path) -> None:
    deep = np.dstack([picture(1).astype(np.uint16) * 16, np.full((32, 48), 65535, np.uint16)])
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extrasamples=["unassalpha"])
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., [2, 1, 0, 3]])
    for name in ("a.tif", "a.png"):
        assert np.abs(open_clip(tmp_path / name).frames[0].astype(int) - picture(1)).max() <= 1


def test_signed_samples_are_bright(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(1).astype(np.int16) * 128, photometric="rgb")
    assert np.abs(open_clip(tmp_path / "a.tif").frames[0].astype(int) - picture(1)).max() <= 1


def test_every_page_has_its_own_palette(tmp_path: Path) -> None:
    pages = [Image.fromarray(one).quantize(32) for one in stack(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    expected = np.stack([np.asarray(page.convert("RGB")) for page in pages])
    assert np.array_equal(open_clip(tmp_path / "a.tif", 3).frames, expected)


@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0, 65535.0])
def test_float_samples_are_bright(tmp_path: Path, white: float) -> None:
    stored = (picture(1) / 255 * white).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb")
    assert np.abs(open_clip(tmp_path / "a.tif").frames[0].astype(int) - picture(1)).max() <= 1


def test_float_samples_without_a_known_black_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(1).astype(np.float32) - 128, photometric="rgb")
    assert "which value is black" in refusal(tmp_path / "a.tif")
    holes = picture(1).astype(np.float32)
    holes[3, 3] = np.nan
    tifffile.imwrite(tmp_path / "b.tif", holes, photometric="rgb")
    assert "NaN" in refusal(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", picture(1).astype(np.int16) - 128, photometric="rgb")
    assert "which value is black" in refusal(tmp_path / "c.tif")


@pytest.mark.parametrize(
    "name", ["a.png", "a.tif", "associated.tif", "a.webp", "deep.tif", "deep.png", "a.bmp"]
)
def test_an_alpha_that_is_empty_everywhere_hides_nothing(tmp_path: Path, name: str) -> None:
    path, layer = tmp_path / name, np.dstack([picture(1), np.zeros((32, 48), np.uint8)])
    if name == "deep.png":
        cv2.imwrite(str(path), layer[..., [2, 1, 0, 3]].astype(np.uint16) * 257)
    elif name.endswith("tif"):
        samples = layer.astype(np.uint16) * 257 if "deep" in name else layer
        kind = "assocalpha" if "associated" in name else "unassalpha"
        tifffile.imwrite(path, samples, photometric="rgb", extrasamples=[kind])
    else:
        options = {"lossless": True, "exact": True} if name == "a.webp" else {}
        Image.fromarray(layer).save(path, **options)
    assert np.array_equal(open_clip(path).frames[0], picture(1))


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_transparent_parts_are_white(tmp_path: Path, kind: str) -> None:
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[:, :24] = 0
    colours = picture(1)
    if kind == "assocalpha":
        colours = np.where(alpha[..., None] > 0, colours, 0).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([colours, alpha]), photometric="rgb", extrasamples=[kind])
    frame = open_clip(tmp_path / "a.tif").frames[0]
    assert (frame[:, :24] == 255).all()
    assert np.array_equal(frame[:, 24:], picture(1)[:, 24:])


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces_of_a_tiff(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(picture(1))
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    else:
        image = image.convert(mode, palette=Image.Palette.ADAPTIVE) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.tif")
    shown = open_clip(tmp_path / "a.tif").frames[0].astype(int)
    grey = np.asarray(image.convert("RGB")).astype(int) if mode in ("1", "L") else picture(1)
    assert np.abs(shown - grey).mean() < 8


def test_white_is_zero(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", 255 - picture(1)[..., 0], photometric="miniswhite")
    assert np.array_equal(open_clip(tmp_path / "a.tif").frames[0][..., 1], picture(1)[..., 0])


def test_the_12_bit_case(shared: Path) -> None:
    assert open_clip(shared / "data/cases/rgb12in16.tif").frames.mean() > 180
    assert open_clip(shared / "data/cases/stack_benign_first.tif", 7).total_frames == 7


# --- foreign files --------------------------------------------------------------------------------------------

_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
_FOREIGN = [
    *(
        (f"a{suffix}", b"anything", "a whole slide")
        for suffix in (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vsi")
    ),
    ("a.dcm", b"anything", "a DICOM file"),
    ("a", b"\0" * 128 + b"DICM" + b"\0" * 99, "a DICOM file"),
    ("a.png", b"\0" * 128 + b"DICM" + b"\0" * 99, "a DICOM file"),
    ("a.czi", b"ZISRAWFILE", "a microscope's own format"),
    ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    ("a.png", b"\xff\x4f\xff\x51" + b"\0" * 50, "JPEG 2000"),
    ("a.jxl", b"\xff\x0a" + b"\0" * 50, "JPEG XL"),
    ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ("a.mp4.gz", gzip.compress(b"x", mtime=0), "compressed"),
    ("a.mp4", gzip.compress(b"x", mtime=0), "compressed"),
    ("a.mp4", _LFS, "git lfs pull"),
    ("a.svs", _LFS, "git lfs pull"),
    ("a.png", _LFS, "git lfs pull"),
    ("a.pdf", b"%PDF-1.7\n", "PDF"),
    ("a.mp4", b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    ("a.png", b"8BPS\0\1" + b"\0" * 50, "layered picture"),
    ("model.safetensors", b"\x40\0\0\0\0\0\0\0" + b'{"a": {}}', "model weights"),
]


@pytest.mark.parametrize(("name", "content", "says"), _FOREIGN)
def test_foreign_files_are_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in refusal(tmp_path / name)
    if not name.endswith((".png", ".jpg")):
        assert says in refusal(tmp_path)  # a folder of such files


def test_archives_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("frame.png", b"x")
    assert "archive" in refusal(tmp_path / "a.zip")
    assert "archive" in refusal((tmp_path / "a.zip").rename(tmp_path / "a.mp4"))


def test_a_slide_in_a_tiff_is_named_by_its_content(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(1), photometric="rgb", metadata=None, tile=(16, 16),
                     description="Aperio Image Library v12\n48x32 [0,0 48x32] (16x16) |AppMag = 20|MPP = 0.5")  # fmt: skip
    assert "a whole slide" in refusal(tmp_path / "a.tif")


def test_a_frame_that_cannot_be_read_among_frames_is_named(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "1.png")
    (tmp_path / "2.dcm").write_bytes(b"\0" * 128 + b"DICM")
    assert "2.dcm is a DICOM file" in refusal(tmp_path)


@pytest.mark.timeout(20)
def test_a_pipe_in_a_folder_of_frames_does_not_block(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "1.png")
    os.mkfifo(tmp_path / "notes.txt")
    assert open_clip(tmp_path, 1).total_frames == 1
    os.mkfifo(tmp_path / "2.png")
    assert "2.png" in refusal(tmp_path)
    assert "not a regular file" in refusal(tmp_path)
    assert "neither a file nor a folder" in refusal(tmp_path / "2.png")
    with pytest.raises(InputError, match="not a regular file"):
        read_picture(tmp_path / "2.png")
    (tmp_path / "2.png").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "3.png"))
        assert "not a regular file" in refusal(tmp_path)
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").symlink_to(tmp_path / "gone.png")
    assert "broken link" in refusal(tmp_path)


def test_a_picture_under_a_video_s_name(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.mp4", "PNG")
    assert np.array_equal(open_clip(tmp_path / "a.mp4").frames[0], picture(1))


@pytest.mark.timeout(20)
def test_a_dataset_with_pipes_and_stacks_is_checked(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    first, *rest = images(3)
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest)
    heif(tmp_path / "sound.heic", picture(1, 96, 64))
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A gland."}]
    items = [
        {"id": name, "image": name, "conversations": turns}
        for name in ("pipe.png", "stack.tif", "sound.heic")
    ]
    (tmp_path / "set.json").write_text(json.dumps(items))
    *_, found = check_dataset(tmp_path / "set.json", tmp_path, "frames")
    told = " ".join(found.problems)
    assert "pipe.png is not a regular file" in told
    assert "stack.tif holds 3 pictures" in told
    assert "sound.heic" not in told


@pytest.mark.parametrize("kind", ["webp", "png", "avif", "stack", "imagej", "ome", "lzw", "heic"])
def test_damaged_pictures_give_frames_or_one_sentence(tmp_path: Path, kind: str) -> None:
    whole, (first, *rest) = tmp_path / "whole", images(3)
    options: dict[str, Any] = {"save_all": True, "append_images": rest}
    if kind in ("webp", "png", "avif"):
        first.save(whole, kind, duration=100, **options)
    elif kind == "stack":
        first.save(whole, "TIFF", **options)
    elif kind == "heic":
        heif(whole, picture(1, 96, 64))
    elif kind == "lzw":
        tifffile.imwrite(whole, picture(1).astype(np.uint16) * 16, photometric="rgb", compression="lzw")
    else:
        tifffile.imwrite(whole, stack(3), imagej=kind == "imagej", ome=kind == "ome", photometric="rgb",
                         metadata={"axes": "TYXS"})  # fmt: skip
    rng = np.random.default_rng(0)
    for _ in range(12):
        data = bytearray(whole.read_bytes())
        for place in rng.integers(0, min(len(data), 600), 4):
            data[place] = rng.integers(256)
        (tmp_path / "damaged").write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        told = ""
        try:
            open_clip(tmp_path / "damaged", 2)
        except InputError as error:
            told = str(error)
        assert "\n" not in told


def test_a_damaged_colour_profile_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.png", icc_profile=b"no profile")
    assert np.array_equal(open_clip(tmp_path / "a.png").frames[0], picture(1))


def _sparse_down(folder: Path, kind: str) -> Path:
    """A picture of 80×100 pixels with a horizontal resolution twice the vertical one: each pixel is twice as high as wide."""
    path = folder / f"a.{kind.split()[0]}"
    picture_of = Image.fromarray(picture(1, 80, 100))
    if kind == "png aspect":
        picture_of.save(path)
        chunk = b"pHYs" + struct.pack(">IIB", 2, 1, 0)
        stored = path.read_bytes()
        path.write_bytes(
            stored[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + stored[33:]
        )
    elif kind == "jpg aspect":
        picture_of.save(path, dpi=(300, 150))
        stored = bytearray(path.read_bytes())
        place = stored.index(b"JFIF") + 7
        stored[place : place + 5] = struct.pack(">BHH", 0, 2, 1)
        path.write_bytes(stored)
    else:
        turned = Image.Exif()
        if kind.endswith("turned"):
            turned[0x0112] = 6
        picture_of.save(path, dpi=(300, 150), **({"exif": turned} if kind != "bmp" else {}))
    return path


@pytest.mark.parametrize(
    "kind", ["png", "png aspect", "jpg", "jpg aspect", "tif", "bmp", "jpg turned", "tif turned"]
)
def test_pixels_that_are_not_square_keep_the_picture_s_proportions(tmp_path: Path, kind: str) -> None:
    path = _sparse_down(tmp_path, kind)
    width, height = (200, 80) if kind.endswith("turned") else (80, 200)
    clip = open_clip(path)
    assert clip.frames.shape[1:3] == (height, width)
    assert (clip.width, clip.height) == (width, height)
    assert read_picture(path).shape[:2] == (height, width)


def test_a_picture_with_absurd_pixels_is_refused(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.png", dpi=(10, 500))
    with pytest.raises(InputError, match="50 times as wide as high"):
        open_clip(tmp_path / "a.png")


def test_deep_pictures_are_read_beside_decord(tmp_path: Path) -> None:
    """decord loads its own zlib for the whole process, and PNG decoders of other libraries fail with it."""
    if find_spec("decord") is None:
        pytest.skip("decord is not installed here")
    samples = np.random.default_rng(0).integers(0, 65536, (32, 48, 3), dtype=np.uint16)
    path = tmp_path / "deep.png"
    script = (
        "import sys, numpy as np, decord\n"
        "from videopath.model import open_clip\n"
        "print(*open_clip(sys.argv[1]).frames[0].mean(axis=(0, 1)).round())\n"
    )
    path.write_bytes(cv2.imencode(".png", samples[..., ::-1])[1].tobytes())
    answer = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    expected = (samples / 257).mean(axis=(0, 1))
    np.testing.assert_allclose([float(mean) for mean in answer.stdout.split()], expected, atol=1.5)
