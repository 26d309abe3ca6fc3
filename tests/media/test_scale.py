"""The scale is read where a file means one, and dpi of photos, screens and scanners are not taken for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from videopath.media.scale import read_scale

_PICTURE = np.full((64, 96, 3), 200, np.uint8)


def _ome(path: Path, **metadata: Any) -> None:
    tifffile.imwrite(path, _PICTURE, photometric="rgb", ome=True, metadata={"axes": "YXS", **metadata})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}, 0.5),
        ({"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}, 0.25),
        ({"PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0}, None),  # pixels that are not square
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "mm", "PhysicalSizeY": 1, "PhysicalSizeYUnit": "mm"}, None),
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_ome_states_the_size_of_a_pixel(
    tmp_path: Path, fields: dict[str, Any], expected: float | None
) -> None:
    _ome(tmp_path / "a.tif", **fields)
    scale = read_scale(tmp_path / "a.tif")
    assert (scale and scale.um_per_pixel) == expected
    assert scale is None or "OME" in scale.source


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((20_000, 20_000), "CENTIMETER", 0.5),
        ((50_800, 50_800), "INCH", 0.5),
        *(((dpi, dpi), "INCH", None) for dpi in (72, 96, 150, 300, 600, 1200, 2400, 4800)),
        ((28.346, 28.346), "CENTIMETER", None),  # 72 dpi
        ((944.882, 944.882), "CENTIMETER", None),  # 2,400 dpi
        ((20_000, 20_000), "NONE", None),
        ((20_000, 10_000), "CENTIMETER", None),
    ],
)
def test_a_resolution_counts_if_only_a_microscope_has_it(
    tmp_path: Path, resolution: tuple[float, float], unit: str, expected: float | None
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", _PICTURE, photometric="rgb", resolution=resolution, resolutionunit=unit, metadata=None
    )  # fmt: skip
    scale = read_scale(tmp_path / "a.tif")
    assert (scale and scale.um_per_pixel) == expected


def test_scanners_and_imagej_state_it_in_their_own_way(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", _PICTURE, photometric="rgb", description="Scanner|AppMag = 40|MPP = 0.2520", metadata=None
    )  # fmt: skip
    tifffile.imwrite(
        tmp_path / "b.tif", _PICTURE[..., 0], imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"}
    )
    scales = [read_scale(tmp_path / name) for name in ("a.tif", "b.tif")]
    assert [scale and scale.um_per_pixel for scale in scales] == [0.252, 0.5]


def test_a_photo_or_a_damaged_file_has_no_scale(tmp_path: Path) -> None:
    Image.fromarray(_PICTURE).save(tmp_path / "a.jpg", dpi=(25_400, 25_400))
    Image.fromarray(_PICTURE).save(tmp_path / "a.png", dpi=(25_400, 25_400))
    (tmp_path / "cut.tif").write_bytes(b"II*\0\xff\xff\xff\x7f")
    (tmp_path / "folder").mkdir()
    for name in ("a.jpg", "a.png", "cut.tif", "folder", "missing.tif"):
        assert read_scale(tmp_path / name) is None, name
