"""Synthetic H&E: slides, clips and a sample case, drawn from a seed.

Structures (glands, nests, epithelium, nuclei, fibres) are drawn as optical densities of haematoxylin and eosin and mixed
by the Beer-Lambert law (stain vectors near those of Ruifrok and Johnston, 2001). One unit is one pixel at ``scale`` 1,
about 0.9 µm (10x). The pictures serve training and demonstration; they do not show real tissue.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success

ENTITIES: dict[str, str] = {
    "benign colon tissue": "colon",
    "colon adenocarcinoma": "colon",
    "normal oral epithelium": "oral cavity",
    "oral squamous cell carcinoma": "oral cavity",
}
"""Entities that can be drawn → their sites."""

_OVAL = np.stack([np.cos(np.arange(10) * math.pi / 5), np.sin(np.arange(10) * math.pi / 5)], 1)  # [10, 2]
_ROUND = np.arange(40) * math.pi / 20
_WAVES = np.arange(2, 7)
_FINE = 3  # fractional bits of the drawn coordinates: eighths of a pixel


class _Canvas:
    """Two stain maps (hundredths of optical density, uint8 [H, W]); painters draw on them in units."""

    def __init__(self, rng: np.random.Generator, width: int, height: int, scale: float) -> None:
        self.rng, self.scale = rng, scale
        self.width, self.height = width / scale, height / scale  # units
        self.haem = np.zeros((height, width), np.uint8)
        self.eosin = np.zeros((height, width), np.uint8)
        self.covered = np.zeros((height, width), np.uint8)  # 1 where a gland or nest lies

    def noise(self, grain: float, stretch: float = 1.0) -> np.ndarray:
        """Return smooth noise, float32 [H, W], with mean 0 and deviation about 1; ``grain`` is its size in units."""
        height, width = self.haem.shape
        rows = max(3, round(self.height / grain))
        columns = max(3, round(self.width / (grain * stretch)))
        coarse = self.rng.standard_normal((min(rows, height), min(columns, width)), np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    def stroma(self, eosin: float, haem: float, contrast: float) -> None:
        """Fill the canvas with connective tissue: wavy collagen fibres in two directions."""
        fibres = self.noise(9, 7) + self.noise(60)
        waves = np.clip(fibres * contrast + eosin, 4, 120)
        gaps = self.noise(22, 2) > 1.5  # clefts
        waves[gaps] *= 0.35
        self.eosin[:] = waves
        self.haem[:] = haem

    def blob(self, x: float, y: float, rx: float, ry: float, wobble: float, turn: float = 0.0) -> np.ndarray:
        """Return the outline of a closed, irregular shape: float [40, 2] in units."""
        strength = wobble / _WAVES * self.rng.standard_normal(5)
        bumps = strength @ np.cos(_WAVES[:, None] * _ROUND + self.rng.uniform(0, 6.3, (5, 1)))
        radius = np.minimum(np.maximum(1 + bumps, 0.45), 1.7)
        flat = np.stack([rx * radius * np.cos(_ROUND), ry * radius * np.sin(_ROUND)], 1)
        c, s = math.cos(turn), math.sin(turn)
        return flat @ np.array([[c, s], [-s, c]]) + (x, y)

    def fill(self, outline: np.ndarray, haem: int, eosin: int, *, cover: bool = False) -> None:
        """Fill a shape with one stain mixture."""
        points = [self._fixed(outline)]
        cv2.fillPoly(self.haem, points, haem, cv2.LINE_8, _FINE)
        cv2.fillPoly(self.eosin, points, eosin, cv2.LINE_8, _FINE)
        if cover:
            cv2.fillPoly(self.covered, points, 1, cv2.LINE_8, _FINE)

    def ovals(
        self,
        stain: np.ndarray,
        centres: np.ndarray,
        long: np.ndarray,
        short: np.ndarray,
        turn: np.ndarray,
        dark: np.ndarray,
    ) -> None:
        """Draw ovals: centres [n, 2], half axes [n], direction of the long axis [n], density [n]."""
        c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
        u, v = _OVAL[None, :, 0] * long[:, None], _OVAL[None, :, 1] * short[:, None]
        shapes = self._fixed(np.stack([u * c - v * s, u * s + v * c], -1) + centres[:, None])
        for shape, shade in zip(shapes, np.clip(dark, 1, 230).astype(int).tolist(), strict=True):
            cv2.fillConvexPoly(stain, shape, shade, cv2.LINE_8, _FINE)

    def scatter(
        self, per_area: float, where: int, long: float, short: float, dark: float, spread: float
    ) -> None:
        """Draw nuclei at random places where ``covered`` equals ``where``; ``per_area`` is their number per 1000 square units."""
        count = int(per_area * self.width * self.height / 1000)
        centres = self.rng.uniform((0, 0), (self.width, self.height), (count, 2))
        pixels = np.minimum(
            (centres * self.scale).astype(int), (self.haem.shape[1] - 1, self.haem.shape[0] - 1)
        )
        centres = centres[self.covered[pixels[:, 1], pixels[:, 0]] == where]
        self._varied(centres, long, short, self.rng.uniform(0, math.pi, len(centres)), dark, spread)

    def along(
        self,
        outline: np.ndarray,
        insets: tuple[float, ...],
        gap: float,
        long: float,
        short: float,
        dark: float,
        *,
        radial: bool,
        spread: float = 0.15,
    ) -> None:
        """Draw rows of nuclei inside an outline: one row at each inset (units from the outline), ``gap`` units apart."""
        middle = outline.mean(0)
        spokes = outline - middle
        reach = np.sqrt((spokes**2).sum(1, keepdims=True))
        rows = []
        for inset in insets:
            ring = middle + spokes * (1 - inset / np.maximum(reach, inset + 1))
            closed = np.concatenate([ring, ring[:1]])
            travelled = np.concatenate([[0], np.sqrt(((closed[1:] - closed[:-1]) ** 2).sum(1)).cumsum()])
            count = max(4, int(travelled[-1] / gap))
            at = (np.arange(count) + self.rng.uniform(-0.25, 0.25, count)) * travelled[-1] / count
            rows.append(
                np.stack([np.interp(at, travelled, closed[:, 0]), np.interp(at, travelled, closed[:, 1])], 1)
            )
        centres = np.concatenate(rows)
        outward = centres - middle
        turn = np.arctan2(outward[:, 1], outward[:, 0]) + (0 if radial else math.pi / 2)
        self._varied(centres + self.rng.normal(0, gap * 0.12, centres.shape), long, short, turn, dark, spread)

    def _varied(
        self, centres: np.ndarray, long: float, short: float, turn: np.ndarray, dark: float, spread: float
    ) -> None:
        n, normal = len(centres), self.rng.normal
        size = np.clip(normal(1, spread, n), 0.5, 2.0)
        turn = turn + normal(0, 0.15 + spread, n)
        self.ovals(
            self.haem,
            centres,
            long * size,
            short * size * np.clip(normal(1, spread, n), 0.6, 1.6),
            turn,
            normal(dark, dark * 0.2, n),
        )

    def _fixed(self, units: np.ndarray) -> np.ndarray:
        return np.round(units * (self.scale * (1 << _FINE))).astype(np.int32)

    def grid(self, spacing: float, jitter: float) -> np.ndarray:
        """Return shuffled centres on a hexagonal grid that overlaps the border, with random shifts: float [n, 2]."""
        rows = np.arange(-1, self.height / (spacing * 0.866) + 2)
        columns = np.arange(-1, self.width / spacing + 2)
        start = self.rng.uniform(0, spacing, 2)
        x = (columns[None, :] + (rows[:, None] % 2) / 2) * spacing - start[0]
        y = np.broadcast_to(rows[:, None] * spacing * 0.866 - start[1], x.shape)
        centres = np.stack([x.ravel(), y.ravel()], 1)
        self.rng.shuffle(centres)
        return centres + self.rng.normal(0, jitter, centres.shape)


def _benign_colon(canvas: _Canvas) -> None:
    """Draw regular round crypts: goblet vacuoles around a small lumen, and one row of small basal nuclei."""
    rng = canvas.rng
    canvas.stroma(34, 10, 6)
    slant, stretch = rng.uniform(0, math.pi), rng.uniform(1.0, 1.25)
    for x, y in canvas.grid(rng.uniform(84, 94), 4):
        radius = rng.uniform(33, 38)
        outline = canvas.blob(x, y, radius * stretch, radius, 0.05, slant)
        canvas.fill(outline, 16, 34, cover=True)
        vacuoles = rng.integers(9, 13)
        angle = np.arange(vacuoles) * 2 * math.pi / vacuoles + rng.uniform(0, 1)
        away = radius * rng.uniform(0.5, 0.6, (vacuoles, 1))
        centres = (x, y) + away * np.stack([np.cos(angle) * stretch, np.sin(angle)], 1)
        size = rng.uniform(0.85, 1.15, vacuoles)
        canvas.ovals(canvas.eosin, centres, 7 * size, 5.2 * size, angle, np.full(vacuoles, 7.0))
        canvas.ovals(canvas.haem, centres, 7 * size, 5.2 * size, angle, rng.uniform(8, 18, vacuoles))
        canvas.fill(canvas.blob(x, y, radius * 0.24 * stretch, radius * 0.2, 0.2, slant), 1, 2)
        canvas.along(outline, (4.5,), 6.4, 3.4, 2.4, 105, radial=False)
    canvas.scatter(4.5, 0, 2.7, 2.3, 110, 0.12)


def _colon_adenocarcinoma(canvas: _Canvas) -> None:
    """Draw crowded, irregular, cribriform glands with stratified large dark nuclei, dirty necrosis, desmoplastic stroma."""
    rng = canvas.rng
    canvas.stroma(44, 8, 13)
    canvas.scatter(1.6, 0, 6.5, 1.7, 85, 0.25)
    for x, y in canvas.grid(rng.uniform(118, 135), 20):
        rx, ry = rng.uniform(38, 78), rng.uniform(34, 60)
        turn = rng.uniform(0, math.pi)
        outline = canvas.blob(x, y, rx, ry, 0.34, turn)
        canvas.fill(outline, 30, 46, cover=True)
        canvas.along(outline, (5, 13, 21), 7.2, 6.6, 3.0, 108, radial=True, spread=0.3)
        for _ in range(rng.integers(1, 6)):  # cribriform: several lumina in one gland
            shift = rng.normal(0, 0.27, 2) * (rx, ry)
            size = rng.uniform(0.16, 0.34) * min(rx, ry)
            lumen = canvas.blob(
                x + shift[0], y + shift[1], size * rng.uniform(1, 1.6), size, 0.35, rng.uniform(0, 3)
            )
            canvas.along(lumen, (-6,), 7.4, 6.0, 2.9, 108, radial=True, spread=0.3)
            canvas.fill(lumen, 1, 3)
            if rng.random() < 0.5:
                _debris(canvas, lumen, size)
    canvas.scatter(1.2, 0, 2.6, 2.3, 115, 0.2)


def _debris(canvas: _Canvas, lumen: np.ndarray, size: float) -> None:
    """Draw necrotic debris in a lumen: a pink clot with nuclear dust."""
    middle = lumen.mean(0)
    canvas.fill(middle + (lumen - middle) * 0.72, 8, 72)
    dust = middle + canvas.rng.normal(0, size * 0.3, (18, 2))
    one = np.ones(len(dust))
    canvas.ovals(canvas.haem, dust, one * 1.4, one * 1.1, one, canvas.rng.uniform(70, 160, len(dust)))


def _normal_oral(canvas: _Canvas) -> None:
    """Draw layered squamous epithelium: flat pale surface cells, a dark basal row on rete ridges, collagen below."""
    rng = canvas.rng
    canvas.stroma(52, 6, 9)
    x = np.arange(-40.0, canvas.width + 40, 4)
    top = 0.1 * canvas.height + 10 * np.sin(x / 170 + rng.uniform(0, 6)) + rng.normal(0, 1, len(x))
    ridges = np.abs(np.sin(x / rng.uniform(60, 90) + rng.uniform(0, 6))) ** 1.5
    base = canvas.height * rng.uniform(0.5, 0.62) + ridges * rng.uniform(60, 100) + 8 * np.sin(x / 31)
    canvas.fill(np.vstack([np.stack([x, top], 1), np.stack([x, base], 1)[::-1]]), 12, 34, cover=True)
    for share in np.arange(0.04, 1.0, 13 / (canvas.height * 0.5)):
        _epithelial_row(canvas, x, top + (base - top) * share, share)
    basal_x = np.arange(0, canvas.width, 5.2)
    for depth, dark in ((5, 125), (13, 112), (21, 100)):
        centres = np.stack([basal_x, np.interp(basal_x, x, base) - depth], 1) + rng.normal(
            0, 1.1, (len(basal_x), 2)
        )
        one = np.ones(len(centres))
        canvas.ovals(
            canvas.haem,
            centres,
            one * 4.6,
            one * 2.5,
            math.pi / 2 + rng.normal(0, 0.3, len(one)),
            dark + 15 * rng.standard_normal(len(one)),
        )
    keratin = np.vstack([np.stack([x, top - 4], 1), np.stack([x, top + 12], 1)[::-1]])
    canvas.fill(keratin, 4, 78)
    canvas.fill(np.vstack([[(-40, -60)], np.stack([x, top - 4], 1), [(canvas.width + 40, -60)]]), 0, 1)
    canvas.covered[: int(0.1 * canvas.height * canvas.scale)] = 1
    canvas.scatter(1.2, 0, 5.5, 1.5, 90, 0.2)


def _epithelial_row(canvas: _Canvas, x: np.ndarray, line: np.ndarray, share: float) -> None:
    """Draw one row of squamous cells at a share of the depth; cells are wider and paler towards the surface."""
    rng = canvas.rng
    gap = 30 - 18 * share
    at = np.arange(rng.uniform(0, gap), canvas.width, gap)
    centres = np.stack([at, np.interp(at, x, line)], 1) + rng.normal(0, 2.2, (len(at), 2))
    for cx, cy in centres:
        cell = canvas._fixed(_OVAL * (gap * 0.46, 6.2 - share) + (cx, cy))
        cv2.fillConvexPoly(
            canvas.eosin, cell, int(26 + 22 * (1 - share) + rng.uniform(0, 9)), cv2.LINE_8, _FINE
        )
    one = np.ones(len(at))
    flat = 3.3 + 1.2 * (1 - share)
    canvas.ovals(
        canvas.haem,
        centres,
        one * flat,
        one * (1.5 + 1.4 * share),
        rng.normal(0, 0.2, len(at)),
        rng.normal(85 + 15 * share, 12, len(at)),
    )


def _oral_carcinoma(canvas: _Canvas) -> None:
    """Draw irregular nests of pleomorphic squamous cells with keratin pearls in a dense inflammatory stroma."""
    rng = canvas.rng
    canvas.stroma(36, 10, 8)
    pearls = []
    for x, y in canvas.grid(rng.uniform(135, 160), 24):
        rx, ry = rng.uniform(45, 85), rng.uniform(32, 60)
        canvas.fill(canvas.blob(x, y, rx, ry, 0.42, rng.uniform(0, math.pi)), 22, 58, cover=True)
        if rng.random() < 0.45:
            pearls.append((x, y, rng.uniform(0.35, 0.55) * min(rx, ry)))
    canvas.scatter(5.5, 1, 5.4, 4.2, 78, 0.34)
    canvas.scatter(3.0, 1, 1.6, 1.5, 125, 0.2)  # nucleoli and apoptotic bodies
    canvas.scatter(0.35, 1, 7.5, 5.4, 125, 0.3)  # giant hyperchromatic nuclei
    for x, y, radius in pearls:
        turn = rng.uniform(0, math.pi)
        for step, eosin in enumerate((88, 112, 84, 118, 90, 122)):
            ring = radius * (1 - step / 6)
            canvas.fill(canvas.blob(x, y, ring * 1.15, ring, 0.1, turn), 3, eosin)
    canvas.scatter(6.5, 0, 2.5, 2.3, 130, 0.12)  # lymphocytes
    canvas.scatter(0.8, 0, 6.0, 1.6, 90, 0.2)


_PAINTERS: dict[str, Callable[[_Canvas], None]] = {
    "benign colon tissue": _benign_colon,
    "colon adenocarcinoma": _colon_adenocarcinoma,
    "normal oral epithelium": _normal_oral,
    "oral squamous cell carcinoma": _oral_carcinoma,
}


def render_slide(entity: str, seed: int, width: int, height: int, *, scale: float = 1.0) -> np.ndarray:
    """Draw a field of a slide; the same arguments give the same picture.

    Args:
        entity: One of ``ENTITIES``.
        seed: Seed of the random numbers.
        width: Pixels.
        height: Pixels.
        scale: Pixels per unit; below 1 more tissue is visible, as at a lower power.

    Returns:
        uint8 [height, width, 3] RGB.

    Raises:
        InputError: The entity cannot be drawn.
    """
    if entity not in _PAINTERS:
        raise InputError(f"No picture of {entity!r} can be drawn; choose one of: {', '.join(ENTITIES)}.")
    rng = np.random.default_rng([seed, list(_PAINTERS).index(entity)])
    canvas = _Canvas(rng, width, height, scale)
    _PAINTERS[entity](canvas)
    return _stained(canvas)


def _stained(canvas: _Canvas) -> np.ndarray:
    """Mix the two stains by the Beer-Lambert law, with random hue, strength, blur and grain."""
    rng = canvas.rng
    blur = float(rng.uniform(0.5, 0.9)) * max(0.6, canvas.scale)
    # chromatin and cytoplasm are granular
    texture = 1 + 0.16 * rng.standard_normal(canvas.haem.shape, np.float32)
    haem = np.asarray(cv2.GaussianBlur(canvas.haem * texture, (0, 0), blur), np.float32)
    eosin = np.asarray(cv2.GaussianBlur(canvas.eosin * (2 - texture), (0, 0), blur), np.float32)
    haem *= rng.uniform(0.85, 1.2) / 100
    eosin *= rng.uniform(0.75, 1.25) / 100
    eosin += 0.15 * haem  # nuclei take a little eosin
    haem_hue = np.array([0.75, 0.98, 0.42]) + rng.normal(0, 0.04, 3)
    eosin_hue = np.array([0.14, 0.95, 0.42]) + rng.normal(0, 0.04, 3)
    light = 250 + rng.uniform(-8, 5, 3)
    channels = [
        light[c] * np.exp(-(haem * np.float32(haem_hue[c]) + eosin * np.float32(max(eosin_hue[c], 0.05))))
        for c in range(3)
    ]
    grain = rng.standard_normal(canvas.haem.shape, np.float32) * rng.uniform(1, 3)
    return np.clip(np.stack(channels, -1) + grain[..., None], 0, 255).astype(np.uint8)


def render_clip(entity: str, seed: int, frames: int, size: int) -> np.ndarray:
    """Draw a clip that pans and zooms over its own slide.

    Power, path and aspect depend on the seed. As in a video that is squashed to a square, pixels need not be square.

    Args:
        entity: One of ``ENTITIES``.
        seed: Seed of the random numbers.
        frames: Number of frames.
        size: Width and height in pixels.

    Returns:
        uint8 [frames, size, size, 3] RGB.

    Raises:
        InputError: The entity cannot be drawn.
    """
    rng = np.random.default_rng([seed, 977])
    span = 420 * (1600 / 420) ** rng.random() ** 1.5  # units across the slide: low to high power
    pixels = round(size * 1.5)
    width = round(pixels * rng.uniform(1.0, 1.34))
    slide = np.rot90(render_slide(entity, seed, width, pixels, scale=pixels / span), int(rng.integers(4)))
    path = _path(rng, frames, 1 / 1.5)
    return np.stack([_view(slide, x, y, zoom, size, size) for x, y, zoom in path])


def _path(rng: np.random.Generator, frames: int, closest: float) -> np.ndarray:
    """Return a path of overview, zoom to ``closest`` (share of the slide), and pan: float [frames, 3] of x, y, share."""
    t = np.linspace(0, 1, frames)
    zoom = np.interp(t, [0, 0.2, 0.5, 1], [1, 0.96, closest, closest])
    turns = rng.uniform(0.32, 0.64, (2, 2))
    x = np.interp(t, [0, 0.2, 0.5, 1], [0.5, 0.5, turns[0, 0], turns[1, 0]])
    y = np.interp(t, [0, 0.2, 0.5, 1], [0.5, 0.5, turns[0, 1], turns[1, 1]])
    half = zoom / 2
    return np.stack([np.clip(x, half, 1 - half), np.clip(y, half, 1 - half), zoom], 1)


def _view(slide: np.ndarray, x: float, y: float, zoom: float, width: int, height: int) -> np.ndarray:
    """Return the view of the camera: the share ``zoom`` of the slide around (x, y), uint8 [height, width, 3]."""
    rows, columns = slide.shape[:2]
    h, w = round(rows * zoom), round(columns * zoom)
    top = min(max(round(y * rows - h / 2), 0), rows - h)
    left = min(max(round(x * columns - w / 2), 0), columns - w)
    return cv2.resize(slide[top : top + h, left : left + w], (width, height), interpolation=cv2.INTER_AREA)


def render_case(
    path: Path,
    entity: str = "colon adenocarcinoma",
    seed: int = 7,
    seconds: float = 8.0,
    fps: int = 8,
    size: tuple[int, int] = (640, 480),
) -> Path:
    """Write a sample case, an H.264 mp4 with overview, zoom and pan, as a whole or not at all.

    Args:
        path: The file to write.
        entity: One of ``ENTITIES``.
        seed: Seed of the random numbers.
        seconds: Length of the video.
        fps: Frames per second.
        size: Width and height in pixels, both even.

    Returns:
        ``path``.

    Raises:
        InputError: The entity cannot be drawn.
    """
    import av

    width, height = size
    slide = render_slide(entity, seed, round(width * 2.2), round(height * 2.2))
    views = _path(np.random.default_rng([seed, 978]), max(1, round(seconds * fps)), 1 / 2.2)
    with replaced_on_success(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps), options={"crf": "18", "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for x, y, zoom in views:
            picture = av.VideoFrame.from_ndarray(_view(slide, x, y, zoom, width, height), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path
