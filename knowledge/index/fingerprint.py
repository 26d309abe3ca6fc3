"""Fingerprints of frames, which recognise a copy of a picture under any name, size or compression.

A fingerprint is a perceptual hash of 256 bits (ImageHash's ``phash``: signs of the lowest 16 x 16 frequencies of a cosine
transform; Zauner 2010). Copies that were compressed, resized or recoloured differ in up to 20 bits, copies whose margins
were cut by 2% in up to 40, and unrelated pictures in about 128. See docs/reference/figures.md for the figures.
"""

from __future__ import annotations

import numpy as np

_SIDE = 16
FINGERPRINT_BYTES = _SIDE * _SIDE // 8
NEAR_BITS = 48
"""Two fingerprints that differ in at most this many bits count as the same picture."""

_REDUCED = 4 * _SIDE  # the side to which ``phash`` itself resizes a picture
_LEAST_CONTRAST = 3.0  # standard deviation of grey levels; an empty slide cannot be recognised
_BLOCK = 1 << 14  # fingerprints that are compared at once; they fit into the processor's cache


def fingerprints(frames: np.ndarray) -> np.ndarray:
    """Return the fingerprints of frames, uint8 [T, H, W, 3]: uint8 [m, FINGERPRINT_BYTES].

    Frames without structure have no fingerprint, so m may be less than T.
    """
    return _hashed(_reduced(frames))


def turned_fingerprints(frames: np.ndarray) -> np.ndarray:
    """Return the fingerprints of frames, turned and mirrored in all eight ways: uint8 [up to 8 T, FINGERPRINT_BYTES]."""
    small = _reduced(frames)  # small frames are turned; the result is the same up to rounding
    ways = [turned for flipped in (small, small[:, :, ::-1]) for turned in _quarter_turns(flipped)]
    return np.unique(np.concatenate([_hashed(way) for way in ways]), axis=0)


def turns_of(prints: np.ndarray) -> np.ndarray:
    """Estimate the fingerprints of the turned and mirrored pictures from fingerprints, uint8 [m, FINGERPRINT_BYTES].

    A mirror changes the sign of the odd frequencies across it, and a quarter turn is a transposition and a mirror. The
    median that the bits are compared with is not turned, which costs up to 34 bits (6 bits in half of the cases).

    Returns:
        uint8 [8 m, FINGERPRINT_BYTES].
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


def distances(query: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how many bits differ between each known fingerprint and the nearest query fingerprint.

    Args:
        query: uint8 [q, FINGERPRINT_BYTES].
        known: uint8 [n, FINGERPRINT_BYTES].

    Returns:
        uint16 [n]; 256 if there is no query fingerprint.
    """
    least = np.full(len(known), 8 * FINGERPRINT_BYTES, np.uint16)
    if not len(query):
        return least
    query_words = np.ascontiguousarray(query).view(np.uint64)  # [q, 4]
    for start in range(0, len(known), _BLOCK):
        columns = np.ascontiguousarray(
            np.ascontiguousarray(known[start : start + _BLOCK]).view(np.uint64).T
        )  # [4, n]
        best = least[start : start + _BLOCK]
        for words in query_words:
            bits = np.zeros(columns.shape[1], np.uint16)
            for word, column in zip(words, columns, strict=True):
                bits += np.bitwise_count(column ^ word)
            np.minimum(best, bits, out=best)
    return least


def _reduced(frames: np.ndarray) -> np.ndarray:
    """Return small grey pictures, uint8 [m, side, side], without frames that have no structure."""
    from PIL import Image

    reduced = []
    for frame in frames:
        picture = Image.fromarray(frame).convert("L")
        coarse = np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
        if coarse.std() >= _LEAST_CONTRAST:
            reduced.append(np.asarray(picture.resize((_REDUCED, _REDUCED), Image.Resampling.LANCZOS)))
    return np.array(reduced, np.uint8).reshape(-1, _REDUCED, _REDUCED)


def _hashed(small: np.ndarray) -> np.ndarray:
    import imagehash
    from PIL import Image

    hashes = [np.packbits(imagehash.phash(Image.fromarray(frame), hash_size=_SIDE).hash) for frame in small]
    return np.array(hashes, np.uint8).reshape(-1, FINGERPRINT_BYTES)


def _quarter_turns(frames: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(np.rot90(frames, turns, axes=(1, 2))) for turns in range(4)]
