"""The quality gate judges the tissue and not its overlays; other pictures are rejected, with or without a label."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from videopath.media.clip import open_clip
from videopath.media.quality.gate import Quality, assess

_BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks/gate.py"
_CORNERS = {"top left": (0, 0), "top right": (1, 0), "bottom left": (0, 1), "bottom right": (1, 1)}
_DARK, _WHITE = ((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (0, 0, 0))


def first_picture(place: Path) -> np.ndarray:
    """The first picture of a folder, square with 224 px."""
    path = next(path for path in sorted(place.rglob("*")) if path.suffix in (".jpeg", ".jpg", ".png", ".tif"))
    return np.array(Image.open(path).convert("RGB").resize((224, 224)))


def labelled(
    frame: np.ndarray,
    words: str = "Diagnosis: cancer",
    height: float = 0.06,
    corner: tuple[int, int] = (0, 0),
    colours: tuple[tuple[int, ...], tuple[int, ...]] | None = _DARK,
) -> np.ndarray:
    """Words on a plate of this height, a share of the picture's, in a corner."""
    image = Image.fromarray(frame)
    tall = round(height * image.height)
    font = ImageFont.load_default(round(0.75 * tall))
    left, top, right, bottom = font.getbbox(words)
    wide = round(right - left + 0.6 * tall)
    x, y = corner[0] * (image.width - wide - 1), corner[1] * (image.height - tall - 1)
    draw = ImageDraw.Draw(image)
    plate, ink = colours or (None, (0, 0, 0))
    if plate:
        draw.rectangle((x, y, x + wide, y + tall), fill=plate)
    draw.text((x + 0.3 * tall - left, y + (tall - bottom + top) / 2 - top), words, fill=ink, font=font)
    return np.array(image)


def judged(frame: np.ndarray, folder: Path) -> Quality:
    """Save a picture, open it as a user would, and return the result of the gate."""
    path = folder / "picture.png"
    Image.fromarray(frame).save(path)
    return assess(open_clip(path))


@pytest.fixture(scope="module")
def tiles(shared: Path) -> list[np.ndarray]:
    """One small picture of each of five sets, pale and dark."""
    kinds = ("lc25000/colon_n", "lc25000/lung_scc", "lymphoma", "oral", "bone_marrow")
    return [first_picture(shared / "data/tiles" / kind) for kind in kinds]


@pytest.mark.parametrize("corner", _CORNERS)
@pytest.mark.parametrize("colours", [_DARK, _WHITE], ids=["dark plate", "white plate"])
def test_a_label_on_a_plate_does_not_hide_the_tissue(
    tiles: list[np.ndarray], tmp_path: Path, corner: str, colours: tuple
) -> None:
    heights = (0.05, 0.055, 0.06, 0.065, 0.07)
    drawn = [
        labelled(tile, height=height, corner=_CORNERS[corner], colours=colours)
        for tile, height in zip(tiles, heights, strict=True)
    ]
    assert [n for n, frame in enumerate(drawn) if not judged(frame, tmp_path).is_histology] == []


def scale_bar(frame: np.ndarray) -> np.ndarray:
    return cv2.rectangle(frame.copy(), (16, 206), (66, 209), (0, 0, 0), -1)


def arrow(frame: np.ndarray) -> np.ndarray:
    return cv2.arrowedLine(frame.copy(), (30, 40), (120, 110), (0, 0, 255), 3, cv2.LINE_AA)


_MARKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "small label": lambda frame: labelled(frame, height=0.035),
    "large label": lambda frame: labelled(frame, "MRN 4839201", height=0.1, corner=(1, 1), colours=_WHITE),
    "text alone": lambda frame: labelled(frame, "H&E 40x", height=0.09, corner=(0, 1), colours=None),
    "time": lambda frame: labelled(
        frame, "2026-05-17 12:40:08", corner=(1, 1), colours=((0, 0, 0), (255, 255, 0))
    ),
    "scale bar": scale_bar,
    "arrow": arrow,
    "all": lambda frame: arrow(
        scale_bar(labelled(labelled(frame), "Slide 3", corner=(1, 0), colours=_WHITE))
    ),
}


