"""The corpus that nano learns from: tiles with a diagnosis, and atlas slides with an organ and a category.

The folder holds ``manifest.csv`` (path, label, organ, diagnosis, dataset, group_id, licence, …), ``slides.csv`` and
``videos/atlas/<slide>.mp4``. The split goes by group: a source field, patient or case is on one side only.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from videopath.core.errors import InputError
from videopath.core.pathology.sites import SITES, canonical_site
from videopath.media.image.files import read_picture

Split = Literal["train", "calibration", "test"]
"""A side of the split."""
TEST_SHARE, CALIBRATION_SHARE = 0.17, 0.08
UNKNOWN = "not a tissue that this model knows"
"""Nano's answer if the picture shows neither a tissue that it knows at this site nor a slide like the atlas's."""

LABELS: dict[str, tuple[str, str]] = {
    "colon_n": ("colon", "benign colon tissue"),
    "colon_aca": ("colon", "colon adenocarcinoma"),
    "lung_n": ("lung", "benign lung tissue"),
    "lung_aca": ("lung", "lung adenocarcinoma"),
    "lung_scc": ("lung", "lung squamous cell carcinoma"),
    "oral_normal": ("oral cavity", "normal oral epithelium"),
    "oral_oscc": ("oral cavity", "oral squamous cell carcinoma"),
    "lymphoma_CLL": ("lymph node", "chronic lymphocytic leukemia"),
    "lymphoma_FL": ("lymph node", "follicular lymphoma"),
    "lymphoma_MCL": ("lymph node", "mantle cell lymphoma"),
    "pap_NL": ("cervix", "NILM negative cervical cytology"),
    "pap_LSIL": ("cervix", "low-grade squamous intraepithelial lesion, cytology"),
    "pap_HSIL": ("cervix", "high-grade squamous intraepithelial lesion, cytology"),
    "pap_SCC": ("cervix", "squamous cell carcinoma, cervical cytology"),
    "bone_marrow": ("bone marrow", "healthy bone marrow"),
}
"""Label of the manifest → site and diagnosis."""

_CATEGORY = {
    "malignant": "malignant tumour",
    "borderline": "borderline tumour",
    "benign": "benign lesion",
    "tumor": "benign lesion",
    "premalignant": "benign lesion",
}


@dataclass(frozen=True)
class Sample:
    """One image, or one slide with its clip, and what is known about it."""

    path: Path
    """The image, or the slide's clip."""
    label: str
    """Key of :data:`LABELS`, or ``atlas:<slide>``."""
    site: str
    diagnosis: str
    group: str
    split: Split
    weak: bool = False
    """Whether the diagnosis is that of the whole slide, which this field may not show."""


def diagnoses_by_site() -> dict[str, list[str]]:
    """Return the diagnoses that nano is trained on, by site, in a fixed order."""
    table: dict[str, list[str]] = defaultdict(list)
    for site, diagnosis in LABELS.values():
        table[site].append(diagnosis)
    return dict(table)


def atlas_diagnosis(site: str, group: str) -> str:
    """Return the diagnosis of an atlas slide: its category and its organ.

    Args:
        site: The organ, as a canonical site.
        group: The category in ``slides.csv``; a category that is not listed counts as a non-neoplastic disease.
    """
    return f"{_CATEGORY.get(group, 'non-neoplastic disease')} of the {site}"


def read_tiles(data: Path) -> list[Sample]:
    """Read the tiles of the fifteen classes, split by group within each class.

    Raises:
        InputError: The folder has no ``manifest.csv``.
    """
    rows = [row for row in _rows(data / "manifest.csv") if row["label"] in LABELS]
    by_label: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_label[row["label"]].add(row["group_id"])
    splits = {(label, g): s for label, groups in by_label.items() for g, s in _assign(groups).items()}
    return [
        Sample(
            data / row["path"],
            row["label"],
            *LABELS[row["label"]],
            row["group_id"],
            splits[row["label"], row["group_id"]],
        )
        for row in rows
    ]


def read_atlas(data: Path) -> list[Sample]:
    """Read the atlas slides, split by case; the path is that of the slide's clip, which may be missing.

    Raises:
        InputError: The folder has no ``slides.csv``.
    """
    rows = _rows(data / "slides.csv")
    splits = _assign({row["case"] for row in rows})
    samples = []
    for row in rows:
        site = _atlas_site(row["organ"])
        samples.append(
            Sample(
                data / "videos" / "atlas" / f"{row['slide_id']}.mp4",
                f"atlas:{row['case']}",
                site,
                atlas_diagnosis(site, row["group"]),
                row["case"],
                splits[row["case"]],
                weak=True,
            )
        )
    return samples


def read_atlas_tiles(data: Path, slides: Sequence[Sample]) -> list[Sample]:
    """Read the 20x tiles and overviews of the atlas; each is on the side of its case.

    Args:
        data: The folder of the corpus.
        slides: The result of :func:`read_atlas`. Tiles of other cases are left out.

    Raises:
        InputError: The folder has no ``manifest.csv``.
    """
    by_case = {slide.group: slide for slide in slides}
    samples = []
    for row in _rows(data / "manifest.csv"):
        case = row["label"].removeprefix("atlas:")
        if row["label"].startswith("atlas:") and case in by_case:
            slide = by_case[case]
            samples.append(
                Sample(
                    data / row["path"], slide.label, slide.site, slide.diagnosis, case, slide.split, weak=True
                )
            )
    return samples


def load_images(samples: Iterable[Sample], longest: int = 400) -> list[np.ndarray]:
    """Decode images to uint8 [H, W, 3], RGB.

    Args:
        samples: Samples whose paths are images.
        longest: Larger images are reduced; this is the longest side in pixels.

    Raises:
        InputError: An image cannot be read.
    """
    images = []
    for sample in samples:
        picture = Image.fromarray(read_picture(sample.path, longest))
        picture.thumbnail((longest, longest), Image.Resampling.BICUBIC)
        images.append(np.asarray(picture))
    return images


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputError(
            f"The training data folder has no {path.name} ({path}). Give the folder that holds it with --data."
        )
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _assign(groups: Iterable[str]) -> dict[str, Split]:
    """Put each group on one side, in the order of the groups' hashes: the order in the file has no effect."""
    ordered = sorted(groups, key=lambda g: hashlib.sha256(g.encode()).digest())
    test = max(1, round(TEST_SHARE * len(ordered)))
    calibration = max(1, round(CALIBRATION_SHARE * len(ordered)))
    rest = len(ordered) - test - calibration
    shares: tuple[tuple[Split, int], ...] = (("test", test), ("calibration", calibration), ("train", rest))
    sides = [side for side, count in shares for _ in range(count)]
    return dict(zip(ordered, sides, strict=True))


def _atlas_site(organ: str) -> str:
    name = organ.split("(")[0].strip()
    return name if name in SITES else canonical_site(name)
