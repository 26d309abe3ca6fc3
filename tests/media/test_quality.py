"""The quality gate on real tissue, other stains, and pictures without tissue."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from videopath.media.clip import Clip, open_clip
from videopath.media.quality.gate import Quality, assess
from videopath.media.synthetic import ENTITIES, render_slide

STAINS = {
    "IHC": ((0.27, 0.57, 0.78), (0.55, 0.60, 0.75)),
    "PAS": ((0.65, 0.70, 0.29), (0.17, 0.97, 0.17)),
    "Giemsa": ((0.83, 0.55, 0.10), (0.10, 0.95, 0.30)),
    "Papanicolaou": ((0.75, 0.50, 0.25), (0.10, 0.70, 0.50)),
    "Congo red": ((0.65, 0.70, 0.29), (0.20, 0.80, 0.55)),
    "Alcian blue": ((0.87, 0.45, 0.18), (0.15, 0.90, 0.40)),
}
"""Optical densities (red, green, blue) that replace haematoxylin and eosin."""


def judge(*frames: np.ndarray) -> Quality:
    stack = np.stack(frames)
    count, height, width = stack.shape[:3]
    return assess(
        Clip(
            path=Path("memory.png"),
            frames=stack,
            seconds=np.arange(count, dtype=float),
            indices=np.arange(count),
            fps=1.0,
            duration=float(count),
            width=width,
            height=height,
            total_frames=count,
            sha256="0" * 64,
            sampling="uniform",
            kind="image",
            reader="pillow",
        )
    )


def restained(image: np.ndarray, stains: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    """H&E unmixed (Ruifrok and Johnston, 2001) and mixed again with other stains."""
    old = np.array([(0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)])
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    new = np.array(stains)
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    amounts = np.maximum(-np.log((image.reshape(-1, 3) + 1.0) / 256) @ np.linalg.inv(old), 0)[:, :2]
    return np.clip(np.exp(-(amounts @ new)) * 256 - 1, 0, 255).astype(np.uint8).reshape(image.shape)


def some_images(shared: Path, folder: str, count: int) -> list[Path]:
    with (shared / "data/manifest.csv").open(newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream) if row["path"].startswith(folder)]
    return [shared / "data" / path for path in random.Random(0).sample(paths, min(count, len(paths)))]


def test_tissue_is_accepted(shared: Path) -> None:
    tiles = ("lc25000", "oral", "lymphoma", "pap_cytology", "bone_marrow")
    folders = [*(f"tiles/{name}" for name in tiles), "atlas"]
    paths = [path for folder in folders for path in some_images(shared, folder, 30)]
    refused = [path.name for path in paths if not assess(open_clip(path)).is_histology]
    assert len(refused) <= 0.01 * len(paths), refused


def test_overviews_are_accepted(shared: Path) -> None:
    paths = sorted((shared / "data/atlas").glob("*/overview.jpg"))
    assert [path for path in paths if assess(open_clip(path)).verdict == "refused"] == []


@pytest.mark.slow
def test_clips_are_accepted(shared: Path) -> None:
    videos = shared / "data/videos"
    paths = [
        *videos.glob("*.mp4"),
        *videos.glob("*.gif"),
        *videos.glob("lectures/*.mp4"),
        *sorted(videos.glob("atlas/*.mp4"))[::26],
    ]
    paths = [path for path in paths if path.suffix in (".mp4", ".gif")]
    assert [path for path in paths if not assess(open_clip(path, 8)).is_histology] == []


@pytest.mark.parametrize("stain", sorted(STAINS))
def test_other_stains_pass(shared: Path, stain: str) -> None:
    paths = some_images(shared, "tiles/lc25000", 20)
    passed = [judge(restained(np.array(Image.open(path)), STAINS[stain])).is_histology for path in paths]
    assert np.mean(passed) >= 0.9


def test_real_immunohistochemistry_passes() -> None:
    data = pytest.importorskip("skimage.data")
    assert judge(data.immunohistochemistry()).is_histology


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_the_synthetic_slides_pass(entity: str) -> None:
    quality = judge(render_slide(entity, 3, 640, 480))
    assert quality.is_histology
    assert quality.focus > 0.5


def photographs() -> Iterator[tuple[str, np.ndarray]]:
    data = pytest.importorskip("skimage.data")
    datasets = pytest.importorskip("sklearn.datasets")
    names = "astronaut camera cat clock coffee coins colorwheel grass gravel brick hubble_deep_field logo moon page "
    names += "retina rocket text horse microaneurysms checkerboard"
    for name in names.split():
        image = np.asarray(getattr(data, name)())
        image = image.astype(np.uint8) * 255 if image.dtype == bool else image
        yield name, np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., :3]
    for name in ("china.jpg", "flower.jpg"):
        yield name, datasets.load_sample_image(name)


def with_views(image: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A picture, mirrored and darker, and two crops of at least half its sides."""
    yield image
    yield (image[:, ::-1] * 0.8).astype(np.uint8)
    height, width = image.shape[:2]
    for _ in range(2):
        top, left = rng.integers(0, height // 3 + 1), rng.integers(0, width // 3 + 1)
        yield image[top : top + height // 2, left : left + width // 2]


def smooth(rng: np.random.Generator, side: int, sigma: float) -> np.ndarray:
    return (
        cv2.GaussianBlur(rng.standard_normal((side, side, 3)).astype(np.float32), (0, 0), sigma) * sigma * 3
    )


def noise(rng: np.random.Generator) -> np.ndarray:
    side = int(rng.integers(100, 400))
    colour = rng.uniform(60, 230, 3)
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: rng.integers(0, 256, (side, side, 3)),
        lambda: colour + rng.normal(0, rng.uniform(8, 60), (side, side, 3)),
        lambda: colour + rng.normal(0, rng.uniform(8, 60), (side, side, 1)),
        lambda: 128 + 60 * smooth(rng, side, rng.uniform(1, 5)),
        lambda: np.where(rng.random((side, side, 1)) < 0.1, 0, 255) + np.zeros(3),
    ]
    return np.clip(kinds[rng.integers(len(kinds))](), 0, 255).astype(np.uint8)


def blank(rng: np.random.Generator) -> np.ndarray:
    colours = [
        (255, 255, 255),
        (0, 0, 0),
        (128, 128, 128),
        (244, 240, 245),
        (230, 170, 200),
        (150, 90, 170),
        (20, 20, 200),
    ]
    frame = np.full((200, 260, 3), colours[rng.integers(len(colours))], np.float32)
    if rng.random() < 0.4:  # a smooth shade
        frame = frame + (rng.uniform(0, 255, 3) - frame) * np.linspace(0, 1, 260)[None, :, None]
    return np.clip(frame + rng.normal(0, rng.choice([0.0, 1.0]), frame.shape), 0, 255).astype(np.uint8)


def xray(rng: np.random.Generator) -> np.ndarray:
    side = int(rng.integers(250, 500))
    down, across = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    spine = 110 * np.exp(-((across / 0.12) ** 2))
    lungs = -70 * np.exp(-(((np.abs(across) - 0.25) / 0.13) ** 2 + (down / 0.35) ** 2))
    ribs = sum(
        18 * np.exp(-(((down - place - 1.2 * across**2) / 0.012) ** 2))
        for place in np.arange(-0.4, 0.4, 0.12)
    )
    grey = (90 + spine + lungs + ribs) * np.exp(-((across / 0.5) ** 8)) + smooth(rng, side, 8)[..., 0] * 8
    tint = np.array([[1, 1, 1], [0.95, 1, 1.08]][rng.integers(2)])
    return np.clip((grey + rng.normal(0, 3, grey.shape))[..., None] * tint, 0, 255).astype(np.uint8)


def fundus(rng: np.random.Generator) -> np.ndarray:
    side = int(rng.integers(250, 500))
    down, across = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    radius = np.hypot(down, across)
    eye = np.array([200, 95, 45]) * rng.uniform(0.8, 1.1) * (1 - 0.6 * radius[..., None]) + 8 * smooth(
        rng, side, 6
    )
    eye = eye.astype(np.float32)
    disc = np.array([side * 0.33, side * 0.5])
    cv2.circle(eye, disc.astype(int).tolist(), int(side * 0.07), (250, 220, 150), -1)
    for _ in range(14):
        turns = rng.uniform(0, 6.28) + np.cumsum(rng.normal(0, 0.12, 60))
        vessel = disc + np.cumsum(side * 0.012 * np.stack([np.cos(turns), np.sin(turns)], 1), axis=0)
        cv2.polylines(
            eye, [vessel.astype(np.int32)], False, (120, 30, 20), int(rng.integers(1, 4)), cv2.LINE_AA
        )
    eye[radius > 0.47] = 0
    return np.clip(cv2.GaussianBlur(eye, (0, 0), 0.8) + rng.normal(0, 2, eye.shape), 0, 255).astype(np.uint8)


def screenshot(rng: np.random.Generator) -> np.ndarray:
    papers = [((255, 255, 255), (0, 0, 0)), ((30, 30, 30), (220, 220, 220)), ((24, 31, 58), (255, 255, 255))]
    papers += [((250, 240, 220), (60, 40, 20)), ((240, 200, 220), (80, 20, 90))]
    paper, ink = papers[rng.integers(len(papers))]
    width, height, size = int(rng.integers(300, 900)), int(rng.integers(200, 600)), int(rng.integers(10, 28))
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    words = ["the", "patient", "was", "seen", "report", "value", "mean", "error", "file", "open", "close"]
    for top in range(5, height, int(size * 1.4)):
        draw.text((8, top), " ".join(rng.choice(words, 12)), fill=ink, font=ImageFont.load_default(size))
    for _ in range(rng.integers(0, 4)):
        left, top = int(rng.integers(0, width - 60)), int(rng.integers(0, height - 40))
        draw.rectangle((left, top, left + 50, top + 25), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return np.array(image)


def test_what_is_no_tissue_is_refused_with_a_reason() -> None:
    rng = np.random.default_rng(2026)
    cases = [(name, view) for name, image in photographs() for view in with_views(image, rng)][::2]
    for maker, count in ((noise, 6), (blank, 6), (xray, 6), (fundus, 6), (screenshot, 2)):
        cases += [(maker.__name__, maker(rng)) for _ in range(count)]
    accepted = []
    for name, image in cases:
        quality = judge(np.ascontiguousarray(image))
        if quality.is_histology:
            accepted.append(name)
            continue
        assert quality.verdict == "refused"
        assert len(quality.sentences) == 2
        assert all(sentence.endswith(".") for sentence in quality.sentences)
    assert len(accepted) <= 0.05 * len(cases), accepted


def test_blur_glass_and_darkness_are_said(shared: Path) -> None:
    tile = np.array(Image.open(some_images(shared, "tiles/bone_marrow", 1)[0]).convert("RGB"))
    sharp = judge(tile)
    assert sharp.verdict == "good"
    blurred = judge(cv2.GaussianBlur(tile, (0, 0), 3))
    assert blurred.focus < 0.5 < sharp.focus
    glass = np.full((tile.shape[0] * 2, tile.shape[1] * 4, 3), 245, np.uint8)
    glass[: tile.shape[0], : tile.shape[1]] = tile
    assert judge(glass).glass > 0.6
    assert judge((tile * 0.2).astype(np.uint8)).exposure < 0.5 < sharp.exposure


def test_some_frames_of_tissue_are_enough(shared: Path) -> None:
    tile = np.array(Image.open(some_images(shared, "tiles/bone_marrow", 1)[0]).convert("RGB"))
    empty = np.full_like(tile, 250)
    quality = judge(tile, empty, empty, tile, empty)
    assert quality.is_histology
    assert "2 of 5 frames" in quality.sentences[0]
    assert not judge(empty, empty).is_histology


def test_answer_is_plain_json(shared: Path) -> None:
    quality = assess(open_clip(sorted((shared / "data/atlas").glob("*/overview.jpg"))[0]))
    assert Quality.model_validate_json(quality.model_dump_json()) == quality
    assert 0 <= quality.tissue + quality.glass <= 1 + 1e-6
