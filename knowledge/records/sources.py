"""Sources and sites of records.

Two records have the same source if they show the same video, slide or patient, even if the path, the file extension, the
clip number or the copy differ. Retrieval must never answer a case with itself.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata

from videopath.core.pathology.sites import SITES

_EXTENSIONS = (
    ".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".m4v", ".mpg", ".mpeg", ".jpg", ".jpeg", ".png", ".tif", ".tiff",
    ".bmp", ".svs", ".ndpi", ".mrxs", ".pt", ".h5", ".npy",
)  # fmt: skip
_CLIP_NUMBER = re.compile(r"[_-](?:c|clip[_-]?|seg(?:ment)?[_-]?)\d+$")
_PATIENT = re.compile(r"tcga-[a-z0-9]{2}-[a-z0-9]{4}(?![a-z0-9])")
_PREFIX = "vidrip_"
_COMMON_NAME = re.compile(r"[^\W\d_]*[ _-]?\d*")
"""Names that many videos have ("001", "case", "frame_12"). Any other name counts as unique."""

_TCGA_SITES = {
    "ACC": "adrenal gland", "BLCA": "bladder", "BRCA": "breast", "CESC": "cervix", "CHOL": "bile duct",
    "COAD": "colon", "DLBC": "lymph node", "ESCA": "esophagus", "GBM": "brain", "KICH": "kidney", "KIRC": "kidney",
    "KIRP": "kidney", "LGG": "brain", "LIHC": "liver", "LUAD": "lung", "LUSC": "lung", "MESO": "pleura",
    "OV": "ovary", "PAAD": "pancreas", "PCPG": "adrenal gland", "PRAD": "prostate", "READ": "rectum",
    "SARC": "soft tissue", "SKCM": "skin", "STAD": "stomach", "TGCT": "testis", "THCA": "thyroid", "THYM": "thymus",
    "UCEC": "endometrium", "UCS": "endometrium", "UVM": "eye",
}  # fmt: skip
"""Project code of The Cancer Genome Atlas → site. HNSC covers several sites, so it is not listed."""

_TCGA_PROJECT = re.compile(r"\bTCGA-([A-Z]{2,4})(?=[/\\]|$)")
_SITE_BY_NAME = {name: site for site, others in SITES.items() for name in (site, *others)}
_TISSUE_PHRASE = re.compile(
    r"\b(?:this|the|a|an|of|from)\s+([a-z][a-z /-]{1,40}?)\s+"
    r"(?:tissue|specimen|slide|biopsy|sample|section|smear|cytology|resection|mucosa|video|clip)\b"
)


def source_path(source: str) -> tuple[str, ...]:
    """Return the parts of a source that are compared: folders, then the stem without extension and clip number.

    A TCGA slide has one part, the patient.

    >>> source_path("videos/vidrip_d0WDjz9JBiU_c00003.mp4")
    ('videos', 'd0wdjz9jbiu')
    """
    text = unicodedata.normalize("NFC", source.encode(errors="replace").decode()).strip().lower()
    parts = [part for part in posixpath.normpath(text.replace("\\", "/")).split("/") if part not in ("", ".")]
    if not parts:
        return ()
    *folders, stem = parts
    while stem.endswith(_EXTENSIONS):
        stem = stem[: stem.rindex(".")]
    patient = _PATIENT.match(stem)
    if patient:
        return (patient.group(0),)
    stem = _CLIP_NUMBER.sub("", stem) or stem
    return (*folders, stem.removeprefix(_PREFIX) or stem)


def source_name(visual: str) -> str:
    """Return the name of a source in a record: the slide id for TCGA, else the name in the data.

    >>> source_name("TCGA-LUSC/TCGA-21-1083-01Z-00-DX1.8288ca92.pt")
    'TCGA-21-1083-01Z-00-DX1.8288ca92'
    """
    stem = re.split(r"[/\\]", visual)[-1]
    if not _PATIENT.match(stem.lower()):
        return visual
    for extension in _EXTENSIONS:
        stem = stem.removesuffix(extension)
    return stem


def same_source(one: str, other: str) -> bool:
    """Return whether two source names mean the same video, slide or patient.

    A path matches a longer path that ends in it: ``case.mp4`` matches ``/data/videos/case.mp4``. A unique name, such as
    an id, means the same video in any folder; a common name such as "001" does not.
    """
    short, long = sorted((source_path(one), source_path(other)), key=len)
    if short and not _COMMON_NAME.fullmatch(short[-1]):
        return long[-1] == short[-1]
    return bool(short) and long[-len(short) :] == short


def infer_site(question: str, image: str = "") -> str | None:
    """Return the canonical site that a question or a TCGA image path names; ``None`` if it names no site or several."""
    project = _TCGA_PROJECT.search(image)
    if project and project.group(1) in _TCGA_SITES:
        return _TCGA_SITES[project.group(1)]
    sites = {_site_in_phrase(phrase) for phrase in _TISSUE_PHRASE.findall(question.lower())} - {None}
    return sites.pop() if len(sites) == 1 else None


def known_site(name: str) -> str | None:
    """Return the canonical site of a name, or ``None`` if it is not known."""
    return _SITE_BY_NAME.get(" ".join(name.lower().replace("_", " ").split()))


def _site_in_phrase(phrase: str) -> str | None:
    """Return the site of the longest known ending: "resected sigmoid" → "colon", "ovary / fallopian tube" → "ovary"."""
    for part in phrase.split("/"):
        words = part.split()
        for start in range(len(words)):
            site = known_site(" ".join(words[start:]))
            if site:
                return site
    return None
