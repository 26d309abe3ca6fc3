"""How well burned-in writing is found, judged and filled: python benchmarks/writing.py --data ../shared/data [--count 300]

Lines are drawn with many fonts, sizes and colours on real tissue, and searched: straight on the tissue, with an outline,
and on a plate. Letters have a height of 10 to 28 pixels (a capital H). A line counts as found if the boxes cover 80% of
it, as judged right if a line with a person's data is "personal", and as unreadable if the reader finds nothing at its
place after it was filled. Other frames of the same tissue have no writing: there each finding is false. Intervals are
Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import binomtest

from videopath.core.errors import InputError
from videopath.media.clip import open_clip
from videopath.media.crop import Crop
from videopath.media.video.source import video_source
from videopath.media.writing.film import masked_film
from videopath.media.writing.likely import likely_parts
from videopath.media.writing.mask import mask_frames
from videopath.media.writing.reader import read_lines

PERSONAL = (
    "MRN 4839201", "MRN: 00731946  DOB 11.04.1962", "DOE, JOHN  DOB 03/12/1957", "Patient: Maria Keller", "Pat.-Nr. 8812345",
    "geb. 07.02.1949", "Accession S22-14873", "NHS 943 476 5919", "Name: Okafor, Ada", "PID 5520193 M 61y", "DOB: 1971-09-30",
)  # fmt: skip
LABELS = (
    "Diagnosis: acute appendicitis", "H&E 40x", "single files of small cells", "Colon, biopsy", "adenocarcinoma", "Slide 3",
    "20.0x 0.50 um/px", "lymphocytes", "Case 2: unknown", "PAS stain", "arrow: mitosis", "Slide viewer",
)  # fmt: skip
INKS = {
    "white": (255, 255, 255), "black": (0, 0, 0), "yellow": (255, 255, 0), "green": (0, 255, 0), "red": (255, 0, 0),
    "blue": (0, 0, 255), "cyan": (0, 255, 255), "grey": (210, 210, 210),
}  # fmt: skip
HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)  # fmt: skip
GROUNDS = ("plate", "outline", "tissue")
_LEAST_CONTRAST = 60  # grey levels between ink and tissue; below, people do not write so either
_LEGIBLE, _LEGIBLE_SHARE = (
    40,
    0.75,
)  # so much of the letters has so much contrast: no white letters on empty glass
_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif"}


@dataclass(frozen=True)
class Drawn:
    """A picture with one line of writing."""

    picture: np.ndarray
    box: tuple[int, int, int, int]
    text: str
    personal: bool
    ground: str
    height: int
    ink: str


def pictures(data: Path, rng: random.Random) -> Iterator[np.ndarray]:
    """Yield frames of videos and single fields, without end, in turn."""
    videos = sorted((data / "videos/atlas").glob("*.mp4"))
    folders = [p for p in sorted([*(data / "tiles").glob("*"), *(data / "labs").glob("*")]) if p.is_dir()]
    fields = {folder: [p for p in sorted(folder.rglob("*")) if p.suffix in _SUFFIXES] for folder in folders}
    while True:
        yield from open_clip(rng.choice(videos), frames=2, start=rng.uniform(0, 10)).frames
        for folder in folders:
            try:
                yield open_clip(rng.choice(fields[folder])).frames[0]
            except InputError:
                continue


def fonts() -> list[Path | int | None]:
    """Return the fonts of this machine: files, cv2's own (numbers) and PIL's own (None)."""
    files = sorted(Path("/usr/share/fonts").rglob("*.ttf"))
    files = [path for path in files if "Math" not in path.name]
    return [*files, *HERSHEY * 3, None, None]


def drawn(picture: np.ndarray, ground: str, heights: tuple[int, int], rng: random.Random) -> Drawn | None:
    """Draw a line; None if it does not fit, or if its ink is too much like the tissue."""
    personal = rng.random() < 0.5
    text, ink = rng.choice(PERSONAL if personal else LABELS), rng.choice(list(INKS))
    height = rng.randint(*heights)
    mask = lettering(text, height, rng.choice(fonts()), rng)
    tall, wide = mask.shape
    margin = 4 if ground != "plate" else rng.randint(3, 10)
    if wide + 2 * margin > picture.shape[1] or tall + 2 * margin > picture.shape[0]:
        return None
    left = rng.randint(margin, picture.shape[1] - wide - margin)
    top = rng.randint(margin, picture.shape[0] - tall - margin)
    result = picture.copy()
    at = np.s_[top : top + tall, left : left + wide]
    outer = np.s_[top - margin : top + tall + margin, left - margin : left + wide + margin]
    colour = np.array(INKS[ink], float)
    grey = float(colour @ (0.299, 0.587, 0.114))
    if ground == "plate":
        share = rng.choice([1.0, 1.0, 0.6])
        plate = 0 if grey > 120 else 255
        result[outer] = (result[outer] * (1 - share) + plate * share).astype(np.uint8)
    elif ground == "outline":
        spread = cv2.dilate(np.pad(mask, margin), np.ones((3, 3), np.uint8))[..., None] / 255
        edge = 0 if grey > 120 else 255
        result[outer] = (result[outer] * (1 - spread) + edge * spread).astype(np.uint8)
    else:
        tissue = cv2.cvtColor(picture[at], cv2.COLOR_RGB2GRAY)
        contrast = np.abs(tissue.astype(float) - grey)[mask > 128]
        if contrast.mean() < _LEAST_CONTRAST or (contrast >= _LEGIBLE).mean() < _LEGIBLE_SHARE:
            return None
    cover = mask[..., None] / 255
    result[at] = (result[at] * (1 - cover) + colour * cover).astype(np.uint8)
    quality = rng.choice([0, 75, 90])
    if quality:
        coded = io.BytesIO()
        Image.fromarray(result).save(coded, "JPEG", quality=quality)
        result = np.array(Image.open(coded))
    return Drawn(result, (left, top, left + wide, top + tall), text, personal, ground, height, ink)


def lettering(text: str, height: int, font: Path | int | None, rng: random.Random) -> np.ndarray:
    """Return a line as a mask, uint8 [h,w], cut to its letters; a capital H has this height in pixels."""
    if isinstance(font, int):
        thickness = rng.choice([1, 1, 2]) if height >= 12 else 1
        scale = height / cv2.getTextSize("H", font, 1.0, 1)[0][1]
        (wide, tall), below = cv2.getTextSize(text, font, scale, thickness)
        mask = np.zeros((tall + below + 8, wide + 8), np.uint8)
        cv2.putText(mask, text, (4, tall + 4), font, scale, 255, thickness, cv2.LINE_AA)
    else:
        size = height / 0.72

        def load(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
            return ImageFont.truetype(str(font), size) if font else ImageFont.load_default(size)

        top, bottom = load(size).getbbox("H")[1::2]
        face = load(size * height / max(1, bottom - top))
        _, _, right, low = face.getbbox(text)
        image = Image.new("L", (round(right) + 8, round(low) + 8))
        ImageDraw.Draw(image).text((4, 4), text, fill=255, font=face)
        mask = np.array(image)
    rows, columns = np.flatnonzero(mask.max(axis=1)), np.flatnonzero(mask.max(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def covered(box: tuple[int, int, int, int], boxes: list[tuple[int, int, int, int]]) -> float:
    """Return the share of a box that others cover."""
    left, top, right, bottom = box
    mask = np.zeros((bottom - top, right - left), bool)
    for other in boxes:
        mask[
            max(0, other[1] - top) : max(0, other[3] - top), max(0, other[0] - left) : max(0, other[2] - left)
        ] = True
    return float(mask.mean())


def pixels(box: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    return round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height)


def judged(one: Drawn) -> dict[str, bool]:
    """Return whether a drawn line is found, has the right kind, and is unreadable after it was filled."""
    frames = one.picture[None]
    masked, found = mask_frames(frames, np.zeros(1), "mask-all", True)
    height, width = one.picture.shape[:2]
    boxes = [pixels(writing.box, width, height) for writing in found.writings]
    own = [box for box in boxes if covered(box, [one.box]) > 0]
    kinds = {writing.kind for writing, box in zip(found.writings, boxes, strict=True) if box in own}
    left = [line.box for line in read_lines(masked[0]) if covered(one.box, [line.box]) > 0.1]
    return {
        "found": covered(one.box, own) >= 0.8,
        "kind": ("personal" in kinds) == one.personal,
        "unreadable": not left,
    }


def line(name: str, hits: int, count: int, **more: object) -> dict[str, object]:
    """A line of the table with a Wilson interval."""
    interval = binomtest(hits, count).proportion_ci(method="wilson")
    return {"measure": name, "hits": hits, "count": count, "low": interval.low, "high": interval.high, **more}


def measured(data: Path, count: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield the lines of the table."""
    rng = random.Random(seed)
    source = pictures(data, rng)
    for heights in ((10, 28), (7, 9)):
        for ground in GROUNDS:
            ones = (drawn(picture, ground, heights, rng) for picture in source)
            results = [(one, judged(one)) for one in islice((one for one in ones if one is not None), count)]
            where = f"{ground}, {heights[0]}–{heights[1]} px"
            hits = [result for _, result in results if result["found"]]
            personal = [result["kind"] for one, result in results if one.personal and result["found"]]
            yield line(f"found, {where}", len(hits), len(results))
            yield line(f"personal data judged personal, {where}", sum(personal), len(personal))
            yield line(
                f"unreadable after filling, {where}", sum(hit["unreadable"] for hit in hits), len(hits)
            )
    clean = list(islice(source, 4 * count))
    false = [frame for frame in clean if mask_frames(frame[None], np.zeros(1), "keep", True)[1].writings]
    yield line("false, on a frame without writing", len(false), len(clean))
    yield line("frames with no sharp part", sum(not likely_parts(frame) for frame in clean), len(clean))
    for path in sorted((data / "videos").rglob("*.mp4"))[:: max(1, count // 50)][:6]:
        clip = open_clip(path, frames=8)
        start, cpu = time.perf_counter(), time.process_time()
        mask_frames(clip.frames, clip.seconds, "mask-personal", False)
        yield {
            "measure": f"8 frames of {path.stem}, {clip.width}×{clip.height}",
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu,
        }
    yield from films(data)


def films(data: Path) -> Iterator[dict[str, object]]:
    """Yield what a second of a teaching video costs, searched and filled."""
    for path in sorted((data / "videos/lectures").glob("*.mp4")):
        source = video_source(path)
        start, cpu = time.perf_counter(), time.process_time()
        for _ in masked_film(source, "mask-all"):
            pass
        yield {
            "measure": f"a second of the film {path.stem}, {source.width}×{source.height}",
            "seconds": (time.perf_counter() - start) / source.duration,
            "cpu_seconds": (time.process_time() - cpu) / source.duration,
        }


def shown(entry: dict[str, object]) -> str:
    """A row of a Markdown table."""
    if "seconds" in entry:
        return (
            f"| {entry['measure']} | {entry['seconds']:.2f} s ({entry['cpu_seconds']:.2f} s of one core) | |"
        )
    hits, count = entry["hits"], entry["count"]
    return f"| {entry['measure']} | {hits} of {count} | {entry['low']:.3f}–{entry['high']:.3f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder like ../shared/data")
    parser.add_argument("--count", type=int, default=300, help="lines of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object to a line")
    wanted = parser.parse_args()
    read_lines(np.zeros((64, 64, 3), np.uint8))  # the models are loaded before anything is timed
    for entry in measured(wanted.data, wanted.count, wanted.seed):
        print(json.dumps(entry) if wanted.json else shown(entry), flush=True)


if __name__ == "__main__":
    main()
