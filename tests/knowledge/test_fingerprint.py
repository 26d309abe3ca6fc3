"""Fingerprints: copies are known again, other pictures and empty ones are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from videopath.knowledge.index.fingerprint import (
    FINGERPRINT_BYTES,
    NEAR_BITS,
    distances,
    fingerprints,
    turned_fingerprints,
    turns_of,
)


def tissue(seed: int) -> Image.Image:
    """Blobs of many sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((224, 224)), float
        )
        for side in (5, 11, 23, 50)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def bits(one: Image.Image, other: Image.Image, *, turned: bool = False) -> int:
    question = (turned_fingerprints if turned else fingerprints)(np.asarray(one)[None])
    return int(distances(question, fingerprints(np.asarray(other)[None]))[0])


COPIES = {
    "jpeg 50": lambda image: jpeg(image, 50),
    "half": lambda image: image.resize((112, 112)),
    "double": lambda image: image.resize((448, 448)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "paler": lambda image: ImageEnhance.Color(image).enhance(0.8),
    "cut": lambda image: image.crop((2, 2, 222, 222)),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_known_again(name: str) -> None:
    for seed in range(10):
        assert bits(tissue(seed), COPIES[name](tissue(seed))) <= NEAR_BITS


def test_the_bits_alone_know_turned_copies_and_no_other_picture() -> None:
    def print_of(image: Image.Image) -> np.ndarray:
        return fingerprints(np.asarray(image)[None])

    for seed in range(10):
        asked = turns_of(print_of(tissue(seed)))
        assert asked.shape == (8, FINGERPRINT_BYTES)
        for mirrored in (tissue(seed), tissue(seed).transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
            for quarters in range(4):
                turned = mirrored.rotate(90 * quarters)
                assert distances(asked, print_of(turned))[0] <= NEAR_BITS
        assert distances(asked, print_of(tissue(seed + 100)))[0] > NEAR_BITS


def test_turned_copies_are_known_again() -> None:
    image = tissue(1)
    for way in Image.Transpose:
        assert bits(image, jpeg(image.transpose(way), 80), turned=True) <= NEAR_BITS, way
    assert bits(image, image.transpose(Image.Transpose.ROTATE_90)) > NEAR_BITS


def test_other_pictures_are_not() -> None:
    prints = np.concatenate([fingerprints(np.asarray(tissue(seed))[None]) for seed in range(40)])
    for place in range(40):
        assert np.delete(distances(prints[place : place + 1], prints), place).min() > NEAR_BITS


def test_empty_slides_have_no_fingerprint() -> None:
    rng = np.random.default_rng(0)
    blank = np.full((3, 64, 64, 3), 243, np.uint8)
    noisy = (blank + rng.integers(0, 4, blank.shape)).astype(np.uint8)
    assert fingerprints(blank).shape == fingerprints(noisy).shape == (0, FINGERPRINT_BYTES)
    mixed = np.concatenate([blank, np.asarray(tissue(0).resize((64, 64)))[None]])
    assert fingerprints(mixed).shape == (1, FINGERPRINT_BYTES)
    assert turned_fingerprints(blank).shape == (0, FINGERPRINT_BYTES)
    assert distances(fingerprints(mixed), fingerprints(blank)).shape == (0,)


def test_distances_are_the_least_over_the_question() -> None:
    rng = np.random.default_rng(0)
    question, known = (rng.integers(0, 256, (n, FINGERPRINT_BYTES)).astype(np.uint8) for n in (5, 300))
    expected = np.bitwise_count(question[:, None] ^ known[None]).sum(axis=2, dtype=int).min(axis=0)
    assert distances(question, known).tolist() == expected.tolist()
    assert distances(question[:1], ~question[:1]).tolist() == [256]
    assert distances(question[:0], known[:2]).tolist() == [256, 256]


def test_real_tiles_of_different_fields_are_told_apart(shared: Path) -> None:
    tiles = sorted((shared / "data" / "tiles" / "pap_cytology").rglob("*.jp*g"))[:120]
    assert len(tiles) == 120
    images = [Image.open(tile).convert("RGB") for tile in tiles]
    prints = np.concatenate([fingerprints(np.asarray(image)[None]) for image in images])
    for place, image in enumerate(images[:30]):
        copy = fingerprints(np.asarray(jpeg(image, 60))[None])
        near = distances(copy, prints)
        assert near[place] <= NEAR_BITS
        assert np.delete(near, place).min() > NEAR_BITS