@pytest.mark.parametrize("mark", _MARKS)
def test_other_marks_do_not_hide_the_tissue(tiles: list[np.ndarray], tmp_path: Path, mark: str) -> None:
    refused = [n for n, tile in enumerate(tiles) if not judged(_MARKS[mark](tile), tmp_path).is_histology]
    assert refused == []


@pytest.mark.parametrize(
    "name",
    [
        "labs/torino_crc/V/image_V_83.jpg",
        "labs/torino_crc/V/image_V_192.jpg",
        "labs/torino_crc/V/image_V_207.jpg",
        "tiles/oral/**/OSCC_100x_304.jpg",  # stroma
        "tiles/pap_cytology/**/NL_6__(7).jpg",  # pale cells
        "atlas/congestion-spleen/**/congestion-spleen_L16_77_61.jpg",  # lymphocytes and blood
        "atlas/congestion-spleen/**/congestion-spleen_L16_109_93.jpg",
        "labs/osteosarcoma/**/Case-3-A17-7799-34542_102.jpg",  # bone, all fibres one way
    ],
)
def test_fields_of_one_kind_are_tissue(shared: Path, name: str) -> None:
    (path,) = (shared / "data").glob(name)
    quality = assess(open_clip(path))
    assert quality.is_histology, quality.sentences


def _in_steps(picture: Image.Image) -> Image.Image:
    """Six levels of each colour, dithered by a regular pattern, as old codecs do."""
    order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - 0.5
    pixels = np.asarray(picture) / 255 * 5
    pattern = np.tile(order, (pixels.shape[0] // 4 + 1, pixels.shape[1] // 4 + 1))
    return Image.fromarray(
        (np.round(pixels + pattern[: pixels.shape[0], : pixels.shape[1], None]).clip(0, 5) * 51).astype(
            np.uint8
        )
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda picture: picture.convert("P", palette=Image.Palette.WEB),
        lambda picture: picture.quantize(64),
        _in_steps,
    ],
    ids=["web palette", "own palette", "steps"],
)
def test_a_palette_does_not_hide_the_tissue(
    tiles: list[np.ndarray], tmp_path: Path, made: Callable[[Image.Image], Image.Image]
) -> None:
    for tile in tiles:
        quality = judged(np.asarray(made(Image.fromarray(tile)).convert("RGB")), tmp_path)
        assert quality.is_histology, quality.sentences
        assert quality.focus > 0.5


def test_the_case_with_a_palette_is_tissue(shared: Path) -> None:
    assert assess(open_clip(shared / "data/cases/pal8.avi")).is_histology


def test_lymphocytes_at_a_low_power_are_no_noise(shared: Path, tmp_path: Path) -> None:
    paths = sorted((shared / "data/tiles/lymphoma").rglob("*.*"))[::40]
    small = [
        np.array(Image.open(path).convert("RGB").resize((192, 192), Image.Resampling.BOX)) for path in paths
    ]
    assert [
        path.name
        for path, frame in zip(paths, small, strict=True)
        if not judged(frame, tmp_path).is_histology
    ] == []


@pytest.mark.parametrize("name", ["astronaut", "coffee", "cat", "rocket", "page", "text", "clock", "retina"])
def test_a_label_lets_no_other_picture_in(tmp_path: Path, name: str) -> None:
    data = pytest.importorskip("skimage.data")
    image = np.asarray(getattr(data, name)())
    image = np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., :3]
    side = min(image.shape[:2])
    small = np.array(Image.fromarray(image[:side, :side]).resize((224, 224)))
    accepted = [
        mark
        for mark, draw in {"nothing": np.copy, **_MARKS}.items()
        if judged(draw(small), tmp_path).is_histology
    ]
    assert accepted == []


def page(paper: tuple[int, ...], ink: tuple[int, ...]) -> np.ndarray:
    image = Image.new("RGB", (300, 400), paper)
    for top in range(10, 390, 18):
        ImageDraw.Draw(image).text(
            (12, top), "The specimen was received in formalin", ink, ImageFont.load_default(13)
        )
    return np.array(image)


