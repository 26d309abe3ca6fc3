"""How well the gate tells tissue from the rest: python benchmarks/gate.py --tissue DIR --other DIR [--drawn 200] [--json]

Every picture below the named folders is judged as it is: one of ``--tissue`` should be accepted, one of ``--other``
(photographs, drawings, screens, documents) refused. Of each folder some are then made small and drawn over as viewers
and people do, with a label on a plate, text alone, a scale bar, an arrow or a time: the gate should say the same of
them. Of ``--other`` crops are judged as well, for a photograph's corner has less to go by. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import binomtest

from videopath.core.errors import InputError
from videopath.media.clip import Clip, open_clip
from videopath.media.quality.gate import assess

_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_LEAST_SIDE = 96  # smaller pictures are icons
_SMALL = 224  # pixels of a side of the pictures that are drawn over
_WORDS = (
    "Diagnosis: cancer", "MRN 4839201", "H&E 40x", "Dr. A. Smith", "Colon, biopsy", "adenocarcinoma", "Slide 3",
)  # fmt: skip
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_COLOURS = (_WHITE, _BLACK, (0, 255, 0), (255, 255, 0), (255, 0, 0), (0, 0, 255))
_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 1.0))


def label(
    picture: Image.Image,
    words: str,
    height: float,
    corner: tuple[float, float],
    ink: tuple,
    plate: tuple | None,
) -> None:
    """Write words of this height (a share of the picture's, with the plate) near a corner."""
    tall = max(8, round(height * picture.height))
    font = ImageFont.load_default(round(0.75 * tall))
    left, top, right, bottom = font.getbbox(words)
    wide = round(right - left + 0.6 * tall)
    x = round(corner[0] * max(picture.width - wide - 1, 0))
    y = round(corner[1] * (picture.height - tall - 1))
    draw = ImageDraw.Draw(picture)
    if plate:
        draw.rectangle((x, y, x + wide, y + tall), fill=plate)
    draw.text((x + 0.3 * tall - left, y + (tall - (bottom - top)) / 2 - top), words, fill=ink, font=font)


def draw_over(frame: np.ndarray, kind: str, rng: random.Random) -> np.ndarray:
    """The picture, small and square, with one thing drawn over it."""
    side = min(frame.shape[:2])
    top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    square = np.ascontiguousarray(frame[top : top + side, left : left + side])
    picture = Image.fromarray(cv2.resize(square, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA))
    draw, words, corner = ImageDraw.Draw(picture), rng.choice(_WORDS), rng.choice(_CORNERS)
    plate, ink = rng.choice([(_BLACK, _WHITE), (_WHITE, _BLACK)])
    if kind == "plate of 5 to 7%":
        label(picture, words, rng.uniform(0.05, 0.07), corner, ink, plate)
    elif kind == "plate of 3 to 10%":
        label(picture, words, rng.uniform(0.03, 0.10), corner, ink, plate)
    elif kind == "text alone":
        label(picture, words, rng.uniform(0.05, 0.10), corner, ink, None)
    elif kind == "time":
        label(picture, "2026-05-17 12:40:08", 0.06, corner, rng.choice(_COLOURS), rng.choice([None, _BLACK]))
    elif kind == "scale bar":
        draw.rectangle(
            (16, 205, 16 + rng.randint(30, 70), 205 + rng.randint(2, 4)), fill=rng.choice(_COLOURS)
        )
        label(picture, "50 µm", 0.06, (0.08, 0.88), rng.choice([_BLACK, _WHITE]), None)
    elif kind == "arrow":
        frame = np.array(picture)
        start, end = [(rng.randint(20, 200), rng.randint(20, 200)) for _ in range(2)]
        return cv2.arrowedLine(frame, start, end, rng.choice(_COLOURS), rng.randint(2, 4), cv2.LINE_AA)
    return np.array(picture)


def crop(frame: np.ndarray, kind: str, rng: random.Random) -> np.ndarray:
    """A part of the picture with a third of its shorter side, at least."""
    height, width = frame.shape[:2]
    side = max(_LEAST_SIDE, int(min(height, width) * rng.uniform(0.33, 0.8)))
    top, left = rng.randint(0, max(height - side, 0)), rng.randint(0, max(width - side, 0))
    return np.ascontiguousarray(frame[top : top + side, left : left + side])


DRAWN = ("plate of 5 to 7%", "plate of 3 to 10%", "text alone", "time", "scale bar", "arrow")


def accepted(path: Path, kinds: tuple[str, ...]) -> dict[str, bool]:
    """Whether the gate takes a picture for tissue, as it is and changed in each way; nothing of one it cannot read."""
    try:
        clip = open_clip(path)
    except InputError:
        return {}
    if min(clip.frames.shape[1:3]) < _LEAST_SIDE:
        return {}
    rng = random.Random(path.name)
    found = {"as it is": assess(clip).is_histology}
    for kind in kinds:
        changed = (crop if kind == "crop" else draw_over)(clip.frames[0], kind, rng)
        found[kind] = assess(with_frame(clip, changed)).is_histology
    return found


def with_frame(clip: Clip, frame: np.ndarray) -> Clip:
    return replace(clip, frames=frame[None], height=frame.shape[0], width=frame.shape[1])


def pictures(folder: Path) -> list[Path]:
    """All pictures below a folder, or those that a file lists, one path to a line."""
    if folder.is_file():
        return [folder.parent / line for line in folder.read_text().splitlines() if line]
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def measured(folder: Path, is_tissue: bool, drawn: int, workers: int) -> Iterator[dict[str, object]]:
    """The lines of one folder: how many of its pictures, changed in each way, the gate judges wrongly."""
    paths = pictures(folder)
    changed = set(random.Random(0).sample(paths, min(drawn, len(paths))))
    always = () if is_tissue else ("crop",)
    kinds = [(*always, *(DRAWN if path in changed else ())) for path in paths]
    with ProcessPoolExecutor(workers) as pool:
        answers = list(zip(paths, pool.map(accepted, paths, kinds, chunksize=8), strict=True))
    for kind in ("as it is", *always, *DRAWN):
        judged = [(path, answer[kind]) for path, answer in answers if kind in answer]
        wrong = [
            str(path.relative_to(folder if folder.is_dir() else folder.parent))
            for path, taken in judged
            if taken != is_tissue
        ]
        if judged:
            interval = binomtest(len(wrong), len(judged)).proportion_ci(method="wilson")
            yield {
                "folder": folder.name, "tissue": is_tissue, "pictures": kind, "count": len(judged),
                "wrong": len(wrong), "share": len(wrong) / len(judged), "low": interval.low, "high": interval.high,
                "first": wrong[:8],
            }  # fmt: skip


def shown(line: dict[str, object]) -> str:
    """A line for people."""
    verb = "refused" if line["tissue"] else "accepted"
    return (
        f"{line['folder']}, {line['pictures']}: {line['wrong']} of {line['count']} {verb}, "
        f"{line['share']:.2%} ({line['low']:.2%}–{line['high']:.2%})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tissue", action="append", type=Path, default=[], help="a folder of tissue")
    parser.add_argument("--other", action="append", type=Path, default=[], help="a folder of other pictures")
    parser.add_argument("--drawn", type=int, default=200, help="pictures of each folder that are drawn over")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object to a line, with the first wrong ones"
    )
    wanted = parser.parse_args()
    if not wanted.tissue and not wanted.other:
        parser.error("name a folder of tissue (--tissue), of other pictures (--other) or both")
    for is_tissue, folders in ((True, wanted.tissue), (False, wanted.other)):
        for folder in folders:
            for line in measured(folder, is_tissue, wanted.drawn, wanted.workers):
                print(json.dumps(line, ensure_ascii=False) if wanted.json else shown(line), flush=True)


if __name__ == "__main__":
    main()
