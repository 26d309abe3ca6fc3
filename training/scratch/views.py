"""Altered pictures of a tile, and clips over it: crops, rotations, pans, zooms, and colours of other laboratories."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the source."""


def resize(image: np.ndarray, size: int, box: Box | None = None) -> np.ndarray:
    """Resize an image, or a box of it, to a square as the model's preprocessing does (Pillow, bicubic).

    Args:
        image: uint8 [H, W, 3].
        size: Width and height of the result in pixels.
        box: The part that is shown; None: the whole image.
    """
    return np.array(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box=box))


def rotate_or_mirror(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image in one of the eight orientations of a square."""
    image = np.rot90(image, int(rng.integers(4)))
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)


class ColourChange:
    """One random change of stain and exposure, the same for all frames of a clip.

    At full strength, two pictures in three get the mean colour of another stain first, so that colour alone cannot tell
    the entity: by optical density, which keeps glass white, or by means and deviations in Lab (Shen et al., RandStainNA,
    MICCAI 2022). One picture in four loses part of its saturation. Then a 3 x 3 mixing matrix near the identity and an
    offset are applied to the optical density.
    """

    def __init__(self, rng: np.random.Generator, strength: float = 1.0) -> None:
        """Draw the change.

        Args:
            rng: Also gives the noise of each frame later.
            strength: 1 covers the spread between laboratories; 0 keeps the stain.
        """
        mixing = np.eye(3) * rng.lognormal(0.0, 0.18 * strength) + rng.normal(0.0, 0.07 * strength, (3, 3))
        self._mixing = mixing.astype(np.float32)
        self._offset = rng.normal(0.0, 0.03 * strength, 3).astype(np.float32)
        self._blur = float(rng.uniform(0.3, 1.1)) if rng.random() < 0.2 * strength else 0.0
        self._noise = float(rng.uniform(1, 6)) if rng.random() < 0.2 * strength else 0.0
        self._quality = int(rng.integers(35, 90)) if rng.random() < 0.3 * strength else 0
        self._grey = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.25 * strength else 0.0
        self._restain = str(rng.choice(["none", "density", "lab"], p=_restaining(strength)))
        self._density = _DENSITIES * rng.lognormal(0.0, 0.3) * rng.lognormal(0.0, _DENSITY_SPREAD)
        self._lab = rng.normal(_LAB, _LAB_SPREAD).astype(np.float32)
        # the colours of the first frame; all frames of a clip are changed by the same amount
        self._own: np.ndarray | None = None
        self._rng = rng

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Return a frame (uint8 [H, W, 3]) in the changed colours."""
        if self._restain == "lab":
            frame = self._by_lab(frame)
        density = _DENSITY[frame]
        if self._restain == "density":
            density = density * self._density_scale(density)
        if self._grey:
            density += self._grey * (density.mean(axis=2, keepdims=True) - density)
        changed = cv2.transform(density, self._mixing) + self._offset
        out = np.clip(np.exp(-changed) * 256.0 - 1.0, 0, 255)
        if self._blur:
            out = cv2.GaussianBlur(out, (0, 0), self._blur)
        if self._noise:
            out = out + self._rng.normal(0.0, self._noise, out.shape)
        result = np.clip(out, 0, 255).astype(np.uint8)
        return _through_jpeg(result, self._quality) if self._quality else result

    def _density_scale(self, density: np.ndarray) -> np.ndarray:
        """The factor of each channel's density, float32 [3], from the tissue of the first frame."""
        if self._own is None:
            tissue = density[density.mean(axis=2) > _TISSUE_DENSITY]
            self._own = tissue.mean(axis=0) if len(tissue) else self._density
        return np.clip(self._density / np.maximum(self._own, 0.02), 0.3, 3.0).astype(np.float32)

    def _by_lab(self, frame: np.ndarray) -> np.ndarray:
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
        if self._own is None:
            self._own = np.concatenate([lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))])
        mean, deviation = self._own[:3], np.maximum(self._own[3:], 1.0)
        spread = np.clip(self._lab[3:] / deviation, 0.4, 2.5)
        restained = np.clip((lab - mean) * spread + self._lab[:3], 0, 255).astype(np.uint8)
        return cv2.cvtColor(restained, cv2.COLOR_LAB2RGB)


