"""Damaged videos, pictures and folders of frames, for fuzz.py."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from random import Random

import av
import numpy as np
import pillow_heif
import tifffile
from damage import spliced, turned
from fuzz_input import Input, Maker
from PIL import Image

from videopath.app.web.runtime.playable import playable
from videopath.model import open_clip

_VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"), "hevc.mp4": ("libx265", "yuv420p10le"), "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"), "plain.avi": ("rawvideo", "rgb24"), "ffv1.mkv": ("ffv1", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"), "vp9.webm": ("libvpx-vp9", "yuv420p"), "vp8.webm": ("libvpx", "yuv420p"),
}  # fmt: skip
_ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif", ".png", ".tif", ".heic", ".jpg", ".bin", "")
_SIDE = 64


def videos(seeds: Path) -> Maker:
    """Videos of several containers and codecs: turned bytes, cut, spliced, under another ending."""
    for name, (codec, pixels) in _VIDEOS.items():
        _film(seeds / name, codec, pixels)
    return partial(_damaged_file, _read_all(seeds))


def pictures(seeds: Path) -> Maker:
    """Pictures, animated or not, of several kinds and depths."""
    first, *more = [Image.fromarray(picture) for picture in _scene(4)]
    plain = [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.webp", {}),
        ("a.bmp", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ]
    for name, options in plain:
        first.save(seeds / name, **options)
    for name in ("b.gif", "b.webp", "b.png", "b.tif"):
        first.save(
            seeds / name, save_all=True, append_images=more, **({} if name == "b.tif" else {"duration": 100})
        )
    pillow_heif.from_pillow(first).save(seeds / "a.heic")
    deep = (_scene(3).astype(np.uint16) << 4)[..., 0]
    tifffile.imwrite(seeds / "deep.tif", deep, compression="zlib")
    tifffile.imwrite(seeds / "stack.tif", deep, imagej=True, metadata={"axes": "TYX"})
    Image.fromarray(deep[0]).save(seeds / "deep.png")
    return partial(_damaged_file, _read_all(seeds))


def folders(seeds: Path) -> Maker:
    """Folders of frames in which something stands that is no frame."""
    for number, picture in enumerate(_scene(3)):
        Image.fromarray(picture).save(seeds / f"{number}.png")
    return partial(_damaged_folder, _read_all(seeds))


def _damaged_file(whole: dict[str, bytes], draw: Random, work: Path) -> Input:
    name = draw.choice(sorted(whole))
    data = turned(whole[name], draw)
    if draw.random() < 0.15:
        data = spliced(whole[name], whole[draw.choice(sorted(whole))], draw)
    ending = Path(name).suffix if draw.random() < 0.85 else draw.choice(_ENDINGS)
    path = work / f"case{ending}"
    path.write_bytes(data if draw.random() < 0.95 else whole[name])
    return _seen(path, draw)


def _damaged_folder(whole: dict[str, bytes], draw: Random, work: Path) -> Input:
    folder = work / "frames"
    folder.mkdir()
    for name, data in whole.items():
        (folder / name).write_bytes(data)
    for _ in range(draw.choice([1, 1, 2])):
        odd = folder / draw.choice(
            ["0.png", "1.png", "9.png", "x.jpg", "notes.txt", ".hidden.png", "a\nb.png"]
        )
        if odd.is_dir() and not odd.is_symlink():
            continue
        odd.unlink(missing_ok=True)
        _ODDITIES[draw.randrange(len(_ODDITIES))](odd, whole["0.png"], draw)
    return _seen(folder, draw)


_ODDITIES = (
    lambda path, data, draw: path.write_bytes(turned(data, draw)),
    lambda path, data, draw: path.write_bytes(b""),
    lambda path, data, draw: os.mkfifo(path),
    lambda path, data, draw: path.mkdir(),
    lambda path, data, draw: path.symlink_to(path),
    lambda path, data, draw: path.symlink_to("/dev/zero"),
    lambda path, data, draw: path.symlink_to("nowhere.png"),
    lambda path, data, draw: Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff\xfe.png")).write_bytes(data),
    lambda path, data, draw: Image.new("RGB", draw.choice([(1, 1), (9, 700), (64, 64)])).save(path, "PNG"),
    lambda path, data, draw: [entry.unlink() for entry in path.parent.iterdir() if not entry.is_dir()],
)  # fmt: skip


def _seen(path: Path, draw: Random) -> Input:
    sampling = draw.choice(["uniform", "uniform", "fps", "keyframes"])
    readings = [partial(open_clip, path, 4, sampling=sampling)]
    if draw.random() < 0.3:
        readings.append(partial(playable, path, path.parent / "cache"))
    return Input(path, readings, ignored=("cache",))


def _read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _scene(count: int) -> np.ndarray:
    """uint8 [count, side, side, 3]: pink cells with dark nuclei that move."""
    down, across = np.mgrid[:_SIDE, :_SIDE]
    frames = []
    for number in range(count):
        dark = (np.sin((across + 3 * number) / 4) * np.cos(down / 5) > 0.4)[..., None]
        frames.append(np.where(dark, [90, 40, 120], [230, 170, 200]).astype(np.uint8))
    return np.stack(frames)


def _film(path: Path, codec: str, pixels: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = _SIDE, _SIDE, pixels
        if codec in ("libx264", "libx265"):
            stream.options = {
                "preset": "ultrafast",
                **({"x265-params": "log-level=none"} if codec == "libx265" else {}),
            }
        for picture in _scene(8):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
