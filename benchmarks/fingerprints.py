"""How well frames are known again: python benchmarks/fingerprints.py DIR [--copies 400] [--json]

DIR has ``manifest.csv`` with images and their ``group_id``. Prints how many pairs of images of different groups, and of the
same group, differ in up to so many bits, and in how many bits copies of images differ from them.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES, NEAR_BITS, fingerprints

_BITS = (16, 32, NEAR_BITS, 56, 64, 72)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The image compressed anew."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def cut(image: Image.Image, share: float) -> Image.Image:
    """The image without a share of its width and height at each side."""
    across, down = int(share * image.width), int(share * image.height)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 50": lambda image: jpeg(image, 50),
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "double size": lambda image: image.resize((2 * image.width, 2 * image.height)),
    "10% brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "20% less colour": lambda image: ImageEnhance.Color(image).enhance(0.8),
    "15% more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.15),
    "1% cut off each side": lambda image: cut(image, 0.01),
    "2.5% cut off each side": lambda image: cut(image, 0.025),
}


def print_of(image: Image.Image) -> np.ndarray:
    """uint8 [FINGERPRINT_BYTES]; zeros where the image has no structure."""
    found = fingerprints(np.asarray(image)[None])
    return found[0] if len(found) else np.zeros(FINGERPRINT_BYTES, np.uint8)


def opened(path: Path) -> Image.Image:
    """An image of at most 400 pixels."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((400, 400))
    return picture


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--copies", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with (wanted.data / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    images = [opened(wanted.data / row["path"]) for row in rows]
    groups = np.array([row["group_id"] or row["path"] for row in rows])
    prints = np.stack([print_of(image) for image in images])
    pairs = {name: dict.fromkeys(_BITS, 0) for name in ("different groups", "same group")}
    for place in range(len(images)):
        bits = np.bitwise_count(prints[place] ^ prints[place + 1 :]).sum(axis=1, dtype=int)
        same = groups[place + 1 :] == groups[place]
        for limit in _BITS:
            pairs["different groups"][limit] += int((bits[~same] <= limit).sum())
            pairs["same group"][limit] += int((bits[same] <= limit).sum())
    chosen = np.random.default_rng(0).choice(len(images), min(wanted.copies, len(images)), replace=False)
    copies = {}
    for name, change in COPIES.items():
        bits = np.array(
            [int(np.bitwise_count(prints[n] ^ print_of(change(images[n]))).sum()) for n in chosen]
        )
        copies[name] = {
            "median": float(np.median(bits)),
            "p95": float(np.percentile(bits, 95)),
            "most": int(bits.max()),
            "known again": float((bits <= NEAR_BITS).mean()),
        }
    if wanted.json:
        print(json.dumps({"images": len(images), "pairs": pairs, "copies": copies}))
        return
    print(
        f"{len(images):,} images, {len(images) * (len(images) - 1) // 2:,} pairs; near: up to {NEAR_BITS} of 256 bits"
    )
    for name, counts in pairs.items():
        print(f"{name:<24}" + ", ".join(f"≤{limit}: {count}" for limit, count in counts.items()))
    for name, figures in copies.items():
        print(f"{name:<24}" + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