_DENSITY = (-np.log((np.arange(256) + 1.0) / 256.0)).astype(np.float32)
_TISSUE_DENSITY = 0.12
_DENSITIES = np.array([0.47, 0.70, 0.29])  # of stained tissue, red, green, blue
_DENSITY_SPREAD = (0.25, 0.20, 0.40)
_LAB = (167.0, 149.0, 105.0, 34.0, 10.0, 10.0)  # means and deviations of L, a, b as OpenCV stores them
_LAB_SPREAD = (28.0, 11.0, 15.0, 8.0, 4.0, 4.0)


def _restaining(strength: float) -> list[float]:
    """How often the stain is kept, changed by density, and changed in Lab."""
    share = min(1.0, strength)
    return [1 - 0.65 * share, 0.35 * share, 0.30 * share]


def random_view(image: np.ndarray, size: int, rng: np.random.Generator, smallest: float = 0.12) -> np.ndarray:
    """Return a random crop of an image, rotated or mirrored, with changed colours.

    Args:
        image: uint8 [H, W, 3].
        size: Width and height of the result in pixels.
        rng: The source of all draws.
        smallest: Least share of the image's area; the crop's aspect ratio is between 3:4 and 4:3.
    """
    view = resize(image, size, _random_box(image.shape, rng, smallest))
    return ColourChange(rng)(rotate_or_mirror(view, rng))


def clip_views(
    images: Sequence[np.ndarray], frames: int, size: int, rng: np.random.Generator, augment: bool = True
) -> np.ndarray:
    """Return a clip over one or several tiles, with a camera path over each.

    Args:
        images: The tiles, uint8 [H, W, 3] each. Each gets about the same number of frames.
        frames: Frames of the clip.
        size: Width and height of the frames in pixels.
        rng: The source of all draws.
        augment: Whether tiles are rotated or mirrored and colours are changed.

    Returns:
        uint8 [frames, size, size, 3].
    """
    shares = np.array_split(np.arange(frames), len(images))
    out: list[np.ndarray] = []
    colour = ColourChange(rng) if augment else None
    for image, share in zip(images, shares, strict=True):
        source = rotate_or_mirror(image, rng) if augment else image
        for box in camera_path(source.shape[0], source.shape[1], len(share), rng):
            view = resize(source, size, box)
            out.append(colour(view) if colour else view)
    return np.stack(out)


def camera_path(height: int, width: int, frames: int, rng: np.random.Generator) -> list[Box]:
    """Return the boxes of a camera over a field: still, zoom in, pan, zoom in and then pan, or jumps.

    Args:
        height: Height of the field in pixels.
        width: Width of the field in pixels.
        frames: Number of boxes.
        rng: The source of all draws.
    """
    kind = rng.choice(["still", "zoom", "pan", "zoom and pan", "jumps"], p=[0.1, 0.25, 0.2, 0.3, 0.15])
    if kind == "jumps":
        return [_random_box((height, width), rng, 0.15) for _ in range(frames)]
    wide = rng.uniform(0.8, 1.0) if kind != "pan" else rng.uniform(0.4, 0.8)
    narrow = {"still": wide, "pan": wide}.get(str(kind)) or rng.uniform(0.3, 0.65)
    aspect = float(np.exp(rng.uniform(-0.29, 0.29)))
    ends = rng.random((2, 2))  # centre at the start and at the end, as shares of the free space
    time = np.linspace(0.0, 1.0, frames)
    zoom = np.clip(time * (2.0 if kind == "zoom and pan" else 1.0), 0, 1)
    pan = np.clip(time * 2.0 - 1.0, 0, 1) if kind == "zoom and pan" else time
    boxes = []
    for z, p in zip(zoom, pan, strict=True):
        scale = wide * (narrow / wide) ** z
        w, h = width * min(1.0, scale * aspect**0.5), height * min(1.0, scale / aspect**0.5)
        centre = ends[0] * (1 - p) + ends[1] * p if kind != "still" else ends[0]
        left, top = centre[0] * (width - w), centre[1] * (height - h)
        boxes.append((left, top, left + w, top + h))
    return boxes


def _random_box(shape: tuple[int, ...], rng: np.random.Generator, smallest: float) -> Box:
    height, width = shape[:2]
    area = float(np.exp(rng.uniform(np.log(smallest), 0.0)))
    aspect = float(np.exp(rng.uniform(-0.29, 0.29)))
    w, h = width * min(1.0, (area * aspect) ** 0.5), height * min(1.0, (area / aspect) ** 0.5)
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return left, top, left + w, top + h


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))