def chart() -> np.ndarray:
    image = Image.new("RGB", (320, 240), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for number, colour in enumerate(((220, 80, 120), (120, 60, 160), (230, 150, 190), (70, 40, 120))):
        draw.rectangle((40 + 65 * number, 60 + 30 * number, 90 + 65 * number, 210), fill=colour)
    draw.line((30, 20, 30, 210, 310, 210), fill=(0, 0, 0), width=2)
    return np.array(image)


def night_sky() -> np.ndarray:
    """Stars and a red nebula."""
    rng = np.random.default_rng(3)
    down, across = np.mgrid[:300, :300] / 300 - 0.5
    cloud = cv2.GaussianBlur(rng.normal(0, 1, (300, 300)), (0, 0), 12) * 12 + 1
    sky = np.clip(cloud, 0, 2)[..., None] * np.exp(-((down**2 + across**2) / 0.03))[..., None] * (120, 30, 60)
    stars = cv2.GaussianBlur(
        (rng.random((300, 300)) < 0.008) * rng.uniform(200, 2500, (300, 300)), (0, 0), 0.9
    )
    return np.clip(sky + stars[..., None] + rng.normal(6, 2, sky.shape), 0, 255).astype(np.uint8)


def star_cluster() -> np.ndarray:
    """Return thousands of stars on a dark background, so dense that they look like a field of view."""
    rng = np.random.default_rng(5)
    places = (rng.normal(0.5, 0.07, (10_000, 2)) * 512).astype(int).clip(0, 511)
    sky = np.zeros((512, 512, 3))
    light = rng.exponential(500, (10_000, 1)) * (
        rng.uniform(0.6, 1.0, (10_000, 1)) + rng.normal(0, 0.12, (10_000, 3))
    )
    np.add.at(sky, (places[:, 0], places[:, 1]), light)
    return np.clip(cv2.GaussianBlur(sky, (0, 0), 1.2) + rng.normal(20, 4, sky.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        night_sky(),
        star_cluster(),
        page((255, 255, 255), (0, 0, 0)),
        page((250, 225, 235), (90, 30, 110)),
        page((30, 30, 36), (220, 220, 220)),
        chart(),
        np.full((224, 224, 3), (235, 190, 215), np.uint8),
    ],
    ids=["night sky", "star cluster", "page", "pink page", "dark screen", "chart", "pink glass"],
)
def test_documents_and_drawings_stay_out(tmp_path: Path, picture: np.ndarray) -> None:
    for frame in (picture, labelled(picture), labelled(picture, corner=(1, 1), colours=_WHITE)):
        assert not judged(frame, tmp_path).is_histology


def test_the_focus_is_that_of_the_tissue_beneath_a_label(tiles: list[np.ndarray], tmp_path: Path) -> None:
    for tile in tiles:
        blurred = cv2.GaussianBlur(tile, (0, 0), 3.5)
        plain, marked = judged(blurred, tmp_path), judged(labelled(blurred, corner=(1, 1)), tmp_path)
        assert abs(plain.focus - marked.focus) < 0.1
        assert judged(labelled(tile), tmp_path).focus > 0.9


def test_the_benchmark_counts_the_mistakes_of_each_folder(tmp_path: Path, tiles: list[np.ndarray]) -> None:
    for folder, frames in (("tissue", tiles[:2]), ("other", [chart(), page((255, 255, 255), (0, 0, 0))])):
        (tmp_path / folder).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / folder / f"{number}.png")
    Image.fromarray(tiles[2]).save(tmp_path / "other/2.png")
    command = [sys.executable, str(_BENCHMARK), "--tissue", str(tmp_path / "tissue"), "--other"]
    command += [str(tmp_path / "other"), "--drawn", "0", "--workers", "1", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    tissue, other, _ = map(json.loads, done.stdout.splitlines())
    assert (tissue["count"], tissue["wrong"]) == (2, 0)
    assert (other["count"], other["wrong"], other["first"]) == (3, 1, ["2.png"])
    assert other["low"] < 1 / 3 < other["high"]
