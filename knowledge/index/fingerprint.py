"""Fingerprints of frames, by which the same picture is known again under any name, size or compression.

A perceptual hash of 256 bits (ImageHash's ``phash``: signs of the lowest 16 x 16 frequencies of a cosine transform;
Zauner 2010). Copies that were compressed again, resized or recoloured differ in up to 20 bits, those whose margins were
cut by 2% in up to 40; pictures that have nothing in common in about 128. See knowledge/README.md for the figures.
"""

from __future__ import annotations

import numpy as np

_SIDE = 16
FINGERPRINT_BYTES = _SIDE * _SIDE // 8
NEAR_BITS = 48
"""Bits up to which two fingerprints are taken for those of one picture."""

_REDUCED = 4 * _SIDE  # the side to which ``phash`` itself brings a picture
_LEAST_CONTRAST = 3.0  # standard deviation of grey levels; an empty slide has no picture to know again
_BLOCK = 1 << 14  # fingerprints that are compared at once: as many as the processor's cache holds


def fingerprints(frames: np.ndarray) -> np.ndarray:
    """Fingerprints of frames uint8 [T, H, W, 3]: uint8 [m, FINGERPRINT_BYTES]; frames without structure have none."""
    return _hashed(_reduced(frames))


def turned_fingerprints(frames: np.ndarray) -> np.ndarray:
    """Fingerprints of frames in the eight ways in which a slide may lie: uint8 [up to 8 T, FINGERPRINT_BYTES]."""
    small = _reduced(frames)  # turned when they are small, which gives the same but for rounding
    ways = [turned for flipped in (small, small[:, :, ::-1]) for turned in _quarter_turns(flipped)]
    return np.unique(np.concatenate([_hashed(way) for way in ways]), axis=0)


def turns_of(prints: np.ndarray) -> np.ndarray:
    """What fingerprints [m, BYTES] are about when their pictures lie in the eight ways: uint8 [8 m, FINGERPRINT_BYTES].

    From the bits alone: a mirror changes the sign of the odd frequencies across it, a quarter turn is a transposition and a
    mirror. The median that the bits are compared with does not turn along, which costs up to 34 bits (half of the time 6).
    """
    bits = np.unpackbits(prints, axis=1).reshape(-1, _SIDE, _SIDE).astype(bool)
    odd = np.arange(_SIDE) % 2 == 1
    ways = [
        way ^ (odd[None, :] & across) ^ (odd[:, None] & along)
        for way in (bits, bits.transpose(0, 2, 1))
        for across in (False, True)
        for along in (False, True)
    ]
    return np.packbits(np.concatenate(ways).reshape(-1, _SIDE * _SIDE), axis=1)


def distances(question: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Differing bits, uint16 [n], of each of ``known`` uint8 [n, BYTES] from the nearest of ``question`` [q, BYTES]."""
    least = np.full(len(known), 8 * FINGERPRINT_BYTES, np.uint16)
    if not len(question):
        return least
    asked = np.ascontiguousarray(question).view(np.uint64)  # [q, 4]
    for start in range(0, len(known), _BLOCK):
        columns = np.ascontiguousarray(
            np.ascontiguousarray(known[start : start + _BLOCK]).view(np.uint64).T
        )  # [4, n]
        best = least[start : start + _BLOCK]
        for words in asked:
            bits = np.zeros(columns.shape[1], np.uint16)
            for word, column in zip(words, columns, strict=True):
                bits += np.bitwise_count(column ^ word)
            np.minimum(best, bits, out=best)
    return least


def _reduced(frames: np.ndarray) -> np.ndarray:
    """What a fingerprint is made of: uint8 [m, side, side] grey, without frames that have no structure."""
    from PIL import Image

    found = []
    for frame in frames:
        picture = Image.fromarray(frame).convert("L")
        coarse = np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
        if coarse.std() >= _LEAST_CONTRAST:
            found.append(np.asarray(picture.resize((_REDUCED, _REDUCED), Image.Resampling.LANCZOS)))
    return np.array(found, np.uint8).reshape(-1, _REDUCED, _REDUCED)


def _hashed(small: np.ndarray) -> np.ndarray:
    import imagehash
    from PIL import Image

    found = [np.packbits(imagehash.phash(Image.fromarray(frame), hash_size=_SIDE).hash) for frame in small]
    return np.array(found, np.uint8).reshape(-1, FINGERPRINT_BYTES)


def _quarter_turns(frames: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(np.rot90(frames, turns, axes=(1, 2))) for turns in range(4)]
